# shellcheck shell=bash
# The image: built from this folder, pushed under the user's tag, deployed by its digest.

build_image() {
  if [ "$build" = no ]; then
    note "not built (--no-build)"
    return
  fi
  find_commit
  run "$container_tool" build ${image_platform[@]+"${image_platform[@]}"} --tag "$image_name:$image_tag" \
    --build-arg "VERSION=$image_tag" --build-arg "GIT_COMMIT=$commit" --build-arg "COMMIT_TIME=$commit_time" "$root" >&3 ||
    fail 4 "the image $image_name:$image_tag could not be built" "see the output above; nothing was deployed"
}

commit=unknown commit_time=1970-01-01T00:00:00Z
image_content=(app Dockerfile requirements.txt .dockerignore)

# The last commit that touched what the image holds: a commit to the docs alone must not roll the pods.
find_commit() {
  commit=$(git -C "$root" log -1 --format=%H -- "${image_content[@]}" 2>/dev/null || true)
  if [ -z "$commit" ]; then
    commit=unknown
    warn "no git commit found: /version will not say which"
    return
  fi
  commit_time=$(git -C "$root" show -s --format=%cI "$commit")
  if [ -n "$(git -C "$root" status --porcelain -- "${image_content[@]}")" ]; then
    commit+=-dirty
    warn "the image holds uncommitted changes: /version says $commit"
  fi
}

# content_checksum: names what the image is made of, without building it; for the plan.
content_checksum() {
  (
    cd "$root"
    printf '%s\n' "$image_name" "$image_tag" "$platform"
    git log -1 --format=%H -- "${image_content[@]}" 2>/dev/null || true
    find "${image_content[@]}" -type f ! -path '*/__pycache__/*' | sort | tr '\n' '\0' | xargs -0 cksum
  ) | cksum | tr ' ' -
}

push_image() {
  local what=push options=()
  if [ "$build" = no ]; then what=pull; fi
  # podman names the pushed digest in a file, docker in what it prints.
  if [ "$what" = push ] && [ "$container_tool" = podman ]; then options=(--digestfile "$work/digest"); fi
  if ! run "$container_tool" "$what" ${options[@]+"${options[@]}"} "$image_name:$image_tag" >"$work/transfer" 2>&1; then
    sed 's/^/       | /' "$work/transfer" >&3
    fail 4 "$container_tool $what $image_name:$image_tag failed: $(tail -n 1 "$work/transfer")" \
      "check the registry and that you are logged in ($container_tool login ${image_name%%/*}); nothing was deployed"
  fi
  find_digest
  note "$image_name@$digest"
}

find_digest() {
  digest=$(cat "$work/digest" 2>/dev/null || sed -n 's/.*[Dd]igest: \(sha256:[0-9a-f]\{64\}\).*/\1/p' "$work/transfer" | tail -n 1)
  if [ -z "$digest" ]; then
    digest=$("$container_tool" image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$image_name:$image_tag" |
      sed -n "s|^$image_name@||p" | tail -n 1)
  fi
  if [ -z "$digest" ]; then fail 4 "the registry named no digest for $image_name:$image_tag" "$container_tool image inspect $image_name:$image_tag"; fi
}
