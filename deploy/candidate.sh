# shellcheck shell=bash
# The candidate: one pod of the new version that no Service knows, tested before any visitor meets the version.
# The chart renders it from the Deployment's own template (.helm/templates/candidate.yaml).

candidate_seconds=${DEPLOY_CANDIDATE_SECONDS:-90} candidate_tries=3 candidate_fault='' candidate_made=''

test_candidate() {
  render_service "$asked_digest"
  if ! candidate_is_wanted; then return; fi
  check_lock
  remove_candidate
  make_candidate
  await_candidate
  examine_candidate
  remove_candidate
  note "the candidate answered well and is gone"
}

# candidate_is_wanted: only what changes the pods can change what visitors are answered.
candidate_is_wanted() {
  local before
  read_revisions "$project"
  before=$(last_verified "$project")
  if [ -z "$before" ]; then
    note "no candidate: nothing was verified here before, so no visitor is served by a version that works"
  elif [ "$candidate" = no ]; then
    warn "no candidate (--no-candidate): visitors are the first to meet this version"
  else
    deployed_manifest "$project" "$before"
    if [ "$(pod_template "$work/$project.yaml")" != "$(pod_template "$work/$project.$before.yaml")" ]; then return 0; fi
    note "no candidate: the pods' template is that of revision $before, which was tested"
  fi
  return 1
}

make_candidate() {
  local uid
  render_candidate candidate --set candidate.enabled=true
  candidate_made=yes
  if ! try_ask create -f "$work/candidate.yaml" -o jsonpath='{.metadata.uid}' && ! grep -q AlreadyExists "$work/error"; then
    if grep -q 'exceeded quota' "$work/error"; then no_room "$(last_words)"; fi
    fail 3 "the candidate cannot be made: $(last_words)" "nothing was changed; mend it, or deploy without it: --no-candidate"
  fi
  must_ask get pod "$project-candidate" -o jsonpath='{.metadata.uid}'
  uid=$reply
  if grep -q '^kind: NetworkPolicy' "$work/$project.yaml"; then
    render_candidate candidate_networkpolicy --set-string "candidate.uid=$uid"
    must_ask apply -f "$work/candidate_networkpolicy.yaml"
  fi
}

no_room() {
  fail 3 "there is no room for one more pod, which would test the new version: $1" \
    "nothing was changed; make room, or let visitors be the first to meet it: --no-candidate"
}

candidate_fields='{.status.phase}|{.status.conditions[?(@.type=="ContainersReady")].status}|{.status.containerStatuses[*].state.running.startedAt}'
candidate_fields+='|{.status.containerStatuses[*].state.terminated.reason} {.status.containerStatuses[*].state.terminated.exitCode}'
candidate_fields+='|{.status.conditions[?(@.reason=="Unschedulable")].message}'
candidate_fields+='|{.status.containerStatuses[*].state.waiting.reason} {.status.containerStatuses[*].state.waiting.message}'

candidate_ready='' candidate_runs=''

# observe_candidate: sets candidate_runs and candidate_ready; candidate_fault when its container ended.
observe_candidate() {
  local phase ready running ended unschedulable waiting pod=$project-candidate
  must_ask get pod "$pod" --ignore-not-found -o jsonpath="$candidate_fields"
  IFS='|' read -r phase ready running ended unschedulable waiting <<<"$reply"
  candidate_runs=$running candidate_ready='' rollout_fault='' suspects=' '
  if [ "$ready" = True ]; then candidate_ready=yes; fi
  case $phase in
    '') candidate_fault="the pod $pod was deleted by somebody" ;;
    Failed | Succeeded)
      candidate_fault="its container ended: ${ended% *}, exit status ${ended##* }; its last line: $("${kubectl[@]}" logs "$pod" --tail 1 2>/dev/null || true)"
      ;;
  esac
  judge_pod "$pod" 0 "$unschedulable" "$waiting"
  forget_past_suspects
  case $rollout_fault in
    *'no node can take it'*) no_room "$rollout_fault" ;;
    ?*) candidate_fault=$rollout_fault ;;
  esac
}

# await_candidate: until its container runs. The time until it has a node is not its own; judge_pod bounds that.
await_candidate() {
  local deadline=$((SECONDS + candidate_seconds))
  since=() candidate_fault=''
  observe_candidate
  while [ -z "$candidate_runs" ]; do
    if [ -n "${since[unschedulable]-}" ]; then deadline=$((SECONDS + candidate_seconds)); fi
    if [ -z "$candidate_fault" ] && [ "$SECONDS" -ge "$deadline" ]; then
      candidate_fault="its container does not run after $candidate_seconds s$(last_warning)"
    fi
    if [ -n "$candidate_fault" ]; then candidate_failed 8 "$candidate_fault"; fi
    run sleep 0.2
    observe_candidate
  done
}

