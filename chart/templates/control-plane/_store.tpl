{{/*
Where the API server keeps its objects: kine, which gives it an etcd API on SQLite or on an external database, or an etcd in the
same pod, in a StatefulSet of its own, or elsewhere.
*/}}

{{/* Which store the values ask for: the path of its switch below controlPlane.backingStore. More than one is refused by validation. */}}
{{- define "sublet.stores" -}}
{{- $stores := .Values.controlPlane.backingStore -}}
{{- $found := list -}}
{{- range $path, $store := dict
      "database.embedded" $stores.database.embedded
      "database.external" $stores.database.external
      "etcd.deploy" $stores.etcd.deploy
      "etcd.embedded" $stores.etcd.embedded
      "etcd.external" $stores.etcd.external -}}
{{- if $store.enabled }}{{ $found = append $found $path }}{{ end -}}
{{- end -}}
{{- $found | default (list "database.embedded") | toJson -}}
{{- end -}}

{{- define "sublet.store" -}}
{{- include "sublet.stores" . | fromJsonArray | first -}}
{{- end -}}

{{/* Whether the store lies on the control plane's own volume: "true" or "". */}}
{{- define "sublet.store.local" -}}
{{- if has (include "sublet.store" .) (list "database.embedded" "etcd.embedded") }}true{{ end -}}
{{- end -}}

{{/* The container that runs it, nothing for one that runs elsewhere. */}}
{{- define "sublet.store.container" -}}
{{- $store := include "sublet.store" . -}}
{{- if hasPrefix "database." $store -}}
{{- include "sublet.store.kine" . -}}
{{- else if eq $store "etcd.embedded" -}}
{{- include "sublet.store.etcd" . -}}
{{- end -}}
{{- end -}}

{{/* The store's socket: an emptyDir is out of reach for other pods and for the tenant's webhooks. */}}
{{- define "sublet.store.address" -}}
unix:///run/store/store.sock
{{- end -}}

{{/* How it is reached, by the API server and by snapshots, as JSON: endpoints, prefix, and files for TLS. */}}
{{- define "sublet.store.connection" -}}
{{- $external := .Values.controlPlane.backingStore.etcd.external -}}
{{- if eq (include "sublet.store" .) "etcd.external" -}}
{{- /* Others may keep theirs in the same etcd. */ -}}
{{- $prefix := printf "/%s/%s" (include "sublet.namespace" .) .Release.Name -}}
{{- merge (dict "endpoints" $external.endpoint "prefix" $prefix) $external.tls | toJson -}}
{{- else if include "sublet.etcd" . -}}
{{- $files := dict "caFile" "/pki/etcd/ca.crt" "certFile" "/pki/etcd/client.crt" "keyFile" "/pki/etcd/client.key" -}}
{{- merge (dict "endpoints" (include "sublet.etcd.endpoints" .) "prefix" "/registry") $files | toJson -}}
{{- else -}}
{{- dict "endpoints" (include "sublet.store.address" .) "prefix" "/registry" | toJson -}}
{{- end -}}
{{- end -}}

{{- define "sublet.store.flags" -}}
{{- $store := include "sublet.store.connection" . | fromJson -}}
- --etcd-servers={{ $store.endpoints }}
{{- range $flag, $file := dict "etcd-cafile" $store.caFile "etcd-certfile" $store.certFile "etcd-keyfile" $store.keyFile }}
{{- if $file }}
- --{{ $flag }}={{ $file }}
{{- end }}
{{- end }}
- --etcd-prefix={{ $store.prefix }}
{{- end -}}

{{/* SQLite's file, if there is one and its data source tells it. */}}
{{- define "sublet.store.file" -}}
{{- if eq (include "sublet.store" .) "database.embedded" -}}
{{- include "sublet.store.sqlite" . | trimPrefix "sqlite://" | trimPrefix "file:" | regexFind "^/[^?]+" -}}
{{- end -}}
{{- end -}}

