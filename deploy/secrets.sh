# The Redis password. It goes from the kernel to the API server through pipes, never through an argument, a variable
# (which `bash -x` would print) or a file.

prepare_secrets() {
  local key held
  if [ "$secret_mode" = externalSecret ]; then
    # For the candidate first, so that neither a store that gives nothing nor a wrong password touches what pods have mounted.
    candidate_secret_made=yes
    sync_external_secret "$project-candidate" --set candidate.enabled=true
    return
  fi
  # Its keys alone, never what they hold.
  # shellcheck disable=SC2016 # the template's own variables
  must_ask get secret "$secret_name" --ignore-not-found -o go-template='{{.metadata.name}}{{range $key, $_ := .data}} {{$key}}{{end}} '
  held=$reply
  if [ -z "${held// /}" ]; then
    if [ "$secret_mode" != generated ]; then
      fail 3 "the secret «$secret_name» is not in the namespace «$namespace» (secret.mode: $secret_mode)" \
        "create it${secret_keys:+ with the key ${secret_keys// /, }}, then run the same command again"
    fi
    check_lock
    generate_secret
    note "secret $secret_name generated"
    return
  fi
  for key in $secret_keys; do
    case $held in
      *" $key "*) ;;
      *) fail 3 "the secret «$secret_name» has no key $key; it has: ${held#* }" "add the key, then run the same command again" ;;
    esac
  done
  note "secret $secret_name is there"
}

# A second try may find that the first one's reply was lost: then the secret is there, and stays.
generate_secret() {
  local tries
  for ((tries = patience; ; tries--)); do
    if secret_document | "${kubectl[@]}" create -f - >/dev/null 2>"$work/error" || grep -q AlreadyExists "$work/error"; then return; fi
    if ! is_unreachable || [ "$tries" -le 0 ]; then
      fail 3 "the secret $secret_name cannot be created: $(last_words)" "see the message; nothing was deployed"
    fi
    run sleep 1
  done
}

secret_document() {
  printf '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"%s","labels":{"deploy/project":"%s"}},' "$secret_name" "$project"
  printf '"stringData":{"REDIS_PASSWORD":"'
  od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
  printf '"}}'
}

# sync_external_secret NAME VALUES...: apply it, and await that the operator has read the store since then.
sync_external_secret() {
  local external_secrets=externalsecrets.external-secrets.io name=$1 made before generation synced ready message
  local seconds=${DEPLOY_EXTERNAL_SECRET_SECONDS:-30} deadline
  deadline=$((SECONDS + seconds))
  check_lock
  render_candidate externalsecret "${@:2}"
  must_ask apply -f "$work/externalsecret.yaml"
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
