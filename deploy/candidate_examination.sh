# How the candidate is asked, and judged: by its answers, by what the kubelet finds, and by how it ends.

candidate_tries=3 candidate_fault='' candidate_ready='' candidate_runs=''
candidate_fields='{.status.phase}|{.status.reason}|{.metadata.deletionTimestamp}|{.status.conditions[?(@.type=="ContainersReady")].status}|{.status.containerStatuses[*].state.running.startedAt}'
candidate_fields+='|{.status.containerStatuses[*].state.terminated.reason} {.status.containerStatuses[*].state.terminated.exitCode}'
candidate_fields+='|{.status.conditions[?(@.reason=="Unschedulable")].message}'
candidate_fields+='|{.status.containerStatuses[*].state.waiting.reason} {.status.containerStatuses[*].state.waiting.message}'

# observe_candidate: sets candidate_runs and candidate_ready; candidate_fault when its container ended.
observe_candidate() {
  local phase reason deleted ready running ended unschedulable waiting pod=$project-candidate
  must_ask get pod "$pod" --ignore-not-found -o jsonpath="$candidate_fields"
  IFS='|' read -r phase reason deleted ready running ended unschedulable waiting <<<"$reply"
  # shellcheck disable=SC2034 # await_candidate reads it by name
  candidate_runs=$running candidate_ready='' rollout_fault='' suspects=' '
  if [ "$ready" = True ]; then candidate_ready=yes; fi
  # One that is deleted ends by itself first.
  case ${deleted:+deleted}$phase$reason in
    '' | deleted*) fail 3 "the pod $pod was deleted by somebody" "nothing was changed; run the same command again" ;;
    Failed?*) fail 3 "the pod $pod was ended by the cluster: $reason" "nothing was changed; run the same command again" ;;
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

# check_candidate: look again; a fault ends the deploy.
check_candidate() {
  observe_candidate
  if [ -n "$candidate_fault" ]; then candidate_failed 8 "$candidate_fault${answer_fault:+; before that: $answer_fault}"; fi
}

# await_candidate VARIABLE SECONDS WHAT: until the variable is set; WHAT is what is wrong after so many seconds.
await_candidate() {
  local deadline=$((SECONDS + $2))
  while check_candidate && [ -z "${!1}" ]; do
    # The time until it has a node is not its own; judge_pod bounds that.
    if [[ $suspects == *unschedulable/* ]]; then deadline=$((SECONDS + $2)); fi
    if [ "$SECONDS" -ge "$deadline" ]; then candidate_failed 8 "$3 after $2 s$(last_warning)"; fi
    run sleep 0.2
  done
}

# examine_candidate: ask it everything, each try through a way of its own. An answer that did not come, or a 503, may be
# the way's fault or Redis', which ask for another try; a wrong one is the version's.
examine_candidate() {
  local tries status
  for ((tries = 1; ; tries++)); do
    await_ready_candidate
    status=0
    ask_answers alone "$asked_digest" "http://$base_url" --connect-to "::$forward_address" || status=$?
    cp "$work/reply" "$work/answers"
    check_candidate
    if [ "$status" -eq 0 ]; then break; fi
    if [ "$status" -eq 1 ]; then candidate_failed 9 "$answer_fault"; fi
    if [ "$tries" -ge "$candidate_tries" ]; then spare_it "$answer_fault" && candidate_failed 9 "$answer_fault"; fi
    note "asking again: $answer_fault"
  done
}

# examine_drain: a pod that ends is sent visitors for DRAIN_DELAY. The kubelet takes up to 2 s to tell it that it ends.
examine_drain() {
  local began=$SECONDS tries
  if [ "${drain_delay:-0}" -lt 4 ]; then return; fi
  check_lock
  must_ask delete pod "$project-candidate" --wait=false
  while ask_candidate "$readiness_path" && [ "${reply##* }" = 200 ] && [ $((SECONDS - began)) -lt 4 ]; do run sleep 0.1; done
  for tries in 2 1; do
    if ask_candidate "$first_path" && [ "${reply##* }" = 200 ]; then return; fi
    # The way there may have broken.
    [ "$tries" -eq 1 ] || start_forward "$namespace" "pod/$project-candidate" http || true
  done
  [ $((SECONDS - began + 1)) -ge "$drain_delay" ] || { [ -z "$forward_address" ] && is_unreachable; } ||
    candidate_failed 9 "told to end, it answers no more, while visitors are still sent to it for up to $drain_delay s (settings.DRAIN_DELAY)"
  note "whether it serves on when told to end was not seen in time"
}

# ask_candidate PATH: into `reply`, what it says and the status. Without a way to it, curl would ask who serves.
ask_candidate() { [ -n "$forward_address" ] && ask_visitor --connect-to "::$forward_address" --write-out ' %{http_code}' "http://$base_url$1"; }

# await_ready_candidate: a new port-forward, through which it says that it is ready.
await_ready_candidate() {
  local deadline=$((SECONDS + candidate_seconds)) said=''
  while :; do
    if start_forward "$namespace" "pod/$project-candidate" http; then
      while kill -0 "$forward" 2>/dev/null && [ "$SECONDS" -lt "$deadline" ]; do
        if ask_candidate "$readiness_path"; then
          said=$(tr -d '\n' <<<"$reply")
          case $reply in *' 200') return 0 ;; esac
        fi
        run sleep 0.1
        check_candidate
      done
    fi
    check_candidate
    if [ "$SECONDS" -ge "$deadline" ]; then
      if [ -z "$said" ] && [ -n "$candidate_ready" ]; then
        fail 3 "the candidate is ready, but no port-forward reaches it: $(tail -n 1 "$work/forward-error")" \
          "nothing was changed; it takes the right to create pods/portforward, else --no-candidate"
      fi
      spare_it "$said"
      candidate_failed 8 "it is not ready after $candidate_seconds s, it says «$said»"
    fi
    run sleep 0.2
  done
}

# spare_it WHAT IT SAID: exit 3 where Redis refuses it, or is unwell for the pods that serve, too.
spare_it() {
  local refused='NOAUTH|WRONGPASS|NOPERM|redis: authentication|reason"?[=:] ?"?authentication'
  if grep -Eq "$refused" <<<"$1 $("${kubectl[@]}" logs "$project-candidate" --tail 20 2>/dev/null || true)"; then
    fail 3 "Redis does not let the candidate count (it says «$1»): it counts under a key of its own, {<COUNTER_KEY>}:candidate" \
      "nothing was changed; let the ACL user write ~{<COUNTER_KEY>}:candidate*, or deploy without a candidate: --no-candidate"
  fi
  if observe deployment "$project" && [ "$available" -lt "$wanted" ]; then
    fail 3 "the candidate does not serve (it says «$1»), and $((wanted - available)) of $wanted pods that run do not either: Redis is unwell" \
      "nothing was changed; mend Redis, then run the same command again"
  fi
}

# candidate_failed STATUS WHY
candidate_failed() {
  local advice="nothing was changed, no visitor met it"
  if [ "$redis_mode" = bundled ] && ! is_current "$redis_release"; then
    advice+="; it was tested with the Redis that runs: if it needs the changed one, deploy that first, alone, or use --no-candidate"
  fi
  save_evidence "$project" pod "$2"
  cp "$work/answers" "$work/parts/candidate.yaml" "$evidence" 2>/dev/null || true
  fail "$1" "the new version failed as a candidate: $2" "$advice; evidence: $evidence"
}
