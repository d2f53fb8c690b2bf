# The candidate: one pod of the new version that no Service knows, tested before any visitor meets the version.
# The chart renders it from the Deployment's own template (.helm/templates/candidate.yaml).

candidate_seconds=${DEPLOY_CANDIDATE_SECONDS:-120} candidate_made='' candidate_secret_made=''

test_candidate() {
  render_service "$asked_digest"
  remove_candidate
  if ! candidate_is_wanted; then return; fi
  make_candidate
  await_candidate candidate_runs "$candidate_seconds" "its container does not run"
  examine_candidate
  # What the kubelet finds counts, too: a probe that it cannot reach would stop the rollout.
  await_candidate candidate_ready "$candidate_seconds" "it answers, but not the kubelet's probes"
  examine_drain
  remove_candidate
  note "the candidate answered well and is gone"
}

# candidate_is_wanted: only what changes the pods can change what visitors are answered.
candidate_is_wanted() {
  local before
  read_revisions "$project"
  before=$(last_verified "$project")
  # Without a record, as after a restored backup, pods that are ready serve somebody all the same.
  if [ -z "$before" ]; then must_ask get deployment "$project" --ignore-not-found -o jsonpath='{.status.availableReplicas}'; fi
  if [ -z "$before" ] && [ "${reply:-0}" -eq 0 ]; then
    note "no candidate: nothing was verified here before, so no visitor is served by a version that works"
  elif [ "$candidate" = no ]; then
    warn "no candidate (--no-candidate): visitors are the first to meet this version"
  else
    if [ -z "$before" ]; then return 0; fi
    deployed_manifest "$project" "$before"
    if [ "$(pods_of "$work/$project.yaml")" != "$(pods_of "$work/$project.$before.yaml")" ]; then return 0; fi
    note "no candidate: the pods' template is that of revision $before, which was tested"
  fi
  return 1
}

# pods_of FILE: of a manifest, the pods' template and where their Secret comes from, to compare.
pods_of() { deployment_of "$1" | sed -n '/^  template:/,$p' && sed -n '/^kind: ExternalSecret/,/^---/p' "$1"; }

make_candidate() {
  local deadline=$((SECONDS + suspect_seconds)) why
  # Should this deploy be killed, the cluster ends it.
  render_candidate candidate --set "candidate.enabled=true,candidate.seconds=$((timeout + 600))"
  # No pod can be made without its ServiceAccount. It names its release, so that Helm takes it over.
  if grep -q '^kind: ServiceAccount' "$work/$project.yaml"; then
    render_candidate serviceaccount
    try_ask create -f "$work/parts/serviceaccount.yaml" -o name || grep -q AlreadyExists "$work/error" || fail_asking
  fi
  # Before the pod, so that it never runs without, and kept: alone it selects nothing.
  if grep -q '^kind: NetworkPolicy' "$work/$project.yaml"; then
    render_candidate candidate_networkpolicy --set candidate.enabled=true
    must_ask apply -f "$work/parts/candidate_networkpolicy.yaml"
  else
    must_ask delete networkpolicies "$project-candidate" --ignore-not-found
  fi
  candidate_made=yes
  until try_ask create -f "$work/parts/candidate.yaml" -o name; do
    why=$(last_words)
    case $why in
      # A first try whose reply was lost made it. One that was left and removed may still be there, or in a quota's count.
      *AlreadyExists*)
        must_ask get pod "$project-candidate" --ignore-not-found -o jsonpath='{.metadata.name}{.metadata.deletionTimestamp}'
        if [ "$reply" = "$project-candidate" ]; then return; fi
        ;;
      *'exceeded quota'*) if [ "$SECONDS" -ge "$deadline" ]; then no_room "$why"; fi ;;
      *) deadline=0 ;;
    esac
    [ "$SECONDS" -lt "$deadline" ] ||
      fail 3 "the candidate cannot be made: $why" "nothing was changed; mend it, or deploy without it: --no-candidate"
    run sleep 1
  done
}

no_room() {
  fail 3 "there is no room for one more pod, which would test the new version: $1" \
    "nothing was changed; make room, or let visitors be the first to meet it: --no-candidate"
}

# Not waiting for the kubelet, which takes seconds: the pod leaves the quota at once, and nothing needs it to be the
# only one of its name. It still drains, and the keys that it counted under stay for the next.
end_candidate=(delete pod --ignore-not-found --wait=false --grace-period=0 --force)

# remove_candidate: also one that a killed deploy left. Whoever took the lock meanwhile has one of the same name.
remove_candidate() {
  stop_forward
  check_lock
  must_ask get pod "$project-candidate" --ignore-not-found -o name
  if [ -z "$reply" ]; then return 0; fi
  must_ask "${end_candidate[@]}" "$project-candidate"
  candidate_made=''
}

# leave_no_candidate: however the deploy ends.
leave_no_candidate() {
  if [ -z "$candidate_made$candidate_secret_made" ] || ! peek_lease || { [ -n "$lease_holder" ] && ! is_ours; }; then return; fi
  [ -z "$candidate_secret_made" ] || "${kubectl[@]}" delete externalsecrets.external-secrets.io "$project-candidate" --wait=false >/dev/null 2>&1 || true
  [ -z "$candidate_made" ] || "${kubectl[@]}" "${end_candidate[@]}" "$project-candidate" >/dev/null 2>&1 || true
}
