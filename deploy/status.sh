# --status and --history: what runs, what was verified, and who deploys; and the last lines of a deploy that went well.

show_status() {
  facts=()
  fact context "$context, namespace $namespace, environment $environment" \
    project "$project" context "$context" namespace "$namespace" environment "$environment"
  status_of_release "$project"
  status_of_release "$redis_release"
  if [ -n "$image_name" ]; then fact image "$image_name:$image_tag@$asked_digest" image "$image_name" tag "$image_tag" digest "$asked_digest"; fi
  if [ -n "$base_url" ]; then
    read_entrances "$base_url"
    fact URL "$url${route_fault:+; the HTTPRoute is not served: $route_fault}" url "$url" route_fault "$route_fault"
  fi
  must_ask get pod "$project-candidate" --ignore-not-found -o jsonpath='{.metadata.creationTimestamp}'
  if [ -n "$reply" ]; then fact candidate "$project-candidate, since $reply; the next deploy removes it" candidate_since "$reply"; fi
  read_lease
  if [ -n "$lease_holder" ]; then fact lock "$lease_holder, since $lease_since" lock "$lease_holder" lock_since "$lease_since"; else fact lock free; fi
  if [ "$as_json" = yes ]; then on_stdout "$(json_object "${facts[@]}")"; fi
}

status_of_release() {
  local key kind
  key=$(record_key "$1") kind=$(kind_of "$1")
  read_revisions "$1"
  if [ -z "${newest[$1]}" ]; then fact "$1" "not installed" && return; fi
  fact "$1" "revision ${newest[$1]} (${newest_status[$1]}), verified: ${verified[$1]:-none}" \
    "#${key}_revision" "${newest[$1]}" "${key}_state" "${newest_status[$1]}" "#${key}_verified" "[${verified[$1]// /,}]"
  if observe "$kind" "$1"; then
    fact "$kind" "$(rollout_line)${rollout_fault:+; $rollout_fault}" "#${key}_wanted" "$wanted" "#${key}_available" "$available" "${key}_fault" "$rollout_fault"
  fi
  rollout_fault=''
}

# fact LABEL TEXT [KEY VALUE...]: a line for a person; for --json the pairs.
fact() { if [ "$as_json" = no ]; then result "$(printf '%-16s %s' "$1" "$2")"; else facts+=("${@:3}"); fi; }

show_history() {
  local number uid state outcome list=''
  read_revisions "$project"
  [ -n "${newest[$project]}" ] || fail 3 "there is no release «$project» in the namespace «$namespace»" "$(this_project --status)"
  # shellcheck disable=SC2016 # the template's own variables
  must_ask get configmap "$project-deploy" --ignore-not-found -o go-template='{{range $key, $value := .data}}{{$key}} {{$value}}{{"\n"}}{{end}}'
  while read -r number uid state; do
    outcome=$(sed -n "s/^revision-$number $uid //p" <<<"$reply")
    list+=",$(json_object '#revision' "$number" state "$state" '#verified' \
      "$([[ " ${verified[$project]} " == *" $number "* ]] && echo true || echo false)" '#outcome' "$outcome")"
    if [ -n "$outcome" ]; then echo "$number $outcome"; fi
  done <<<"${revisions[$project]}" >"$work/outcomes"
  if [ "$as_json" = yes ]; then on_stdout "[${list#,}]" && return; fi
  must_helm history "$project" --max 20
  result "$(awk -v verified=" ${verified[$project]} " -f "$root/deploy/history.awk" "$work/outcomes" "$work/reply")"
}

show_summary() {
  local changed=${changes[*]-} back=none
  if [ -n "$(verified_before "$project")" ]; then back=$(this_project --rollback); fi
  result "$image_name:$image_tag serves.
  URL        $url
  changed    ${changed:-nothing: what runs is what was asked}
  digest     $asked_digest
  release    $project, revision ${newest[$project]}, namespace $namespace, context $context
  way back   $back
  took       $SECONDS s"
}
