{{/* The etcd of the release's own: a StatefulSet of its members, apart from the control plane. */}}

{{/* Whether there is one: "true" or "". */}}
{{- define "sublet.etcd" -}}
{{- if eq (include "sublet.store" .) "etcd.deploy" }}true{{ end -}}
{{- end -}}

{{- define "sublet.etcd.name" -}}
{{ .Release.Name }}-etcd
{{- end -}}

{{/* What the control plane's selectors do not match. */}}
{{- define "sublet.etcd.selector" -}}
{{- set (include "sublet.selector" . | fromYaml) "app.kubernetes.io/component" "etcd" | toYaml -}}
{{- end -}}

{{/* The headless Service, by which each member has a name of its own. */}}
{{- define "sublet.etcd.service" -}}
{{ include "sublet.etcd.name" . }}-headless.{{ include "sublet.namespace" . }}.svc
{{- end -}}

{{/* The members' addresses for clients, comma-separated. */}}
{{- define "sublet.etcd.endpoints" -}}
{{- $endpoints := list -}}
{{- range until (int .Values.controlPlane.backingStore.etcd.deploy.statefulSet.highAvailability.replicas) -}}
{{- $endpoints = append $endpoints (printf "https://%s-%d.%s:2379" (include "sublet.etcd.name" $) . (include "sublet.etcd.service" $)) -}}
{{- end -}}
{{- join "," $endpoints -}}
{{- end -}}

{{/* etcd's flags, without those that name members: the init step adds them. */}}
{{- define "sublet.etcd.flags" -}}
- --data-dir=/data/etcd
- --initial-cluster-token={{ include "sublet.namespace" . }}/{{ .Release.Name }}
# Both ways, from a CA of its own. Members come to each other, and to themselves, with a certificate that names no host: etcd would look it up.
{{- range $prefix := list "" "peer-" }}
- --{{ $prefix }}trusted-ca-file=/tls/ca.crt
- --{{ $prefix }}cert-file=/tls/server.crt
- --{{ $prefix }}key-file=/tls/server.key
- --{{ $prefix }}client-cert-file=/tls/member.crt
- --{{ $prefix }}client-key-file=/tls/member.key
- --{{ $prefix }}client-cert-auth=true
{{- end }}
- --log-level=warn
{{- with .Values.controlPlane.backingStore.etcd.deploy.statefulSet.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Fields of the containers that run etcd's image. */}}
{{- define "sublet.etcd.container" -}}
{{- $set := .Values.controlPlane.backingStore.etcd.deploy.statefulSet -}}
image: {{ include "sublet.image" (dict "root" . "name" "etcd" "image" $set.image) }}
{{- with $set.imagePullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- with $set.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "sublet.containerSecurityContext" (dict "root" . "over" $set.security.containerSecurityContext) | nindent 2 }}
{{- with $set.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Members rather not share a node, unless the user says otherwise. */}}
{{- define "sublet.etcd.affinity" -}}
{{- $set := .Values.controlPlane.backingStore.etcd.deploy.statefulSet -}}
{{- if $set.scheduling.affinity -}}
{{- toYaml $set.scheduling.affinity -}}
{{- else if gt (int $set.highAvailability.replicas) 1 -}}
{{- include "sublet.apart" (include "sublet.etcd.selector" .) -}}
{{- end -}}
{{- end -}}
