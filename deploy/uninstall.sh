# shellcheck shell=bash
# --uninstall: the releases go, the data stays unless it is told to go too.

confirm_uninstall() {
  local what="the releases $project and $redis_release"
  if [ "$delete_data" = yes ]; then what+=", the counter's volume, the password and the namespace $namespace"; fi
  if [ "$assume_yes" = yes ]; then return; fi
  if [ ! -t 0 ]; then fail 2 "--uninstall: got no terminal to ask on, allowed: --yes" "it would remove $what"; fi
  local answer
  printf 'This removes %s in the context %s.\nType the project name to go on: ' "$what" "$context" >&3
  IFS= read -r answer
  if [ "$answer" != "$project" ]; then fail 2 "--uninstall: got «$answer», allowed: «$project»" "nothing was removed"; fi
}

uninstall_releases() {
  local release
  for release in "$project" "$redis_release"; do
    read_revisions "$release"
    if [ -z "$newest_revision" ]; then
      note "$release is not installed"
      continue
    fi
    check_lock
    ask_helm uninstall "$release" || fail 10 "helm could not uninstall $release: $(tail -n 3 "$work/error")" "run the same command again"
    note "uninstalled $release"
  done
  ask delete configmap "$project-deploy" --ignore-not-found
  if [ "$delete_data" = yes ]; then delete_data; else note "kept: the volume and the Secret of Redis (--delete-data removes them)"; fi
}

# The namespace goes only if nothing of anybody else's is in it.
delete_data() {
  check_lock
  ask delete persistentvolumeclaims -l "app.kubernetes.io/instance=$redis_release" --wait=false
  ask delete secrets -l "deploy/project=$project" --ignore-not-found
  note "deleted the volume and the password of Redis"
  ask get deployments,statefulsets,services,ingresses -o name
  if [ -n "$reply" ]; then
    note "kept the namespace $namespace: it holds ${reply%%$'\n'*}"
    return
  fi
  release_lock
  ask delete namespace "$namespace" --wait=false
  note "deleted the namespace $namespace"
}
