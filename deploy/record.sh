# shellcheck shell=bash
# Which revisions were verified: watched until they were up, and smoke-tested. Kept in a ConfigMap of our own,
# because Helm drops what is written to its records. An entry is revision/uid, so that a release which was
# uninstalled and installed again by hand does not inherit the word "verified".

revisions='' verified='' newest_revision='' newest_status=''

# read_revisions RELEASE: sets `revisions` (a line "number uid status" each), `verified` (numbers), both oldest
# first, and the newest revision with its status.
read_revisions() {
  local entries number uid status
  ask get secrets -l "owner=helm,name=$1" -o \
    jsonpath='{range .items[*]}{.metadata.labels.version} {.metadata.uid} {.metadata.labels.status}{"\n"}{end}'
  revisions=$(sort -n <<<"$reply")
  read_record "$(record_key "$1")"
  entries=" $reply "
  verified='' newest_revision='' newest_status=''
  while read -r number uid status; do
    if [ -z "$number" ]; then continue; fi
    newest_revision=$number newest_status=$status
    case $entries in *" $number/$uid "*) verified+="$number " ;; esac
  done <<<"$revisions"
  verified=${verified% }
}

last_verified() { echo "${verified##* }"; }

record_key() { if [ "$1" = "$project" ]; then echo service; else echo redis; fi; }

# read_record KEY, into `reply`.
read_record() { ask get configmap "$project-deploy" --ignore-not-found -o jsonpath="{.data.$1}"; }

# write_record KEY VALUE
write_record() {
  local patch=(patch configmap "$project-deploy" --type merge -p "{\"data\":{\"$1\":\"$2\"}}")
  if try_once "${kubectl[@]}" "${patch[@]}"; then return; fi
  if grep -q NotFound "$work/error"; then ask create configmap "$project-deploy"; fi
  ask "${patch[@]}"
}

# mark_verified RELEASE: the newest revision of it serves. Forgets those that Helm has forgotten.
mark_verified() {
  local entries='' number uid
  read_revisions "$1"
  while read -r number uid _; do
    case " $verified $newest_revision " in *" $number "*) entries+="$number/$uid " ;; esac
  done <<<"$revisions"
  write_record "$(record_key "$1")" "${entries% }"
}

# digest_of_revision RELEASE REVISION, into `reply`.
digest_of_revision() {
  ask_helm get values "$1" --revision "$2"
  reply=$(sed -n 's/^ *digest: *//p' <<<"$reply")
}
