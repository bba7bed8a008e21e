{{- define "sublet.validate.distribution" -}}
{{- $at := "controlPlane.distro" -}}
{{- $distros := include "sublet.distros" . | fromJsonArray -}}
{{- if gt (len $distros) 1 -}}
{{- fail (printf "%s: %s are enabled, but one of them runs the API server; enable one" $at (join " and " $distros)) -}}
{{- end -}}
{{- $name := first $distros -}}
{{- if ne $name "k8s" -}}
{{- include "sublet.validate.k8sOnly" . -}}
{{- include "sublet.validate.distroVersion" . -}}
{{- end -}}
{{- with .Values.controlPlane.distro.k0s.config -}}
{{- if hasKey (fromYaml .) "Error" -}}
{{- fail (printf "%s.k0s.config is no YAML of a ClusterConfig: %s; correct it" $at (fromYaml .).Error) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Values for containers that K3s and k0s do not have would be without effect. */}}
{{- define "sublet.validate.k8sOnly" -}}
{{- $name := include "sublet.distro" . -}}
{{- $values := .Values.controlPlane.distro.k8s -}}
{{- if $values.scheduler.enabled -}}
{{- fail (printf "controlPlane.distro.k8s.scheduler.enabled is for k8s, but %s is enabled; set controlPlane.advanced.virtualScheduler.enabled instead" $name) -}}
{{- end -}}
{{- range $key, $default := .Files.Get "files/k8s.yaml" | fromYaml -}}
{{- if ne (toJson $default) (index $values $key | toJson) -}}
{{- fail (printf "controlPlane.distro.k8s.%s is for k8s, but %s is enabled; unset it, and see controlPlane.distro.%s" $key $name $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* An image whose tag is no version is the user's to judge. k0s: older ones add a flag that excludes our authentication file. */}}
{{- define "sublet.validate.distroVersion" -}}
{{- $name := include "sublet.distro" . -}}
{{- $wanted := dict "k3s" ">=1.34.0-0" "k0s" "~1.34.11-0 || ~1.35.8-0 || >=1.36.3-k0s.1" -}}
{{- with include "sublet.kubernetesVersion" . -}}
{{- if not (semverCompare (index $wanted $name) .) -}}
{{- fail (printf "controlPlane.distro.%s.image is of version %s; set one that is %s" $name . (index $wanted $name)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