# examine_candidate: ask it everything, each try through a way of its own. An answer that did not come, or a 503, may be
# the way's fault or Redis', which ask for another try; a wrong one is the version's.
examine_candidate() {
  local tries status address
  for ((tries = 1; ; tries++)); do
    await_ready_candidate
    status=0 address=$forward_address
    ask_answers alone "$asked_digest" "http://$base_url" --connect-to "::$address" || status=$?
    observe_candidate
    if [ -n "$candidate_fault" ]; then candidate_failed 8 "$candidate_fault; before that: ${answer_fault:-it answered well}"; fi
    if [ "$status" -eq 0 ]; then break; fi
    if [ "$status" -eq 1 ] || [ "$tries" -ge "$candidate_tries" ]; then candidate_failed 9 "$answer_fault"; fi
    note "asking again: $answer_fault"
  done
  stop_forward
  # What the kubelet finds counts, too: a probe that it cannot reach would stop the rollout.
  await_probes
}

# await_ready_candidate: a new port-forward, through which it says that it is ready.
await_ready_candidate() {
  local deadline=$((SECONDS + candidate_seconds)) said=''
  while :; do
    if start_forward "$namespace" "pod/$project-candidate" http; then
      while kill -0 "$forward" 2>/dev/null; do
        if ask_visitor --connect-to "::$forward_address" --write-out ' %{http_code}' "http://$base_url/readyz"; then
          said=$(tr -d '\n' <<<"$reply")
          case $reply in *' 200') return 0 ;; esac
        fi
        if [ "$SECONDS" -ge "$deadline" ]; then break; fi
        run sleep 0.1
        observe_candidate
        if [ -n "$candidate_fault" ]; then candidate_failed 8 "$candidate_fault"; fi
      done
    fi
    observe_candidate
    if [ -n "$candidate_fault" ]; then candidate_failed 8 "$candidate_fault"; fi
    if [ "$SECONDS" -ge "$deadline" ]; then not_ready "${said:-$(last_words)}"; fi
    run sleep 0.2
  done
}

# not_ready WHAT IT SAID
not_ready() {
  case $1 in
    *authentication*)
      fail 3 "Redis does not let the candidate count (it says «$1»): it counts under a key of its own, {<COUNTER_KEY>}:candidate" \
        "nothing was changed; let the ACL user write ~{<COUNTER_KEY>}:candidate*, or deploy without a candidate: --no-candidate"
      ;;
  esac
  if observe deployment "$project" && [ "$available" -lt "$wanted" ]; then
    fail 3 "the candidate is not ready (it says «$1»), and $((wanted - available)) of $wanted pods that run are not either: Redis is unwell" \
      "nothing was changed; mend Redis, then run the same command again"
  fi
  candidate_failed 8 "it is not ready after $candidate_seconds s, it says «$1»"
}

await_probes() {
  local deadline=$((SECONDS + candidate_seconds))
  until [ -n "$candidate_ready" ]; do
    observe_candidate
    if [ -n "$candidate_fault" ]; then candidate_failed 8 "$candidate_fault"; fi
    if [ "$SECONDS" -ge "$deadline" ]; then candidate_failed 8 "it answers, but not the kubelet's probes after $candidate_seconds s"; fi
    run sleep 0.2
  done
}

# candidate_failed STATUS WHY
candidate_failed() {
  local advice="nothing was changed, no visitor met it"
  if [ "$redis_mode" = bundled ] && ! is_current "$redis_release"; then
    advice+="; it was tested with the Redis that runs: if it needs the changed one, deploy that first, alone"
  fi
  save_evidence "$project" pod "$2"
  cp "$work/reply" "$evidence/answers.txt" 2>/dev/null || true
  fail "$1" "the new version failed as a candidate: $2" "$advice; evidence: $evidence"
}

# Not waiting for the kubelet, which takes seconds: the pod leaves the quota at once, and nothing needs it to be the
# only one of its name. It still drains, and the keys that it counted under stay for the next.
end_candidate=(delete pod --ignore-not-found --wait=false --grace-period=0 --force)

# remove_candidate: also one that a killed deploy left.
remove_candidate() {
  stop_forward
  must_ask "${end_candidate[@]}" "$project-candidate"
  candidate_made=''
}

# leave_no_candidate: however the deploy ends.
leave_no_candidate() {
  if [ -z "$candidate_made" ]; then return; fi
  "${kubectl[@]}" "${end_candidate[@]}" "$project-candidate" >/dev/null 2>&1 || true
}
