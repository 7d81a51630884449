{{- define "wardrobe.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "wardrobe.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "wardrobe.labels" -}}
{{ include "wardrobe.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "wardrobe.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "wardrobe.containerSecurity" -}}
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
{{- end }}

{{- define "wardrobe.claim" -}}
{{- .Values.artifacts.persistentVolumeClaim.existingClaim | default (printf "%s-artifacts" (include "wardrobe.name" .)) -}}
{{- end }}

{{- /* Seconds that a pod may take to stop: leave the rotation, drain, finish what is in flight. */}}
{{- define "wardrobe.graceSeconds" -}}
{{- add .Values.preStopSeconds (.Values.settings.drain_seconds | default 1) (.Values.settings.deadline_seconds | default 10) 10 -}}
{{- end }}

{{- /* The pod of a Job or a CronJob; called with (list $ arguments). */}}
{{- define "wardrobe.trainingPod" -}}
{{- $root := index . 0 }}
{{- $arguments := index . 1 }}
{{- $training := $root.Values.training }}
{{- if ne $root.Values.artifacts.source "persistentVolumeClaim" }}
{{- fail "training needs artifacts.source: persistentVolumeClaim, the volume that the replicas serve from" }}
{{- end }}
metadata:
  labels:
    app.kubernetes.io/name: {{ $root.Chart.Name }}-training
    app.kubernetes.io/instance: {{ $root.Release.Name }}
spec:
  restartPolicy: OnFailure
  enableServiceLinks: false
  automountServiceAccountToken: false
  securityContext:
    {{- include "wardrobe.podSecurity" $root | nindent 4 }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: train
      image: "{{ $training.image.repository }}:{{ $training.image.tag | default $root.Chart.AppVersion }}"
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: [wardrobe, train]
      args:
        - --artifacts=/artifacts
        - --runs=/artifacts/.runs
        - --resume
        {{- range $arguments }}
        - {{ . | quote }}
        {{- end }}
      env:
        - {name: WARDROBE_DATA, value: /data}
      securityContext:
        {{- include "wardrobe.containerSecurity" $root | nindent 8 }}
      resources:
        requests:
          {{- toYaml $training.resources.requests | nindent 10 }}
        limits:
          {{- toYaml $training.resources.limits | nindent 10 }}
          {{- if $training.gpu }}
          nvidia.com/gpu: {{ $training.gpu }}
          {{- end }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        - {name: artifacts, mountPath: /artifacts}
        - {name: data, mountPath: /data}
  volumes:
    - name: tmp
      emptyDir: {}
    - name: artifacts
      persistentVolumeClaim:
        claimName: {{ include "wardrobe.claim" $root }}
    - name: data
      {{- if $training.data.existingClaim }}
      persistentVolumeClaim:
        claimName: {{ $training.data.existingClaim }}
        readOnly: true
      {{- else }}
      emptyDir: {}
      {{- end }}
  {{- with $root.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
