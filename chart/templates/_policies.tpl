{{/* Whether a part of policies is on: "true" or "". `auto` follows the other of resourceQuota and limitRange. root; name; other. */}}
{{- define "sublet.policy" -}}
{{- $policies := .root.Values.policies -}}
{{- $own := (index $policies .name).enabled | toString -}}
{{- if eq $own "auto" -}}
{{- $own = (index $policies .other).enabled | toString -}}
{{- end -}}
{{- if eq $own "true" }}true{{ end -}}
{{- end -}}

{{- define "sublet.quota" -}}
{{- include "sublet.policy" (dict "root" . "name" "resourceQuota" "other" "limitRange") -}}
{{- end -}}

{{- define "sublet.limitRange" -}}
{{- include "sublet.policy" (dict "root" . "name" "limitRange" "other" "resourceQuota") -}}
{{- end -}}

{{/* The pods of the release itself. A tenant's pod may carry the same labels if denyLabels lets it, but never lacks this mark. */}}
{{- define "sublet.ownPods" -}}
podSelector:
  matchLabels: {{ pick (include "sublet.selector" . | fromYaml) "app.kubernetes.io/name" "app.kubernetes.io/instance" | toJson }}
  matchExpressions: [{key: sublet.dev/managed-by, operator: DoesNotExist}]
{{- end -}}

{{/* The tenant's pods. */}}
{{- define "sublet.tenantPods" -}}
podSelector:
  matchLabels: {sublet.dev/managed-by: {{ .Release.Name }}}
{{- end -}}
