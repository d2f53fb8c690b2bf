# shellcheck shell=bash
# Waits for a rollout by looking at the new pods only, and says at once when they cannot come up.

rollout_fault=''
# How long a pod may find no node before that counts: a cluster autoscaler that adds one says so in an event.
unschedulable_seconds=${DEPLOY_UNSCHEDULABLE_SECONDS:-30}
# A quota or a configuration that forbids a pod counts once it lasts: after a change it may be read late, or be old.
suspect_seconds=6
status_line_seconds=5

# await_rollout deployment|statefulset RELEASE: succeeds when all pods are new and available. Otherwise
# rollout_fault says why not.
await_rollout() {
  local kind=$1 release=$2 deadline=$((SECONDS + timeout)) shown='' shown_at=$SECONDS line
  local unschedulable_since='' suspect_since=''
  rollout_fault=''
  while :; do
    line=''
    if observe "$kind" "$release"; then line=$(rollout_line); fi
    if [ -n "$line" ] && { [ "$line" != "$shown" ] || [ $((SECONDS - shown_at)) -ge "$status_line_seconds" ]; }; then
      note "$kind $release: $line"
      shown=$line shown_at=$SECONDS
    fi
    if [ -n "$line" ] && rollout_is_complete; then return 0; fi
    if [ -n "$rollout_fault" ]; then return 1; fi
    if [ "$SECONDS" -ge "$deadline" ]; then
      rollout_fault="not complete after $timeout s (--timeout): ${line:-$(tail -n 1 "$work/error")}"
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
watch_fields+='|{.status.conditions[?(@.type=="ReplicaFailure")].message}{.status.conditions[?(@.reason=="ProgressDeadlineExceeded")].message}'
watch_fields+='|{.status.conditions[?(@.reason=="Unschedulable")].message}'
watch_fields+='|{range .status.initContainerStatuses[*]}{.state.waiting.reason} {.state.waiting.message} {end}'
watch_fields+='{range .status.containerStatuses[*]}{.state.waiting.reason} {.state.waiting.message} {end}{"\n"}{end}'

seen_generation='' generation='' wanted=0 total=0 updated=0 available=0 new_pods=''

# observe KIND RELEASE: sets the numbers above; rollout_fault too, when waiting cannot help.
observe() {
  local object='' name object_generation observed replicas all new ready least revision hash revision_hash current update failure unschedulable waiting
  try_once "${kubectl[@]}" get "$1,horizontalpodautoscalers,replicasets,pods" \
    -l "app.kubernetes.io/instance=$2" -o jsonpath="$watch_fields" || return
  generation='' new_pods='' stuck='' suspect=''
  while IFS='|' read -r object name object_generation observed replicas all new ready least revision hash \
    revision_hash current update failure unschedulable waiting; do
    case $object in
      Deployment | StatefulSet)
        generation=$object_generation seen_generation=${observed:-0} rollout_revision=$revision
        wanted=${replicas:-1} total=${all:-0} updated=${new:-0} available=${ready:-0}
        if [ "$object" = StatefulSet ]; then
          new_pods=$update
          # Once all pods are new, the controller leaves updatedReplicas out and moves currentRevision.
          if [ "$current" = "$update" ]; then updated=$total; fi
        fi
        if [ "$seen_generation" -ge "$generation" ]; then suspect=$failure; fi
        ;;
      # A new Deployment begins with one replica; the autoscaler brings it to its least number a moment later.
      HorizontalPodAutoscaler) if [ "$wanted" -lt "$least" ]; then wanted=$least; fi ;;
      ReplicaSet) if [ "$revision" = "$rollout_revision" ]; then new_pods=$hash; fi ;;
      Pod)
        if [ -n "$new_pods" ] && { [ "$hash" = "$new_pods" ] || [ "$revision_hash" = "$new_pods" ]; }; then
          find_fault "$name" "$unschedulable" "$waiting"
        fi
        ;;
    esac
  done <<<"$reply"
  if [ -z "$stuck" ]; then unschedulable_since=''; fi
  if [ -z "$suspect" ]; then suspect_since=''; fi
  suspect_since=${suspect_since:-$SECONDS}
  if [ -n "$suspect" ] && [ $((SECONDS - suspect_since)) -ge "$suspect_seconds" ]; then rollout_fault=$suspect; fi
  [ -n "$generation" ]
}

rollout_revision='' stuck='' suspect=''

rollout_is_complete() {
  [ "$seen_generation" -ge "$generation" ] && [ "$updated" = "$wanted" ] && [ "$available" -ge "$wanted" ] &&
    [ "$total" = "$wanted" ]
}

rollout_line() {
  if rollout_is_complete; then
    echo "complete, $available of $wanted available"
  else
    echo "$updated of $wanted new, $available available, $total in all"
  fi
}

# find_fault POD UNSCHEDULABLE WAITING: sets rollout_fault when this new pod cannot come up by waiting.
find_fault() {
  case $3 in
    *ImagePullBackOff* | *InvalidImageName* | *ErrImageNeverPull*) rollout_fault="pod $1: its image cannot be pulled: $3" ;;
    *CrashLoopBackOff*) rollout_fault="pod $1: its container ends again and again: $3$(last_words "$1")" ;;
    *CreateContainer*Error* | *RunContainerError*) suspect="pod $1: its container cannot be started: $3" ;;
  esac
  if [ -z "$2" ]; then return; fi
  stuck=$1
  unschedulable_since=${unschedulable_since:-$SECONDS}
  if [ $((SECONDS - unschedulable_since)) -ge "$unschedulable_seconds" ] && ! is_scaling_up "$1"; then
    rollout_fault="pod $1: no node can take it: $2"
  fi
}

# last_words POD: the line with which its container ended.
last_words() {
  local line
  line=$("${kubectl[@]}" logs "$1" --previous --tail 1 2>/dev/null) || return 0
  if [ -n "$line" ]; then echo "; its last line: $line"; fi
}

is_scaling_up() {
  [ -n "$("${kubectl[@]}" get events --field-selector "reason=TriggeredScaleUp,involvedObject.name=$1" -o name 2>/dev/null)" ]
}
