{{- define "sublet.validate.images" -}}
{{- $control := .Values.controlPlane -}}
{{- range $path, $image := dict
      "controlPlane.statefulSet.image" $control.statefulSet.image
      "controlPlane.distro.k8s.apiServer.image" $control.distro.k8s.apiServer.image
      "controlPlane.distro.k8s.controllerManager.image" $control.distro.k8s.controllerManager.image
      "controlPlane.distro.k8s.scheduler.image" $control.distro.k8s.scheduler.image -}}
{{- if contains "loft-sh/" (toString $image) -}}
{{- fail (printf "%s names an image of vCluster, which Sublet cannot run; unset it" $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Kubernetes' own rule for what runs beside an API server: not newer, and at most one minor version older. */}}
{{- define "sublet.validate.skew" -}}
{{- $k8s := .Values.controlPlane.distro.k8s -}}
{{- $found := dict -}}
{{- range $name, $image := dict "apiServer" $k8s.apiServer.image "controllerManager" $k8s.controllerManager.image -}}
{{- $reference := include "sublet.image" (dict "root" $ "name" $name "image" $image "tag" (include "sublet.kubernetesTag" $)) -}}
{{- with regexFind ":v?[0-9]+[.][0-9]+[.][0-9]+[^:/@]*$" $reference }}{{ $_ := set $found $name (trimPrefix ":" .) }}{{ end -}}
{{- end -}}
{{- if eq (len $found) 2 -}}
{{- $server := semver $found.apiServer -}}
{{- $manager := semver $found.controllerManager -}}
{{- if or ($manager.GreaterThan $server) (lt (add $manager.Minor 1) (int64 $server.Minor)) -}}
{{- fail (printf "controlPlane.distro.k8s.controllerManager.image is of %s beside an API server of %s; set it to that version, or to one minor version less" $found.controllerManager $found.apiServer) -}}
{{- end -}}
{{- end -}}
{{- end -}}
