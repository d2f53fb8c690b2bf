# shellcheck shell=bash
# The Redis password. It goes from the kernel to the API server through pipes, never through an argument or a file.

prepare_secrets() {
  ask get secret "$secret_name" --ignore-not-found -o name
  if [ -n "$reply" ]; then
    note "secret $secret_name is there"
  elif [ "$secret_mode" = generated ]; then
    check_lock
    generate_secret
    note "secret $secret_name generated"
  else
    fail 3 "the secret «$secret_name» is not in the namespace «$namespace» (secret.mode: $secret_mode)" \
      "create it with the key REDIS_PASSWORD, then run the same command again"
  fi
}

# A second try may find that the first one's reply was lost: then the secret is there, and stays.
generate_secret() {
  local deadline=$((SECONDS + patience))
  until secret_document | "${kubectl[@]}" create -f - >/dev/null 2>"$work/error"; do
    if grep -q AlreadyExists "$work/error"; then return; fi
    if ! is_unreachable "$work/error" || [ "$SECONDS" -ge "$deadline" ]; then
      fail 3 "the secret $secret_name cannot be created: $(tail -n 1 "$work/error")" "see the message; nothing was deployed"
    fi
    run sleep 1
  done
}

secret_document() {
  printf '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"%s","labels":{"deploy/project":"%s"}},"stringData":{"REDIS_PASSWORD":"%s"}}' \
    "$secret_name" "$project" "$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"
}
