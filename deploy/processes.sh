# Child processes, signals, and what is cleaned up at the end.

child='' work=''

# run COMMAND...: run a command so that a signal acts at once, not after the command has ended.
# The command must be a program, not a function: TERM has to reach it and not a shell around it. Descriptor 9 tells
# the child that renews the lock that this process lives.
run() {
  local status=0
  child=after:${!-}
  "$@" <&0 9>&- &
  child=$!
  wait "$child" || status=$?
  child=''
  return "$status"
}

# stop_process ID: end a child. «after:ID» is the one that was about to be started after that one. A TERM that comes
# before its program begins is lost, so it is sent again; and one that does not end in ten seconds is killed. No `wait`: a
# signal in the moment in which a child ends may make Bash forget that it has ended, and wait for ever.
stop_process() {
  local id=$1 ticks signal=TERM
  case $id in '' | "after:${!-}") return ;; after:*) id=$! ;; esac
  for ((ticks = 0; ticks < 550; ticks++)); do
    kill -0 "$id" 2>/dev/null || return 0
    if [ "$ticks" -eq 500 ]; then signal=KILL; fi
    if [ $((ticks % 50)) -eq 0 ]; then kill "-$signal" "$id" 2>/dev/null || true; fi
    sleep 0.02
  done
}

on_bug() {
  local status=$1 line=$2 command=$3
  trap - ERR
  outcome_message="bug: line $line of ${BASH_SOURCE[1]}: «$command» ended with status $status" outcome_advice=$(way_on)
  tell 'deploy.sh: %s\n' "$outcome_message"
  if [ -s "$work/error" ]; then tell '       %s\n' "$(cat "$work/error")"; fi
  tell '       %s\n' "$outcome_advice"
  exit 1
}

interrupted() {
  trap '' INT TERM HUP USR1
  fail "$1" "$2" "$(way_on)"
}

# The child that renews the lock found that it is lost: whatever is under way is no longer this deploy's to change.
on_lost_lock() {
  # A candidate is the other deploy's by now.
  candidate_made='' candidate_secret_made=''
  interrupted 5 "stopped: this deploy lost its lock to $(cat "$work/lock-lost")"
}

# The release that this deploy has begun to change, empty while none is half-way; what is said once it serves, and why it
# went back.
changing='' finished='' failed_because=''

# What a person does after the deploy ended in the middle depends on how far it had come.
way_on() {
  case $current_step/$changing in
    rollback/"$project") echo "the rollback may be half-way; finish it: $(this_project "--rollback${rollback_revision:+-to $rollback_revision}")" ;;
    uninstall/*) echo "it may be half-way; run the same command again to finish" ;;
    */) echo "${finished:-what runs in the cluster was not changed${changes[*]:+, but for ${changes[*]}}}" ;;
    */"$project")
      echo "the new version may be rolling out${verified[$project]:+, and pods of the one before serve until it is ready}; run the same command again to finish${verified[$project]:+, or $(this_project --rollback)}"
      ;;
    *) echo "Redis may be half-way through a change, the service was not changed; run the same command again to finish" ;;
  esac
}

on_exit() {
  local status=$? document
  trap '' INT TERM HUP USR1
  trap - ERR EXIT
  # Whatever cannot be cleaned up, the rest is. (In a trap, a bare `return` has the status from before the trap.)
  set +e
  # A Ctrl-C while Bash reads a command substitution may end it with a complaint of its own, or none, in place of the trap.
  if [[ $status/$outcome_message =~ ^(2|130)/$ ]]; then
    status=130 outcome_message="interrupted in the step «$current_step»" outcome_advice=$(way_on)
    (fail "$status" "$outcome_message" "$outcome_advice")
  fi
  stop_process "$child"
  stop_forward
  # Whoever pressed Ctrl-C waits for these, also where the API server hangs. The last limit counts.
  if [ "$status" -ge 130 ] && [ ${#kubectl[@]} -gt 0 ]; then kubectl+=(--request-timeout 3s); fi
  leave_no_candidate
  document=$(outcome "$status" 2>/dev/null)
  patience=2
  (keep_outcome "$document") 3>/dev/null || warn "how it ended could not be kept for --history: $(last_words)"
  release_lock
  tell_outcome "$status" "$document"
  if [ -n "$work" ]; then rm -rf "$work"; fi
  exit "$status"
}

set_traps() {
  trap 'on_bug "$?" "$LINENO" "$BASH_COMMAND"' ERR
  trap on_exit EXIT
  trap 'interrupted 130 "interrupted in the step «$current_step»"' INT
  trap 'interrupted 143 "interrupted in the step «$current_step»"' TERM HUP
  trap on_lost_lock USR1
  # Whoever reads the output may leave; `tell` says why that must not matter.
  trap '' PIPE
  umask 077
  work=$(mktemp -d) || fail 3 "no temporary folder can be made in «${TMPDIR:-/tmp}»" "make room there, or let TMPDIR name another"
  # It may be a pipe, or go meanwhile, and is read more than once.
  [ -z "$ca_file" ] || cat -- "$ca_file" >"$work/ca.pem" 2>"$work/error" ||
    fail 3 "--ca: «$ca_file» cannot be read: $(last_words)" "give a file that this user can read"
  ca_file=${ca_file:+$work/ca.pem}
}
