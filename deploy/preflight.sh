# shellcheck shell=bash
# What must be there before anything is touched: tools, the daemon, the cluster, the rights, valid charts.

kubectl=() helm=() container_tool='' image_platform=()

preflight() {
  check_tools
  check_context
  check_daemon
  check_rights
  choose_platform
  check_charts
}

check_tools() {
  local tool
  for tool in kubectl helm; do
    command -v "$tool" >/dev/null || fail 3 "$tool: not found on PATH" "install $tool, then run the same command again"
  done
  if command -v docker >/dev/null; then
    container_tool=docker
  elif command -v podman >/dev/null; then
    container_tool=podman
  else
    fail 3 "docker or podman: not found on PATH" "install one of them, then run the same command again"
  fi
}

# The context is fixed here for the whole deploy: a switch in another terminal must not redirect it.
check_context() {
  local expected=${DEPLOY_CONTEXT-}
  if [ "$environment" = prod ] && [ -z "$context$expected" ]; then
    fail 3 "prod: the kube context must be named" \
      "give --context NAME or DEPLOY_CONTEXT=NAME; contexts: $(kubectl config get-contexts -o name | tr '\n' ' ')"
  fi
  context=${context:-$(kubectl config current-context 2>/dev/null || true)}
  [ -n "$context" ] || fail 3 "no kube context is set" "give --context NAME, or kubectl config use-context NAME"
  if [ -n "$expected" ] && [ "$context" != "$expected" ]; then
    fail 3 "the kube context is «$context», DEPLOY_CONTEXT expects «$expected»" \
      "kubectl config use-context $expected, or give --context $expected"
  fi
  kubectl=(kubectl --context "$context" --namespace "$namespace" --request-timeout 10s)
  helm=(helm --kube-context "$context" --namespace "$namespace")
  if ! "${kubectl[@]}" get --raw /version >"$work/api" 2>&1; then
    fail 3 "the API server of the context «$context» does not answer: $(tail -n 1 "$work/api")" \
      "check the cluster and your credentials: kubectl --context $context version"
  fi
  note "context $context, namespace $namespace"
}

check_daemon() {
  if ! "$container_tool" version >"$work/daemon" 2>&1; then
    fail 3 "the $container_tool daemon does not answer: $(tail -n 1 "$work/daemon")" "start it, then run the same command again"
  fi
}

# One request a right, all sent by one kubectl.
check_rights() {
  local resource missing
  for resource in /configmaps /secrets /services /serviceaccounts apps/deployments apps/statefulsets \
    autoscaling/horizontalpodautoscalers networking.k8s.io/ingresses; do
    printf '{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":'
    printf '{"namespace":"%s","verb":"create","group":"%s","resource":"%s"}}}\n' \
      "$namespace" "${resource%%/*}" "${resource#*/}"
  done >"$work/rights.json"
  missing=$("${kubectl[@]}" create --validate=false -f "$work/rights.json" \
    -o jsonpath='{.status.allowed} {.spec.resourceAttributes.resource}{"\n"}' | sed -n '/^true/!s/^[^ ]* *//p' | tr '\n' ' ')
  if [ -n "$missing" ]; then
    fail 3 "no right to create ${missing% } in the namespace «$namespace» of the context «$context»" \
      "ask for a role that grants it: kubectl auth can-i create ${missing%% *} -n $namespace"
  fi
}

# Built for the nodes, which need not be of this machine's kind.
choose_platform() {
  local nodes
  if [ -z "$platform" ]; then
    nodes=$("${kubectl[@]}" get nodes -o jsonpath='{range .items[*]}{.status.nodeInfo.architecture}{"\n"}{end}' 2>/dev/null |
      sort -u) || nodes=''
    case $nodes in
      '') warn "the nodes cannot be listed: building for this machine's architecture (see --platform)" ;;
      *$'\n'*)
        fail 3 "the nodes have several architectures: ${nodes//$'\n'/, }" "say which one to build for: --platform linux/ARCH"
        ;;
      *) platform=linux/$nodes ;;
    esac
  fi
  [ -z "$platform" ] || image_platform=(--platform "$platform")
}
