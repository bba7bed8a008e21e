{{/* The only place that names the release's namespace. */}}
{{- define "sublet.namespace" -}}
{{ .Release.Namespace }}
{{- end -}}

{{/* Labels by which Services and controllers select; immutable, hence few. */}}
{{- define "sublet.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: control-plane
{{- end -}}

{{- define "sublet.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: sublet
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/*
The metadata of one object of the chart.
root: the chart's context; name; namespace: another one than the release's, "" for none; labels, annotations: the user's.
*/}}
{{- define "sublet.metadata" -}}
{{- $labels := merge (include "sublet.labels" .root | fromYaml) (.labels | default dict) -}}
{{- $annotations := merge (deepCopy (.annotations | default dict)) .root.Values.controlPlane.advanced.globalMetadata.annotations -}}
{{- if .selected }}{{ $labels = merge $labels (include "sublet.selector" .root | fromYaml) }}{{ end -}}
name: {{ .name }}
{{- $namespace := include "sublet.namespace" .root -}}
{{- if hasKey . "namespace" }}{{ $namespace = .namespace }}{{ end }}
{{- with $namespace }}
namespace: {{ . }}
{{- end }}
labels:
  {{- toYaml $labels | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "sublet.serviceAccount" -}}
{{- $account := .Values.controlPlane.advanced.serviceAccount -}}
{{- $account.name | default (ternary (printf "vc-%s" .Release.Name) "default" $account.enabled) -}}
{{- end -}}

{{- define "sublet.workloadServiceAccount" -}}
{{- $account := .Values.controlPlane.advanced.workloadServiceAccount -}}
{{- $account.name | default (ternary (printf "vc-workload-%s" .Release.Name) "default" $account.enabled) -}}
{{- end -}}

{{/* Name of the ClusterRole, which no other release of the host may share. */}}
{{- define "sublet.clusterRole" -}}
{{- printf "vc-%s-v-%s" .Release.Name (include "sublet.namespace" .) -}}
{{- end -}}

{{/*
An image reference. root: the chart's context; name: its row in files/images.yaml; image: the user's value, a string or parts of a
reference that are laid over that row; tag: for a row without one. A digest wins over the tag.
*/}}
{{- define "sublet.image" -}}
{{- if and (kindIs "string" .image) .image -}}
{{ .image }}
{{- else -}}
{{- $row := index (.root.Files.Get "files/images.yaml" | fromYaml) .name -}}
{{- range $part, $value := .image | default dict }}{{ if $value }}{{ $_ := set $row $part $value }}{{ end }}{{ end -}}
{{- $registry := .root.Values.controlPlane.advanced.defaultImageRegistry | default $row.registry | trimSuffix "/" -}}
{{- $suffix := printf ":%s" ($row.tag | default .tag) -}}
{{- if $row.digest }}{{ $suffix = printf "@%s" $row.digest }}{{ end -}}
{{ $registry }}/{{ $row.repository }}{{ $suffix }}
{{- end -}}
{{- end -}}

{{/* The value at a dotted path, as JSON; nothing when it is not there. values: where to look; path: the dotted path. */}}
{{- define "sublet.value" -}}
{{- $found := dict "at" .values "there" true -}}
{{- range splitList "." .path -}}
{{- if and $found.there (kindIs "map" $found.at) (hasKey $found.at .) -}}
{{- $_ := set $found "at" (index $found.at .) -}}
{{- else -}}
{{- $_ := set $found "there" false -}}
{{- end -}}
{{- end -}}
{{- if $found.there }}{{ $found.at | toJson }}{{ end -}}
{{- end -}}

{{/* One probe of a container. probe: its values; check: the handler, such as an httpGet. */}}
{{- define "sublet.probe" -}}
{{- toYaml (merge (deepCopy .check) (omit .probe "enabled")) -}}
{{- end -}}

{{/* The security context of a container. root: the chart's context; over: fields laid over it. */}}
{{- define "sublet.containerSecurityContext" -}}
{{- $context := deepCopy .root.Values.controlPlane.statefulSet.security.containerSecurityContext -}}
{{- toYaml (mergeOverwrite $context (deepCopy (.over | default dict))) -}}
{{- end -}}

{{/* The user's containers, with our security context below their own. root: the chart's context; containers. */}}
{{- define "sublet.userContainers" -}}
{{- range .containers }}
{{- $context := include "sublet.containerSecurityContext" (dict "root" $.root "over" .securityContext) | fromYaml }}
- {{- toYaml (set (deepCopy .) "securityContext" $context) | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where the control plane's pods may run; several of them rather not on one node, unless the user says otherwise. */}}
{{- define "sublet.affinity" -}}
{{- $set := .Values.controlPlane.statefulSet -}}
{{- if $set.scheduling.affinity -}}
{{- toYaml $set.scheduling.affinity -}}
{{- else if gt (int $set.highAvailability.replicas) 1 -}}
{{- include "sublet.apart" (include "sublet.selector" .) -}}
{{- end -}}
{{- end -}}

{{/* Soft: one node is enough. The context are the labels of the pods, as YAML. */}}
{{- define "sublet.apart" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- . | nindent 12 }}
{{- end -}}

{{/* The address under which the control plane is reached inside the host. */}}
{{- define "sublet.server" -}}
https://{{ .Release.Name }}.{{ include "sublet.namespace" . }}.svc
{{- end -}}

{{/* Whether the virtual cluster schedules its pods itself: "true" or "". */}}
{{- define "sublet.schedules" -}}
{{- if or .Values.controlPlane.distro.k8s.scheduler.enabled .Values.controlPlane.advanced.virtualScheduler.enabled }}true{{ end -}}
{{- end -}}

{{/* The user's volume mounts, which every container of the control plane's pod has. */}}
{{- define "sublet.addedMounts" -}}
{{- with .Values.controlPlane.statefulSet.persistence.addVolumeMounts }}
{{- toYaml . }}
{{- end }}
{{- end -}}

{{/* Who gets the rights: the control plane's ServiceAccount. */}}
{{- define "sublet.subject" -}}
- kind: ServiceAccount
  name: {{ include "sublet.serviceAccount" . }}
  namespace: {{ include "sublet.namespace" . }}
{{- end -}}
