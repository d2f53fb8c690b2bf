# What must be there before anything is touched: tools, the daemon, the cluster, the rights, valid charts.

container_tool='' image_platform=() node_architecture='' named_context=''

preflight() {
  check_tools
  check_context
  check_prod_context
  check_container_tool
  check_api
  check_nobody_paused_it
  choose_platform
  check_charts
  check_host
  if [ "$action" != plan ]; then check_rights; fi
}

# preflight_installed: for what is done to an installed project; its environment is known only to the cluster.
preflight_installed() {
  check_tools
  check_context
  check_api
  read_installed
}

check_tools() {
  local tool
  for tool in kubectl helm curl gzip base64 awk sed grep sort diff find xargs cksum od; do
    command -v "$tool" >/dev/null || fail 3 "$tool: not found on PATH" "install $tool, then run the same command again"
  done
  # kubectl would not follow it to another cluster, and the records of revisions are read from Secrets.
  [[ ${HELM_DRIVER:-secret}${HELM_KUBEAPISERVER-} =~ ^secrets?$ ]] ||
    fail 3 "HELM_DRIVER is «${HELM_DRIVER-}», HELM_KUBEAPISERVER is «${HELM_KUBEAPISERVER-}»" "unset both; the context says which cluster: --context NAME"
}

check_container_tool() {
  if [ "$action" = plan ] || [ -n "$asked_digest" ]; then return; fi
  container_tool=$(command -v docker || command -v podman) ||
    fail 3 "docker or podman: not found on PATH" "install one of them, then run the same command again"
  container_tool=${container_tool##*/}
  try_once "$container_tool" version ||
    fail 3 "the $container_tool daemon does not answer: $(last_words)" "start it, then run the same command again"
  # It may go by docker's name.
  if [[ $reply == *Podman* ]] && command -v podman >/dev/null; then container_tool=podman; fi
}

check_context() {
  local expected=${DEPLOY_CONTEXT-}
  named_context=${context:-$expected}
  context=${context:-$(kubectl config current-context 2>/dev/null || true)}
  [ "$context" = "${expected:-$context}" ] || fail 3 "the kube context is «$context», DEPLOY_CONTEXT expects «$expected»" \
    "kubectl config use-context $expected, or give --context $expected"
}

check_prod_context() {
  [ "$environment" != prod ] || [ -n "$named_context" ] || fail 3 "prod: the kube context must be named" \
    "give --context NAME or DEPLOY_CONTEXT=NAME; contexts: $(kubectl config get-contexts -o name 2>/dev/null | tr '\n' ' ')"
}

check_api() {
  if [ -z "$context" ]; then fail 3 "no kube context is set" "give --context NAME, or kubectl config use-context NAME"; fi
  use_context
  note "context $context, namespace $namespace"
  # A person who waits should not wait long here; later, in the middle, patience pays.
  try_once "${kubectl[@]}" get --raw /version ||
    fail 3 "the API server of the context «$context» does not answer: $(last_words)" \
      "check the cluster and your credentials: kubectl --context $context version"
  # What the charts are told of the cluster, so that `helm template` renders what `helm upgrade` applies.
  kubernetes_version=$(sed -n 's/.*"gitVersion": *"\([^"]*\)".*/\1/p' <<<"$reply")
  must_ask api-versions
  api_versions=${reply//$'\n'/,}
  if [[ ,$api_versions, == *,monitoring.coreos.com/v1,* ]]; then
    # Whoever brings the group need not bring all of its kinds.
    must_ask get --raw /apis/monitoring.coreos.com/v1
    api_versions+=$(grep -o '"kind": *"[A-Za-z]*"' <<<"$reply" | sort -u | sed 's|.*"\(.*\)"|,monitoring.coreos.com/v1/\1|' | tr -d '\n')
  fi
  [[ ,$api_versions == *,metrics.k8s.io/* ]] ||
    warn "the cluster has no metrics-server: the autoscaler cannot read the CPU and keeps the least number of pods"
}

# Of every kind that the charts render. One request a right, all sent by one kubectl.
check_rights() {
  local missing group resource subresource
  {
    { cat "$work/$project.yaml" "$work/$redis_release.yaml" 2>/dev/null || true; } | awk -f "$root/deploy/resources.awk"
    printf '/secrets\ncoordination.k8s.io/leases\n'
    [ "$candidate" = no ] || printf '/pods\n/pods/portforward\n'
  } | sort -u | while IFS=/ read -r group resource subresource; do
    json_object apiVersion authorization.k8s.io/v1 kind SelfSubjectAccessReview '#spec' "$(json_object '#resourceAttributes' \
      "$(json_object namespace "$namespace" verb create group "$group" resource "$resource" subresource "$subresource")")"
  done >"$work/rights.json"
  must_ask create --validate=false -f "$work/rights.json" \
    -o jsonpath='{.status.allowed} {.spec.resourceAttributes.resource}/{.spec.resourceAttributes.subresource}{"\n"}'
  missing=$(sed -n '/^true/!{s/^[^ ]* *//;s|/$||;p;}' <<<"$reply" | tr '\n' ' ')
  [ -z "$missing" ] || fail 3 "no right to create ${missing% } in the namespace «$namespace» of the context «$context»" \
    "ask for a role that grants it: kubectl --context $context -n $namespace auth can-i create ${missing%% *}"
}

# Two Ingresses or HTTPRoutes for one host: which one answers is up to the controller, so neither team should find out.
# A wildcard yields to a whole name; the Ingress by which cert-manager proves the host goes by itself.
check_host() {
  local owner kinds=ingresses
  if [ "$(rendered_annotation entrance)" = none ]; then return; fi
  case ,$api_versions in *,gateway.networking.k8s.io/*) kinds+=,httproutes.gateway.networking.k8s.io ;; esac
  try_ask get "$kinds" --all-namespaces -o jsonpath='{range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name} {.metadata.namespace}/{.metadata.labels.app\.kubernetes\.io/instance}/{.metadata.labels.acme\.cert-manager\.io/http01-solver} {.spec.rules[*].host} {.spec.hostnames[*]} {"\n"}{end}' ||
    warn "not all ${kinds//,/ and } of other namespaces can be listed: whether $base_url is taken is not known"
  owner=$(awk -v host="$base_url" -v own="$namespace/$project/" \
    'index($0 " ", " " host " ") && $3 != own && $3 !~ "/true$" { print $1, $2; exit }' <<<"$reply")
  [ -z "$owner" ] || fail 3 "the host «$base_url» is owned by the $owner" "use another base_url, or remove that ${owner%% *} first"
}

# A Deployment that somebody paused or scaled to nothing never rolls out; they had a reason.
check_nobody_paused_it() {
  must_ask get deployment "$project" --ignore-not-found -o jsonpath='{.spec.paused}/{.spec.replicas}'
  case $reply in
    true/*) fail 3 "the Deployment $project is paused" "ask who paused it, then: kubectl --context $context -n $namespace rollout resume deployment $project" ;;
    */0) fail 3 "the Deployment $project was scaled to 0 pods by hand" "ask who did, then: kubectl --context $context -n $namespace scale deployment $project --replicas 3" ;;
  esac
}

# Built for the nodes, which need not be of this machine's kind.
choose_platform() {
  local nodes
  if [ -n "$platform" ]; then
    # On other nodes of a mixed cluster it could not start.
    node_architecture=${platform#linux/}
    node_architecture=${node_architecture%%/*}
  elif [ -n "$asked_digest" ]; then
    return
  elif try_ask get nodes -o jsonpath='{range .items[*]}{.status.nodeInfo.architecture}{"\n"}{end}' && [ -n "$reply" ]; then
    nodes=$(sort -u <<<"$reply")
    [[ $nodes != *$'\n'* ]] ||
      fail 3 "the nodes have several architectures: ${nodes//$'\n'/, }" "say which one to build for: --platform linux/ARCH"
    platform=linux/$nodes
  else
    warn "the nodes cannot be listed: building for this machine's architecture (see --platform)"
  fi
  [ -z "$platform" ] || image_platform=(--platform "$platform")
}
