# shellcheck shell=bash
# The namespace: created with Pod Security labels and the environment's name; adopted only if empty or ours.

prepare_namespace() {
  local owner phase
  ask get namespace "$namespace" --ignore-not-found -o \
    jsonpath='{.metadata.labels.deploy/project}/{.metadata.labels.deploy/environment} {.status.phase}'
  owner=${reply%% *} phase=${reply##* }
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
  cat >"$work/namespace.yaml" <<END
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
  ask apply -f "$work/namespace.yaml"
  note "created the namespace $namespace"
}

# Somebody else's pods must not meet a stricter policy because of us.
adopt_namespace() {
  local inhabitant
  ask get all,ingresses,persistentvolumeclaims,secrets,configmaps -o name
  inhabitant=$(grep -vx 'configmap/kube-root-ca.crt' <<<"$reply" | head -n 1 || true)
  if [ -n "$inhabitant" ]; then
    fail 3 "the namespace «$namespace» is not empty and not ours, it holds $inhabitant" \
      "use another --namespace; if it is ours: kubectl label namespace $namespace deploy/project=$project deploy/environment=$environment"
  fi
  ask label namespace "$namespace" "deploy/project=$project" "deploy/environment=$environment" \
    pod-security.kubernetes.io/enforce=restricted pod-security.kubernetes.io/warn=restricted \
    pod-security.kubernetes.io/audit=restricted
  note "adopted the empty namespace $namespace"
}
