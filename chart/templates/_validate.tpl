{{/* Values that contradict each other or ask for what is not there: refused here, each with what to do instead. */}}
{{- define "sublet.validate" -}}
{{- include "sublet.validate.name" . -}}
{{- include "sublet.validate.unsupported" . -}}
{{- include "sublet.validate.images" . -}}
{{- include "sublet.validate.skew" . -}}
{{- include "sublet.validate.controlPlane" . -}}
{{- include "sublet.validate.store" . -}}
{{- include "sublet.validate.sync" . -}}
{{- include "sublet.validate.kubeconfigs" . -}}
{{- include "sublet.validate.quota" . -}}
{{- end -}}

{{- define "sublet.validate.name" -}}
{{- $name := .Release.Name -}}
{{- if gt (len $name) 52 -}}
{{- fail (printf "release name %q has %d characters; choose one of at most 52, so that all names made from it fit" $name (len $name)) -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "release name %q cannot name a Service; choose one of a-z, 0-9 and -, beginning with a letter" $name) -}}
{{- end -}}
{{- end -}}

{{/* All at once: whoever moves a file over wants to see the whole list. */}}
{{- define "sublet.validate.unsupported" -}}
{{- $refusals := "" -}}
{{- range .Files.Get "files/unsupported.yaml" | fromYamlArray -}}
{{- $refusals = print $refusals (include "sublet.refusals" (dict "row" . "at" $.Values "left" (splitList "." .path) "seen" list)) -}}
{{- end -}}
{{- with trim $refusals }}{{ fail . }}{{ end -}}
{{- end -}}

