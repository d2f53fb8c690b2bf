# shellcheck shell=bash
# What the deploy did, in the words an operator passes on.

show_summary() {
  local revision
  revision=$("${kubectl[@]}" get secrets -l "owner=helm,name=$project,status=deployed" -o jsonpath='{.items[*].metadata.labels.version}')
  cat <<END
$image_name:$image_tag serves.
  URL        $scheme://$base_url/
  digest     $digest
  release    $project, revision $revision, namespace $namespace, context $context
  took       $SECONDS s
END
}
