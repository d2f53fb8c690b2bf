# One deploy at a time: a coordination Lease of 30 s that a child renews every 10 s. Durations are counted in sleeps of
# a second: two machines' clocks differ, and one machine's may be set meanwhile.

lock_seconds=30 renew_seconds=10
lock_identity='' lock_version='' lock_acquired='' renewer=''

# acquire_lock: exit 5 when another deploy holds the lock and goes on renewing it.
acquire_lock() {
  # The random part tells this deploy's own lease from that of an earlier process with the same number.
  lock_identity=$(printf '%s-%s-%s' "$(deployer)" "$$" "$RANDOM" | tr -cd 'A-Za-z0-9@._-')
  lock_acquired=$(now)
  if ! create_lease; then await_lease; fi
  # The child reads from a pipe that this process alone holds: its end is the end of the file, however it came.
  exec 9> >(renew_lease)
  renewer=$!
}

now() { date -u +%Y-%m-%dT%H:%M:%S.000000Z; }

lease_document() {
  json_object apiVersion coordination.k8s.io/v1 kind Lease \
    '#metadata' "$(json_object name "$project-deploy" resourceVersion "$lock_version")" \
    '#spec' "$(json_object holderIdentity "$lock_identity" '#leaseDurationSeconds' "$lock_seconds" acquireTime "$lock_acquired" renewTime "$(now)")"
}

# replace_lease: the server refuses when somebody else was faster. Sets lock_version.
replace_lease() {
  local version
  version=$(lease_document | "${kubectl[@]}" replace --validate=false -f - -o jsonpath='{.metadata.resourceVersion}' 2>"$work/lease") || return
  lock_version=$version
}

lease_fields='{.metadata.resourceVersion} {.spec.holderIdentity} {.spec.acquireTime}'
lease_version='' lease_holder='' lease_since=''

# read_lease: sets lease_version, lease_holder and lease_since, all empty when there is no lease.
read_lease() {
  must_ask get lease "$project-deploy" --ignore-not-found -o jsonpath="$lease_fields"
  read -r lease_version lease_holder lease_since <<<"$reply"
}

# peek_lease: the same at the first try, where it may fail.
peek_lease() {
  reply=$("${kubectl[@]}" get lease "$project-deploy" --ignore-not-found -o jsonpath="$lease_fields" 2>/dev/null) || return
  read -r lease_version lease_holder lease_since <<<"$reply"
}

# is_ours: after read_lease; a write whose reply was lost made it so.
is_ours() { [ "$lease_holder" = "$lock_identity" ] && lock_version=$lease_version; }

# False when somebody else has it.
create_lease() {
  lock_version=''
  lease_document >"$work/new-lease"
  if try_ask create --validate=false -f "$work/new-lease" -o jsonpath='{.metadata.resourceVersion}'; then
    lock_version=$reply
  elif grep -q AlreadyExists "$work/error"; then
    read_lease
    is_ours
  else
    fail_asking
  fi
}

# A lease has expired when its version stays the same for its whole duration.
await_lease() {
  local waited unchanged=0 seen=''
  for ((waited = 0; waited <= lock_seconds + 3; waited++)); do
    read_lease
    if is_ours; then return 0; fi
    if [ -z "$lease_version" ]; then
      if create_lease; then return 0; fi
    elif [ "$lease_version" != "$seen" ]; then
      if [ -z "$seen" ]; then note "waiting for the deploy of $lease_holder, which holds the lock since $lease_since"; fi
      seen=$lease_version unchanged=0
    elif [ "$unchanged" -ge "$lock_seconds" ]; then
      lock_version=$lease_version
      if replace_lease; then note "took over the lock that $lease_holder no longer renews" && return 0; fi
    fi
    run sleep 1
    unchanged=$((unchanged + 1))
  done
  fail 5 "another deploy holds the lock: $lease_holder, since $lease_since" "run the same command again when it has ended"
}

# The child that renews, its parent's end on stdin. A lock that is lost ends what the parent does at that moment; one
# that cannot be renewed may be nobody's: check_lock asks before each change.
renew_lease() {
  trap - EXIT ERR USR1
  # Ctrl-C reaches the whole terminal; the parent decides when this child ends.
  trap '' INT TERM HUP
  local status
  while :; do
    status=0
    read -r -t "$renew_seconds" || status=$?
    # Over 128: nothing came in time. Anything else: the parent has ended, as it may have where something holds its pipe.
    if [ "$status" -le 128 ] || ! kill -0 "$$" 2>/dev/null; then exit 0; fi
    # An error says nothing of who holds the lock: the API server may be away, or our write's reply was lost. Only a
    # lease that can be read and is not ours is lost.
    if replace_lease || ! peek_lease || is_ours; then continue; fi
    echo "${lease_holder:-nobody: the lease was deleted}" >"$work/lock-lost" || true
    kill -USR1 "$$" && exit 0
  done
}

# check_lock: before each change. A holder that lost the lock must not touch what another deploy changes.
check_lock() {
  if [ ! -e "$work/lock-lost" ]; then
    read_lease
    if [ "$lease_holder" = "$lock_identity" ]; then return; fi
    # Deleted by hand: it is made again, unless somebody else is faster.
    if [ -z "$lease_version" ] && create_lease; then return; fi
    echo "${lease_holder:-nobody: the lease was deleted}" >"$work/lock-lost"
  fi
  on_lost_lock
}

# Deletes the lease only in the version that is ours, which it may be before a renewer was started.
release_lock() {
  if [ -z "$lock_identity" ]; then return; fi
  exec 9>&-
  stop_process "$renewer"
  renewer=''
  if ! peek_lease || ! is_ours; then return; fi
  lock_identity=''
  printf '{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"resourceVersion":"%s"}}' "$lock_version" >"$work/options"
  "${kubectl[@]}" delete --raw "/apis/coordination.k8s.io/v1/namespaces/$namespace/leases/$project-deploy" \
    -f "$work/options" >/dev/null 2>&1 || true
}
