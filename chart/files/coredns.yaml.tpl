{{- $dns := .Values.controlPlane.coredns -}}
{{- $corefile := include "sublet.coredns.corefile" . -}}
{{- if not $dns.embedded -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: coredns
  namespace: kube-system
  labels:
    k8s-app: kube-dns
automountServiceAccountToken: false
---
{{- end }}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: system:coredns
  labels:
    k8s-app: kube-dns
rules:
  - apiGroups: [""]
    resources: [namespaces, pods, services]
    verbs: [list, watch]
  - apiGroups: [discovery.k8s.io]
    resources: [endpointslices]
    verbs: [list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: system:coredns
  labels:
    k8s-app: kube-dns
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: system:coredns
subjects:
  {{- if $dns.embedded }}
  - {kind: User, name: "system:coredns", apiGroup: rbac.authorization.k8s.io}
  {{- else }}
  - kind: ServiceAccount
    name: coredns
    namespace: kube-system
  {{- end }}
{{- if not $dns.embedded }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: coredns
  namespace: kube-system
  labels:
    k8s-app: kube-dns
data:
  Corefile: |
    {{- $corefile | nindent 4 }}
{{- end }}
---
apiVersion: v1
kind: Service
metadata:
  name: kube-dns
  namespace: kube-system
  labels:
    {{- $fixed := dict "k8s-app" "kube-dns" "kubernetes.io/cluster-service" "true" "kubernetes.io/name" "CoreDNS" }}
    {{- toYaml (merge $fixed $dns.service.labels) | nindent 4 }}
  {{- with $dns.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with omit $dns.service.spec "selector" "ports" }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- if not $dns.embedded }}
  selector:
    k8s-app: kube-dns
  {{- end }}
  ports:
    - {name: dns, port: 53, protocol: UDP, targetPort: dns}
    - {name: dns-tcp, port: 53, protocol: TCP, targetPort: dns-tcp}
    - {name: metrics, port: 9153, protocol: TCP, targetPort: metrics}
{{- if not $dns.embedded }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: coredns
  namespace: kube-system
  labels:
    {{- toYaml (merge (dict "k8s-app" "kube-dns" "kubernetes.io/name" "CoreDNS") $dns.deployment.labels) | nindent 4 }}
  {{- with $dns.deployment.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  replicas: {{ $dns.deployment.replicas }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  selector:
    matchLabels:
      k8s-app: kube-dns
  template:
    metadata:
      labels:
        {{- toYaml (merge (dict "k8s-app" "kube-dns") $dns.deployment.pods.labels) | nindent 8 }}
      annotations:
        {{- toYaml (merge (dict "checksum/corefile" (sha256sum $corefile)) $dns.deployment.pods.annotations) | nindent 8 }}
    spec:
      serviceAccountName: coredns
      automountServiceAccountToken: true
      enableServiceLinks: false
      # The node's resolver; the virtual cluster's own would be CoreDNS itself.
      dnsPolicy: Default
      terminationGracePeriodSeconds: 10
      {{- with $dns.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- $pod := dict "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "seccompProfile" (dict "type" "RuntimeDefault") }}
      securityContext:
        {{- toYaml (mergeOverwrite $pod $dns.security.podSecurityContext) | nindent 8 }}
      {{- with $dns.deployment.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $dns.deployment.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $dns.deployment.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $dns.deployment.topologySpreadConstraints }}
      topologySpreadConstraints:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: coredns
          image: {{ include "sublet.image" (dict "root" . "name" "coredns" "image" $dns.deployment.image) }}
          imagePullPolicy: IfNotPresent
          args: [-conf, /etc/coredns/Corefile]
          ports:
            - {name: dns, containerPort: 1053, protocol: UDP}
            - {name: dns-tcp, containerPort: 1053, protocol: TCP}
            - {name: metrics, containerPort: 9153, protocol: TCP}
          livenessProbe:
            httpGet: {path: /health, port: 8080}
            failureThreshold: 5
            timeoutSeconds: 5
            periodSeconds: 10
          readinessProbe:
            httpGet: {path: /ready, port: 8181}
            timeoutSeconds: 3
            periodSeconds: 1
          {{- with $dns.deployment.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- /* The binary of the public image carries this capability and does not start where it is out of bounds. */}}
          {{- $capabilities := dict "add" (list "NET_BIND_SERVICE") "drop" (list "ALL") }}
          {{- $container := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" $capabilities }}
          securityContext:
            {{- toYaml (mergeOverwrite $container $dns.security.containerSecurityContext) | nindent 12 }}
          volumeMounts:
            - {name: config, mountPath: /etc/coredns, readOnly: true}
            - {name: custom, mountPath: /etc/coredns-custom, readOnly: true}
      volumes:
        - name: config
          configMap:
            name: coredns
            items: [{key: Corefile, path: Corefile}]
        - name: custom
          configMap: {name: coredns-custom, optional: true}
{{- end }}
