# --status and --history: what runs, what was verified, and who deploys; and the last lines of a deploy that went well.

show_status() {
  fact context "$context, namespace $namespace, environment $environment"
  status_of_release "$project" deployment
  status_of_release "$redis_release" statefulset
  if [ -n "$image_name" ]; then fact image "$image_name:$image_tag@$asked_digest"; fi
  if [ -n "$base_url" ]; then
    read_entrances "$base_url"
    fact URL "$url${route_fault:+; the HTTPRoute is not served: $route_fault}"
  fi
  must_ask get pod "$project-candidate" --ignore-not-found -o jsonpath='{.metadata.creationTimestamp}'
  if [ -n "$reply" ]; then fact candidate "$project-candidate, since $reply; the next deploy removes it"; fi
  read_lease
  if [ -n "$lease_holder" ]; then fact lock "$lease_holder, since $lease_since"; else fact lock free; fi
}

# status_of_release RELEASE KIND
status_of_release() {
  read_revisions "$1"
  if [ -z "${newest[$1]}" ]; then
    fact "$1" "not installed"
    return
  fi
  fact "$1" "revision ${newest[$1]} (${newest_status[$1]}), verified: ${verified[$1]:-none}"
  if observe "$2" "$1"; then fact "$2" "$(rollout_line)${rollout_fault:+; $rollout_fault}"; fi
  rollout_fault=''
}

fact() { printf '%-16s %s\n' "$1" "$2"; }

show_history() {
  read_revisions "$project"
  [ -n "${newest[$project]}" ] || fail 3 "there is no release «$project» in the namespace «$namespace»" "$(this_project --status)"
  must_helm history "$project" --max 20
  awk -v verified=" ${verified[$project]} " '{ print (index(verified, " " $1 " ") ? "verified " : "         ") $0 }' <<<"$reply"
}

show_summary() {
  local changed=${changes[*]-} back=none
  if [ -n "$(verified_before "$project")" ]; then back=$(this_project --rollback); fi
  cat <<END || true
$image_name:$image_tag serves.
  URL        $url
  changed    ${changed:-nothing: what runs is what was asked}
  digest     $asked_digest
  release    $project, revision ${newest[$project]}, namespace $namespace, context $context
  way back   $back
  took       $SECONDS s
END
}
