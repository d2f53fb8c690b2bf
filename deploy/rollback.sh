# Back to a revision that served: rolled out, watched and smoke-tested like any other.

# service_failed STATUS REASON: exit with it once the version before serves again, with 10 if it does not.
service_failed() {
  local status=$1 reason=$2 target revision known=${applied[$project]:-${newest[$project]-}}
  save_evidence "$project" deployment "$reason"
  read_revisions "$project"
  target=$(restorable "$project") revision=${newest[$project]}
  if [ -z "$target" ]; then
    fail 10 "$reason" "there is no earlier revision to go back to; it stays as it is for inspection: $evidence"
  fi
  if [ "$target" = "$revision" ]; then
    fail 10 "$reason" "revision $target, the last verified one, is what runs; evidence: $evidence"
  fi
  if [ -n "$known" ] && [ "$known" != "$revision" ]; then
    fail 10 "$reason" "somebody else changed $project meanwhile (revision $revision), so nothing was rolled back; evidence: $evidence"
  fi
  step rollback restore_service "$target" "$reason"
  fail "$status" "$reason" "revision $target was restored and verified as revision ${newest[$project]}; evidence: $evidence"
}

# restore_service REVISION [REASON]: roll back to it; exit 10 if that fails, too.
restore_service() {
  local target=$1 reason=${2-} digest host
  check_lock
  changing=$project
  deployed_value digest "$target" image digest
  deployed_value host "$target" ingress host
  roll_back "$project" "$target" || not_restored "$target" "$reason" "helm rollback failed: $(last_words 3)"
  read_revisions "$project"
  await_rollout deployment "$project" "$room_before" || not_restored "$target" "$reason" "$rollout_fault"
  smoke_test "$host" "$digest" serving || not_restored "$target" "$reason" "$smoke_fault"
  mark_copy "$project" "$target"
  if [ -n "${applied[$redis_release]-}" ]; then mark_served "$redis_release"; fi
}

# not_restored REVISION REASON WHY
not_restored() {
  fail 10 "${2:+$2; and }revision $1 could not be restored: $3" \
    "evidence: ${evidence:-none}; what runs now: kubectl --context $context -n $namespace get pods"
}

# roll_back RELEASE REVISION
roll_back() {
  note "rolling $1 back to revision $2"
  deployed_manifest "$1" "$2"
  # A rollback compares with the newest, whatever became of it.
  keep_replicas "$1" "$work/$1.$2.yaml" "${newest[$1]}"
  try_helm rollback "$1" "$2" ${helm_apply[@]+"${helm_apply[@]}"} --history-max "$(history_limit "$1")"
}

# mark_copy RELEASE REVISION: the newest revision that was read, right after the rollback, copies this one, and serves.
mark_copy() {
  case " ${verified[$1]} " in *" $2 "*) mark_verified "$1" "${newest[$1]}" "$(origin_of "$1" "$2")" ;; esac
}

# redis_failed STATUS REASON: its previous revision is restored, so that the version before finds the Redis it knows.
redis_failed() {
  local status=$1 reason=$2 target
  save_evidence "$redis_release" statefulset "$reason"
  read_revisions "$redis_release"
  target=$(restorable "$redis_release")
  if [ -z "${applied[$redis_release]-}" ] && [ "$target" = "${newest[$redis_release]}" ]; then
    fail 10 "$reason" "this deploy changed neither Redis nor the service: mend Redis, then run the same command again; evidence: $evidence"
  fi
  if [ -z "$target" ] || [ "$target" = "${newest[$redis_release]}" ]; then
    fail 10 "$reason" "there is no earlier revision of $redis_release to go back to; it stays for inspection: $evidence"
  fi
  check_lock
  roll_back "$redis_release" "$target" || fail 10 "$reason; and revision $target could not be restored: $(last_words 3)" "evidence: $evidence"
  read_revisions "$redis_release"
  await_rollout statefulset "$redis_release" ||
    fail 10 "$reason; and revision $target did not come up: $rollout_fault" "evidence: $evidence"
  mark_copy "$redis_release" "$target"
  fail "$status" "$reason" "revision $target of $redis_release is restored, the service is unchanged; evidence: $evidence"
}

# --rollback: to the verified revision before the one that runs, or to the one that --rollback-to names.
rollback_service() {
  local target=$rollback_revision
  check_nobody_paused_it
  read_revisions "$project"
  if [ -z "$target" ]; then target=$(verified_before "$project"); fi
  [[ " ${verified[$project]} " == *" ${target:-none} "* ]] ||
    fail 10 "$project has no verified revision ${target:-to go back to} (verified: ${verified[$project]:-none}, newest: ${newest[$project]:-none})" \
      "see $(this_project --history)"
  note_room
  read_baseline "$base_url"
  restore_service "$target"
  changes=("$project, back to what revision $target was")
  read_installed
}
