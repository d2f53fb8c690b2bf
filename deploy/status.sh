# shellcheck shell=bash
# --status and --history: what runs, what was verified, and who deploys.

show_status() {
  fact context "$context, namespace $namespace, environment $environment"
  status_of_release "$project" deployment
  status_of_release "$redis_release" statefulset
  if [ -n "$image_name" ]; then fact image "$image_name:$image_tag@$digest"; fi
  if [ -n "$base_url" ]; then fact URL "http://$base_url/"; fi
  read_lease
  if [ -n "$lease_holder" ]; then fact lock "$lease_holder, since $lease_since"; else fact lock free; fi
}

# status_of_release RELEASE KIND
status_of_release() {
  read_revisions "$1"
  if [ -z "$newest_revision" ]; then
    fact "$1" "not installed"
    return
  fi
  fact "$1" "revision $newest_revision ($newest_status), verified: ${verified:-none}"
  if observe "$2" "$1"; then fact "$2" "$(rollout_line)${rollout_fault:+; $rollout_fault}"; fi
  rollout_fault=''
}

fact() { printf '%-16s %s\n' "$1" "$2"; }

show_history() {
  read_revisions "$project"
  if [ -z "$newest_revision" ]; then
    fail 3 "there is no release «$project» in the namespace «$namespace»" "./deploy.sh --status $project"
  fi
  ask_helm history "$project" --max 20
  awk -v verified=" $verified " '{ print (index(verified, " " $1 " ") ? "verified " : "         ") $0 }' <<<"$reply"
}
