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
