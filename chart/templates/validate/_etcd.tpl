{{/* The etcd of the release's own. */}}
{{- define "sublet.validate.etcd" -}}
{{- if include "sublet.etcd" . -}}
{{- $at := "controlPlane.backingStore.etcd.deploy.statefulSet" -}}
{{- $set := .Values.controlPlane.backingStore.etcd.deploy.statefulSet -}}
{{- $members := int $set.highAvailability.replicas -}}
{{- if not (has $members (list 1 3 5)) -}}
{{- fail (printf "%s.highAvailability.replicas is %d; set it to 1, 3 or 5, since a majority of the members has to agree" $at $members) -}}
{{- end -}}
{{- if gt (len .Release.Name) 47 -}}
{{- fail (printf "release name %q has %d characters; with %s choose one of at most 47, so that all names made from it fit" .Release.Name (len .Release.Name) "controlPlane.backingStore.etcd.deploy") -}}
{{- end -}}
{{- range $set.extraArgs -}}
{{- if regexMatch "^--?(name|data-dir|wal-dir|config-file|(initial-)?advertise-.*|listen-.*|initial-cluster.*|discovery.*|force-new-cluster)(=|$)" . -}}
{{- fail (printf "%s.extraArgs has %s, which each member decides for itself; remove it" $at (splitList "=" . | first)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
