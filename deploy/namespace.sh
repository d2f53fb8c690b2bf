# The namespace: made with Pod Security labels, adopted only if empty or ours; and what is installed there.

namespace_state=''

prepare_namespace() {
  if [ "$namespace_state" = ours ]; then return; fi
  read_namespace
  label_namespace
  note "the namespace $namespace is ours now, it was $namespace_state"
}

# read_namespace: sets namespace_state to new, empty or ours; exit 3 if it is somebody else's.
read_namespace() {
  local owner phase inhabitant
  must_ask get namespace "$namespace" --ignore-not-found -o \
    jsonpath='{.metadata.labels.deploy/project}/{.metadata.labels.deploy/environment} {.status.phase}'
  owner=${reply%% *} phase=${reply##* } namespace_state=ours
  case $owner in
    '') namespace_state=new ;;
    "$project/$environment") ;;
    /)
      inhabitant=$(inhabitants)
      inhabitant=${inhabitant%%$'\n'*}
      # Somebody else's pods must not meet a stricter policy because of us.
      [ -z "$inhabitant" ] || fail 3 "the namespace «$namespace» is not empty and not ours, it holds $inhabitant" \
        "use another --namespace; if it is ours: kubectl --context $context label namespace $namespace deploy/project=$project deploy/environment=$environment"
      namespace_state=empty
      ;;
    "$project/"*) fail 3 "the namespace «$namespace» is $project in «${owner#*/}», not in «$environment»" "use another project name or --namespace for $environment" ;;
    *) fail 3 "the namespace «$namespace» belongs to the project «${owner%%/*}»" "use another --namespace" ;;
  esac
  [ "$phase" != Terminating ] || fail 3 "the namespace «$namespace» is being deleted" "run the same command again when it is gone"
}

label_namespace() {
  local level=restricted labels
  labels=$(json_object deploy/project "$project" deploy/environment "$environment" pod-security.kubernetes.io/enforce "$level" \
    pod-security.kubernetes.io/warn "$level" pod-security.kubernetes.io/audit "$level")
  json_object apiVersion v1 kind Namespace '#metadata' "$(json_object name "$namespace" '#labels' "$labels")" >"$work/namespace.json"
  must_ask apply -f "$work/namespace.json"
}

# inhabitants: what the namespace holds that neither Kubernetes nor this project put there, a line each, as kind/name.
# Also "unknown/…" for each error: what cannot be seen must not be deleted.
inhabitants() {
  local kinds fields
  kinds=$("${kubectl[@]}" api-resources --namespaced --verbs=list -o name 2>"$work/unseen" | sort -u |
    grep -Ev '^(events|events\.events\.k8s\.io|endpoints|endpointslices\.discovery\.k8s\.io|pods\.metrics\.k8s\.io)$' | tr '\n' ',' || true)
  fields='{range .items[*]}{.kind}/{.metadata.name} {.metadata.labels.app\.kubernetes\.io/instance}'
  fields+=' {.metadata.labels.deploy/project} {.metadata.labels.owner}/{.metadata.labels.name}{"\n"}{end}'
  "${kubectl[@]}" get "${kinds%,}" -o jsonpath="$fields" 2>>"$work/unseen" |
    awk -v project="$project" -f "$root/deploy/inhabitants.awk" || true
  sed -E '/^Warning:|^No resources/d; /^[^,]*metrics\.k8s\.io[^,]*(, [^,]*metrics\.k8s\.io[^,]*)*$/d; s/^Error from server \(Forbidden\): ([^ ]*) is forbidden.*/\1/; s/^/unknown\//' "$work/unseen"
}

# read_installed: sets environment, image_name, image_tag, asked_digest, base_url and redis_release from the cluster.
read_installed() {
  redis_release=$project-redis
  must_ask get namespace "$namespace" --ignore-not-found -o jsonpath='{.metadata.name}|{.metadata.labels.deploy/project}|{.metadata.labels.deploy/environment}|{.status.phase}'
  local found owner phase
  IFS='|' read -r found owner environment phase <<<"$reply"
  if [ -z "$found" ]; then fail 3 "there is no namespace «$namespace» in the context «$context»" "give --context or --namespace"; fi
  [ "$owner" = "$project" ] ||
    fail 3 "the namespace «$namespace» is not of the project «$project» but of «${owner:-nobody}»" "give --namespace"
  if [ "$phase" = Terminating ]; then fail 3 "the namespace «$namespace» is being deleted" "nothing is left to do here"; fi
  check_prod_context
  read_revisions "$project"
  local revision=${newest[$project]}
  if [ -z "$revision" ]; then return; fi
  deployed_value image_name "$revision" image repository
  deployed_value image_tag "$revision" image tag
  deployed_value asked_digest "$revision" image digest
  deployed_value base_url "$revision" ingress host
}
