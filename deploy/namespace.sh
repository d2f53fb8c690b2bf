# shellcheck shell=bash
# The namespace: created with Pod Security labels and the environment's name; adopted only if empty or ours.

prepare_namespace() {
  local found owner phase
  found=$("${kubectl[@]}" get namespace "$namespace" --ignore-not-found -o \
    jsonpath='{.metadata.labels.deploy/project}/{.metadata.labels.deploy/environment} {.status.phase}')
  owner=${found%% *} phase=${found##* }
  case $owner in
    '') create_namespace ;;
    "$project/$environment") ;;
    /) adopt_namespace ;;
    "$project/"*)
      fail 3 "the namespace «$namespace» is $project in «${owner#*/}», not in «$environment»" \
        "use another project name or --namespace for $environment"
      ;;
    *)
      fail 3 "the namespace «$namespace» belongs to the project «${owner%%/*}»" "use another --namespace"
      ;;
  esac
  if [ "$phase" = Terminating ]; then
    fail 3 "the namespace «$namespace» is being deleted" "run the same command again when it is gone"
  fi
}

create_namespace() {
  "${kubectl[@]}" create -f - >/dev/null <<END || fail 3 "the namespace «$namespace» cannot be created" "see the message above"
apiVersion: v1
kind: Namespace
metadata:
  name: $namespace
  labels:
    deploy/project: $project
    deploy/environment: $environment
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/warn: restricted
    pod-security.kubernetes.io/audit: restricted
END
  note "created the namespace $namespace"
}

# Somebody else's pods must not meet a stricter policy because of us.
adopt_namespace() {
  local inhabitants
  inhabitants=$("${kubectl[@]}" get all,ingresses,persistentvolumeclaims,secrets -o name)
  if [ -n "$inhabitants" ]; then
    fail 3 "the namespace «$namespace» is not empty and not ours, it holds ${inhabitants%%$'\n'*}" \
      "use another --namespace, or label it deploy/project=$project deploy/environment=$environment if it is ours"
  fi
  "${kubectl[@]}" label namespace "$namespace" "deploy/project=$project" "deploy/environment=$environment" \
    pod-security.kubernetes.io/enforce=restricted pod-security.kubernetes.io/warn=restricted \
    pod-security.kubernetes.io/audit=restricted >/dev/null
  note "adopted the empty namespace $namespace"
}
