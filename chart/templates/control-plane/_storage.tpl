{{/* The volume on which a store of the pod's own lies: a claim, or what the user puts in its place. */}}

{{/* Whether it is lost with the pod: "true" or "". */}}
{{- define "sublet.ephemeral" -}}
{{- $own := .Values.controlPlane.statefulSet.persistence.dataVolume -}}
{{- if and (include "sublet.store.local" .) (not $own) (not (include "sublet.claims" .)) }}true{{ end -}}
{{- end -}}

{{/* The claims that the StatefulSet makes, as a YAML list; nothing when it makes none. */}}
{{- define "sublet.claims" -}}
{{- $persistence := .Values.controlPlane.statefulSet.persistence -}}
{{- $claim := $persistence.volumeClaim -}}
{{- if $persistence.volumeClaimTemplates -}}
{{- toYaml $persistence.volumeClaimTemplates -}}
{{- else if and (ne (toString $claim.enabled) "false") (include "sublet.store.local" .) (not $persistence.dataVolume) -}}
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata:
    name: data
    labels:
      {{- include "sublet.selector" . | nindent 6 }}
  spec:
    accessModes:
      {{- toYaml $claim.accessModes | nindent 6 }}
    resources:
      requests:
        storage: {{ $claim.size }}
    {{- with $claim.storageClass }}
    storageClassName: {{ . }}
    {{- end }}
{{- end -}}
{{- end -}}

{{/* The volume itself where no claim is made for it, as a YAML list. */}}
{{- define "sublet.dataVolume" -}}
{{- $persistence := .Values.controlPlane.statefulSet.persistence -}}
{{- if $persistence.dataVolume -}}
{{- toYaml $persistence.dataVolume -}}
{{- else if include "sublet.ephemeral" . -}}
- name: data
  emptyDir: {}
{{- end -}}
{{- end -}}
