{{/* The rows of files/rules.yaml whose toggle is on, as JSON. */}}
{{- define "sublet.rows" -}}
{{- $rows := list -}}
{{- range .Files.Get "files/rules.yaml" | fromYamlArray -}}
{{- $on := include "sublet.value" (dict "values" $.Values "path" .toggle) | trimAll "\"" -}}
{{- if or (eq $on "auto") (eq .toggle "controlPlane.distro.k8s.scheduler.enabled") }}{{ $on = include "sublet.schedules" $ }}{{ end -}}
{{- if eq $on "true" -}}
{{- $rows = append $rows . -}}
{{- end -}}
{{- end -}}
{{- $rows | toJson -}}
{{- end -}}

{{/* The same rows as the syncer gets them: without what only the chart reads. */}}
{{- define "sublet.syncerRows" -}}
{{- $rows := list -}}
{{- range include "sublet.rows" . | fromJsonArray -}}
{{- $selection := "all" -}}
{{- if .selectionToggle -}}
{{- $all := eq (include "sublet.value" (dict "values" $.Values "path" .selectionToggle)) "true" -}}
{{- $selection = ternary "all" "used" $all -}}
{{- end -}}
{{- $row := omit . "toggle" "selectionToggle" "rights" "moreRights" -}}
{{- $rows = append $rows (set $row "selection" $selection) -}}
{{- end -}}
{{- $rows | toJson -}}
{{- end -}}

{{/* The rules of the rows of one scope, as JSON: a row's own, then what goes with it. root: the chart's context; scope. */}}
{{- define "sublet.rowRights" -}}
{{- $rules := list -}}
{{- range include "sublet.rows" .root | fromJsonArray -}}
{{- if eq .scope $.scope -}}
{{- $rules = append $rules (dict "apiGroups" (list .group) "resources" (list .resource) "verbs" .rights) -}}
{{- range .moreRights | default list }}{{ $rules = append $rules . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- $rules | toJson -}}
{{- end -}}

{{/* The kubeconfig Secrets, as JSON: vc-NAME first, then what reads metrics, then exportKubeConfig.additionalSecrets. */}}
{{- define "sublet.kubeconfigs" -}}
{{- $export := .Values.exportKubeConfig -}}
{{- $own := dict "name" (printf "vc-%s" .Release.Name) "namespace" (include "sublet.namespace" .) -}}
{{- $first := merge $own (pick $export "context" "server" "insecure" "serviceAccount") -}}
{{- $wanted := list $first -}}
{{- if .Values.controlPlane.serviceMonitor.enabled -}}
{{- $account := dict "name" "sublet-metrics" "clusterRole" "system:monitoring" -}}
{{- $wanted = append $wanted (dict "name" (include "sublet.metricsSecret" .) "serviceAccount" $account) -}}
{{- end -}}
{{- $all := list -}}
{{- range concat $wanted $export.additionalSecrets -}}
{{- $account := .serviceAccount | default dict -}}
{{- $entry := dict
      "secret" .name
      "namespace" (.namespace | default (include "sublet.namespace" $))
      "context" (.context | default "")
      "server" (.server | default (include "sublet.server" $))
      "insecure" (.insecure | default false)
      "serviceAccount" nil -}}
{{- if $account.name -}}
{{- $_ := set $entry "serviceAccount" (dict
      "name" $account.name
      "namespace" ($account.namespace | default "kube-system")
      "clusterRole" ($account.clusterRole | default "")) -}}
{{- end -}}
{{- $all = append $all $entry -}}
{{- end -}}
{{- $all | toJson -}}
{{- end -}}

{{/* The Secret with the token of a ServiceAccount that may read metrics and health, and nothing else. */}}
{{- define "sublet.metricsSecret" -}}
vc-metrics-{{ .Release.Name }}
{{- end -}}

{{/* Names by which values say that the API server is reached, as JSON: whoever verifies its certificate comes by one of them. */}}
{{- define "sublet.extraSANs" -}}
{{- $control := .Values.controlPlane -}}
{{- $names := $control.proxy.extraSANs -}}
{{- range list $control.ingress $control.tlsRoute }}{{ if and .enabled .host }}{{ $names = append $names .host }}{{ end }}{{ end -}}
{{- range prepend .Values.exportKubeConfig.additionalSecrets .Values.exportKubeConfig -}}
{{- if .server }}{{ $names = append $names (urlParse .server).hostname }}{{ end -}}
{{- end -}}
{{- $names | uniq | toJson -}}
{{- end -}}

{{- define "sublet.coredns.corefile" -}}
{{- .Values.controlPlane.coredns.overwriteConfig | default (tpl (.Files.Get "files/Corefile") .) -}}
{{- end -}}

