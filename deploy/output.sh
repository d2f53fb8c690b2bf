# shellcheck shell=bash
# What a person sees: step lines, notes, warnings, errors. All of it goes to stderr; stdout carries only results
# (the summary, --status, --history, --plan).

bold='' red='' yellow='' plain=''
if [ -t 2 ] && [ -z "${NO_COLOR-}" ]; then
  bold=$'\e[1m' red=$'\e[31m' yellow=$'\e[33m' plain=$'\e[0m'
fi

current_step=parse

# step NAME FUNCTION: announce a step with the time since the start, then run it.
step() {
  current_step=$1
  if [ -n "${GITHUB_ACTIONS-}" ]; then printf '::group::%s\n' "$1" >&2; fi
  printf '%s-----> [%3ss] %s%s\n' "$bold" "$SECONDS" "$1" "$plain" >&2
  "$2"
  if [ -n "${GITHUB_ACTIONS-}" ]; then printf '::endgroup::\n' >&2; fi
}

note() { printf '       %s\n' "$*" >&2; }

warn() {
  printf '%s       warning: %s%s\n' "$yellow" "$*" "$plain" >&2
  if [ -n "${GITHUB_ACTIONS-}" ]; then printf '::warning::%s\n' "$*" >&2; fi
}

# fail STATUS WHAT [WHAT TO DO NOW]: end the deploy with this exit status.
fail() {
  if [ -n "${GITHUB_ACTIONS-}" ]; then printf '::endgroup::\n::error::%s\n' "$2" >&2; fi
  printf '%sdeploy.sh: %s%s\n' "$red" "$2" "$plain" >&2
  if [ -n "${3-}" ]; then printf '       %s\n' "$3" >&2; fi
  exit "$1"
}
