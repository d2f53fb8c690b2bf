# shellcheck shell=bash
# What a person needs to find out why a version failed, saved before the rollback removes it.

evidence=''

# save_evidence RELEASE KIND REASON
save_evidence() {
  local release=$1 kind=$2 pod
  evidence=${DEPLOY_EVIDENCE:-$root/.deploy}/$project/$(date -u +%Y%m%dT%H%M%SZ)
  mkdir -p "$evidence"
  printf '%s\n' "$3" >"$evidence/reason.txt"
  saved events.txt "${kubectl[@]}" get events --sort-by .lastTimestamp
  saved objects.txt "${kubectl[@]}" get "$kind,replicasets,pods,horizontalpodautoscalers,persistentvolumeclaims,endpointslices" -o wide
  saved describe.txt "${kubectl[@]}" describe "$kind,replicasets,pods" -l "app.kubernetes.io/instance=$release"
  saved manifest.yaml "${helm[@]}" get manifest "$release"
  saved history.txt "${helm[@]}" history "$release"
  mask_secrets "$evidence/manifest.yaml"
  try_once "${kubectl[@]}" get pods -l "app.kubernetes.io/instance=$release" -o name || true
  for pod in $reply; do
    saved "logs-${pod#pod/}.txt" "${kubectl[@]}" logs "$pod" --all-containers --tail 500
    saved "logs-${pod#pod/}-previous.txt" "${kubectl[@]}" logs "$pod" --all-containers --tail 500 --previous
  done
  note "evidence saved in $evidence"
}

# saved FILE COMMAND...: what cannot be had is no reason to stop, and leaves no file.
saved() {
  local file=$evidence/$1
  shift
  run "$@" >"$file" 2>"$work/error" || rm -f "$file"
}

# mask_secrets FILE: blank the data of every Secret in a manifest, should a chart ever render one.
mask_secrets() {
  [ -e "$1" ] || return 0
  masked <"$1" >"$work/masked"
  cp "$work/masked" "$1"
}

masked() {
  awk '
    /^---/ { secret = 0; data = 0 }
    /^kind: *Secret *$/ { secret = 1 }
    /^[^ ]/ { data = ($0 ~ /^(data|stringData):/) }
    secret && data && /^ +[^ ]+:/ { sub(/:.*/, ": (masked)") }
    { print }
  '
}