{{/* What both containers below have in common. root: the chart's context; resources. */}}
{{- define "sublet.store.fields" -}}
{{- with .root.Values.controlPlane.statefulSet.imagePullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- with .resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "sublet.containerSecurityContext" (dict "root" .root) | nindent 2 }}
# Why it ended is then part of the pod's status.
terminationMessagePolicy: FallbackToLogsOnError
volumeMounts:
  {{- if include "sublet.store.local" .root }}
  - {name: data, mountPath: /data}
  {{- end }}
  - {name: store-socket, mountPath: /run/store}
  {{- with include "sublet.addedMounts" .root }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* kine's own tuning: write-ahead log, one fsync per checkpoint instead of one per write, writers wait instead of failing. */}}
{{- define "sublet.store.sqlite" -}}
{{- $tuning := "_journal_mode=WAL&_busy_timeout=30000&_synchronous=NORMAL&_txlock=immediate&_stmt_cache_size=20&cache=shared" -}}
{{- .Values.controlPlane.backingStore.database.embedded.dataSource | default (printf "sqlite:///data/state.db?%s" $tuning) -}}
{{- end -}}

{{/* The external database's data source if the values hold it; it has a password and belongs into a Secret. */}}
{{- define "sublet.store.dataSource" -}}
{{- if eq (include "sublet.store" .) "database.external" -}}
{{- .Values.controlPlane.backingStore.database.external.dataSource -}}
{{- end -}}
{{- end -}}

{{- define "sublet.store.kine" -}}
{{- $database := .Values.controlPlane.backingStore.database -}}
{{- $external := eq (include "sublet.store" .) "database.external" -}}
{{- $chosen := ternary $database.external $database.embedded $external -}}
name: store
restartPolicy: Always
image: {{ include "sublet.image" (dict "root" . "name" "kine" "image" $database.image) }}
command:
  - kine
  {{- if not $external }}
  - --endpoint={{ include "sublet.store.sqlite" . }}
  {{- end }}
  - --listen-address={{ include "sublet.store.address" . }}
  - --metrics-bind-address=0
  {{- range $flag, $file := dict "ca-file" $chosen.caFile "cert-file" $chosen.certFile "key-file" $chosen.keyFile }}
  {{- if and $external $file }}
  - --{{ $flag }}={{ $file }}
  {{- end }}
  {{- end }}
  {{- if gt (int .Values.controlPlane.statefulSet.highAvailability.replicas) 1 }}
  # Of what others write it learns a second later, and answers as if it knew. An API server that takes it for an etcd without reports of
  # progress reads consistent lists from the database instead of its cache.
  - --emulated-etcd-version=3.5.12
  {{- end }}
  {{- with $chosen.extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
env:
  {{- if $external }}
  # Not a flag: it holds the password.
  - name: KINE_ENDPOINT
    valueFrom:
      secretKeyRef:
        name: {{ $chosen.connector | default (printf "vc-config-%s" .Release.Name) }}
        key: dataSource
  {{- else }}
  # SQLite rewrites the file at each start to shrink it, and needs room for a copy.
  - {name: SQLITE_TMPDIR, value: /data}
  {{- end }}
{{- include "sublet.store.fields" (dict "root" . "resources" $database.resources) }}
{{- end -}}

{{- define "sublet.store.etcd" -}}
{{- $etcd := .Values.controlPlane.backingStore.etcd.embedded -}}
name: store
restartPolicy: Always
image: {{ include "sublet.image" (dict "root" . "name" "etcd" "image" $etcd.image) }}
command:
  - etcd
  - --name={{ .Release.Name }}
  - --data-dir=/data/etcd
  - --listen-client-urls={{ include "sublet.store.address" . }}
  - --advertise-client-urls={{ include "sublet.store.address" . }}
  # One member has no peers. Loopback would be in reach of the tenant's webhooks.
  {{- $peer := "unix:///run/store/peer.sock" }}
  - --listen-peer-urls={{ $peer }}
  - --initial-advertise-peer-urls={{ $peer }}
  - --initial-cluster={{ .Release.Name }}={{ $peer }}
  - --snapshot-count={{ $etcd.snapshotCount | int }}
  - --log-level=warn
  {{- with $etcd.extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- include "sublet.store.fields" (dict "root" . "resources" $etcd.resources) }}
{{- end -}}
