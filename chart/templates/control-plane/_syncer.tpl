{{/* The containers of the syncer's image, the only ones that hold a credential for the host. */}}

{{- define "sublet.syncerContainer" -}}
image: {{ include "sublet.image" (dict "root" . "name" "syncer" "image" .Values.controlPlane.statefulSet.image "tag" .Chart.AppVersion) }}
{{- with .Values.controlPlane.statefulSet.imagePullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- with .Values.controlPlane.statefulSet.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "sublet.containerSecurityContext" (dict "root" .) | nindent 2 }}
env:
  - name: POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - name: POD_NAMESPACE
    valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
  - name: POD_IP
    valueFrom: {fieldRef: {fieldPath: status.podIP}}
  {{- with .Values.controlPlane.statefulSet.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "sublet.pki" -}}
name: pki
command: [python, -m, syncer, pki, --config, /etc/sublet/config.yaml, --out, /pki]
{{ include "sublet.syncerContainer" . }}
volumeMounts:
  - {name: config, mountPath: /etc/sublet, readOnly: true}
  - {name: host-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
  - {name: pki, mountPath: /pki}
  {{- if include "sublet.store.file" . }}
  - {name: data, mountPath: /data}
  {{- end }}
  - {name: tmp, mountPath: /tmp}
  {{- with include "sublet.addedMounts" . }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "sublet.restore" -}}
name: restore
command: [python, -m, syncer, restore, --wait]
{{ include "sublet.syncerContainer" . }}
volumeMounts:
  - {name: config, mountPath: /etc/sublet, readOnly: true}
  - {name: host-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
  - {name: pki, mountPath: /pki, readOnly: true}
  {{- if include "sublet.store.container" . }}
  - {name: store-socket, mountPath: /run/store}
  {{- end }}
  - {name: tmp, mountPath: /tmp}
  {{- with include "sublet.addedMounts" . }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "sublet.syncer" -}}
{{- $probes := .Values.controlPlane.statefulSet.probes -}}
name: syncer
restartPolicy: Always
command: [python, -m, syncer, run, --config, /etc/sublet/config.yaml, --pki, /pki]
ports:
  - {name: kubelet, containerPort: 10250, protocol: TCP}
  - {name: health, containerPort: 8080, protocol: TCP}
{{- /* No startup probe: the API server would wait for a syncer that waits for it. */}}
{{- with $probes.livenessProbe }}
{{- if .enabled }}
livenessProbe:
  {{- include "sublet.probe" (dict "probe" . "check" (dict "httpGet" (dict "path" "/healthz" "port" 8080))) | nindent 2 }}
{{- end }}
{{- end }}
{{- with $probes.readinessProbe }}
{{- if .enabled }}
readinessProbe:
  {{- include "sublet.probe" (dict "probe" . "check" (dict "httpGet" (dict "path" "/readyz" "port" 8080))) | nindent 2 }}
{{- end }}
{{- end }}
{{- if gt (int .Values.controlPlane.statefulSet.highAvailability.replicas) 1 }}
{{- /* Sidecars are told to end one after the other, the API server first. Whoever leads has to give its Lease back while that one still answers. */}}
lifecycle:
  preStop:
    exec:
      command: [python, -c, "import os, signal; os.kill(1, signal.SIGTERM)"]
{{- end }}
{{ include "sublet.syncerContainer" . }}
volumeMounts:
  - {name: config, mountPath: /etc/sublet, readOnly: true}
  - {name: host-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
  # It renews what is in there while all others go on.
  - {name: pki, mountPath: /pki}
  {{- if include "sublet.store.container" . }}
  - {name: store-socket, mountPath: /run/store}
  {{- end }}
  - {name: tmp, mountPath: /tmp}
  {{- with include "sublet.addedMounts" . }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}
