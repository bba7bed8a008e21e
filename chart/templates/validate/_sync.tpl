{{- define "sublet.validate.sync" -}}
{{- range $kind := list "pods" "services" -}}
{{- if not (index $.Values.sync.toHost $kind).enabled -}}
{{- fail (printf "sync.toHost.%s.enabled is false, but a cluster without %s cannot work; set it to true" $kind $kind) -}}
{{- end -}}
{{- end -}}
{{- range $kind := list "configMaps" "secrets" -}}
{{- $values := index $.Values.sync.toHost $kind -}}
{{- if and $values.all (not $values.enabled) -}}
{{- fail (printf "sync.toHost.%s.all is true but nothing is synced; set sync.toHost.%s.enabled or unset all" $kind $kind) -}}
{{- end -}}
{{- end -}}
{{- $nodes := .Values.sync.fromHost.nodes -}}
{{- if and (include "sublet.schedules" .) (not $nodes.enabled) -}}
{{- fail "controlPlane.distro.k8s.scheduler.enabled (or controlPlane.advanced.virtualScheduler.enabled) chooses among the host's nodes; set sync.fromHost.nodes.enabled or unset it" -}}
{{- end -}}
{{- if and (not $nodes.enabled) (or $nodes.selector.labels $nodes.selector.all) -}}
{{- fail "sync.fromHost.nodes.selector chooses among the host's nodes; set sync.fromHost.nodes.enabled or unset it" -}}
{{- end -}}
{{- end -}}
