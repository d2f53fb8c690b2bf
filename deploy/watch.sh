# shellcheck shell=bash
# Waits for a rollout by looking at the new pods only, and says at once when they cannot come up.

rollout_fault=''

# await_rollout KIND NAME: succeeds when all pods are new and available. Otherwise rollout_fault says why not.
await_rollout() {
  local kind=$1 name=$2 deadline=$((SECONDS + timeout)) line='' shown=''
  rollout_fault=''
  while :; do
    line=$("rollout_of_$kind" "$name" 2>"$work/kubectl") || line=''
    if [ "$line" != "$shown" ] && [ -n "$line" ]; then note "$kind $name: $line" && shown=$line; fi
    case $line in complete*) return 0 ;; esac
    find_fault "$kind" "$name"
    if [ -n "$rollout_fault" ]; then return 1; fi
    if [ "$SECONDS" -ge "$deadline" ]; then
      rollout_fault="not complete after $timeout s (--timeout); last seen: ${line:-$(tail -n 1 "$work/kubectl")}"
      return 1
    fi
    run sleep 1
  done
}

# Prints "complete …" or how far it is. The status counts only once the controller has seen the new spec.
rollout_of_deployment() {
  local status generation observed wanted updated available total least
  status=$("${kubectl[@]}" get deployment "$1" -o \
    jsonpath='{.metadata.generation}/{.status.observedGeneration}/{.spec.replicas}/{.status.updatedReplicas}/{.status.availableReplicas}/{.status.replicas}') || return
  IFS=/ read -r generation observed wanted updated available total <<<"$status"
  # A new Deployment begins with one replica; the autoscaler brings it to its least number a moment later.
  least=$("${kubectl[@]}" get horizontalpodautoscaler "$1" --ignore-not-found -o jsonpath='{.spec.minReplicas}') || return
  if [ "${wanted:-1}" -lt "${least:-1}" ]; then wanted=$least; fi
  rollout_line "$generation" "${observed:-0}" "${wanted:-1}" "${updated:-0}" "${available:-0}" "${total:-0}"
}

rollout_of_statefulset() {
  local status generation observed wanted current update updated available total
  status=$("${kubectl[@]}" get statefulset "$1" -o \
    jsonpath='{.metadata.generation}/{.status.observedGeneration}/{.spec.replicas}/{.status.currentRevision}/{.status.updateRevision}/{.status.updatedReplicas}/{.status.availableReplicas}/{.status.replicas}') || return
  IFS=/ read -r generation observed wanted current update updated available total <<<"$status"
  # Once all pods are new, the controller leaves updatedReplicas out and moves currentRevision.
  if [ "$current" = "$update" ]; then updated=$total; fi
  rollout_line "$generation" "${observed:-0}" "${wanted:-1}" "${updated:-0}" "${available:-0}" "${total:-0}"
}

rollout_line() {
  local generation=$1 observed=$2 wanted=$3 updated=$4 available=$5 total=$6
  if [ "$observed" -ge "$generation" ] && [ "$updated" = "$wanted" ] && [ "$available" -ge "$wanted" ] &&
    [ "$total" = "$wanted" ]; then
    echo "complete, $available of $wanted available"
  else
    echo "$updated of $wanted new, $available available, $total in all"
  fi
}

# The label that only the new pods have.
new_pods_selector() {
  if [ "$1" = statefulset ]; then
    "${kubectl[@]}" get statefulset "$2" -o jsonpath='controller-revision-hash={.status.updateRevision}'
    return
  fi
  local revision
  revision=$("${kubectl[@]}" get deployment "$2" -o jsonpath='{.metadata.annotations.deployment\.kubernetes\.io/revision}')
  "${kubectl[@]}" get replicasets -l "app.kubernetes.io/instance=$2" -o \
    jsonpath='{range .items[*]}{.metadata.annotations.deployment\.kubernetes\.io/revision} pod-template-hash={.metadata.labels.pod-template-hash}{"\n"}{end}' |
    sed -n "s/^$revision //p"
}

# find_fault KIND NAME: sets rollout_fault when a new pod cannot come up by waiting.
find_fault() {
  local selector pod reasons
  selector=$(new_pods_selector "$1" "$2" 2>/dev/null) || return 0
  [ -n "$selector" ] || return 0
  while IFS='|' read -r pod reasons; do
    case $reasons in
      *ImagePullBackOff* | *InvalidImageName* | *ErrImageNeverPull*) rollout_fault="pod $pod: its image cannot be pulled ($reasons)" ;;
      *CrashLoopBackOff*) rollout_fault="pod $pod: its container ends again and again ($reasons)" ;;
      *CreateContainer*Error* | *RunContainerError*) rollout_fault="pod $pod: its container cannot be started ($reasons)" ;;
    esac
  done < <("${kubectl[@]}" get pods -l "$selector" -o \
    jsonpath='{range .items[*]}{.metadata.name}|{range .status.containerStatuses[*]}{.state.waiting.reason}: {.state.waiting.message} {end}{"\n"}{end}' 2>/dev/null)
}