{{/* Walks to a row's path (left: what is still to go; seen: the keys gone); a line for each value there that switches something on. */}}
{{- define "sublet.refusals" -}}
{{- if not .left -}}
{{- $refused := not (include "sublet.off" .at) -}}
{{- if hasKey .row "accept" -}}
{{- $refused = not (has (toString .at) (toStrings .row.accept)) -}}
{{- end -}}
{{- if $refused -}}
{{- printf "%s is not supported: %s\n" (join "." .seen) .row.remedy -}}
{{- end -}}
{{- else if kindIs "map" .at -}}
{{- range $key, $value := .at -}}
{{- if has (first $.left) (list $key "*") -}}
{{- include "sublet.refusals" (dict "row" $.row "at" $value "left" (rest $.left) "seen" (append $.seen $key)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* "true" when a value switches nothing on: empty, false, 0, auto, or a map of those, or one whose `enabled` is. */}}
{{- define "sublet.off" -}}
{{- if kindIs "map" . -}}
{{- $off := true -}}
{{- range $key, $value := ternary (pick . "enabled") . (hasKey . "enabled") -}}
{{- if not (include "sublet.off" $value) }}{{ $off = false }}{{ end -}}
{{- end -}}
{{- if $off }}true{{ end -}}
{{- else if or (empty .) (has (toString .) (list "false" "auto")) -}}
true
{{- end -}}
{{- end -}}

{{- define "sublet.validate.images" -}}
{{- $control := .Values.controlPlane -}}
{{- range $path, $image := dict
      "controlPlane.statefulSet.image" $control.statefulSet.image
      "controlPlane.distro.k8s.apiServer.image" $control.distro.k8s.apiServer.image
      "controlPlane.distro.k8s.controllerManager.image" $control.distro.k8s.controllerManager.image
      "controlPlane.distro.k8s.scheduler.image" $control.distro.k8s.scheduler.image -}}
{{- if contains "loft-sh/" (toString $image) -}}
{{- fail (printf "%s names an image of vCluster, which Sublet cannot run; unset it" $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Kubernetes' own rule for what runs beside an API server: not newer, and at most one minor version older. */}}
{{- define "sublet.validate.skew" -}}
{{- $k8s := .Values.controlPlane.distro.k8s -}}
{{- $found := dict -}}
{{- range $name, $image := dict "apiServer" $k8s.apiServer.image "controllerManager" $k8s.controllerManager.image -}}
{{- $reference := include "sublet.image" (dict "root" $ "name" $name "image" $image "tag" (include "sublet.kubernetesTag" $)) -}}
{{- with regexFind ":v?[0-9]+[.][0-9]+[.][0-9]+[^:/@]*$" $reference }}{{ $_ := set $found $name (trimPrefix ":" .) }}{{ end -}}
{{- end -}}
{{- if eq (len $found) 2 -}}
{{- $server := semver $found.apiServer -}}
{{- $manager := semver $found.controllerManager -}}
{{- if or ($manager.GreaterThan $server) (lt (add $manager.Minor 1) (int64 $server.Minor)) -}}
{{- fail (printf "controlPlane.distro.k8s.controllerManager.image is of %s beside an API server of %s; set it to that version, or to one minor version less" $found.controllerManager $found.apiServer) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "sublet.validate.controlPlane" -}}
{{- $control := .Values.controlPlane -}}
{{- $version := $control.distro.k8s.version -}}
{{- if not (semverCompare ">=1.34.0-0" $version) -}}
{{- fail (printf "controlPlane.distro.k8s.version is %s; set 1.34.0 or newer" $version) -}}
{{- end -}}
{{- if and $control.coredns.overwriteConfig $control.coredns.overwriteManifests -}}
{{- fail "controlPlane.coredns.overwriteManifests replaces the Corefile too; put it there and unset controlPlane.coredns.overwriteConfig" -}}
{{- end -}}
{{- include "sublet.validate.dns" . -}}
{{- include "sublet.validate.exposure" . -}}
{{- range $account := list "serviceAccount" "workloadServiceAccount" -}}
{{- $values := index $control.advanced $account -}}
{{- if not (or $values.enabled $values.name) -}}
{{- fail (printf "controlPlane.advanced.%s.enabled is false; name an existing one in controlPlane.advanced.%s.name" $account $account) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "sublet.validate.store" -}}
{{- $at := "controlPlane.backingStore" -}}
{{- $stores := include "sublet.stores" . | fromJsonArray -}}
{{- if gt (len $stores) 1 -}}
{{- fail (printf "%s: %s are enabled, but objects lie in one store; enable one of them" $at (join " and " $stores)) -}}
{{- end -}}
{{- $store := first $stores -}}
{{- $set := .Values.controlPlane.statefulSet -}}
{{- $replicas := int $set.highAvailability.replicas -}}
{{- if gt $replicas 1 -}}
{{- if include "sublet.store.local" . -}}
{{- $remedy := "set it to 1, or keep the objects in a database or an etcd outside of the pod" -}}
{{- fail (printf "controlPlane.statefulSet.highAvailability.replicas is %d, but %s.%s serves one pod; %s" $replicas $at $store $remedy) -}}
{{- end -}}
{{- with $set.highAvailability -}}
{{- if not (and (gt (int .leaseDuration) (int .renewDeadline)) (gt (int .renewDeadline) (int .retryPeriod))) -}}
{{- fail "controlPlane.statefulSet.highAvailability: set leaseDuration > renewDeadline > retryPeriod, or two pods may synchronise at once" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.controlPlane.advanced.podDisruptionBudget -}}
{{- if and .enabled (toString .minAvailable) (toString .maxUnavailable) -}}
{{- fail "controlPlane.advanced.podDisruptionBudget has minAvailable and maxUnavailable; unset one" -}}
{{- end -}}
{{- end -}}
{{- if and (eq (toString $set.persistence.volumeClaim.enabled) "true") (not (include "sublet.store.local" .)) -}}
{{- fail (printf "controlPlane.statefulSet.persistence.volumeClaim.enabled is true, but %s.%s lies elsewhere; set it to auto" $at $store) -}}
{{- end -}}
{{- $database := .Values.controlPlane.backingStore.database -}}
{{- $source := $database.embedded.dataSource -}}
{{- if and $source (not (hasPrefix "sqlite://" $source)) -}}
{{- fail (printf "%s.database.embedded.dataSource is no SQLite file; begin it with sqlite:// or unset it" $at) -}}
{{- end -}}
{{- with $database.external -}}
{{- if .enabled -}}
{{- if not (or .dataSource .connector) -}}
{{- fail (printf "%s.database.external names no database; set dataSource, or connector to a Secret that holds one" $at) -}}
{{- end -}}
{{- if and .dataSource .connector -}}
{{- fail (printf "%s.database.external has dataSource and connector; unset one" $at) -}}
{{- end -}}
{{- if and .dataSource (not (regexMatch "^(postgres|postgresql|mysql)://." .dataSource)) -}}
{{- fail (printf "%s.database.external.dataSource is neither PostgreSQL nor MySQL; begin it with postgres:// or mysql://" $at) -}}
{{- end -}}
{{- if and .dataSource (not (regexMatch "^(postgres(ql)?://[^/]+/[^/?]+|mysql://.*\\)/[^/?]+)" .dataSource)) -}}
{{- fail (printf "%s.database.external.dataSource names no database; write /DATABASE after the server" $at) -}}
{{- end -}}
{{- include "sublet.validate.pair" (dict "at" (printf "%s.database.external" $at) "files" .) -}}
{{- end -}}
{{- end -}}
{{- with .Values.controlPlane.backingStore.etcd.external -}}
{{- if .enabled -}}
{{- if not .endpoint -}}
{{- fail (printf "%s.etcd.external.endpoint is empty; set it to the addresses of the members" $at) -}}
{{- end -}}
{{- include "sublet.validate.pair" (dict "at" (printf "%s.etcd.external.tls" $at) "files" .tls) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A certificate is of no use without its key. at: where; files: certFile and keyFile. */}}
{{- define "sublet.validate.pair" -}}
{{- if ne (empty .files.certFile) (empty .files.keyFile) -}}
{{- fail (printf "%s: certFile and keyFile belong together; set both or unset both" .at) -}}
{{- end -}}
{{- end -}}

{{- define "sublet.validate.dns" -}}
{{- $dns := .Values.controlPlane.coredns -}}
{{- $deployment := $dns.deployment -}}
{{- if $dns.embedded -}}
{{- if not $dns.enabled -}}
{{- fail "controlPlane.coredns.embedded runs what controlPlane.coredns.enabled=false leaves out; set enabled or unset embedded" -}}
{{- end -}}
{{- if gt (int .Values.controlPlane.statefulSet.highAvailability.replicas) 1 -}}
{{- fail "controlPlane.coredns.embedded: of several control-plane pods only the leader's would answer; unset it, or set controlPlane.statefulSet.highAvailability.replicas to 1" -}}
{{- end -}}
{{- if not .Values.sync.toHost.endpointSlices.enabled -}}
{{- fail "controlPlane.coredns.embedded is reached by an EndpointSlice; set sync.toHost.endpointSlices.enabled or unset embedded" -}}
{{- end -}}
{{- range $key, $value := dict
      "deployment.affinity" $deployment.affinity
      "deployment.annotations" $deployment.annotations
      "deployment.labels" $deployment.labels
      "deployment.nodeSelector" $deployment.nodeSelector
      "deployment.pods.annotations" $deployment.pods.annotations
      "deployment.pods.labels" $deployment.pods.labels
      "deployment.replicas" (ternary 0 $deployment.replicas (eq (int $deployment.replicas) 1))
      "deployment.tolerations" $deployment.tolerations
      "priorityClassName" $dns.priorityClassName -}}
{{- if $value -}}
{{- fail (printf "controlPlane.coredns.%s is for pods of CoreDNS, and controlPlane.coredns.embedded makes none; unset it, or use controlPlane.statefulSet" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.networking.advanced.fallbackHostCluster $dns.overwriteConfig -}}
{{- fail "networking.advanced.fallbackHostCluster changes the Corefile that controlPlane.coredns.overwriteConfig replaces; unset one of them" -}}
{{- end -}}
{{- end -}}

{{- define "sublet.validate.exposure" -}}
{{- $control := .Values.controlPlane -}}
{{- $ingress := $control.ingress -}}
{{- if and $ingress.enabled (not (or $ingress.host $ingress.spec.rules)) -}}
{{- fail "controlPlane.ingress.enabled needs a name to be reached by; set controlPlane.ingress.host" -}}
{{- end -}}
{{- $spec := $control.service.spec -}}
{{- if and (or $control.service.httpsNodePort $control.service.kubeletNodePort) (eq ($spec.type | default "ClusterIP") "ClusterIP") -}}
{{- fail "controlPlane.service.httpsNodePort and kubeletNodePort are for a Service with node ports; set controlPlane.service.spec.type to NodePort or LoadBalancer, or unset them" -}}
{{- end -}}
{{- if and $control.service.kubeletNodePort (eq ($spec.type | default "") "LoadBalancer") -}}
{{- fail "controlPlane.service.kubeletNodePort: a load balancer does not show the kubelet API; unset it" -}}
{{- end -}}
{{- end -}}

{{- define "sublet.validate.sync" -}}
{{- range $kind := list "pods" "services" -}}
{{- if not (index $.Values.sync.toHost $kind).enabled -}}
{{- fail (printf "sync.toHost.%s.enabled is false, but a cluster without %s cannot work; set it to true" $kind $kind) -}}
{{- end -}}
{{- end -}}
{{- range $kind := list "configMaps" "secrets" -}}
{{- $values := index $.Values.sync.toHost $kind -}}
{{- if and $values.all (not $values.enabled) -}}
{{- fail (printf "sync.toHost.%s.all is true but nothing is synced; set sync.toHost.%s.enabled or unset all" $kind $kind) -}}
{{- end -}}
{{- end -}}
{{- $nodes := .Values.sync.fromHost.nodes -}}
{{- $replicas := int .Values.controlPlane.statefulSet.highAvailability.replicas -}}
{{- if and (include "sublet.schedules" .) (gt $replicas 1) -}}
{{- fail (printf "controlPlane.distro.k8s.scheduler.enabled has not been tried with %d control-plane pods; set controlPlane.statefulSet.highAvailability.replicas to 1" $replicas) -}}
{{- end -}}
{{- if and (include "sublet.schedules" .) (not $nodes.enabled) -}}
{{- fail "controlPlane.distro.k8s.scheduler.enabled (or controlPlane.advanced.virtualScheduler.enabled) chooses among the host's nodes; set sync.fromHost.nodes.enabled or unset it" -}}
{{- end -}}
{{- if and (not $nodes.enabled) (or $nodes.selector.labels $nodes.selector.all) -}}
{{- fail "sync.fromHost.nodes.selector chooses among the host's nodes; set sync.fromHost.nodes.enabled or unset it" -}}
{{- end -}}
{{- end -}}

{{- define "sublet.validate.kubeconfigs" -}}
{{- $home := include "sublet.namespace" . -}}
{{- $seen := list (printf "%s/%s-certs" $home .Release.Name) (printf "%s/vc-config-%s" $home .Release.Name) -}}
{{- range include "sublet.kubeconfigs" . | fromJsonArray -}}
{{- $secret := printf "%s/%s" .namespace .secret -}}
{{- if has $secret $seen -}}
{{- fail (printf "exportKubeConfig.additionalSecrets: Secret %s is already taken; choose another name" $secret) -}}
{{- end -}}
{{- $seen = append $seen $secret -}}
{{- end -}}
{{- end -}}

{{- define "sublet.validate.quota" -}}
{{- $type := .Values.controlPlane.service.spec.type | default "ClusterIP" -}}
{{- $ports := index .Values.policies.resourceQuota.quota "services.nodeports" -}}
{{- if and (include "sublet.quota" .) (has $type (list "NodePort" "LoadBalancer")) (eq (toString $ports) "0") -}}
{{- fail (printf "controlPlane.service.spec.type is %s, but policies.resourceQuota.quota allows no node port; set its services.nodeports to 2 or more" $type) -}}
{{- end -}}
{{- end -}}
