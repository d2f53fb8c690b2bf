# The two Helm releases. Helm only applies, in a second or two; the watch decides whether the change came up.

# What changed, for the summary; and by release, the revision that this deploy applied, empty when nothing changed, and
# the one that it copies, if it does.
changes=()
declare -A applied=() copies=()

deploy_redis() {
  # Helm adopts it with the service's release, and Redis needs it before.
  if [ "$secret_mode" = externalSecret ]; then sync_external_secret "$secret_name"; fi
  if [ "$redis_mode" != bundled ]; then note "redis.mode is $redis_mode: no Redis is deployed" && return; fi
  # What cannot be done to the service is known before Redis changes.
  if [ -n "${newest[$project]}" ] && ! is_current "$redis_release"; then difference_or_refusal "$project" || true; fi
  apply_release "$redis_release" "$work/charts/redis" "${redis_values[@]}"
  await_rollout statefulset "$redis_release" || release_failed "$redis_release" 7 "Redis did not come up: $rollout_fault"
  changing=''
}

deploy_service() {
  note_room
  apply_release "$project" "$work/charts" "${service_values[@]}"
}

watch_service() {
  await_rollout deployment "$project" "$room_before" || release_failed "$project" 8 "the new version did not come up: $rollout_fault"
}

smoke_service() {
  # What serves already was asked often enough when it came.
  if [ -z "${applied[$project]-}" ]; then most_answers=10; fi
  smoke_test "$base_url" "$asked_digest" shared ||
    release_failed "$project" 9 "the smoke test of $scheme://$base_url through $entrance failed: $smoke_fault"
  if [ -n "${applied[$project]-}" ]; then
    # Time has passed: a pod may have gone deaf, or its container ended once, was started again and looks well.
    watch_service
    if [ -n "$restarted_pod" ] && [ "$new_pods" != "$pods_before" ]; then
      release_failed "$project" 8 "pod $restarted_pod: its container ended and was started again$(words_before_the_end "$restarted_pod")"
    fi
  fi
  if [ -n "$content" ] && [ "$content $asked_digest" != "$known_content" ] && [ "$content" = "$(content_checksum)" ]; then
    write_record content "$content $asked_digest"
  fi
  mark_served "$project"
  # It has served visitors by now, which its own probes cannot promise.
  if [ "$redis_mode" = bundled ]; then mark_served "$redis_release"; fi
}

# mark_served RELEASE: what this deploy applied, or found.
mark_served() {
  if [ -z "${applied[$1]-}" ] && [ "${newest[$1]}" = "$(last_verified "$1")" ]; then return; fi
  mark_verified "$1" "${applied[$1]:-${newest[$1]}}" "${copies[$1]-}"
}

# apply_release RELEASE CHART VALUES...: after render. Nothing is applied when nothing would change.
apply_release() {
  local release=$1 chart=$2 before made was status=0
  read_revisions "$release"
  before=${newest[$release]}
  if [ -n "$before" ]; then difference_or_refusal "$release" || status=$?; fi
  if [ "$status" -eq 0 ] && is_current "$release"; then note "$release: unchanged, revision $before stays" && return; fi
  check_lock
  # What mends a change by hand copies the revision before: going back from it means going back from that.
  if is_current "$release"; then copies[$release]=$(origin_of "$release" "$before"); fi
  recover_pending "$release"
  before=${newest[$release]} made=$made_revisions was=("${changes[@]}")
  begin_change "$release"
  upgrade_release "$release" "$chart" "${@:3}" || apply_failed "$release" "$before"
}

# difference_or_refusal RELEASE: cluster_difference; exit 6 when what was asked cannot be done in place.
difference_or_refusal() {
  local status=0
  cluster_difference "$1" || status=$?
  ! is_impossible "$status" || fail 6 "$1 cannot become what was asked: $(last_words)" \
    "it was not changed; ask for what it was, or delete the object first if its outage is acceptable"
  return "$status"
}

# upgrade_release RELEASE CHART VALUES...: again when the API server was away, which leaves the release pending.
upgrade_release() {
  local release=$1 chart=$2 tries compared
  # Helm compares with the newest revision that it calls deployed; a rollback that it failed leaves none.
  compared=$(newest_of "$release" deployed)
  keep_replicas "$release" "$work/$release.yaml" "${compared:-${newest[$release]}}"
  for tries in 3 2 1; do
    if try_once "${helm[@]}" upgrade --install "$release" "$chart" ${helm_apply[@]+"${helm_apply[@]}"} \
      --history-max "$(history_limit "$release")" \
      --description "$image_name:$image_tag ${asked_digest:7:12} by $lock_identity" "${@:3}"; then
      applied[$release]=$(sed -n 's/^REVISION: //p' <<<"$reply")
      if [ "$release" = "$project" ]; then made_revisions+=" ${applied[$release]}"; fi
      return 0
    fi
    if ! is_unreachable || [ "$tries" -eq 1 ]; then return 1; fi
    note "the API server was away, trying again: $(last_words)"
    must_ask get --raw /version
    check_lock
    read_revisions "$release"
    recover_pending "$release"
  done
}

# apply_failed RELEASE REVISION: Helm may have applied a part of it before it failed.
apply_failed() {
  local release=$1 before=$2 reason status=6 advice='correct the values, or delete what cannot be changed in place'
  reason="helm could not apply $release: $(last_words 3)"
  # Nobody's values are wrong where the API server or a webhook is away, or a right is missing.
  if is_unreachable || is_denied || grep -Eq 'failed calling webhook|forbidden: User' "$work/error"; then
    status=3 advice='mend that, then run the same command again'
  fi
  read_revisions "$release"
  case $reason in *'another operation'*) fail 10 "$reason" "somebody else changes $release right now: $(this_project --history)" ;; esac
  if [ "${newest[$release]}" = "$before" ]; then
    changes=("${was[@]}") made_revisions=$made changing=''
    fail "$status" "$reason" "$(way_on); $advice"
  fi
  release_failed "$release" "$status" "$reason"
}

# recover_pending RELEASE: a deploy that was killed leaves its release pending, and Helm refuses to touch it.
recover_pending() {
  local release=$1 state=${newest_status[$1]} target advice="helm --kube-context $context -n $namespace history $1"
  case $state in pending-* | uninstalling) ;; *) return 0 ;; esac
  target=$(restorable "$release")
  # An installation that failed half-way may serve all the same.
  case $state in pending-upgrade | pending-rollback) target=${target:-$(newest_of "$release" '.*' "${newest[$release]}")} ;; esac
  note "$release was left $state by a deploy that ended in the middle: recovering"
  begin_change "$release"
  if [ -n "$target" ]; then
    roll_back "$release" "$target" ||
      fail 10 "$release is $state and cannot be rolled back to revision $target: $(last_words 3)" "$advice"
  else
    # Its first installation: nothing served yet. Volumes outlive this.
    uninstall_release "$release" || fail 10 "$release is $state and cannot be removed: $(last_words 3)" "$advice"
  fi
  read_revisions "$release"
}
