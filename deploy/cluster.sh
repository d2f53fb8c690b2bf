# How the API server is asked. It may be away for moments (an upgrade of the control plane, a load balancer that
# moves), which must not end a deploy half-way.

kubectl=() helm=() helm_apply=() kubernetes_version='' api_versions='' reply='' patience=30

# use_context: fix the context for the whole deploy, so that a switch in another terminal cannot redirect it.
use_context() {
  kubectl=(kubectl --context "$context" --namespace "$namespace" --request-timeout 10s)
  helm=(helm --kube-context "$context" --namespace "$namespace")
  # Helm 4 would apply on the server, where a field somebody edited by hand is a conflict; Helm 3 mends it.
  case $("${helm[@]}" version --short 2>/dev/null) in v3.*) ;; *) helm_apply=(--server-side=false) ;; esac
}

# What kubectl and Helm say when the API server cannot be reached, or asks to come again.
unreachable='use of closed network connection|\((ServiceUnavailable|TooManyRequests|Timeout|ServerTimeout)\)|rpc error'
unreachable+='|unexpected EOF|(connection|operation) timed out|failure in name resolution|response in the time allotted'
unreachable+='|context deadline exceeded|getting credentials: exec|currently unable to handle|has prevented the request'
unreachable+='|(was|connection) refused|connection reset by peer|client connection lost|GOAWAY|stream error: stream ID'
unreachable+='|TLS handshake timeout|network is unreachable|luster unreachable|[Tt]oo many requests|apiserver not ready'
unreachable+='|Client\.Timeout|: EOF$|no route to host|host is down|no such host|Unable to connect|server misbehaving'
unreachable+='|i/o timeout|broken pipe|etcdserver:|Bad ?Gateway'

# is_unreachable: whether the last command failed over that. A webhook that is away is named like it, but it is
# somebody else's, and asking again only adds failed revisions.
is_unreachable() { ! grep -Eq 'admission webhook|calling webhook' "$work/error" && grep -Eq "$unreachable" "$work/error"; }

# is_denied: whether it failed over who asks.
is_denied() { grep -Eq 'Unauthorized|\(Forbidden\)|must be logged in|the server has asked for the client to provide credentials' "$work/error"; }

# try_once COMMAND...: run a program; its output goes to `reply`, its errors to the file $work/error.
# Not a command substitution, because a signal would then have to wait for the program.
try_once() {
  local status=0
  run "$@" >"$work/reply" 2>"$work/error" || status=$?
  reply=$(<"$work/reply")
  return "$status"
}

# try_ask, try_helm ARGUMENTS...: try_once, and again while the API server cannot be reached, for `patience` seconds.
try_ask() { try_persistently "${kubectl[@]}" "$@"; }
try_helm() { try_persistently "${helm[@]}" "$@"; }

try_persistently() {
  local deadline=$((SECONDS + patience)) status
  while :; do
    status=0
    try_once "$@" || status=$?
    if [ "$status" -eq 0 ] || ! is_unreachable || [ "$SECONDS" -ge "$deadline" ]; then return "$status"; fi
    run sleep 1
  done
}

# must_ask, must_helm: the same, and no answer ends the deploy. Never under `||` or `if`: they do not return then.
must() { try_persistently "$@" || fail_asking; }
must_ask() { must "${kubectl[@]}" "$@"; }
must_helm() { must "${helm[@]}" "$@"; }

fail_asking() {
  local status=${changing:+10} what="the API server of the context «$context» refused" advice=''
  if is_unreachable; then
    what="the API server of the context «$context» does not answer"
  elif is_denied; then
    what='no right, or no longer' advice='ask for a role that grants it, or log in again if the credentials have expired; '
  fi
  fail "${status:-3}" "$what: $(last_words)" "$advice$(way_on)"
}
