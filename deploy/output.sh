# shellcheck shell=bash
# What a person sees: step lines, notes, warnings, errors. All of it goes to stderr; stdout carries only results
# (the summary, --status, --history, --plan).

# The terminal, also while a signal interrupts a command whose own stderr goes to a file.
exec 3>&2

bold='' red='' yellow='' plain=''
if [ -t 3 ] && [ -z "${NO_COLOR-}" ]; then
  bold=$'\e[1m' red=$'\e[31m' yellow=$'\e[33m' plain=$'\e[0m'
fi

current_step=parse

# step NAME FUNCTION: announce a step with the time since the start, then run it.
step() {
  current_step=$1
  if [ -n "${GITHUB_ACTIONS-}" ]; then printf '::group::%s\n' "$1" >&3; fi
  printf '%s-----> [%3ss] %s%s\n' "$bold" "$SECONDS" "$1" "$plain" >&3
  "$2"
  if [ -n "${GITHUB_ACTIONS-}" ]; then printf '::endgroup::\n' >&3; fi
}

note() { printf '       %s\n' "$*" >&3; }

warn() {
  printf '%s       warning: %s%s\n' "$yellow" "$*" "$plain" >&3
  if [ -n "${GITHUB_ACTIONS-}" ]; then printf '::warning::%s\n' "$*" >&3; fi
}

# fail STATUS WHAT [WHAT TO DO NOW]: end the deploy with this exit status.
fail() {
  if [ -n "${GITHUB_ACTIONS-}" ]; then printf '::endgroup::\n::error::%s\n' "$2" >&3; fi
  printf '%sdeploy.sh: %s%s\n' "$red" "$2" "$plain" >&3
  if [ -n "${3-}" ]; then printf '       %s\n' "$3" >&3; fi
  exit "$1"
}
