# shellcheck shell=bash
# The smoke test: does the asked version answer where its users are, and does its counter move?

smoke_answers=5 smoke_seconds=45
entrance='' scheme=http forward=''

smoke_test() {
  find_entrance
  local deadline=$((SECONDS + smoke_seconds)) good=0
  while [ "$good" -lt "$smoke_answers" ]; do
    if serves_digest "$digest"; then
      good=$((good + 1))
      continue
    fi
    good=0
    if [ "$SECONDS" -ge "$deadline" ]; then
      smoke_failed "$smoke_fault"
    fi
    # The ingress controller needs a moment to see a new Ingress.
    run sleep 1
  done
  counter_moves || smoke_failed "$smoke_fault"
  note "$smoke_answers answers from $scheme://$base_url through $entrance, the counter moves"
}

smoke_failed() {
  fail 9 "smoke test of $scheme://$base_url through $entrance: $1" "kubectl --context $context -n $namespace get ingress,pods"
}

smoke_fault=''

serves_digest() {
  local answer served
  if ! answer=$(fetch /version 2>"$work/curl"); then
    smoke_fault="no answer: $(tail -n 1 "$work/curl")"
    return 1
  fi
  served=$(printf '%s' "$answer" | sed -n 's/.*\(sha256:[0-9a-f]\{64\}\).*/\1/p')
  [ "$served" = "$1" ] && return 0
  smoke_fault="/version names the digest «${served:-none}», asked was $1"
  return 1
}

counter_moves() {
  local first second
  first=$(fetch / 2>"$work/curl" | counter_of) && second=$(fetch / 2>>"$work/curl" | counter_of) || true
  [ "${second:-0}" -gt "${first:-0}" ] && return 0
  smoke_fault="the counter does not move: «${first-}», then «${second-}» $(tail -n 1 "$work/curl")"
  return 1
}

counter_of() { sed -n 's/.*"counter": *\([0-9]*\).*/\1/p'; }

# The first that answers: what was given, the Ingress's address, DNS, a way to the controller's pod.
find_entrance() {
  local address port=80
  if [ -z "$("${kubectl[@]}" get ingress "$project" --ignore-not-found -o name)" ]; then
    entrance='the API server'
    warn "the chart has no Ingress (ingress.enabled): the smoke test asks the Service through the API server"
    return
  fi
  if [ -n "$("${kubectl[@]}" get ingress "$project" -o jsonpath='{.spec.tls}')" ]; then scheme=https port=443; fi
  address=$("${kubectl[@]}" get ingress "$project" -o \
    jsonpath='{.status.loadBalancer.ingress[0].ip}{.status.loadBalancer.ingress[0].hostname}')
  for entrance in "$ingress_address" "${address:+$address:$port}" "$base_url:$port"; do
    if [ -n "$entrance" ] && answers; then return; fi
  done
  if forward_to_controller && answers; then return; fi
  entrance='the API server'
  warn "no ingress answers for $base_url (--ingress HOST:PORT names one): asking the Service through the API server"
}

answers() { fetch /version >/dev/null 2>&1; }

# fetch PATH: print what it answers, as a visitor asks: base_url as Host and in TLS.
fetch() {
  if [ "$entrance" = 'the API server' ]; then
    "${kubectl[@]}" get --raw "/api/v1/namespaces/$namespace/services/$project:80/proxy$1"
    return
  fi
  curl --silent --show-error --max-time 5 --noproxy '*' --connect-to "::$entrance" \
    --header 'Accept: application/json' "$scheme://$base_url$1"
}

# Sets entrance to a local port that leads to the ingress controller's pod, as kubectl port-forward opens it.
forward_to_controller() {
  local pod
  pod=$("${kubectl[@]}" get pods --all-namespaces -l app.kubernetes.io/component=controller \
    -o jsonpath='{range .items[?(@.status.phase=="Running")]}{.metadata.namespace}/{.metadata.name}{"\n"}{end}' \
    2>/dev/null | sed -n '/ingress/{p;q;}') || return 1
  [ -n "$pod" ] || return 1
  kubectl --context "$context" --namespace "${pod%%/*}" port-forward --address 127.0.0.1 "pod/${pod#*/}" ":$scheme" \
    >"$work/forward" 2>&1 &
  forward=$!
  while ! grep -q '^Forwarding from' "$work/forward"; do
    kill -0 "$forward" 2>/dev/null || return 1
    run sleep 0.2
  done
  entrance=$(sed -n 's/^Forwarding from \([^ ]*\) .*/\1/p' "$work/forward")
}

stop_forward() {
  if [ -n "$forward" ]; then kill "$forward" 2>/dev/null || true; fi
  forward=''
}
