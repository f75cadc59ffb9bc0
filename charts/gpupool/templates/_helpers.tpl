{{- define "gpupool.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "gpupool.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "gpupool.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels of every object. Helm puts its own name into managed-by of what it installs; what is rendered
for `kubectl apply` keeps ours, like everything the operator writes. */}}
{{- define "gpupool.labels" -}}
app.kubernetes.io/name: gpupool
app.kubernetes.io/managed-by: gpupool
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{- define "gpupool.selectorLabels" -}}
app.kubernetes.io/name: gpupool
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "gpupool.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "gpupool.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "gpupool.operatorUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "gpupool.serviceAccountName" . }}
{{- end -}}

{{- define "gpupool.externalMetrics" -}}
{{ include "gpupool.fullname" . }}-external-metrics
{{- end -}}

{{- define "gpupool.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "gpupool.exemptNamespaces" -}}
{{- append .Values.exemptNamespaces .Release.Namespace | uniq | sortAlpha | join "," -}}
{{- end -}}

{{- define "gpupool.ownJobs" -}}
{{- join "," (default (list (printf "%s-metrics" (include "gpupool.fullname" .))) .Values.prometheus.ownJobs) -}}
{{- end -}}

{{/* Who the operator is at Prometheus, and whom it trusts there: one folder, whatever it comes from. Nothing in
it is required: what is missing is told in a condition, and giving goes on. */}}
{{- define "gpupool.prometheusFiles" -}}
{{- with .Values.prometheus.credentialsSecret }}
- secret: {name: {{ . }}, optional: true}
{{- end }}
{{- with .Values.prometheus.caConfigMap }}
- configMap: {name: {{ . }}, optional: true, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- if .Values.prometheus.serviceAccountToken }}
- serviceAccountToken: {path: token, expirationSeconds: 3600}
{{- end }}
{{- end -}}

{{/* Bindings of the guards that refuse. The operator does not write them, but tells when one is open. */}}
{{- define "gpupool.guards" -}}
{{- if .Values.policies.enabled -}}
{{- $names := list -}}
{{- range list "binding-guard" "binding-guard-probe" "claim-guard" "namespace-guard" "node-guard" "pod-guard" "probe-guard" "quota-epoch" "quota-guard" "quota-spelling" "status-guard" "use" -}}
{{- $names = append $names (printf "%s-%s" (include "gpupool.fullname" $) .) -}}
{{- end -}}
{{- join "," $names -}}
{{- end -}}
{{- end -}}

{{/* The whole configuration: the operator reads its environment and nothing else. */}}
{{- define "gpupool.env" -}}
- {name: GPUPOOL_PROMETHEUS_URL, value: {{ .Values.prometheus.url | quote }}}
{{- if include "gpupool.prometheusFiles" . }}
- {name: GPUPOOL_PROMETHEUS_CREDENTIALS, value: /etc/gpupool/prometheus}
{{- end }}
- {name: GPUPOOL_PROMETHEUS_INSECURE, value: {{ .Values.prometheus.insecureSkipVerify | toString | quote }}}
- {name: GPUPOOL_PROMETHEUS_HEADERS, value: {{ .Values.prometheus.headers | toJson | quote }}}
- {name: GPUPOOL_PROMETHEUS_OWN_JOBS, value: {{ include "gpupool.ownJobs" . | quote }}}
- {name: GPUPOOL_PROMETHEUS_EXPORTER_NAMESPACES, value: {{ join "," .Values.prometheus.exporterNamespaces | quote }}}
- {name: GPUPOOL_METRICS_PORT, value: {{ .Values.metrics.port | toString | quote }}}
- {name: GPUPOOL_HEALTH_PORT, value: {{ .Values.health.port | toString | quote }}}
{{- if .Values.metricsApi.enabled }}
- {name: GPUPOOL_METRICS_API_SERVICE, value: {{ include "gpupool.externalMetrics" . | quote }}}
- {name: GPUPOOL_METRICS_API_PORT, value: {{ .Values.metricsApi.port | toString | quote }}}
- {name: POD_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
- {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
{{- end }}
- {name: GPUPOOL_POLICIES_MUTATE, value: {{ .Values.policies.mutate | toString | quote }}}
{{- /* YAML reads a bare Off as false. */}}
- {name: GPUPOOL_POLICIES_OUTSIDERS, value: {{ .Values.policies.outsiders | default "Off" | quote }}}
- {name: GPUPOOL_GUARDS, value: {{ include "gpupool.guards" . | quote }}}
- {name: GPUPOOL_EXEMPT_NAMESPACES, value: {{ include "gpupool.exemptNamespaces" . | quote }}}
- {name: GPUPOOL_BREAK_GLASS_GROUP, value: {{ .Values.breakGlassGroup | quote }}}
- {name: GPUPOOL_PROBE_NAMESPACE, value: {{ .Values.probeNamespace.name | quote }}}
- {name: GPUPOOL_CYCLE_INTERVAL, value: {{ .Values.cycleInterval | toString | quote }}}
- {name: GPUPOOL_EVALUATION_WINDOW, value: {{ .Values.evaluationWindow | quote }}}
- {name: GPUPOOL_LOG_LEVEL, value: {{ .Values.logLevel | quote }}}
- {name: GPUPOOL_DEPLOYMENT, value: {{ include "gpupool.fullname" . | quote }}}
- {name: GPUPOOL_LEASE_DURATION, value: {{ .Values.leaderElection.leaseSeconds | toString | quote }}}
- {name: GPUPOOL_LEASE_GIVE_UP, value: {{ .Values.leaderElection.giveUpSeconds | toString | quote }}}
- {name: GPUPOOL_LEASE_RENEW, value: {{ .Values.leaderElection.renewSeconds | toString | quote }}}
- {name: GPUPOOL_LEASE_RETRY, value: {{ .Values.leaderElection.retrySeconds | toString | quote }}}
{{- /* Large answers and pages come and go every few seconds: kept in the heap, glibc gives their memory back late or never. */}}
- {name: MALLOC_MMAP_THRESHOLD_, value: "131072"}
- {name: MALLOC_TRIM_THRESHOLD_, value: "131072"}
- {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What the operator's pod and the release hook's pod have in common. */}}
{{- define "gpupool.podSpec" -}}
serviceAccountName: {{ include "gpupool.serviceAccountName" . }}
automountServiceAccountToken: true
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{ toYaml . | indent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
{{ toYaml . | indent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
{{ toYaml . | indent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
{{ toYaml . | indent 2 }}
{{- end }}
volumes:
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- with include "gpupool.prometheusFiles" . }}
- name: prometheus
  projected:
    sources:
{{- . | trim | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "gpupool.container" -}}
image: {{ include "gpupool.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
env:
{{ include "gpupool.env" . }}
resources:
{{ toYaml .Values.resources | indent 2 }}
volumeMounts:
- {name: tmp, mountPath: /tmp}
{{- if include "gpupool.prometheusFiles" . }}
- {name: prometheus, mountPath: /etc/gpupool/prometheus, readOnly: true}
{{- end }}
{{- end -}}
