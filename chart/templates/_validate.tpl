{{/* Values that contradict each other or ask for what is not there: refused here, each with what to do instead. */}}
{{- define "sublet.validate" -}}
{{- include "sublet.validate.name" . -}}
{{- include "sublet.validate.unsupported" . -}}
{{- include "sublet.validate.images" . -}}
{{- include "sublet.validate.controlPlane" . -}}
{{- include "sublet.validate.sync" . -}}
{{- include "sublet.validate.kubeconfigs" . -}}
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

{{- define "sublet.validate.unsupported" -}}
{{- range .Files.Get "files/unsupported.yaml" | fromYamlArray -}}
{{- include "sublet.refuse" (dict "row" . "at" $.Values "left" (splitList "." .path) "seen" list) -}}
{{- end -}}
{{- end -}}

{{/* Walks to a row's path (left: what is still to go; seen: the keys gone) and refuses what it finds there. */}}
{{- define "sublet.refuse" -}}
{{- if not .left -}}
{{- $refused := not (include "sublet.off" .at) -}}
{{- if hasKey .row "accept" -}}
{{- $refused = not (has (toString .at) (toStrings .row.accept)) -}}
{{- end -}}
{{- if $refused -}}
{{- fail (printf "%s is not supported: %s" (join "." .seen) .row.remedy) -}}
{{- end -}}
{{- else if kindIs "map" .at -}}
{{- range $key, $value := .at -}}
{{- if has (first $.left) (list $key "*") -}}
{{- include "sublet.refuse" (dict "row" $.row "at" $value "left" (rest $.left) "seen" (append $.seen $key)) -}}
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
      "controlPlane.distro.k8s.controllerManager.image" $control.distro.k8s.controllerManager.image -}}
{{- if contains "loft-sh/" (toString $image) -}}
{{- fail (printf "%s names an image of vCluster, which Sublet cannot run; unset it" $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "sublet.validate.controlPlane" -}}
{{- $control := .Values.controlPlane -}}
{{- $version := $control.distro.k8s.version -}}
{{- if not (semverCompare ">=1.34.0-0" $version) -}}
{{- fail (printf "controlPlane.distro.k8s.version is %s; set 1.34.0 or newer" $version) -}}
{{- end -}}
{{- $replicas := int $control.statefulSet.highAvailability.replicas -}}
{{- if gt $replicas 1 -}}
{{- fail (printf "controlPlane.statefulSet.highAvailability.replicas is %d, but SQLite serves one pod; set it to 1" $replicas) -}}
{{- end -}}
{{- $source := $control.backingStore.database.embedded.dataSource -}}
{{- if and $source (not (hasPrefix "sqlite://" $source)) -}}
{{- fail "controlPlane.backingStore.database.embedded.dataSource is no SQLite file; begin it with sqlite:// or unset it" -}}
{{- end -}}
{{- if and $control.coredns.overwriteConfig $control.coredns.overwriteManifests -}}
{{- fail "controlPlane.coredns.overwriteManifests replaces the Corefile too; put it there and unset controlPlane.coredns.overwriteConfig" -}}
{{- end -}}
{{- range $account := list "serviceAccount" "workloadServiceAccount" -}}
{{- $values := index $control.advanced $account -}}
{{- if not (or $values.enabled $values.name) -}}
{{- fail (printf "controlPlane.advanced.%s.enabled is false; name an existing one in controlPlane.advanced.%s.name" $account $account) -}}
{{- end -}}
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
