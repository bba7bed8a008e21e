{{/* What users put in the place of the claim for the control plane's data. */}}
{{- define "sublet.validate.storage" -}}
{{- $at := "controlPlane.statefulSet.persistence" -}}
{{- $persistence := .Values.controlPlane.statefulSet.persistence -}}
{{- $claims := list -}}
{{- range $persistence.volumeClaimTemplates }}{{ $claims = append $claims (.metadata | default dict).name }}{{ end -}}
{{- $volumes := list -}}
{{- range $persistence.dataVolume }}{{ $volumes = append $volumes .name }}{{ end -}}
{{- if and $claims $volumes -}}
{{- fail (printf "%s: dataVolume and volumeClaimTemplates both say where the data lies; unset one" $at) -}}
{{- end -}}
{{- range $key, $names := dict "dataVolume" $volumes "volumeClaimTemplates" $claims -}}
{{- if $names -}}
{{- if not (include "sublet.store.local" $) -}}
{{- fail (printf "%s.%s is for a store in the pod, but controlPlane.backingStore.%s lies elsewhere; unset it, or use addVolumes" $at $key (include "sublet.store" $)) -}}
{{- end -}}
{{- if not (has "data" $names) -}}
{{- fail (printf "%s.%s takes the place of our volume for the store; call one of them data" $at $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $claims (eq (toString $persistence.volumeClaim.enabled) "false") -}}
{{- fail (printf "%s.volumeClaim.enabled is false, but volumeClaimTemplates makes claims; unset one" $at) -}}
{{- end -}}
{{- end -}}
