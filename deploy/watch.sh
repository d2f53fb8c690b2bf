# Waits for a rollout by looking at the new pods only, and says at once when they cannot come up.

rollout_fault='' status_line_seconds=5

# await_rollout deployment|statefulset RELEASE [LEAST]: succeeds when all pods are new and available, or LEAST of them
# where the cluster had room for no more before. Otherwise rollout_fault says why not.
await_rollout() {
  local kind=$1 release=$2 least=${3-} deadline=$((SECONDS + timeout)) shown='' shown_at=$SECONDS line seen first_wanted=''
  rollout_fault='' since=()
  while :; do
    line='' seen=''
    if observe "$kind" "$release"; then
      line=$(rollout_line) seen=yes
    elif is_unreachable; then
      line="the API server does not answer: $(last_words)"
    elif is_denied; then
      suspect denied "$suspect_seconds" "the API server no longer takes the credentials: $(last_words)"
    fi
    if [ -n "$line" ] && { [ "$line" != "$shown" ] || [ $((SECONDS - shown_at)) -ge "$status_line_seconds" ]; }; then
      note "$kind $release: $line"
      shown=$line shown_at=$SECONDS
    fi
    if [ -n "$seen" ] && rollout_is_complete "$least"; then return 0; fi
    if [ -n "$seen" ] && [ "$seen_generation" -ge "$generation" ]; then first_wanted=${first_wanted:-$wanted}; fi
    # Where there was no room before, a pod waits as it did, and the Deployment keeps what it cannot replace. Where all
    # are new, and as many serve as were wanted at first, the autoscaler has asked for more than there is room for.
    if [[ $updated = "$wanted" && (-n $least || $total = "$wanted") && -n $least$first_wanted && $available -ge ${least:-$first_wanted} ]]; then
      case $rollout_fault in *'no node can take it'*) rollout_fault='' && return 0 ;; esac
    fi
    if [ -n "$rollout_fault" ]; then return 1; fi
    if [ "$SECONDS" -ge "$deadline" ]; then
      rollout_fault="not complete after $timeout s (--timeout): ${line:-$(last_words)}$(last_warning)"
      return 1
    fi
    run sleep 0.5
  done
}

# One request tells all: the object, its autoscaler, its ReplicaSets and pods, a line each, messages last.
watch_fields='{range .items[*]}{.kind}|{.metadata.name}|{.metadata.generation}|{.status.observedGeneration}'
watch_fields+='|{.spec.replicas}|{.status.replicas}|{.status.updatedReplicas}|{.status.availableReplicas}|{.spec.minReplicas}'
watch_fields+='|{.metadata.annotations.deployment\.kubernetes\.io/revision}|{.metadata.labels.pod-template-hash}'
watch_fields+='|{.metadata.labels.controller-revision-hash}|{.status.currentRevision}|{.status.updateRevision}'
watch_fields+='|{.status.conditions[?(@.type=="ReplicaFailure")].message}'
watch_fields+='|{.status.conditions[?(@.reason=="Unschedulable")].message}|{.status.containerStatuses[*].restartCount}'
watch_fields+='|{range .status.initContainerStatuses[*]}{.state.waiting.reason} {.state.waiting.message} {end}'
watch_fields+='{range .status.containerStatuses[*]}{.state.waiting.reason} {.state.waiting.message} {end}{"\n"}{end}'

# Of the object that was observed last.
seen_generation='' generation='' wanted=0 total=0 updated=0 available=0 new_pods='' rollout_revision=''

# observe KIND RELEASE: sets the numbers above; rollout_fault too, when waiting cannot help. Asks once, or as `ask` says.
observe() {
  local object name object_generation observed replicas all new ready least revision hash revision_hash current update
  local failure unschedulable restarts waiting
  "${ask-try_once}" "${kubectl[@]}" get "$1,horizontalpodautoscalers,replicasets,pods" \
    -l "app.kubernetes.io/instance=$2" -o jsonpath="$watch_fields" || return
  generation='' new_pods='' waiting_pod='' restarted_pod='' suspects=' '
  while IFS='|' read -r -u 4 object name object_generation observed replicas all new ready least revision hash \
    revision_hash current update failure unschedulable restarts waiting; do
    # Beside it there may be others with its label, a worker say.
    case $object/$name in
      Deployment/"$2" | StatefulSet/"$2")
        generation=$object_generation seen_generation=${observed:-0} rollout_revision=$revision
        wanted=${replicas:-1} total=${all:-0} updated=${new:-0} available=${ready:-0}
        if [ "$object" = StatefulSet ]; then
          new_pods=$update
          # Once all pods are new, the controller leaves updatedReplicas out and moves currentRevision.
          if [ "$current" = "$update" ]; then updated=$total; fi
        fi
        if [ "$seen_generation" -ge "$generation" ] && [ -n "$failure" ]; then suspect quota "$suspect_seconds" "$failure"; fi
        ;;
      # A new Deployment begins with one replica; the autoscaler brings it to its least number a moment later.
      HorizontalPodAutoscaler/"$2") if [ "$wanted" -lt "$least" ]; then wanted=$least; fi ;;
      ReplicaSet/"$2-$hash") if [ "$revision" = "$rollout_revision" ]; then new_pods=$hash; fi ;;
      Pod/*)
        # Until the controller has seen the change, what it calls new is the version before.
        if [ -n "$generation" ] && [ "$seen_generation" -ge "$generation" ] &&
          [ -n "$new_pods" ] && [ "$hash$revision_hash" = "$new_pods" ]; then
          judge_pod "$name" "${restarts// /+}" "$unschedulable" "$waiting"
        fi
        ;;
    esac
  done 4<<<"$reply"
  forget_past_suspects
  [ -n "$generation" ]
}

# How many pods the cluster had room for before the change, where that was fewer than wanted; and which pods those were.
room_before='' pods_before=''

# note_room: a cluster that is full before the change is full after it. Without an answer an old restart would be blamed
# on the version that comes.
note_room() {
  local ask=must
  since=() new_pods=''
  if observe deployment "$project" && [[ $suspects == *unschedulable/* ]] && [ "$available" -gt 0 ] && [ "$available" -lt "$wanted" ]; then
    room_before=$available
    warn "the cluster has room for $available of $wanted pods: more will not be waited for"
  fi
  rollout_fault='' pods_before=$new_pods
}

rollout_is_complete() {
  local enough=$wanted
  if [ -n "${1-}" ] && [ "$1" -lt "$wanted" ]; then enough=$1; fi
  [ "$seen_generation" -ge "$generation" ] && [ "$updated" = "$wanted" ] && [ "$available" -ge "$enough" ] &&
    [ "$total" = "$wanted" ]
}

rollout_line() {
  if rollout_is_complete; then echo "complete, $available of $wanted available" && return; fi
  echo "$updated of $wanted new, $available available, $total in all"
}

# old_pods_remain: of the release that was observed last; they end after they were replaced, and answer until then.
# One that was evicted answers nobody, and stays for days.
old_pods_remain() {
  if [ -z "$new_pods" ]; then return 1; fi
  try_once "${kubectl[@]}" get pods -o name --field-selector status.phase=Running \
    -l "app.kubernetes.io/instance=$project,pod-template-hash,pod-template-hash!=$new_pods" || return 0
  [ -n "$reply" ]
}
