# How it ended, as one JSON document: printed with --json, given to DEPLOY_NOTIFY, and kept for --history.

as_json=no outcome_message='' outcome_advice='' made_revisions='' notify_seconds=10
commit=unknown # of the image, as the build found it, or else as the version itself says

# begin_change RELEASE: from now on it may be half-way, under the next number.
begin_change() {
  changing=$1
  if [ "$1" = "$project" ]; then made_revisions+=" $((${newest[$1]:-0} + 1))"; fi
  [[ " ${changes[*]-} " == *" $1 "* ]] || changes+=("$1")
}

# json_object KEY VALUE...: on one line (RFC 8259), in ASCII, since what others say may be cut in the middle of a
# character. A key after # has a value that is JSON already; without a value it is null.
json_object() {
  local text='' value
  while [ $# -gt 0 ]; do
    value=${2//\\/\\\\} value=${value//\"/\\\"}
    value=${value//$'\n'/\\n} value=${value//$'\t'/\\t} value=${value//«/\\u00ab} value=${value//»/\\u00bb}
    case $1 in
      \#*) text+=",\"${1#?}\":${2:-null}" ;;
      *) text+=",\"$1\":\"${value//[^ -~]/?}\"" ;;
    esac
    shift 2
  done
  echo "{${text#,}}"
}

# deployer: as whom the person or the pipeline is known that deploys.
deployer() { echo "${GITHUB_ACTOR:-${GITLAB_USER_LOGIN:-$(id -un 2>/dev/null || echo "$UID")}}@$(uname -n)"; }

outcome() {
  local word=failed revision=${made_revisions##* }
  case $1 in 0) word=succeeded ;; 20) word=differs ;; 130 | 143) word=interrupted ;; esac
  json_object action "$action" outcome "$word" '#status' "$1" step "$current_step" message "${outcome_message:0:2000}" \
    advice "${outcome_advice:0:2000}" project "$project" environment "$environment" namespace "$namespace" context "$context" \
    image "$image_name" tag "$image_tag" digest "$asked_digest" commit "$commit" '#revision' "${revision:-${newest[$project]-}}" \
    url "$url" changed "${changes[*]-}" evidence "${evidence##none, *}" by "$(deployer)" time "$(now)" '#seconds' "$SECONDS"
}

# keep_outcome DOCUMENT: with each revision that was made, behind the UID of Helm's record; while the lock is ours.
keep_outcome() {
  local number uid kept=()
  if [ -z "$made_revisions" ] || [ -e "$work/lock-lost" ]; then return; fi
  read_revisions "$project"
  while read -r number uid _; do
    case " $made_revisions " in *" $number "*) kept+=("revision-$number" "$uid $1" "#revision-$((number - 50))" '') ;; esac
  done <<<"${revisions[$project]}"
  write_record "${kept[@]}"
}

# tell_outcome STATUS DOCUMENT: to whoever asked for it. A report that was asked for is its own outcome.
tell_outcome() {
  case $action/$1 in status/0 | history/0) return ;; esac
  if [ "$as_json" = yes ]; then on_stdout "$2"; fi
  case $action in deploy | rollback | uninstall) [ -z "${DEPLOY_NOTIFY-}" ] || notify "$2" ;; esac
}

# notify DOCUMENT: to a program with arguments, no shell's line. With a descriptor of ours it could hold up who reads us.
notify() {
  local command deadline=$((SECONDS + notify_seconds))
  read -r -a command <<<"$DEPLOY_NOTIFY"
  set -m
  (trap - INT TERM HUP USR1 PIPE && exec "${command[@]}") < <(printf '%s\n' "$1") >/dev/null 2>&1 3>&- 5>&- 9>&- &
  set +m
  while kill -0 "$!" 2>/dev/null && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.1; done
  if kill -0 "$!" 2>/dev/null; then kill -KILL -- "-$!" || true; fi
  wait "$!" 2>/dev/null || warn "DEPLOY_NOTIFY «${command[0]-} …» ended with status $? (137: it took over $notify_seconds s)"
}
