# shellcheck shell=bash
# What the deploy did, in the words an operator passes on.

show_summary() {
  local changed=${changes[*]-} back=none
  read_revisions "$project"
  case $verified in *' '*) back="./deploy.sh $project --rollback${named_context:+ --context $named_context}" ;; esac
  cat <<END
$image_name:$image_tag serves.
  URL        $scheme://$base_url/
  changed    ${changed:-nothing: what runs is what was asked}
  digest     $digest
  release    $project, revision $newest_revision, namespace $namespace, context $context
  way back   $back
  took       $SECONDS s
END
}
