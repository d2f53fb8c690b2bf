# shellcheck shell=bash
# What the deploy did, in the words an operator passes on.

show_summary() {
  local changed=${changes[*]-} back=none
  if [ -n "$(verified_before "$project")" ]; then back=$(this_project --rollback); fi
  cat <<END
$image_name:$image_tag serves.
  URL        $scheme://$base_url/
  changed    ${changed:-nothing: what runs is what was asked}
  digest     $asked_digest
  release    $project, revision ${newest[$project]}, namespace $namespace, context $context
  way back   $back
  took       $SECONDS s
END
}
