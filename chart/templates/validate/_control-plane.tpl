{{- define "sublet.validate.controlPlane" -}}
{{- $control := .Values.controlPlane -}}
{{- if and $control.coredns.overwriteConfig $control.coredns.overwriteManifests -}}
{{- fail "controlPlane.coredns.overwriteManifests replaces the Corefile too; put it there and unset controlPlane.coredns.overwriteConfig" -}}
{{- end -}}
{{- include "sublet.validate.dns" . -}}
{{- include "sublet.validate.exposure" . -}}
{{- include "sublet.validate.certificates" . -}}
{{- range $account := list "serviceAccount" "workloadServiceAccount" -}}
{{- $values := index $control.advanced $account -}}
{{- if not (or $values.enabled $values.name) -}}
{{- fail (printf "controlPlane.advanced.%s.enabled is false; name an existing one in controlPlane.advanced.%s.name" $account $account) -}}
{{- end -}}
{{- end -}}
{{- end -}}
