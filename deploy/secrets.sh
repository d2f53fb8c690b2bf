# The Redis password. It goes from the kernel to the API server through pipes, never through an argument, a variable
# (which `bash -x` would print) or a file.

prepare_secrets() {
  local key
  if [ "$secret_mode" = externalSecret ]; then
    # For the candidate first, so that neither a store that gives nothing nor a wrong password touches what pods have mounted.
    candidate_secret_made=yes
    sync_external_secret "$project-candidate" --set candidate.enabled=true
    return
  fi
  # Its keys alone, never what they hold.
  # shellcheck disable=SC2016 # the template's own variables
  must_ask get secret "$secret_name" --ignore-not-found -o go-template='{{.metadata.name}}{{range $key, $_ := .data}} {{$key}}{{end}} '
  if [ -z "${reply// /}" ]; then
    [ "$secret_mode" = generated ] || fail 3 "the secret «$secret_name» is not in the namespace «$namespace» (secret.mode: $secret_mode)" \
      "create it${secret_keys:+ with the key ${secret_keys// /, }}, then run the same command again"
    check_lock
    generate_secret
    note "secret $secret_name generated" && return
  fi
  for key in $secret_keys; do
    [[ $reply == *" $key "* ]] ||
      fail 3 "the secret «$secret_name» has no key $key; it has: ${reply#* }" "add the key, then run the same command again"
  done
  note "secret $secret_name is there"
}

# A second try may find that the first one's reply was lost: then the secret is there, and stays.
generate_secret() {
  local tries
  for ((tries = patience; ; tries--)); do
    if secret_document | "${kubectl[@]}" create -f - >/dev/null 2>"$work/error" || grep -q AlreadyExists "$work/error"; then return; fi
    { is_unreachable && [ "$tries" -gt 0 ]; } ||
      fail 3 "the secret $secret_name cannot be created: $(last_words)" "see the message; nothing was deployed"
    run sleep 1
  done
}

secret_document() {
  printf '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"%s","labels":{"deploy/project":"%s"}},' "$secret_name" "$project"
  printf '"stringData":{"REDIS_PASSWORD":"'
  od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
  printf '"}}'
}
