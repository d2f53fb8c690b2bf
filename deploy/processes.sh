# shellcheck shell=bash
# Child processes, signals, and what is cleaned up at the end.

child=''
work=''

# run COMMAND...: run a command so that a signal acts at once, not after the command has ended.
# The command must be a program, not a function: TERM has to reach it and not a shell around it.
run() {
  local status=0
  "$@" <&0 &
  child=$!
  wait "$child" || status=$?
  child=''
  return "$status"
}

stop_child() {
  if [ -n "$child" ] && kill -TERM "$child" 2>/dev/null; then
    wait "$child" 2>/dev/null || true
  fi
  child=''
}

on_bug() {
  local status=$1 line=$2 command=$3
  trap - ERR
  printf 'deploy.sh: bug: line %s of %s: «%s» ended with status %s\n' \
    "$line" "${BASH_SOURCE[1]}" "$command" "$status" >&3
  if [ -s "$work/error" ]; then sed 's/^/       /' "$work/error" >&3; fi
  exit 1
}

on_signal() {
  trap '' INT TERM HUP
  stop_child
  fail "$1" "interrupted in the step «$current_step»" "$(interrupted_advice)"
}

# What a person does after an interruption depends on how far the deploy had come.
interrupted_advice() {
  case $current_step in
    rollback) echo "the rollback may be half-way; finish it: ./deploy.sh $project --rollback --namespace $namespace" ;;
    Redis) echo "Redis may be half-way through a change, the service was not changed; run the same command again to finish" ;;
    uninstall) echo "it may be half-way; run the same command again to finish" ;;
    *)
      if [ -n "$release_applied" ]; then
        echo "the new version may be rolling out, and pods of the one before serve until it is ready; run the same command again to finish, or ./deploy.sh $project --rollback"
      else
        echo "what runs in the cluster was not changed"
      fi
      ;;
  esac
}

on_exit() {
  local status=$?
  trap - ERR EXIT
  trap '' INT TERM HUP
  stop_child
  stop_forward
  release_lock
  if [ -n "$work" ]; then rm -rf "$work"; fi
  exit "$status"
}

set_traps() {
  trap 'on_bug "$?" "$LINENO" "$BASH_COMMAND"' ERR
  trap on_exit EXIT
  trap 'on_signal 130' INT
  trap 'on_signal 143' TERM HUP
  umask 077
  work=$(mktemp -d)
}
