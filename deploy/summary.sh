# shellcheck shell=bash
# The last lines of a deploy or rollback that went well.

show_summary() {
  local changed=${changes[*]-} back=none
  if [ -n "$(verified_before "$project")" ]; then back=$(this_project --rollback); fi
  cat <<END || true
$image_name:$image_tag serves.
  URL        $scheme://$base_url/
  changed    ${changed:-nothing: what runs is what was asked}
  digest     $asked_digest
  release    $project, revision ${newest[$project]}, namespace $namespace, context $context
  way back   $back
  took       $SECONDS s
END
}
