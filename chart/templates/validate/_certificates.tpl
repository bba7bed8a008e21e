{{- define "sublet.validate.certificates" -}}
{{- $brought := .Values.controlPlane.advanced.certificateAuthority.secretName -}}
{{- if has $brought (list (printf "%s-certs" .Release.Name) (printf "vc-%s" .Release.Name)) -}}
{{- fail (printf "controlPlane.advanced.certificateAuthority.secretName: Secret %s is written by Sublet itself; put the CA into another one" $brought) -}}
{{- end -}}
{{- end -}}
