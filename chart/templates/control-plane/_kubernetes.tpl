{{/* kube-apiserver, kube-controller-manager and kube-scheduler from upstream images, a container for each. */}}

{{/* Fields of a container that runs a Kubernetes component. root: the chart's context; name: apiServer, controllerManager or scheduler; capabilities. */}}
{{- define "sublet.kubernetesContainer" -}}
{{- $k8s := .root.Values.controlPlane.distro.k8s -}}
{{- $component := index $k8s .name -}}
{{- $tag := include "sublet.kubernetesTag" .root -}}
image: {{ include "sublet.image" (dict "root" .root "name" .name "image" $component.image "tag" $tag) }}
{{- with $k8s.imagePullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- with $component.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $over := mergeOverwrite (dict "capabilities" (.capabilities | default dict)) $k8s.securityContext }}
securityContext:
  {{- include "sublet.containerSecurityContext" (dict "root" .root "over" $over) | nindent 2 }}
{{- end -}}

{{- define "sublet.kubernetesTag" -}}
v{{ trimPrefix "v" .Values.controlPlane.distro.k8s.version }}
{{- end -}}

{{/* The version that a component's image tells by its tag; nothing when it tells none. root: the chart's context; name: its row. */}}
{{- define "sublet.componentVersion" -}}
{{- $image := (index .root.Values.controlPlane.distro.k8s .name).image -}}
{{- $reference := include "sublet.image" (dict "root" .root "name" .name "image" $image "tag" (include "sublet.kubernetesTag" .root)) -}}
{{- include "sublet.tagVersion" $reference -}}
{{- end -}}

{{/* The version that an image's reference tells by its tag; nothing when it tells none. */}}
{{- define "sublet.tagVersion" -}}
{{- regexFind ":v?[0-9]+[.][0-9]+[.][0-9]+[^:/]*$" (splitList "@" . | first) | trimPrefix ":" -}}
{{- end -}}

{{/* The version of the API server: of its image, or as values say when that does not tell. Of K3s and k0s only the image can tell. */}}
{{- define "sublet.kubernetesVersion" -}}
{{- if eq (include "sublet.distro" .) "k8s" -}}
{{- include "sublet.componentVersion" (dict "root" . "name" "apiServer") | default (include "sublet.kubernetesTag" .) -}}
{{- else -}}
{{- include "sublet.tagVersion" (include "sublet.distro.image" .) -}}
{{- end -}}
{{- end -}}

{{/* How the API server is reached and asked for its health, whoever runs it. */}}
{{- define "sublet.apiserver.surface" -}}
{{- $probes := .Values.controlPlane.statefulSet.probes -}}
ports:
  - {name: https, containerPort: 8443, protocol: TCP}
{{- with $probes.startupProbe }}
{{- if .enabled }}
startupProbe:
  {{- include "sublet.probe" (dict "probe" . "check" (dict "httpGet" (dict "path" "/readyz" "port" 8443 "scheme" "HTTPS"))) | nindent 2 }}
{{- end }}
{{- end }}
{{- with $probes.livenessProbe }}
{{- if .enabled }}
{{- /* Not by its store: the API server finds that again, and a new one would wait for it just as long. */}}
livenessProbe:
  {{- include "sublet.probe" (dict "probe" . "check" (dict "httpGet" (dict "path" "/livez?exclude=etcd" "port" 8443 "scheme" "HTTPS"))) | nindent 2 }}
{{- end }}
{{- end }}
{{- with $probes.readinessProbe }}
{{- if .enabled }}
readinessProbe:
  {{- include "sublet.probe" (dict "probe" . "check" (dict "httpGet" (dict "path" "/readyz" "port" 8443 "scheme" "HTTPS"))) | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "sublet.apiserver" -}}
{{- $server := .Values.controlPlane.distro.k8s.apiServer -}}
name: apiserver
restartPolicy: Always
command:
  - kube-apiserver
  {{- include "sublet.apiserver.flags" . | nindent 2 }}
  {{- with $server.extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{ include "sublet.apiserver.surface" . }}
{{- /* The public image's binary carries this capability and does not start where it is out of bounds. */}}
{{ include "sublet.kubernetesContainer" (dict "root" . "name" "apiServer" "capabilities" (dict "add" (list "NET_BIND_SERVICE"))) }}
env:
  - name: POD_IP
    valueFrom: {fieldRef: {fieldPath: status.podIP}}
  {{- with .Values.controlPlane.distro.k8s.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumeMounts:
  - {name: pki, mountPath: /pki, readOnly: true}
  {{- if include "sublet.store.container" . }}
  - {name: store-socket, mountPath: /run/store}
  {{- end }}
  - {name: authentication, mountPath: /etc/sublet, readOnly: true}
  {{- with include "sublet.addedMounts" . }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "sublet.controllerManager" -}}
{{- $manager := .Values.controlPlane.distro.k8s.controllerManager -}}
name: controller-manager
command:
  - kube-controller-manager
  {{- include "sublet.controllerManager.flags" . | nindent 2 }}
  {{- with $manager.extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.controlPlane.statefulSet.probes.livenessProbe }}
{{- if .enabled }}
livenessProbe:
  {{- include "sublet.probe" (dict "probe" . "check" (dict "httpGet" (dict "path" "/healthz" "port" 10257 "scheme" "HTTPS"))) | nindent 2 }}
{{- end }}
{{- end }}
{{ include "sublet.kubernetesContainer" (dict "root" . "name" "controllerManager") }}
{{- with .Values.controlPlane.distro.k8s.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - {name: pki, mountPath: /pki, readOnly: true}
  {{- with include "sublet.addedMounts" . }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Schedules among the host's nodes. The host's own controllers taint those that fail, and mirrors carry the taints. */}}
{{- define "sublet.scheduler" -}}
name: scheduler
command:
  - kube-scheduler
  {{- include "sublet.scheduler.flags" . | nindent 2 }}
  {{- with .Values.controlPlane.distro.k8s.scheduler.extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.controlPlane.statefulSet.probes.livenessProbe }}
{{- if .enabled }}
livenessProbe:
  {{- include "sublet.probe" (dict "probe" . "check" (dict "httpGet" (dict "path" "/healthz" "port" 10259 "scheme" "HTTPS"))) | nindent 2 }}
{{- end }}
{{- end }}
{{ include "sublet.kubernetesContainer" (dict "root" . "name" "scheduler") }}
{{- with .Values.controlPlane.distro.k8s.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - {name: pki, mountPath: /pki, readOnly: true}
  {{- with include "sublet.addedMounts" . }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}