{{/* What the syncer applies into the virtual cluster, as multi-document YAML. */}}
{{- define "sublet.manifests" -}}
{{- $dns := .Values.controlPlane.coredns -}}
{{- if $dns.enabled -}}
{{- $dns.overwriteManifests | default (tpl (.Files.Get "files/coredns.yaml.tpl") .) -}}
{{- end -}}
{{- with .Values.experimental.deploy.vcluster -}}
{{- range list .manifests (tpl .manifestsTemplate $) -}}
{{- if trim . }}{{ printf "\n---\n%s" . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The config document: the values as the syncer reads them, resolved, nothing left to decide. */}}
{{- define "sublet.config" -}}
{{ include "sublet.settings" . }}
manifests: |
  {{- include "sublet.manifests" . | nindent 2 }}
{{- end -}}

{{/* All of it but manifests, which the syncer follows while it runs. */}}
{{- define "sublet.settings" -}}
{{- $pods := .Values.sync.toHost.pods -}}
{{- $hosts := $pods.rewriteHosts -}}
cluster:
  name: {{ .Release.Name | quote }}
  namespace: {{ include "sublet.namespace" . | quote }}
  domain: {{ .Values.networking.advanced.clusterDomain | quote }}
  service: {{ .Release.Name | quote }}
  owner:
    apiVersion: v1
    kind: ConfigMap
    name: vc-owner-{{ .Release.Name }}
  workloadServiceAccount: {{ include "sublet.workloadServiceAccount" . | quote }}
  store: {{ include "sublet.store" . }}
  distro: {{ include "sublet.distro" . }}
  kubernetes: {{ include "sublet.kubernetesVersion" . | quote }}
  {{- if include "sublet.etcd" . }}
  etcdMembers: {{ .Values.controlPlane.backingStore.etcd.deploy.statefulSet.highAvailability.replicas }}
  {{- end }}
  serviceCIDR: {{ .Values.networking.serviceCIDR | quote }}
  extraSANs:
    {{- include "sublet.extraSANs" . | fromJsonArray | toYaml | nindent 4 }}
store:
  {{- merge (dict "file" (include "sublet.store.file" .)) (include "sublet.store.connection" . | fromJson) | toYaml | nindent 2 }}
restore:
  {{- toYaml .Values.controlPlane.backingStore.restore | nindent 2 }}
{{- if gt (int .Values.controlPlane.statefulSet.highAvailability.replicas) 1 }}
leadership:
  {{- toYaml (omit .Values.controlPlane.statefulSet.highAvailability "replicas") | nindent 2 }}
{{- end }}
certificates:
  authoritySecret: {{ .Values.controlPlane.advanced.certificateAuthority.secretName | quote }}
  followService: {{ eq (.Values.controlPlane.service.spec.type | default "ClusterIP") "LoadBalancer" }}
kubeconfigs:
  {{- include "sublet.kubeconfigs" . | fromJsonArray | toYaml | nindent 2 }}
pods:
  {{- toYaml (pick $pods "translateImage" "enforceTolerations" "runtimeClassName" "priorityClassName") | nindent 2 }}
  rewriteHosts:
    enabled: {{ $hosts.enabled }}
    image: {{ include "sublet.image" (dict "root" . "name" "rewriteHosts" "image" $hosts.initContainer.image) | quote }}
    resources:
      {{- toYaml $hosts.initContainer.resources | nindent 6 }}
{{- $nodes := .Values.sync.fromHost.nodes }}
{{- $schedules := eq (include "sublet.schedules" .) "true" }}
scheduler:
  enabled: {{ $schedules }}
nodes:
  fromHost: {{ $nodes.enabled }}
  selector:
    # A scheduler wants to see the nodes among which it chooses.
    all: {{ or $nodes.selector.all (and $schedules (not $nodes.selector.labels)) }}
    labels:
      {{- toYaml $nodes.selector.labels | nindent 6 }}
metadata:
  {{- toYaml .Values.sync.metadata | nindent 2 }}
logging:
  level: {{ .Values.logging.level }}
events:
  enabled: {{ .Values.sync.fromHost.events.enabled }}
rules:
  {{- include "sublet.syncerRows" . | fromJsonArray | toYaml | nindent 2 }}
dns:
  embedded: {{ .Values.controlPlane.coredns.embedded }}
{{- end -}}

{{/* Who may come without credentials: health checks, and nothing else. The file's form has been final since 1.34. */}}
{{- define "sublet.authentication" -}}
apiVersion: apiserver.config.k8s.io/{{ ternary "v1" "v1beta1" (semverCompare ">=1.34.0-0" (include "sublet.kubernetesVersion" . | default "1.34.0")) }}
kind: AuthenticationConfiguration
anonymous:
  enabled: true
  conditions:
    - path: /livez
    - path: /readyz
    - path: /healthz
{{- end -}}
