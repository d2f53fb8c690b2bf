# shellcheck shell=bash
# Where the smoke test reaches the ingress: the first that answers of what was given, the Ingress's address, DNS, and
# a port-forward to the controller. If none can be reached: the Service, through the API server.

api_entrance='the API server'
forward='' untrusted=''

find_entrance() {
  local port=80 address candidate
  ask get ingress "$project" --ignore-not-found -o \
    jsonpath='{.metadata.name}|{.spec.tls}|{.status.loadBalancer.ingress[0].ip}{.status.loadBalancer.ingress[0].hostname}'
  if [ -z "$reply" ]; then
    through_api "the chart has no Ingress (ingress.enabled)"
    return
  fi
  address=${reply##*|}
  scheme=http untrusted=''
  case $reply in *'||'*) ;; *) scheme=https port=443 ;; esac
  if ! command -v curl >/dev/null; then
    through_api "curl is not on PATH"
    return
  fi
  for candidate in "$ingress_address" "${address:+$address:$port}" "$base_url:$port"; do
    entrance=$candidate
    if [ -n "$entrance" ] && answers; then return; fi
    if [ -n "$entrance" ] && [ "$entrance" = "$ingress_address" ]; then warn "nothing answers at $ingress_address (--ingress), trying elsewhere"; fi
  done
  if forward_to_controller && answers; then return; fi
  through_api "no ingress answers for $base_url (--ingress HOST:PORT names one)"
}

# through_api WHY
through_api() {
  entrance=$api_entrance
  warn "$1: asking the Service through the API server"
}

# Any answer counts here; whether it is the right one is for the smoke test to say.
answers() {
  local status=0
  curl --silent --output /dev/null --max-time 3 --noproxy '*' --connect-to "::$entrance" "$scheme://$base_url/version" \
    2>/dev/null || status=$?
  if [ "$status" -eq 60 ]; then
    untrusted=yes
    warn "the certificate for $base_url at $entrance is not trusted by this machine"
    return 0
  fi
  return "$status"
}

# Sets entrance to a local port that leads to the ingress controller's pod.
forward_to_controller() {
  local pod
  try_once kubectl --context "$context" get pods --all-namespaces -l app.kubernetes.io/component=controller --request-timeout 10s \
    -o jsonpath='{range .items[?(@.status.phase=="Running")]}{.metadata.namespace}/{.metadata.name}{"\n"}{end}' || return
  pod=$(sed -n '/ingress/{p;q;}' <<<"$reply")
  if [ -z "$pod" ]; then return 1; fi
  stop_forward
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
