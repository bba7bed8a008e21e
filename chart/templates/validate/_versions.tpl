{{/* Older API servers lack what a virtual cluster is made of: ServiceCIDR objects, and who may come without credentials by path. */}}
{{- define "sublet.validate.version" -}}
{{- $at := "controlPlane.distro.k8s.version" -}}
{{- if include "sublet.componentVersion" (dict "root" . "name" "apiServer") -}}
{{- if .Values.controlPlane.distro.k8s.apiServer.image }}{{ $at = "controlPlane.distro.k8s.apiServer.image" }}{{ end -}}
{{- end -}}
{{- $version := include "sublet.kubernetesVersion" . -}}
{{- if not (semverCompare ">=1.33.0-0" $version) -}}
{{- fail (printf "%s is of Kubernetes %s; set 1.33.0 or newer" $at $version) -}}
{{- end -}}
{{- end -}}

{{/* Kubernetes' own rule for what runs beside an API server: not newer, and at most one minor version older. */}}
{{- define "sublet.validate.skew" -}}
{{- $found := include "sublet.componentVersion" (dict "root" . "name" "apiServer") -}}
{{- $beside := list "controllerManager" -}}
{{- if include "sublet.schedules" . }}{{ $beside = append $beside "scheduler" }}{{ end -}}
{{- range $name := $beside -}}
{{- $version := include "sublet.componentVersion" (dict "root" $ "name" $name) -}}
{{- if and $found $version -}}
{{- $server := semver $found -}}
{{- $other := semver $version -}}
{{- if or ($other.GreaterThan $server) (lt (add $other.Minor 1) (int64 $server.Minor)) -}}
{{- fail (printf "controlPlane.distro.k8s.%s.image is of %s beside an API server of %s; set it to that version, or to one minor version less" $name $version $found) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
