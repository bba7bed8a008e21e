{{/* The store: kine, which gives the API server an etcd API on SQLite. */}}

{{/* kine's own tuning: write-ahead log, one fsync per checkpoint instead of one per write, writers wait instead of failing. */}}
{{- define "sublet.store.endpoint" -}}
{{- $tuning := "_journal_mode=WAL&_busy_timeout=30000&_synchronous=NORMAL&_txlock=immediate&_stmt_cache_size=20&cache=shared" -}}
{{- .Values.controlPlane.backingStore.database.embedded.dataSource | default (printf "sqlite:///data/state.db?%s" $tuning) -}}
{{- end -}}

{{- define "sublet.store" -}}
{{- $database := .Values.controlPlane.backingStore.database -}}
name: store
restartPolicy: Always
image: {{ include "sublet.image" (dict "root" . "name" "kine" "image" $database.image) }}
{{- with .Values.controlPlane.statefulSet.imagePullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
command:
  - kine
  - --endpoint={{ include "sublet.store.endpoint" . }}
  - --listen-address={{ include "sublet.store.address" . }}
  - --metrics-bind-address=0
  {{- with $database.embedded.extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $database.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "sublet.containerSecurityContext" (dict "root" .) | nindent 2 }}
env:
  # SQLite rewrites the file at each start to shrink it, and needs room for a copy.
  - {name: SQLITE_TMPDIR, value: /data}
volumeMounts:
  - {name: data, mountPath: /data}
  - {name: store-socket, mountPath: /run/kine}
{{- end -}}
