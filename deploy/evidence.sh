# What a person needs to find out why a version failed, saved before the rollback removes it.

evidence='' evidence_seconds=30

# save_evidence RELEASE KIND REASON
save_evidence() {
  local release=$1 kind=$2 pod until=$((SECONDS + evidence_seconds))
  evidence=${DEPLOY_EVIDENCE:-$root/.deploy}/$project/$(date -u +%Y%m%dT%H%M%SZ)
  # A full disk or a read-only checkout must not keep the version before from coming back.
  if ! { mkdir -p "$evidence" && printf '%s\n' "$3" >"$evidence/reason.txt"; } 2>"$work/error"; then
    warn "no evidence can be saved: $(last_words) (DEPLOY_EVIDENCE names another folder)"
    evidence="none, $evidence cannot be written" && return
  fi
  saved events.txt "${kubectl[@]}" get events --sort-by .lastTimestamp
  saved objects.txt "${kubectl[@]}" get "$kind,replicasets,pods,horizontalpodautoscalers,persistentvolumeclaims,endpointslices" -o wide
  saved describe.txt "${kubectl[@]}" describe "$kind,replicasets,pods" -l "app.kubernetes.io/instance=$release"
  # Should a chart ever render a Secret, its data is blanked.
  if try_once "${helm[@]}" get manifest "$release"; then masked <"$work/reply" >"$evidence/manifest.yaml" || true; fi
  saved history.txt "${helm[@]}" history "$release"
  try_once "${kubectl[@]}" get pods -l "app.kubernetes.io/instance=$release" -o name || true
  for pod in $reply; do
    if [ "$SECONDS" -ge "$until" ]; then warn "saving no more: it took $evidence_seconds s already" && break; fi
    saved "logs-${pod#pod/}.txt" "${kubectl[@]}" logs "$pod" --all-containers --tail 500
    saved "logs-${pod#pod/}-previous.txt" "${kubectl[@]}" logs "$pod" --all-containers --tail 500 --previous
  done
  note "evidence saved in $evidence"
}

# saved FILE COMMAND...: what cannot be had is no reason to stop, and leaves no file.
saved() { run "${@:2}" 2>"$work/error" >"$evidence/$1" || rm -f "$evidence/$1"; }

masked() { awk -f "$root/deploy/masked.awk"; }
