# Back to a revision that served: rolled out, watched and smoke-tested like any other.

# release_failed RELEASE STATUS REASON: exit with it once the revision before serves again, with 10 if it does not.
release_failed() {
  local release=$1 status=$2 reason=$3 target revision known=${applied[$1]:-${newest[$1]-}} how='and verified'
  save_evidence "$release" "$(kind_of "$release")" "$reason"
  read_revisions "$release"
  target=$(restorable "$release") revision=${newest[$release]}
  [ -n "$target" ] || fail 10 "$reason" "there is no earlier revision of $release to go back to; it stays as it is for inspection: $evidence"
  [ "$target" != "$revision" ] ||
    fail 10 "$reason" "revision $target of $release, the last verified one, is what runs: mend it, then run the same command again; evidence: $evidence"
  [ "${known:-$revision}" = "$revision" ] ||
    fail 10 "$reason" "somebody else changed $release meanwhile (revision $revision), so nothing was rolled back; evidence: $evidence"
  failed_because=$reason
  step rollback restore_release "$release" "$target" "$reason"
  [[ " ${verified[$release]} " == *" $target "* ]] || how='(no record says that it was verified)'
  fail "$status" "$reason" "revision $target of $release was restored $how as revision ${newest[$release]}; evidence: $evidence"
}

# restore_release RELEASE REVISION [REASON]: roll back to it; exit 10 if that fails, too.
restore_release() {
  local release=$1 target=$2 reason=${3-} digest host
  if [ "$release" = "$project" ]; then
    # Room may have gone during the deploy, with a node.
    note_room
    deployed_value digest "$target" image digest
    deployed_value host "$target" ingress host
    # That another host was well says nothing of this one; what ails the entrance ails both.
    if [ "$host" != "$base_url" ] && [ "$entrance_was_good" = yes ]; then entrance_was_good=''; fi
  fi
  check_lock
  begin_change "$release"
  roll_back "$release" "$target" || not_restored "$target" "$reason" "helm rollback failed: $(last_words 3)"
  read_revisions "$release"
  await_rollout "$(kind_of "$release")" "$release" "$room_before" || not_restored "$target" "$reason" "$rollout_fault"
  if [ "$release" = "$project" ]; then
    smoke_test "$host" "$digest" serving || not_restored "$target" "$reason" "$smoke_fault"
    if [ -n "${applied[$redis_release]-}" ]; then mark_served "$redis_release"; fi
  fi
  mark_copy "$release" "$target"
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

# --rollback: to the verified revision before the one that runs, or to the one that --rollback-to names. One that was
# rolled back to and not verified is a rollback that ended half-way: it is finished.
rollback_service() {
  local target=$rollback_revision revision
  check_nobody_paused_it
  read_revisions "$project"
  if [ -z "$target" ] && [ -n "${newest[$project]}" ] && [ "${newest[$project]}" != "$(last_verified "$project")" ]; then
    must_helm history "$project" --max 1 -o json
    target=$(sed -n 's/.*"description": *"Rollback to \([0-9]*\)".*/\1/p' <<<"$reply")
    [[ " ${verified[$project]} " == *" ${target:-none} "* ]] || target=''
    # Helm's words for a rollback that it failed itself do not say where to, but what it had to apply does.
    if [[ $reply == *'"Rollback \"'* ]]; then
      target="that the failed rollback, revision ${newest[$project]}, went to"
      deployed_manifest "$project" "${newest[$project]}"
      for revision in ${verified[$project]}; do
        deployed_manifest "$project" "$revision"
        if diff -q "$work/$project.$revision.yaml" "$work/$project.${newest[$project]}.yaml" >/dev/null; then target=$revision; fi
      done
    fi
  fi
  if [ -z "$target" ]; then target=$(verified_before "$project"); fi
  [[ " ${verified[$project]} " == *" ${target:-none} "* ]] ||
    fail 10 "$project has no verified revision ${target:-to go back to} (verified: ${verified[$project]:-none}, newest: ${newest[$project]:-none})" \
      "$(this_project --history) names the verified ones, $(this_project --rollback-to REVISION) goes to one of them"
  deployed_value asked_digest "$target" image digest
  read_baseline "$base_url"
  restore_release "$project" "$target"
  note "it is back to what revision $target was"
  read_installed
}
