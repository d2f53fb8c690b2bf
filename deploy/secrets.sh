# shellcheck shell=bash
# The Redis password. It goes from the kernel to the API server through pipes, never through an argument or a file.

prepare_secrets() {
  local present
  present=$("${kubectl[@]}" get secret "$secret_name" --ignore-not-found -o name)
  if [ -n "$present" ]; then
    note "secret $secret_name is there"
  elif [ "$secret_mode" = generated ]; then
    random_password | "${kubectl[@]}" create secret generic "$secret_name" --from-file=REDIS_PASSWORD=/dev/stdin >/dev/null
    note "secret $secret_name generated"
  else
    fail 3 "the secret «$secret_name» is not in the namespace «$namespace» (secret.mode: $secret_mode)" \
      "create it with the key REDIS_PASSWORD, then run the same command again"
  fi
}

random_password() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
