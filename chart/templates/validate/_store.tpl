{{- define "sublet.validate.store" -}}
{{- $at := "controlPlane.backingStore" -}}
{{- $stores := include "sublet.stores" . | fromJsonArray -}}
{{- if gt (len $stores) 1 -}}
{{- fail (printf "%s: %s are enabled, but objects lie in one store; enable one of them" $at (join " and " $stores)) -}}
{{- end -}}
{{- $store := first $stores -}}
{{- $set := .Values.controlPlane.statefulSet -}}
{{- $replicas := int $set.highAvailability.replicas -}}
{{- with .Values.controlPlane.backingStore.restore -}}
{{- if and .id (gt $replicas 1) -}}
{{- fail (printf "%s.restore.id is set with %d replicas, but nobody else may write meanwhile; set replicas to 1, and unset restore.id when it is done" $at $replicas) -}}
{{- end -}}
{{- if and (not .id) (or .file .replace .fromCluster) -}}
{{- fail (printf "%s.restore says what to restore, but has no id; set id to a word of your choice, or unset the others" $at) -}}
{{- end -}}
{{- end -}}
{{- if gt $replicas 1 -}}
{{- if include "sublet.store.local" . -}}
{{- $remedy := "set it to 1, or keep the objects in a database or an etcd outside of the pod" -}}
{{- fail (printf "controlPlane.statefulSet.highAvailability.replicas is %d, but %s.%s serves one pod; %s" $replicas $at $store $remedy) -}}
{{- end -}}
{{- with $set.highAvailability -}}
{{- if not (and (gt (int .leaseDuration) (int .renewDeadline)) (gt (mul 5 .renewDeadline) (mul 6 .retryPeriod))) -}}
{{- fail "controlPlane.statefulSet.highAvailability: set leaseDuration > renewDeadline > 1.2 times retryPeriod, or two pods may work at once" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.controlPlane.advanced.podDisruptionBudget -}}
{{- if and .enabled (toString .minAvailable) (toString .maxUnavailable) -}}
{{- fail "controlPlane.advanced.podDisruptionBudget has minAvailable and maxUnavailable; unset one" -}}
{{- end -}}
{{- end -}}
{{- if and (eq (toString $set.persistence.volumeClaim.enabled) "true") (not (include "sublet.store.local" .)) -}}
{{- fail (printf "controlPlane.statefulSet.persistence.volumeClaim.enabled is true, but %s.%s lies elsewhere; set it to auto" $at $store) -}}
{{- end -}}
{{- $database := .Values.controlPlane.backingStore.database -}}
{{- $source := $database.embedded.dataSource -}}
{{- if and $source (not (hasPrefix "sqlite://" $source)) -}}
{{- fail (printf "%s.database.embedded.dataSource is no SQLite file; begin it with sqlite:// or unset it" $at) -}}
{{- end -}}
{{- with $database.external -}}
{{- if .enabled -}}
{{- if not (or .dataSource .connector) -}}
{{- fail (printf "%s.database.external names no database; set dataSource, or connector to a Secret that holds one" $at) -}}
{{- end -}}
{{- if and .dataSource .connector -}}
{{- fail (printf "%s.database.external has dataSource and connector; unset one" $at) -}}
{{- end -}}
{{- if and .dataSource (not (regexMatch "^(postgres|postgresql|mysql)://." .dataSource)) -}}
{{- fail (printf "%s.database.external.dataSource is neither PostgreSQL nor MySQL; begin it with postgres:// or mysql://" $at) -}}
{{- end -}}
{{- if and .dataSource (not (regexMatch "^(postgres(ql)?://[^/]+/[^/?]+|mysql://.*\\)/[^/?]+)" .dataSource)) -}}
{{- fail (printf "%s.database.external.dataSource names no database; write /DATABASE after the server" $at) -}}
{{- end -}}
{{- include "sublet.validate.pair" (dict "at" (printf "%s.database.external" $at) "files" .) -}}
{{- end -}}
{{- end -}}
{{- with .Values.controlPlane.backingStore.etcd.external -}}
{{- if .enabled -}}
{{- if not .endpoint -}}
{{- fail (printf "%s.etcd.external.endpoint is empty; set it to the addresses of the members" $at) -}}
{{- end -}}
{{- include "sublet.validate.pair" (dict "at" (printf "%s.etcd.external.tls" $at) "files" .tls) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A certificate is of no use without its key. at: where; files: certFile and keyFile. */}}
{{- define "sublet.validate.pair" -}}
{{- if ne (empty .files.certFile) (empty .files.keyFile) -}}
{{- fail (printf "%s: certFile and keyFile belong together; set both or unset both" .at) -}}
{{- end -}}
{{- end -}}
