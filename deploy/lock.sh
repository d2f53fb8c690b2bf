# shellcheck shell=bash
# One deploy at a time: a coordination Lease of 30 s that a child renews every 10 s.

lock_seconds=30 renew_seconds=10
lock_identity='' lock_version='' lock_acquired='' renewer=''

# acquire_lock DOING: exit 5 when another deploy holds the lock and goes on renewing it.
acquire_lock() {
  # The random part tells this deploy's own lease from that of an earlier process with the same number.
  lock_identity=$(printf '%s@%s-%s-%s' "${GITHUB_ACTOR:-$(id -un)}" "$(uname -n)" "$$" "$RANDOM" | tr -cd 'A-Za-z0-9@._-')
  lock_acquired=$(now)
  if ! create_lease; then await_lease; fi
  epoch >"$work/renewed"
  renew_lease &
  renewer=$!
}

now() { date -u +%Y-%m-%dT%H:%M:%S.000000Z; }

epoch() { printf '%(%s)T\n' -1; }

lease_document() {
  printf '{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"%s","resourceVersion":"%s"},' \
    "$project-deploy" "$lock_version"
  printf '"spec":{"holderIdentity":"%s","leaseDurationSeconds":%s,"acquireTime":"%s","renewTime":"%s"}}\n' \
    "$lock_identity" "$lock_seconds" "$lock_acquired" "$(now)"
}

# write_lease create|replace: the server refuses when somebody else was faster. Sets lock_version.
write_lease() {
  local version
  version=$(lease_document | "${kubectl[@]}" "$1" --validate=false -f - -o jsonpath='{.metadata.resourceVersion}' 2>"$work/lease") || return
  lock_version=$version
}

lease_fields='{.metadata.resourceVersion} {.spec.holderIdentity} {.spec.acquireTime}'
lease_version='' lease_holder='' lease_since=''

# read_lease: sets lease_version, lease_holder and lease_since, all empty when there is no lease.
read_lease() {
  ask get lease "$project-deploy" --ignore-not-found -o jsonpath="$lease_fields"
  read -r lease_version lease_holder lease_since <<<"$reply"
}

# False when somebody else has it. The reply to our own creation may have been lost, so a lease in our name is ours.
create_lease() {
  local deadline=$((SECONDS + patience))
  while :; do
    lock_version=''
    if write_lease create; then return 0; fi
    if grep -q AlreadyExists "$work/lease"; then
      read_lease
      lock_version=$lease_version
      [ "$lease_holder" = "$lock_identity" ]
      return
    fi
    if ! is_unreachable "$work/lease" || [ "$SECONDS" -ge "$deadline" ]; then
      fail 3 "the lock cannot be taken: $(tail -n 1 "$work/lease")" "kubectl --context $context -n $namespace get lease"
    fi
    run sleep 1
  done
}

# A lease has expired when its version stays the same for its whole duration. Judged by this machine's own stop
# watch: two machines' clocks may differ by more than a lease.
await_lease() {
  local began=$SECONDS changed=$SECONDS seen=''
  while :; do
    read_lease
    if [ -z "$lease_version" ]; then
      if create_lease; then return 0; fi
    elif [ "$lease_version" != "$seen" ]; then
      if [ -z "$seen" ]; then note "waiting for the deploy of $lease_holder, which holds the lock since $lease_since"; fi
      seen=$lease_version changed=$SECONDS
    elif [ $((SECONDS - changed)) -ge "$lock_seconds" ]; then
      lock_version=$lease_version
      if write_lease replace; then
        note "took over the lock that $lease_holder no longer renews"
        return 0
      fi
    fi
    if [ $((SECONDS - began)) -gt $((lock_seconds + 3)) ]; then
      fail 5 "another deploy holds the lock: $lease_holder, since $lease_since" "run the same command again when it has ended"
    fi
    run sleep 1
  done
}

# The child that renews. It ends with its parent, also when that was killed.
renew_lease() {
  trap - EXIT ERR
  # Ctrl-C reaches the whole terminal; the parent decides when this child ends.
  trap '' INT
  trap 'exit 0' TERM
  local second
  while :; do
    for ((second = 0; second < renew_seconds; second++)); do
      sleep 1 &
      wait "$!"
      kill -0 "$$" 2>/dev/null || exit 0
    done
    renew_once
  done
}

# An error says nothing of who holds the lock: the API server may be away, or our write's reply was lost. Only a
# lease that can be read and is not ours is lost.
renew_once() {
  local fields version holder
  if write_lease replace; then
    epoch >"$work/renewed"
    return
  fi
  fields=$("${kubectl[@]}" get lease "$project-deploy" --ignore-not-found -o jsonpath="$lease_fields" 2>/dev/null) || return 0
  read -r version holder _ <<<"$fields"
  if [ "$holder" != "$lock_identity" ]; then
    echo "${holder:-nobody: the lease was deleted}" >"$work/lock-lost"
    exit 0
  fi
  lock_version=$version
}

# check_lock: before each change. A holder that lost the lock must not touch what another deploy changes.
check_lock() {
  local age
  age=$(($(epoch) - $(<"$work/renewed")))
  if [ -e "$work/lock-lost" ] || [ "$age" -ge "$lock_seconds" ]; then
    fail 5 "this deploy lost its lock: $(cat "$work/lock-lost" 2>/dev/null || echo "not renewed for $age s")" \
      "stopped before the next change: $(interrupted_advice)"
  fi
}

# Deletes the lease only in the version that is ours.
release_lock() {
  [ -n "$renewer" ] || return 0
  kill -TERM "$renewer" 2>/dev/null || true
  wait "$renewer" 2>/dev/null || true
  renewer=''
  local fields version holder
  fields=$("${kubectl[@]}" get lease "$project-deploy" --ignore-not-found -o jsonpath="$lease_fields" 2>/dev/null) || return 0
  read -r version holder _ <<<"$fields"
  [ "$holder" = "$lock_identity" ] || return 0
  printf '{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"resourceVersion":"%s"}}' "$version" >"$work/options"
  "${kubectl[@]}" delete --raw "/apis/coordination.k8s.io/v1/namespaces/$namespace/leases/$project-deploy" \
    -f "$work/options" >/dev/null 2>&1 || true
}
