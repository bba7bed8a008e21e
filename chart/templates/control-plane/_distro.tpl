{{/* Which API server runs: upstream's, or K3s or k0s, each of which brings its controllers and scheduler along in one container. */}}

{{/* The enabled ones, as JSON. More than one is refused by validation. */}}
{{- define "sublet.distros" -}}
{{- $found := list -}}
{{- range list "k0s" "k3s" "k8s" -}}
{{- if (index $.Values.controlPlane.distro .).enabled }}{{ $found = append $found . }}{{ end -}}
{{- end -}}
{{- $found | default (list "k8s") | toJson -}}
{{- end -}}

{{- define "sublet.distro" -}}
{{- include "sublet.distros" . | fromJsonArray | first -}}
{{- end -}}

{{/* The image of K3s or k0s. */}}
{{- define "sublet.distro.image" -}}
{{- $name := include "sublet.distro" . -}}
{{- include "sublet.image" (dict "root" . "name" $name "image" (index .Values.controlPlane.distro $name).image) -}}
{{- end -}}

{{/* What runs, for people. */}}
{{- define "sublet.distro.title" -}}
{{- $name := include "sublet.distro" . -}}
{{- if eq $name "k8s" -}}
Kubernetes {{ include "sublet.kubernetesVersion" . }}
{{- else -}}
{{ index (dict "k3s" "K3s" "k0s" "k0s") $name }}, image {{ include "sublet.distro.image" . }}
{{- end -}}
{{- end -}}

{{/* Flags of one of the lists in _flags.tpl as a map from name to value, as JSON. root: the chart's context; list: the template's name. */}}
{{- define "sublet.flagMap" -}}
{{- $flags := dict -}}
{{- range include .list .root | fromYamlArray -}}
{{- $parts := splitn "=" 2 (trimPrefix "--" .) -}}
{{- $_ := set $flags $parts._0 $parts._1 -}}
{{- end -}}
{{- $flags | toJson -}}
{{- end -}}

{{/*
The container of K3s or k0s. It keeps nothing: objects lie in the store and keys in NAME-certs, so what it writes dies with the pod.
root: the chart's context; prepare: what a shell does first; command: then runs with; arguments.
*/}}
{{- define "sublet.distro.container" -}}
{{- $name := include "sublet.distro" .root -}}
{{- $distro := index .root.Values.controlPlane.distro $name -}}
name: {{ $name }}
command:
  - sh
  - -euc
  - {{ .prepare }} && exec {{ .command }} "$@"
  - {{ $name }}
  {{- range concat .arguments $distro.extraArgs }}
  - {{ . | quote }}
  {{- end }}
{{ include "sublet.apiserver.surface" .root }}
image: {{ include "sublet.distro.image" .root }}
{{- with $distro.imagePullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- with $distro.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "sublet.containerSecurityContext" (dict "root" .root "over" $distro.securityContext) | nindent 2 }}
# Why it ended is then part of the pod's status.
terminationMessagePolicy: FallbackToLogsOnError
env:
  - name: POD_IP
    valueFrom: {fieldRef: {fieldPath: status.podIP}}
  - {name: HOME, value: /tmp}
  {{- with $distro.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumeMounts:
  - {name: pki, mountPath: /pki, readOnly: true}
  {{- if include "sublet.store.container" .root }}
  - {name: store-socket, mountPath: /run/store}
  {{- end }}
  - {name: authentication, mountPath: /etc/sublet, readOnly: true}
  - {name: server, mountPath: /server}
  {{- range .mounts }}
  - {{ toJson . }}
  {{- end }}
  - {name: tmp, mountPath: /tmp}
  {{- with include "sublet.addedMounts" .root }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}
