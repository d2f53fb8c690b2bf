# shellcheck shell=bash
# How the API server is asked. It may be away for moments (an upgrade of the control plane, a load balancer that
# moves), which must not end a deploy half-way.

kubectl=() helm=() helm_apply=() kubernetes_version='' api_versions='' release_applied=''
patience=30

# use_context: fix the context for the whole deploy, so that a switch in another terminal cannot redirect it.
use_context() {
  kubectl=(kubectl --context "$context" --namespace "$namespace" --request-timeout 10s)
  helm=(helm --kube-context "$context" --namespace "$namespace")
  # Helm 4 would apply on the server, where a field somebody edited by hand is a conflict; Helm 3 mends it.
  helm_apply=()
  case $("${helm[@]}" version --short 2>/dev/null) in v3.*) ;; *) helm_apply=(--server-side=false) ;; esac
}

unreachable='refused|timeout|timed out|deadline exceeded|TLS handshake|EOF|no route|reset by peer|unable to connect'
unreachable+='|ServiceUnavailable|etcdserver|no such host|unreachable'

reply=''

# try_once COMMAND...: run a program; its output goes to `reply`, its errors to the file $work/error.
# Not a command substitution, because a signal would then have to wait for the program.
try_once() {
  local status=0
  run "$@" >"$work/reply" 2>"$work/error" || status=$?
  reply=$(<"$work/reply")
  return "$status"
}

# ask ARGUMENTS...: kubectl into `reply`. ask_helm ARGUMENTS...: the same with helm.
ask() { persistently "${kubectl[@]}" "$@"; }

ask_helm() { persistently "${helm[@]}" "$@"; }

# persistently COMMAND...: again while the API server cannot be reached, for `patience` seconds. Ends the deploy when
# it stays away; any other failure is the caller's, its words are in $work/error.
persistently() {
  local deadline=$((SECONDS + patience)) status=0
  while :; do
    status=0
    try_once "$@" || status=$?
    if [ "$status" -eq 0 ]; then return 0; fi
    if grep -q '(Forbidden)' "$work/error"; then
      fail 3 "no right: $(tail -n 1 "$work/error")" "ask for a role that grants it, then run the same command again"
    fi
    if ! is_unreachable "$work/error"; then return "$status"; fi
    if [ "$SECONDS" -ge "$deadline" ]; then fail_unreachable; fi
    run sleep 1
  done
}

is_unreachable() { grep -Eqi "$unreachable" "$1"; }

fail_unreachable() {
  local status=3
  if [ -n "$release_applied" ]; then status=10; fi
  fail "$status" "the API server of the context «$context» does not answer: $(tail -n 1 "$work/error")" \
    "$(interrupted_advice)"
}

# What the charts are told of the cluster, so that `helm template` renders what `helm upgrade` applies.
# After the API server's /version was asked.
read_capabilities() {
  kubernetes_version=$(sed -n 's/.*"gitVersion": *"\([^"]*\)".*/\1/p' <<<"$reply")
  ask api-versions
  api_versions=${reply//$'\n'/,}
}

has_api() {
  case ,$api_versions, in *",$1/"*) return 0 ;; esac
  return 1
}
