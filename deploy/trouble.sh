# What may keep a pod from coming up, and how long each kind of it must last to count.

# How long a pod may find no node before that counts, and how long if something adds a node, which it says in an event.
unschedulable_seconds=${DEPLOY_UNSCHEDULABLE_SECONDS:-30} scaling_up_seconds=180
# A registry may be away for a moment.
pull_seconds=${DEPLOY_PULL_SECONDS:-60}
# A quota or a configuration that forbids a pod counts once it lasts: after a change it may be read late, or be old.
suspect_seconds=6

# What a registry says when asking again cannot help.
pull_is_hopeless='not found|manifest unknown|denied|unauthorized|does not exist|no match for platform|InvalidImageName'

# A new pod that waits, one whose container was restarted; the kinds of trouble, and when each began (SECONDS).
waiting_pod='' restarted_pod='' suspects=' '
declare -A since=() node_is_coming=()

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
    *CreateContainer*Error* | *RunContainerError*) suspect container "$suspect_seconds" "pod $1: its container cannot be started: $4" ;;
    *ContainerCreating*) waiting_pod=$1 ;;
  esac
  if [ -n "$3" ]; then
    waiting_pod=$1
    # The cluster autoscaler says TriggeredScaleUp, Karpenter says Nominated.
    if [[ $(events_of "$1" '{.items[*].reason}') =~ TriggeredScaleUp|Nominated ]]; then node_is_coming[$1]=yes; fi
    seconds=${node_is_coming[$1]:+$scaling_up_seconds}
    suspect "unschedulable/$1" "${seconds:-$unschedulable_seconds}" "pod $1: no node can take it: $3"
  fi
}

# words_before_the_end POD: the line with which its container ended.
words_before_the_end() { "${kubectl[@]}" logs "$1" --previous --tail 1 2>/dev/null | sed -n 's/^./; its last line: &/p' || true; }

# events_of POD JSONPATH [SELECTOR]: of this pod, and not of one before it that had the same name.
events_of() {
  local uid
  uid=$("${kubectl[@]}" get pod "$1" -o jsonpath='{.metadata.uid}' 2>/dev/null) || return 0
  "${kubectl[@]}" get events --field-selector "involvedObject.uid=$uid${3:+,$3}" --sort-by .lastTimestamp \
    -o jsonpath="$2" 2>/dev/null || true
}

# last_warning: what the cluster says of the new pod that waits: a volume or a Secret that cannot be mounted.
last_warning() {
  if [ -z "$waiting_pod" ]; then return; fi
  echo "; pod $waiting_pod: $(events_of "$waiting_pod" '{range .items[*]}{.reason}: {.message}{"\n"}{end}' type=Warning | tail -n 1)"
}
