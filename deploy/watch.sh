# Waits for a rollout by looking at the new pods only, and says at once when they cannot come up.

rollout_fault=''
# How long a pod may find no node before that counts, and how long if something adds a node, which it says in an event.
unschedulable_seconds=${DEPLOY_UNSCHEDULABLE_SECONDS:-30} scaling_up_seconds=180
# A registry may be away for a moment.
pull_seconds=${DEPLOY_PULL_SECONDS:-60}
# A quota or a configuration that forbids a pod counts once it lasts: after a change it may be read late, or be old.
suspect_seconds=6
status_line_seconds=5

# What a registry says when asking again cannot help.
pull_is_hopeless='not found|manifest unknown|denied|unauthorized|does not exist|no match for platform|InvalidImageName'

# await_rollout deployment|statefulset RELEASE [LEAST]: succeeds when all pods are new and available, or LEAST of them
# where the cluster had room for no more before. Otherwise rollout_fault says why not.
await_rollout() {
  local kind=$1 release=$2 least=${3-} deadline=$((SECONDS + timeout)) shown='' shown_at=$SECONDS line
  rollout_fault='' since=()
  while :; do
    line=''
    if observe "$kind" "$release"; then
      line=$(rollout_line)
    elif is_denied; then
      suspect denied "$suspect_seconds" "the API server no longer takes the credentials: $(last_words)"
    fi
    if [ -n "$line" ] && { [ "$line" != "$shown" ] || [ $((SECONDS - shown_at)) -ge "$status_line_seconds" ]; }; then
      note "$kind $release: $line"
      shown=$line shown_at=$SECONDS
    fi
    if [ -n "$line" ] && rollout_is_complete "$least"; then return 0; fi
    # Where there was no room before, a pod waits as it did, and the Deployment keeps what it cannot replace.
    if [ -n "$least" ] && [ "$updated" = "$wanted" ] && [ "$available" -ge "$least" ]; then
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
watch_fields+='|{.status.conditions[?(@.type=="ReplicaFailure")].message}{.status.conditions[?(@.reason=="ProgressDeadlineExceeded")].message}'
watch_fields+='|{.status.conditions[?(@.reason=="Unschedulable")].message}|{.status.containerStatuses[*].restartCount}'
watch_fields+='|{range .status.initContainerStatuses[*]}{.state.waiting.reason} {.state.waiting.message} {end}'
watch_fields+='{range .status.containerStatuses[*]}{.state.waiting.reason} {.state.waiting.message} {end}{"\n"}{end}'

# Of the object that was observed last.
seen_generation='' generation='' wanted=0 total=0 updated=0 available=0 new_pods='' rollout_revision=''
# A new pod that waits, one whose container was restarted, and how each kind of trouble began (SECONDS).
waiting_pod='' restarted_pod=''
declare -A since=()

# observe KIND RELEASE: sets the numbers above; rollout_fault too, when waiting cannot help.
observe() {
  local object name object_generation observed replicas all new ready least revision hash revision_hash current update
  local failure unschedulable restarts waiting pods=() pod
  try_once "${kubectl[@]}" get "$1,horizontalpodautoscalers,replicasets,pods" \
    -l "app.kubernetes.io/instance=$2" -o jsonpath="$watch_fields" || return
  generation='' new_pods='' waiting_pod='' restarted_pod='' suspects=' '
  while IFS='|' read -r object name object_generation observed replicas all new ready least revision hash \
    revision_hash current update failure unschedulable restarts waiting; do
    case $object in
      Deployment | StatefulSet)
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
      HorizontalPodAutoscaler) if [ "$wanted" -lt "$least" ]; then wanted=$least; fi ;;
      ReplicaSet) if [ "$revision" = "$rollout_revision" ]; then new_pods=$hash; fi ;;
      Pod) pods+=("$hash$revision_hash|$name|${restarts// /+}|$unschedulable|$waiting") ;;
    esac
  done <<<"$reply"
  # Until the controller has seen the change, what it calls new is the version before.
  if [ -n "$generation" ] && [ "$seen_generation" -ge "$generation" ] && [ -n "$new_pods" ]; then
    for pod in ${pods[@]+"${pods[@]}"}; do
      IFS='|' read -r hash name restarts unschedulable waiting <<<"$pod"
      if [ "$hash" = "$new_pods" ]; then judge_pod "$name" "$restarts" "$unschedulable" "$waiting"; fi
    done
  fi
  forget_past_suspects
  [ -n "$generation" ]
}

