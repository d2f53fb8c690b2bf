# Which revisions were verified: watched until they were up, and smoke-tested. Kept in a ConfigMap of our own,
# because Helm drops what is written to its records. An entry is revision/uid, so that a release which was
# uninstalled and installed again by hand does not inherit the word "verified"; and /origin where the revision
# copies an earlier one, as a rollback does: going back from a copy means going back from what it copies.

# By release. Revisions are numbers, oldest first; `revisions` holds a line "number uid status" each.
declare -A revisions=() verified=() newest=() newest_status=() entries_of=()

read_revisions() {
  local release=$1 number uid state
  must_ask get secrets -l "owner=helm,name=$release" -o \
    jsonpath='{range .items[*]}{.metadata.labels.version} {.metadata.uid} {.metadata.labels.status}{"\n"}{end}'
  revisions[$release]=$(sort -n <<<"$reply")
  read_record "$(record_key "$release")"
  entries_of[$release]=$reply
  verified[$release]='' newest[$release]='' newest_status[$release]=''
  while read -r number uid state; do
    if [ -z "$number" ]; then continue; fi
    newest[$release]=$number newest_status[$release]=$state
    case " ${entries_of[$release]} " in
      *" $number/$uid "* | *" $number/$uid/"*) verified[$release]+="${verified[$release]:+ }$number" ;;
    esac
  done <<<"${revisions[$release]}"
}

last_verified() { echo "${verified[$1]##* }"; }

# origin_of RELEASE REVISION: the revision that it copies, or itself.
origin_of() {
  local entry
  for entry in ${entries_of[$1]}; do
    case $entry in "$2"/*/*) echo "${entry##*/}" && return ;; esac
  done
  echo "$2"
}

# verified_before RELEASE: the verified revision that a rollback goes to; empty when there is none.
verified_before() {
  local release=$1 revision before='' current
  current=$(origin_of "$release" "${newest[$release]}")
  for revision in ${verified[$release]}; do if [ "$revision" -lt "$current" ]; then before=$revision; fi; done
  echo "$before"
}

# restorable RELEASE: the revision to restore when the newest one has failed. The last verified one; without a
# record (pruned, or a restored backup has other UIDs) the newest of those that Helm once deployed before it.
restorable() {
  local release=$1 target
  target=$(last_verified "$release")
  echo "${target:-$(newest_of "$release" 'deployed|superseded' "${newest[$release]}")}"
}

# newest_of RELEASE STATES [BUT]: its newest revision in one of these states, and not that one.
newest_of() {
  awk -v states="^($2)$" -v but="${3-}" '$3 ~ states && $1 != but { number = $1 } END { print number }' <<<"${revisions[$1]}"
}

record_key() { if [ "$1" = "$project" ]; then echo service; else echo redis; fi; }
kind_of() { if [ "$1" = "$project" ]; then echo deployment; else echo statefulset; fi; }
read_record() { must_ask get configmap "$project-deploy" --ignore-not-found -o jsonpath="{.data.$1}"; }

# write_record KEY VALUE...: as of json_object; a value that is null goes.
write_record() {
  local patch=(patch configmap "$project-deploy" --type merge -p "{\"data\":$(json_object "$@")}")
  if try_ask "${patch[@]}"; then return; fi
  grep -q NotFound "$work/error" || fail_asking
  # A first try whose reply was lost made it already.
  try_ask create configmap "$project-deploy" || grep -q AlreadyExists "$work/error" || fail_asking
  must_ask "${patch[@]}"
}

# mark_verified RELEASE REVISION [ORIGIN]: this revision serves. Forgets those that Helm has forgotten.
mark_verified() {
  local release=$1 revision=$2 entries='' number uid origin
  check_lock
  read_revisions "$release"
  while read -r number uid _; do
    case " ${verified[$release]} $revision " in *" $number "*) ;; *) continue ;; esac
    origin=$(origin_of "$release" "$number")
    if [ "$number" = "$revision" ]; then origin=${3:-$origin}; fi
    if [ "$origin" = "$number" ]; then origin=''; fi
    entries+="$number/$uid${origin:+/$origin} "
  done <<<"${revisions[$release]}"
  write_record "$(record_key "$release")" "${entries% }"
  # Whoever were told to finish a rollback that is recorded would go one version too far.
  if [ "$changing" = "$release" ]; then
    changing='' finished="$release serves as revision $revision${3:+, which is revision $3 again}, verified${failed_because:+; what was asked did not: $failed_because}"
  fi
  read_revisions "$release"
}

# history_limit RELEASE: how many revisions Helm keeps: ten, and never so few that the last verified one goes.
history_limit() {
  local target
  target=$(last_verified "$1")
  if [ -z "$target" ]; then echo 10; else echo $((${newest[$1]} - target + 10)); fi
}
