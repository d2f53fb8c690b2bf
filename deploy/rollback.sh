# shellcheck shell=bash
# Back to the last verified revision: rolled out, watched and smoke-tested like any other.

# service_failed STATUS REASON: exit with it once the last verified revision serves again, with 10 if it does not.
service_failed() {
  local status=$1 reason=$2 target
  save_evidence "$project" deployment "$reason"
  read_revisions "$project"
  target=$(last_verified)
  if [ -z "$target" ]; then
    fail 10 "$reason" "there is no earlier verified revision to go back to; it stays as it is for inspection: $evidence"
  fi
  if [ "$target" = "$newest_revision" ]; then
    fail 10 "$reason" "revision $target, the last verified one, is what runs; evidence: $evidence"
  fi
  restored_revision=$target rollback_reason=$reason
  step rollback restore_service
  fail "$status" "$reason" "revision $target was restored and verified as revision $newest_revision; evidence: $evidence"
}

restored_revision='' rollback_reason=''

# restore_service: roll back to restored_revision.
restore_service() {
  check_lock
  release_applied=yes
  digest_of_revision "$project" "$restored_revision"
  digest=$reply
  roll_back "$project" "$restored_revision" || not_restored "helm rollback failed: $(tail -n 3 "$work/error")"
  await_rollout deployment "$project" || not_restored "$rollout_fault"
  smoke_test || not_restored "$smoke_fault"
  mark_verified "$project"
}

not_restored() {
  fail 10 "${rollback_reason:+$rollback_reason; and }revision $restored_revision could not be restored: $1" \
    "evidence: ${evidence:-none}; what runs now: kubectl --context $context -n $namespace get pods"
}

# roll_back RELEASE REVISION
roll_back() {
  note "rolling $1 back to revision $2"
  ask_helm rollback "$1" "$2" ${helm_apply[@]+"${helm_apply[@]}"} --history-max 10
}

# redis_failed STATUS REASON: its previous revision is restored, so that the version before finds the Redis it knows.
redis_failed() {
  local status=$1 reason=$2 target
  save_evidence "$redis_release" statefulset "$reason"
  read_revisions "$redis_release"
  target=$(last_verified)
  if [ -z "$target" ] || [ "$target" = "$newest_revision" ]; then
    fail "$status" "$reason" "there is no earlier revision of $redis_release to go back to; it stays for inspection: $evidence"
  fi
  check_lock
  if roll_back "$redis_release" "$target" && await_rollout statefulset "$redis_release"; then
    mark_verified "$redis_release"
    fail "$status" "$reason" "revision $target of $redis_release is restored, the service is unchanged; evidence: $evidence"
  fi
  fail "$status" "$reason; and revision $target could not be restored: ${rollout_fault:-$(tail -n 3 "$work/error")}" \
    "evidence: $evidence"
}

# --rollback: to the last verified revision before the one that runs.
rollback_service() {
  local candidate
  read_revisions "$project"
  for candidate in $verified; do
    if [ "$candidate" != "$newest_revision" ]; then restored_revision=$candidate; fi
  done
  if [ -z "$restored_revision" ]; then
    fail 10 "$project has no verified revision to go back to (verified: ${verified:-none}, newest: ${newest_revision:-none})" "see --history"
  fi
  restore_service
  changes=("$project, back to what revision $restored_revision was")
  read_installed
}
