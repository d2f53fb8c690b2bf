# shellcheck shell=bash
# The smoke test: does the asked version answer where its users are, and does its counter move?

smoke_answers=5 smoke_seconds=${DEPLOY_SMOKE_SECONDS:-45}
entrance='' scheme=http smoke_fault=''

# smoke_test: asks for the digest in `digest`. Otherwise smoke_fault says what was wrong.
smoke_test() {
  find_entrance
  local deadline=$((SECONDS + smoke_seconds)) good=0
  until [ "$good" -ge "$smoke_answers" ] && counter_moves; do
    if [ "$good" -lt "$smoke_answers" ] && serves_digest; then
      good=$((good + 1))
      continue
    fi
    good=0
    if [ "$SECONDS" -ge "$deadline" ]; then return 1; fi
    # The ingress controller needs a moment to see a new Ingress.
    run sleep 1
  done
  note "$smoke_answers answers from $scheme://$base_url through $entrance, the counter moves"
}

serves_digest() {
  local served
  if ! fetch /version; then
    smoke_fault="/version does not answer: $(tail -n 1 "$work/error")"
    return 1
  fi
  served=$(sed -n 's/.*\(sha256:[0-9a-f]\{64\}\).*/\1/p' <<<"$reply")
  if [ "$served" = "$digest" ]; then return 0; fi
  smoke_fault="/version names the digest «${served:-none}», asked was $digest"
  return 1
}

counter_moves() {
  local first='' second=''
  if fetch /; then first=$(counter_in_reply); fi
  if fetch /; then second=$(counter_in_reply); fi
  if [ -n "$first" ] && [ "${second:-0}" -gt "$first" ]; then return 0; fi
  smoke_fault="the counter does not move: «$first», then «$second» $(tail -n 1 "$work/error")"
  return 1
}

counter_in_reply() { sed -n 's/.*"counter": *\([0-9][0-9]*\).*/\1/p' <<<"$reply"; }

# fetch PATH: ask as a visitor does, base_url as Host and in TLS; what it answers goes to `reply`.
fetch() {
  if [ "$entrance" = "$api_entrance" ]; then
    try_once "${kubectl[@]}" get --raw "/api/v1/namespaces/$namespace/services/$project:80/proxy$1"
  else
    try_once curl --silent --show-error --fail --max-time 5 --noproxy '*' --connect-to "::$entrance" \
      ${untrusted:+--insecure} --header 'Accept: application/json' "$scheme://$base_url$1"
  fi
}
