# shellcheck shell=bash
# What the scripts of the pipeline share. Each reads its settings from the environment, and works the same by hand.

# The files that the image is made of, as deploy/image.sh has them.
image_content=(app Dockerfile requirements.txt requirements-tracing.txt .dockerignore)

# tell error|warning WHAT: one line, shown in GitHub's summary, too. The output may be kept by who called.
tell() {
  if [ -n "${GITHUB_ACTIONS-}" ]; then printf '::%s::%s\n' "$1" "$2" >&2; fi
  printf '%s: %s\n' "${0#./}" "$2" >&2
}

# fail WHAT: end with one line.
fail() {
  tell error "$*"
  exit 1
}

# need VARIABLE...: each must be set to something.
need() {
  local name
  for name in "$@"; do
    [ -n "${!name-}" ] || fail "$name is not set: docs/pipeline.md says what it is"
  done
}

# output NAME VALUE: for the jobs after this one, and for a person.
output() {
  printf '%s=%s\n' "$1" "$2" | tee -a "${GITHUB_OUTPUT:-/dev/null}"
}

# content_commit FORMAT: of the last commit that touched what the image is made of, or built on.
content_commit() {
  [ "$(git rev-parse --is-shallow-repository)" = false ] ||
    fail "this is a shallow clone: the commit that the image is of cannot be told (fetch-depth: 0)"
  git log -1 --format="$1" -- "${image_content[@]}" dev/ci/base-image
}

# image_tag: VERSION, without the v of a git tag. Without a VERSION the image is named by the commit of its content, so
# that a commit to the docs alone gives the same image again.
image_tag() {
  local commit
  if [ -n "${VERSION-}" ]; then
    printf '%s\n' "${VERSION#v}"
  else
    commit=$(content_commit %H) || return
    printf 'commit-%s\n' "${commit:0:12}"
  fi
}

# digest_of TEXT: the digest that docker or helm told last.
digest_of() {
  local digest
  digest=$(sed -n 's/.*\(sha256:[0-9a-f]\{64\}\).*/\1/p' <<<"$1" | tail -n 1)
  [ -n "$digest" ] || fail "the registry told no digest: $1"
  printf '%s\n' "$digest"
}
