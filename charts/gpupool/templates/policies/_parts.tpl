{{/* Who is never judged: the operator, and people in the break-glass group. */}}
{{- define "gpupool.guardConditions" -}}
- name: not-operator
  expression: request.userInfo.username != '{{ include "gpupool.operatorUser" . }}'
{{- with .Values.breakGlassGroup }}
- name: not-break-glass
  expression: "!('{{ . }}' in request.userInfo.groups)"
{{- end }}
{{- end -}}

{{- define "gpupool.breakGlassHint" -}}
{{- with .Values.breakGlassGroup }}; in an emergency act as group {{ . }}{{ end -}}
{{- end -}}
