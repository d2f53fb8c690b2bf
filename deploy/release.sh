# shellcheck shell=bash
# The two Helm releases. Helm only applies, in a second or two; the watch decides whether the change came up.

deploy_redis() {
  if [ "$redis_mode" != bundled ]; then
    note "redis.mode is $redis_mode: no Redis is deployed"
    return
  fi
  apply_release "$redis_release" "$root/.helm/redis" "${redis_values[@]}"
  await_rollout statefulset "$redis_release" ||
    fail 7 "Redis did not come up: $rollout_fault" "kubectl --context $context -n $namespace describe pod $redis_release-0"
}

deploy_release() {
  apply_release "$project" "$root/.helm" "${service_values[@]}"
}

watch_release() {
  await_rollout deployment "$project" ||
    fail 10 "the new version did not come up: $rollout_fault" \
      "kubectl --context $context -n $namespace get pods; the pods of the version before still serve"
}

# apply_release RELEASE CHART VALUES...
apply_release() {
  local release=$1 chart=$2
  shift 2
  if ! run "${helm[@]}" upgrade --install "$release" "$chart" --history-max 10 "$@" >"$work/helm" 2>&1; then
    fail 6 "helm upgrade $release failed: $(sed -n '/./p' "$work/helm" | tail -n 5)" "see helm -n $namespace history $release"
  fi
}
