# A Secret that External Secrets Operator reads from a store.

# sync_external_secret NAME VALUES...: apply it, and await that the operator has read the store since then.
sync_external_secret() {
  local external_secrets=externalsecrets.external-secrets.io name=$1 made before generation synced ready message
  local seconds=${DEPLOY_EXTERNAL_SECRET_SECONDS:-30} deadline
  deadline=$((SECONDS + seconds))
  check_lock
  render_candidate externalsecret "${@:2}"
  must_ask apply -f "$work/parts/externalsecret.yaml"
  made=$reply
  # Unchanged, it would be read again after its refresh interval only.
  must_ask annotate "$external_secrets" "$name" --overwrite "deploy/asked=$(date +%s)" -o jsonpath='{.status.syncedResourceVersion}'
  before=$reply
  while :; do
    must_ask get "$external_secrets" "$name" -o jsonpath='{.metadata.generation}|{.status.syncedResourceVersion}{range .status.conditions[?(@.type=="Ready")]}|{.status}|{.message}{end}'
    IFS='|' read -r generation synced ready message <<<"$reply"
    # It names the generation and a hash of the annotations that were synced; Ready alone may be of those before.
    if [ "$ready" = True ] && [ "${synced%%-*}" = "$generation" ] && [ "$synced" != "$before" ]; then return; fi
    if [ "$SECONDS" -ge "$deadline" ]; then break; fi
    run sleep 0.5
  done
  must_ask get events --field-selector "involvedObject.name=$name,type=Warning" --sort-by .lastTimestamp -o jsonpath='{range .items[*]}{.message}{"\n"}{end}'
  [ "$ready" = False ] || message="External Secrets Operator did not read it (does it run?)"
  message+="; its last warning: ${reply##*$'\n'}"
  case $made in *created) must_ask delete "$external_secrets" "$name" --wait=false ;; esac
  fail 3 "the store gives no secret $secret_name after $seconds s: $message" \
    "what runs was not changed; mend the store or secret.externalSecret, then run the same command again"
}
