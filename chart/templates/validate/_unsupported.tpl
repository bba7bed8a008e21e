{{/* All at once: whoever moves a file over wants to see the whole list. */}}
{{- define "sublet.validate.unsupported" -}}
{{- $refusals := "" -}}
{{- range .Files.Get "files/unsupported.yaml" | fromYamlArray -}}
{{- $refusals = print $refusals (include "sublet.refusals" (dict "row" . "at" $.Values "left" (splitList "." .path) "seen" list)) -}}
{{- end -}}
{{- with trim $refusals }}{{ fail . }}{{ end -}}
{{- end -}}

{{/* Walks to a row's path (left: what is still to go; seen: the keys gone); a line for each value there that switches something on. */}}
{{- define "sublet.refusals" -}}
{{- if not .left -}}
{{- $refused := not (include "sublet.off" .at) -}}
{{- if hasKey .row "accept" -}}
{{- $refused = not (has (toString .at) (toStrings .row.accept)) -}}
{{- end -}}
{{- if $refused -}}
{{- printf "%s is not supported: %s\n" (join "." .seen) .row.remedy -}}
{{- end -}}
{{- else if kindIs "map" .at -}}
{{- range $key, $value := .at -}}
{{- if has (first $.left) (list $key "*") -}}
{{- include "sublet.refusals" (dict "row" $.row "at" $value "left" (rest $.left) "seen" (append $.seen $key)) -}}
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
