# The image: built from this folder, pushed under the user's tag, deployed by its digest.

commit_time=1970-01-01T00:00:00Z commit_seconds=0
image_content=(app Dockerfile requirements.txt requirements-tracing.txt .dockerignore)
content='' # names what is built, without building it
# A name that no other checkout on this machine gives to another image, also kept in the registry: there the user's
# tag may move on, and a digest without a tag is collected one day, which a rollback would notice.
content_tag=''

build_image() {
  local id
  if [ "$build" = no ]; then note "not built${asked_digest:+: it is named by its digest}" && return; fi
  content=$(content_checksum)
  find_commit
  # The same content is to get the same digest: no time of the build, and no record of who built it. Docker reads
  # this from the environment, and knows no other way to say it that all of its versions take.
  export SOURCE_DATE_EPOCH=$commit_seconds BUILDX_NO_DEFAULT_ATTESTATIONS=1
  run "$container_tool" build ${image_platform[@]+"${image_platform[@]}"} --iidfile "$work/image-id" \
    --build-arg "VERSION=$image_tag" --build-arg "GIT_COMMIT=$commit" --build-arg "COMMIT_TIME=$commit_time" "$root" >&3 ||
    fail 4 "the image $image_name:$image_tag could not be built" "see the output above; nothing was deployed"
  id=$(<"$work/image-id")
  id=${id#sha256:}
  # The user's tag, shortened to what fits, and the content's own name.
  content_tag=${image_tag:0:100}-${id:0:12}
}

# git_here ARGUMENT...: in this checkout, whichever a git hook names. What it leaves running holds no descriptor of ours,
# and it writes no index anew, which our umask would hide from others.
git_here() (
  unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_COMMON_DIR GIT_OBJECT_DIRECTORY
  git -C "$root" --no-optional-locks -c core.fsmonitor=false -c log.showSignature=false "$@" 3>&- 5>&- 9>&-
)

# The last commit that touched what the image holds: a commit to the docs alone must not roll the pods.
find_commit() {
  local found
  found=$(git_here log -1 --format='%H %cI %ct' -- "${image_content[@]}" 2>/dev/null || true)
  if [ -z "$found" ]; then warn "no git commit found: /version will not say which" && return; fi
  read -r commit commit_time commit_seconds <<<"$found"
  [ "$(git_here rev-parse --is-shallow-repository)" != true ] ||
    warn "this is a shallow clone: /version may name a later commit than the content's, and pods roll for commits that changed nothing (git fetch --unshallow; in GitHub Actions fetch-depth: 0)"
  if [ -n "$(git_here status --porcelain -- "${image_content[@]}")" ]; then
    commit+=-dirty
    warn "the image holds uncommitted changes: /version says $commit"
  fi
}

content_checksum() {
  (
    cd "$root"
    printf '%s\n' "$image_name" "$image_tag" "$platform"
    git_here log -1 --format=%H -- "${image_content[@]}" 2>/dev/null || true
    find "${image_content[@]}" -type f ! -path '*/__pycache__/*' | sort | tr '\n' '\0' | xargs -0 cksum
  ) | cksum | tr ' ' -
}

push_image() {
  if [ -n "$asked_digest" ]; then
    note "nothing to push"
  elif [ "$build" = no ]; then
    transfer pull ${image_platform[@]+"${image_platform[@]}"} "$image_name:$image_tag"
    find_digest "$image_name:$image_tag"
  else
    push_as "$content_tag" "$(<"$work/image-id")"
    find_digest "$image_name:$content_tag"
    push_as "$image_tag" "$image_name:$content_tag"
  fi
  note "$image_name@$asked_digest"
}

# push_as TAG IMAGE
push_as() {
  local options=()
  try_once "$container_tool" tag "$2" "$image_name:$1" || fail 4 "the image cannot be tagged: $(last_words)"
  # podman names the pushed digest in a file, docker in what it prints.
  if [ "$container_tool" = podman ]; then options=(--digestfile "$work/digest"); fi
  transfer push ${options[@]+"${options[@]}"} "$image_name:$1"
}

# transfer pull|push ARGUMENT...
transfer() {
  local advice="check the registry and that you are logged in ($container_tool login ${image_name%%/*}); nothing was deployed"
  if run "$container_tool" "$@" >"$work/transfer" 2>&1; then return; fi
  tell '%s\n' "$(sed 's/^/       | /' "$work/transfer")"
  # Of a layer that is there docker says so, too.
  if tail -n 1 "$work/transfer" | grep -Eqi 'immutable|already exists'; then
    advice="the registry never overwrites a tag: use another one, or deploy what it holds: --no-build; nothing was deployed"
  fi
  fail 4 "$container_tool $1 $image_name:$image_tag failed: $(tail -n 1 "$work/transfer")" "$advice"
}

# find_digest REFERENCE: of what was just pushed or pulled, into asked_digest.
find_digest() {
  asked_digest=$(cat "$work/digest" 2>/dev/null || sed -n 's/.*[Dd]igest: \(sha256:[0-9a-f]\{64\}\).*/\1/p' "$work/transfer" | tail -n 1)
  # podman writes out the registry that a name without one means.
  asked_digest=${asked_digest:-$("$container_tool" image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$1" |
    sed -nE "s#^(docker\.io/(library/)?)?$image_name@##p" | head -n 1)}
  if [ -z "$asked_digest" ]; then fail 4 "the registry named no digest for $1" "$container_tool image inspect $1"; fi
}
