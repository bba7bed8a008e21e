{{/* k0s as a controller that runs the API server and its controllers, and nothing that Sublet brings or the host has. */}}

{{- define "sublet.k0s" -}}
{{- $disabled := list
      "applier-manager" "autopilot" "control-api" "coredns" "csr-approver" "endpoint-reconciler" "helm" "konnectivity-server" "kube-proxy"
      "metrics-server" "network-provider" "node-role" "system-rbac" "update-prober" "windows-node" -}}
{{- if not (include "sublet.schedules" .) }}{{ $disabled = append $disabled "kube-scheduler" }}{{ end -}}
{{- include "sublet.distro.container" (dict
      "root" .
      "prepare" "mkdir -p /server/pki && cp /pki/ca-signing.crt /server/pki/ca.crt && cp /pki/ca.key /server/pki/ca.key"
      "command" "k0s controller"
      "arguments" (list
        "--data-dir=/server"
        "--config=/etc/sublet/k0s.yaml"
        (printf "--disable-components=%s" (join "," $disabled)))
      "mounts" (list
        (dict "name" "server" "mountPath" "/run/k0s" "subPath" "run")
        (dict "name" "programs" "mountPath" "/server/bin")
        (dict "name" "authentication" "mountPath" "/etc/passwd" "subPath" "passwd" "readOnly" true))) -}}
{{- end -}}

{{/* k0s runs as root and each component as a user with a name: here that of the pod, to whom keys and the store's socket belong. */}}
{{- define "sublet.k0s.users" -}}
root:x:0:0:root:/:/bin/sh
{{- range list "kube-apiserver" "kube-scheduler" }}
{{ . }}:x:{{ $.Values.controlPlane.statefulSet.security.podSecurityContext.runAsUser | default 65532 | int }}:0::/:/bin/false
{{- end }}
{{ end -}}

{{/* Its configuration: ours, and the user's laid over it. To k0s the store is an etcd that somebody else runs. */}}
{{- define "sublet.k0s.config" -}}
{{- $server := include "sublet.flagMap" (dict "root" . "list" "sublet.apiserver.flags") | fromJson -}}
{{- $manager := include "sublet.flagMap" (dict "root" . "list" "sublet.controllerManager.flags") | fromJson -}}
{{- $scheduler := include "sublet.flagMap" (dict "root" . "list" "sublet.scheduler.flags") | fromJson -}}
{{- $store := dict
      "endpoints" (splitList "," (index $server "etcd-servers"))
      "etcdPrefix" (index $server "etcd-prefix" | default "/registry") -}}
{{- /* k0s asks itself under this address whether it is ready; its own certificate is not the one that is shown. */}}
{{- $api := dict "address" "127.0.0.1" "port" 8443 "extraArgs" (omit $server "advertise-address" "etcd-prefix" "etcd-servers" "secure-port") -}}
{{- $ours := dict
      "apiVersion" "k0s.k0sproject.io/v1beta1"
      "kind" "ClusterConfig"
      "metadata" (dict "name" "k0s")
      "spec" (dict
        "api" $api
        "controllerManager" (dict "extraArgs" (set $manager "bind-address" "0.0.0.0"))
        "scheduler" (dict "extraArgs" $scheduler)
        "network" (dict "provider" "custom" "clusterDomain" .Values.networking.advanced.clusterDomain)
        "storage" (dict "type" "etcd" "etcd" (dict "externalCluster" $store))
        "telemetry" (dict "enabled" false)) -}}
{{- mergeOverwrite $ours (.Values.controlPlane.distro.k0s.config | fromYaml) | toYaml -}}
{{- end -}}
