# --uninstall: the releases go, the data stays unless it is told to go too.

confirm_uninstall() {
  local what="the releases $project and $redis_release" answer
  if [ "$delete_data" = yes ]; then what+=", the counter's volume, the password and the namespace $namespace"; fi
  if [ "$assume_yes" = yes ]; then return; fi
  if [ ! -t 0 ]; then fail 2 "--uninstall: got no terminal to ask on, allowed: --yes" "it would remove $what"; fi
  printf 'This removes %s in the context %s.\nType the project name to go on: ' "$what" "$context" >&3
  IFS= read -r answer || true
  if [ "$answer" != "$project" ]; then fail 2 "--uninstall: got «$answer», allowed: «$project»" "nothing was removed"; fi
}

uninstall_releases() {
  local release
  for release in "$project" "$redis_release"; do
    read_revisions "$release"
    if [ -z "${newest[$release]}" ]; then note "$release is not installed" && continue; fi
    check_lock
    changing=$release
    uninstall_release "$release" || fail 10 "helm could not uninstall $release: $(last_words 3)" "run the same command again"
    changes+=("$release")
    note "uninstalled $release"
  done
  remove_candidate
  must_ask delete networkpolicies "$project-candidate" --ignore-not-found
  # A deploy that was killed may have left it; its Secret goes with it. Whoever has no right to it did not make it.
  if [[ ,$api_versions == *,external-secrets.io/* ]]; then
    try_ask delete externalsecrets.external-secrets.io "$project-candidate" --ignore-not-found || is_denied || fail_asking
  fi
  must_ask delete serviceaccounts -l "app.kubernetes.io/instance=$project" # Helm keeps it, for rollbacks
  must_ask delete configmap "$project-deploy" --ignore-not-found
  if [ "$delete_data" = yes ]; then delete_data; else note "kept: the volume and the Secret of Redis (--delete-data removes them)"; fi
}

# uninstall_release RELEASE: a first try whose reply was lost may have done it.
uninstall_release() { try_helm uninstall "$1" || grep -q 'not found' "$work/error"; }

# The namespace goes only if nothing of anybody else's is in it.
delete_data() {
  local foreign
  check_lock
  must_ask delete persistentvolumeclaims -l "app.kubernetes.io/instance=$redis_release" --wait=false
  must_ask delete secrets -l "deploy/project=$project" --ignore-not-found
  note "deleted the volume and the password of Redis"
  foreign=$(inhabitants)
  if [ -n "$foreign" ]; then note "kept the namespace $namespace: it holds ${foreign%%$'\n'*}" && return; fi
  release_lock
  must_ask delete namespace "$namespace" --wait=false
  note "the namespace $namespace is being deleted"
}
