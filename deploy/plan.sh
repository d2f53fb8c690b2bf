# What a deploy would change: rendered manifests against those of the last verified revision, which also shows what
# would be removed. Nothing is built, pushed or written.

# known_content is the checksum that was deployed last, and the digest of its image.
plan_differs='' plan_is_impossible='' known_content=''

# show_plan: for --plan, the differences on stdout; exit 20 if there are any, 6 if one cannot be made.
show_plan() {
  make_plan
  result "$(cat "$work/plan")"
  [ -z "$plan_is_impossible" ] || fail 6 "$plan_is_impossible" "nothing was changed; ask for what it was, or delete the object first"
  if [ -n "$plan_differs" ]; then exit 20; fi
  result "No differences: $project in the namespace $namespace is as asked."
}

# announce_plan: for a deploy, the same in a few lines; and how the entrance answers before anything changes.
announce_plan() {
  make_plan
  tell '%s\n' "$(sed -n '/^[#!]/s/^[#!] /       /p' "$work/plan")"
  read_baseline "$base_url"
}

make_plan() {
  : >"$work/plan"
  read_namespace
  if [ "$namespace_state" != ours ]; then
    plan_differs=yes
    echo "# namespace $namespace: $namespace_state" >>"$work/plan"
  fi
  # The digest is known without a build only when the same content was deployed under the same tag before.
  read_record content
  known_content=$reply
  # What is pulled need not be what this folder holds.
  if [ "$build" = yes ]; then content=$(content_checksum); fi
  if [ -n "$asked_digest" ]; then
    render_service "$asked_digest"
  elif [[ -n $content && $known_content == "$content "?* ]]; then
    render_service "${known_content#* }"
    echo "# image $image_name:$image_tag: unchanged" >>"$work/plan"
  else
    plan_differs=yes
    echo "# image $image_name:$image_tag: its digest will be known after the build or pull" >>"$work/plan"
  fi
  if [ "$redis_mode" = bundled ]; then plan_release "$redis_release"; fi
  plan_release "$project"
}

plan_release() {
  local release=$1 revision target status=0 kind='#' what=unchanged
  read_revisions "$release"
  revision=${newest[$release]} target=$(last_verified "$release")
  compare_with_revision "$release" "$target"
  # A deploy asks the cluster right before it changes something, with the digest.
  if [ -n "$revision" ] && [ "$action" = plan ]; then cluster_difference "$release" || status=$?; fi
  if is_impossible "$status"; then
    kind='!' what="impossible: $(last_words)" plan_is_impossible="$release cannot become what was asked: $(last_words)"
  elif [ -z "$revision" ]; then
    what=new
  elif [ "$target" != "$revision" ]; then
    what="revision $revision (${newest_status[$release]}) was not verified; the last verified one is ${target:-none}"
  elif [ -s "$work/difference" ]; then
    what="$(grep -c '^+' "$work/difference" || true) lines added, $(grep -c '^-' "$work/difference" || true) removed since revision $target"
  elif [ "$status" -gt 1 ]; then
    kind='!' what="as deployed, but whether it was changed by hand the cluster does not say: $(last_words)"
  elif [ "$status" -eq 1 ]; then
    kind='!' what='changed by hand in the cluster'
    masked <"$work/reply" | grep '^[-+@ ]' >"$work/difference" || true
  fi
  echo "$kind release $release: $what" >>"$work/plan"
  if [ "$what" = unchanged ]; then return; fi
  plan_differs=yes
  if [ "$kind" = '#' ]; then objects_that_differ | sed 's/^/#   /' >>"$work/plan"; fi
  sed "s/$unknown_digest/(known after the build)/" "$work/difference" >>"$work/plan"
  if [ "$release" = "$redis_release" ] && [ -n "$revision" ]; then
    echo '! Redis is one pod: while it restarts, visitors wait some seconds' >>"$work/plan"
  fi
}

# objects_that_differ: after compare_with_revision, a line for each object that is new (+), gone (-) or changed (~).
objects_that_differ() { awk -f "$root/deploy/objects_that_differ.awk" "$work/before" "$work/after" | sort -k 2; }

# compare_with_revision RELEASE REVISION: what was rendered against what Helm applied then, into $work/difference.
compare_with_revision() {
  local before=/dev/null
  if [ -n "$2" ]; then
    deployed_manifest "$1" "$2"
    before=$work/$1.$2.yaml
  fi
  comparable "$before" | masked >"$work/before"
  comparable "$work/$1.yaml" | masked >"$work/after"
  # Without the two header lines: they name temporary files.
  diff -U 2 "$work/before" "$work/after" | sed '1,2d' >"$work/difference" || true
}
