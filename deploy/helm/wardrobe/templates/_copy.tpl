{{- /* A container that copies the bucket: once before the service starts, then again and again.
rclone copies a file under another name first and renames it, so no half file is ever served. */}}
{{- define "wardrobe.copy" -}}
{{- $root := index . 0 }}
{{- $store := $root.Values.artifacts.objectStore }}
{{- $copy := "rclone sync \"$REMOTE\" /artifacts --config /tmp/rclone.conf" }}
name: {{ eq (index . 1) "once" | ternary "copy-artifacts" "follow-artifacts" }}
image: {{ $store.image }}
command: [sh, -c]
args:
  {{- if eq (index . 1) "once" }}
  - {{ $copy | quote }}
  {{- else }}
  # A container's first process heeds SIGTERM only if it says so, and only between two commands.
  - {{ printf "trap 'exit 0' TERM; while sleep %d & wait $!; do %s; done" (int $store.intervalSeconds) $copy | quote }}
  {{- end }}
env:
  - name: REMOTE
    value: {{ required "artifacts.objectStore.remote names the bucket, such as :s3:bucket/artifacts" $store.remote | quote }}
{{- with $store.environmentSecret }}
envFrom:
  - secretRef: {name: {{ . }}}
{{- end }}
securityContext:
  {{- include "wardrobe.containerSecurity" $root | nindent 2 }}
resources:
  requests: {cpu: 50m, memory: 64Mi}
  limits: {memory: 256Mi}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  - {name: artifacts, mountPath: /artifacts}
{{- end }}
