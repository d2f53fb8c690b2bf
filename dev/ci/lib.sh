# shellcheck shell=bash
# What the scripts of the pipeline share. Each reads its settings from the environment, and works the same by hand.

# fail WHAT: end with one line, shown in GitHub's summary, too.
fail() {
  if [ -n "${GITHUB_ACTIONS-}" ]; then printf '::error::%s\n' "$*"; fi
  printf '%s: %s\n' "${0#./}" "$*" >&2
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

# digest_of TEXT: the digest that docker or helm told last.
digest_of() {
  local digest
  digest=$(sed -n 's/.*\(sha256:[0-9a-f]\{64\}\).*/\1/p' <<<"$1" | tail -n 1)
  [ -n "$digest" ] || fail "the registry told no digest: $1"
  printf '%s\n' "$digest"
}
