{{/* Values that contradict each other or ask for what is not there: refused here, each with what to do instead. */}}
{{- define "sublet.validate" -}}
{{- include "sublet.validate.name" . -}}
{{- include "sublet.validate.unsupported" . -}}
{{- include "sublet.validate.images" . -}}
{{- include "sublet.validate.distribution" . -}}
{{- if eq (include "sublet.distro" .) "k8s" -}}
{{- include "sublet.validate.version" . -}}
{{- include "sublet.validate.skew" . -}}
{{- end -}}
{{- include "sublet.validate.controlPlane" . -}}
{{- include "sublet.validate.store" . -}}
{{- include "sublet.validate.storage" . -}}
{{- include "sublet.validate.etcd" . -}}
{{- include "sublet.validate.sync" . -}}
{{- include "sublet.validate.kubeconfigs" . -}}
{{- include "sublet.validate.quota" . -}}
{{- end -}}

{{- define "sublet.validate.name" -}}
{{- $name := .Release.Name -}}
{{- if gt (len $name) 52 -}}
{{- fail (printf "release name %q has %d characters; choose one of at most 52, so that all names made from it fit" $name (len $name)) -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "release name %q cannot name a Service; choose one of a-z, 0-9 and -, beginning with a letter" $name) -}}
{{- end -}}
{{- end -}}