# rollout_is_complete [LEAST]
rollout_is_complete() {
  local enough=$wanted
  if [ -n "${1-}" ] && [ "$1" -lt "$wanted" ]; then enough=$1; fi
  [ "$seen_generation" -ge "$generation" ] && [ "$updated" = "$wanted" ] && [ "$available" -ge "$enough" ] &&
    [ "$total" = "$wanted" ]
}

rollout_line() {
  if rollout_is_complete; then
    echo "complete, $available of $wanted available"
  else
    echo "$updated of $wanted new, $available available, $total in all"
  fi
}

# The kinds of trouble that the last observation saw.
suspects=' '

# suspect KIND SECONDS WHAT: trouble that counts when it has lasted for so long.
suspect() {
  suspects+="$1 "
  since[$1]=${since[$1]:-$SECONDS}
  if [ $((SECONDS - since[$1])) -ge "$2" ]; then rollout_fault=$3; fi
}

forget_past_suspects() {
  local kind
  for kind in "${!since[@]}"; do
    case $suspects in *" $kind "*) ;; *) unset "since[$kind]" ;; esac
  done
}

# judge_pod POD RESTARTS UNSCHEDULABLE WAITING: of a new pod; sets rollout_fault when it cannot come up by waiting.
judge_pod() {
  local seconds=$pull_seconds
  if [ $((${2:-0})) -gt 0 ]; then restarted_pod=$1; fi
  case $4 in
    *ImagePull* | *InvalidImageName* | *ErrImageNeverPull*)
      if grep -Eqi "$pull_is_hopeless" <<<"$4"; then seconds=2; fi
      suspect pull "$seconds" "pod $1: its image cannot be pulled: $4"
      ;;
    *CrashLoopBackOff*) rollout_fault="pod $1: its container ends again and again: $4$(words_before_the_end "$1")" ;;
    *CreateContainer*Error* | *RunContainerError*)
      suspect container "$suspect_seconds" "pod $1: its container cannot be started: $4"
      ;;
    *ContainerCreating*) waiting_pod=$1 ;;
  esac
  if [ -n "$3" ]; then
    waiting_pod=$1
    suspect unschedulable "$(unschedulable_patience "$1")" "pod $1: no node can take it: $3"
  fi
}

# words_before_the_end POD: the line with which its container ended.
words_before_the_end() {
  local line
  line=$("${kubectl[@]}" logs "$1" --previous --tail 1 2>/dev/null) || return 0
  if [ -n "$line" ]; then echo "; its last line: $line"; fi
}

# unschedulable_patience POD: the cluster autoscaler says TriggeredScaleUp, Karpenter says Nominated.
unschedulable_patience() {
  case $(events_of "$1" '{.items[*].reason}') in
    *TriggeredScaleUp* | *Nominated*) echo "$scaling_up_seconds" ;;
    *) echo "$unschedulable_seconds" ;;
  esac
}

# events_of POD JSONPATH [SELECTOR]: of this pod, and not of one before it that had the same name.
events_of() {
  local uid
  uid=$("${kubectl[@]}" get pod "$1" -o jsonpath='{.metadata.uid}' 2>/dev/null) || return 0
  "${kubectl[@]}" get events --field-selector "involvedObject.uid=$uid${3:+,$3}" --sort-by .lastTimestamp \
    -o jsonpath="$2" 2>/dev/null || true
}

# last_warning: what the cluster says of the new pod that waits: a volume or a Secret that cannot be mounted.
last_warning() {
  local line
  if [ -z "$waiting_pod" ]; then return; fi
  line=$(events_of "$waiting_pod" '{range .items[*]}{.reason}: {.message}{"\n"}{end}' type=Warning | tail -n 1)
  echo "; pod $waiting_pod: $line"
}
