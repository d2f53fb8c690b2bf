# What a person sees goes to stderr; stdout carries only results (the summary, --status, --history, --plan).

# The terminal, also while a signal interrupts a command whose own output goes to a file.
exec 3>&2
{ exec 5>&1; } 2>/dev/null || exec 5>/dev/null

bold='' red='' yellow='' plain=''
if [ -t 3 ] && [ -z "${NO_COLOR-}" ]; then bold=$'\e[1m' red=$'\e[31m' yellow=$'\e[33m' plain=$'\e[0m'; fi

current_step=parse warned='|'

# tell FORMAT ARGUMENT...: a line for the person. A terminal or pipe that is gone must not end a deploy half-way.
tell() {
  # shellcheck disable=SC2059 # the callers' formats, all of them in this file
  printf "$@" 2>/dev/null >&3 || true
}

# on_stdout TEXT: whoever reads it may leave.
on_stdout() { { printf '%s\n' "$1" >&5; } 2>/dev/null || true; }
# result TEXT: what was asked for; with --json, where one document alone goes to stdout, beside it.
result() { if [ "$as_json" = yes ]; then tell '%s\n' "$1"; else on_stdout "$1"; fi; }

# step NAME FUNCTION ARGUMENT...: announce a step with the time since the start, then run it.
step() {
  current_step=$1
  if [ -n "${GITHUB_ACTIONS-}" ]; then tell '::group::%s\n' "$1"; fi
  tell '%s-----> [%3ss] %s%s\n' "$bold" "$SECONDS" "$1" "$plain"
  "${@:2}"
  if [ -n "${GITHUB_ACTIONS-}" ]; then tell '::endgroup::\n'; fi
}

note() { tell '       %s\n' "$*"; }

# warn WHAT: once, however often it is seen.
warn() {
  case $warned in *"|$*|"*) return 0 ;; esac
  warned+="$*|"
  tell '%s       warning: %s%s\n' "$yellow" "$*" "$plain"
  if [ -n "${GITHUB_ACTIONS-}" ]; then tell '::warning::%s\n' "$*"; fi
}

# fail STATUS WHAT [WHAT TO DO NOW]: end the deploy with this exit status.
fail() {
  outcome_message=$2 outcome_advice=${3-}
  if [ -n "${GITHUB_ACTIONS-}" ]; then tell '::endgroup::\n::error::%s\n' "$2"; fi
  tell '%sdeploy.sh: %s%s\n' "$red" "$2" "$plain"
  if [ -n "${3-}" ]; then tell '       %s\n' "$3"; fi
  exit "$1"
}

# this_project OPTION...: the command that does it to this project and no other.
this_project() {
  echo "./deploy.sh $project $*${context:+ --context $context}${namespace:+ --namespace $namespace}" |
    sed "s/ --namespace $project\$//"
}

# last_words: with what the last command that was asked failed.
last_words() { sed -n '/./p' "$work/error" | tail -n "${1:-1}" | tr '\n' ' ' | sed 's/ *$//'; }
