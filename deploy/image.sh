# shellcheck shell=bash
# The image: built from this folder, pushed under the user's tag, deployed by its digest.

build_image() {
  if [ "$build" = no ]; then
    note "not built (--no-build)"
    return
  fi
  local commit=unknown commit_time=1970-01-01T00:00:00Z
  find_commit
  run "$container_tool" build ${image_platform[@]+"${image_platform[@]}"} --tag "$image_name:$image_tag" \
    --build-arg "VERSION=$image_tag" --build-arg "GIT_COMMIT=$commit" --build-arg "COMMIT_TIME=$commit_time" "$root" >&2 ||
    fail 4 "the image $image_name:$image_tag could not be built" "see the output above; nothing was deployed"
}

# The last commit that touched what the image holds: a commit to the docs alone must not roll the pods.
find_commit() {
  local content=(app Dockerfile requirements.txt .dockerignore)
  commit=$(git -C "$root" log -1 --format=%H -- "${content[@]}" 2>/dev/null || true)
  if [ -z "$commit" ]; then
    commit=unknown
    warn "no git commit found: /version will not say which"
    return
  fi
  commit_time=$(git -C "$root" show -s --format=%cI "$commit")
  if [ -n "$(git -C "$root" status --porcelain -- "${content[@]}")" ]; then
    commit+=-dirty
    warn "the image holds uncommitted changes: /version says $commit"
  fi
}

push_image() {
  local action=push
  if [ "$build" = no ]; then action=pull; fi
  if ! run "$container_tool" "$action" "$image_name:$image_tag" >"$work/transfer" 2>&1; then
    sed 's/^/       | /' "$work/transfer" >&2
    fail 4 "$container_tool $action $image_name:$image_tag failed: $(tail -n 1 "$work/transfer")" \
      "check the registry and that you are logged in ($container_tool login ${image_name%%/*}); nothing was deployed"
  fi
  find_digest
  note "$image_name@$digest"
}

# docker names the digest in what it prints; podman only in the image's record.
find_digest() {
  digest=$(sed -n 's/.*[Dd]igest: \(sha256:[0-9a-f]\{64\}\).*/\1/p' "$work/transfer" | tail -n 1)
  if [ -z "$digest" ]; then
    digest=$("$container_tool" image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$image_name:$image_tag" |
      sed -n "s|^$image_name@||p" | tail -n 1)
  fi
  [ -n "$digest" ] || fail 4 "the registry named no digest for $image_name:$image_tag" "see $container_tool image inspect"
  set_service_values
}
