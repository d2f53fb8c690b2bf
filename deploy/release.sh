# shellcheck shell=bash
# The two Helm releases. Helm only applies, in a second or two; the watch decides whether the change came up.

changes=()

deploy_redis() {
  if [ "$redis_mode" != bundled ]; then
    note "redis.mode is $redis_mode: no Redis is deployed"
    return
  fi
  apply_release "$redis_release" "$root/.helm/redis" "${redis_values[@]}"
  await_rollout statefulset "$redis_release" || redis_failed 7 "Redis did not come up: $rollout_fault"
  mark_verified "$redis_release"
}

deploy_service() {
  set_service_values "$digest"
  render "$project" "$root/.helm" "${service_values[@]}"
  apply_release "$project" "$root/.helm" "${service_values[@]}"
}

watch_service() {
  await_rollout deployment "$project" || service_failed 8 "the new version did not come up: $rollout_fault"
}

smoke_service() {
  smoke_test || service_failed 9 "the smoke test of $scheme://$base_url through $entrance failed: $smoke_fault"
  write_record content "$(content_checksum)"
  mark_verified "$project"
}

# apply_release RELEASE CHART VALUES...: after render. Nothing is applied when nothing would change.
apply_release() {
  local release=$1 chart=$2 before status=0
  shift 2
  read_revisions "$release"
  # The plan has asked the cluster already, moments ago.
  if [ -n "$newest_revision" ] && ! was_unchanged "$release"; then cluster_difference "$release" || status=$?; fi
  if is_impossible "$status"; then
    fail 6 "$release cannot become what was asked: $(tail -n 1 "$work/error")" \
      "nothing was changed; ask for what it was, or delete the object first if its outage is acceptable"
  fi
  if [ "$status" -eq 0 ] && is_current "$release"; then
    note "$release: unchanged, revision $newest_revision stays"
    return
  fi
  check_lock
  recover_pending "$release"
  before=$newest_revision
  if [ "$release" = "$project" ]; then release_applied=yes; fi
  upgrade_release "$release" "$chart" "$@" || apply_failed "$release" "$before"
  changes+=("$release")
}

# upgrade_release RELEASE CHART VALUES...: again when the API server was away, which leaves the release pending.
upgrade_release() {
  local release=$1 chart=$2 deadline=$((SECONDS + patience)) status
  shift 2
  while :; do
    status=0
    try_once "${helm[@]}" upgrade --install "$release" "$chart" ${helm_apply[@]+"${helm_apply[@]}"} --history-max 10 \
      --description "$image_name:$image_tag ${digest:7:12} by $lock_identity" "$@" || status=$?
    if [ "$status" -eq 0 ] || ! is_unreachable "$work/error" || [ "$SECONDS" -ge "$deadline" ]; then return "$status"; fi
    note "the API server was away, trying again: $(tail -n 1 "$work/error")"
    run sleep 1
    read_revisions "$release"
    recover_pending "$release"
  done
}

# apply_failed RELEASE REVISION: Helm may have applied a part of it before it failed.
apply_failed() {
  local release=$1 before=$2 reason
  reason="helm could not apply $release: $(sed -n '/./p' "$work/error" | tail -n 3 | tr '\n' ' ')"
  read_revisions "$release"
  if [ "$newest_revision" = "$before" ]; then
    fail 6 "$reason" "nothing was changed; correct the values, or delete what cannot be changed in place"
  fi
  if [ "$release" = "$redis_release" ]; then redis_failed 6 "$reason"; fi
  service_failed 6 "$reason"
}

# recover_pending RELEASE: a deploy that was killed leaves its release pending, and Helm refuses to touch it.
recover_pending() {
  case $newest_status in pending-* | uninstalling) ;; *) return 0 ;; esac
  local target
  target=$(last_verified)
  if [ -z "$target" ]; then target=$(awk '$3 == "deployed" || $3 == "superseded" { n = $1 } END { print n }' <<<"$revisions"); fi
  note "$1 was left $newest_status by a deploy that ended in the middle: recovering"
  if [ -n "$target" ]; then
    roll_back "$1" "$target" || fail 10 "$1 is $newest_status and cannot be rolled back to revision $target: $(tail -n 3 "$work/error")" \
      "helm --kube-context $context -n $namespace history $1"
  else
    # Its first installation: nothing served yet. Volumes outlive this.
    ask_helm uninstall "$1" || fail 10 "$1 is $newest_status and cannot be removed: $(tail -n 3 "$work/error")" \
      "helm --kube-context $context -n $namespace history $1"
  fi
  read_revisions "$1"
}
