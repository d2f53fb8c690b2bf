# shellcheck shell=bash
# What a deploy would change: rendered manifests against those of the last verified revision, which also shows what
# would be removed. Nothing is built, pushed or written.

plan_differs='' unchanged_releases=' '

# show_plan: for --plan, the differences on stdout; exit 20 if there are any.
show_plan() {
  make_plan
  cat "$work/plan"
  if [ -n "$plan_differs" ]; then exit 20; fi
  echo "No differences: $project in the namespace $namespace is as asked."
}

# announce_plan: for a deploy, the same in a few lines.
announce_plan() {
  make_plan
  sed -n '/^[#!]/s/^[#!] */       /p' "$work/plan" >&3
}

make_plan() {
  : >"$work/plan"
  plan_differs=''
  ask get namespace "$namespace" --ignore-not-found -o name
  if [ -z "$reply" ]; then
    plan_differs=yes
    echo "# namespace $namespace: new" >>"$work/plan"
  fi
  plan_image
  if [ "$redis_mode" = bundled ]; then plan_release "$redis_release"; fi
  plan_release "$project"
}

# The digest is known without a build only when the same content was deployed under the same tag before.
plan_image() {
  read_revisions "$project"
  read_record content
  if [ -n "$reply" ] && [ "$reply" = "$(content_checksum)" ] && [ -n "$verified" ] && [ "$build" = yes ]; then
    digest_of_revision "$project" "$(last_verified)"
    set_service_values "$reply"
    render "$project" "$root/.helm" "${service_values[@]}"
    echo "# image $image_name:$image_tag: unchanged" >>"$work/plan"
  else
    plan_differs=yes
    echo "# image $image_name:$image_tag: its digest will be known after the build or pull" >>"$work/plan"
  fi
}

# plan_release RELEASE
plan_release() {
  local release=$1 target status=0 kind='#' what=unchanged
  read_revisions "$release"
  target=$(last_verified)
  compare_with_revision "$release" "$target"
  # Where a deploy will change something, its release step asks the cluster, with the digest.
  if [ -n "$newest_revision" ] && { [ "$action" = plan ] || [ ! -s "$work/difference" ]; }; then
    cluster_difference "$release" || status=$?
  fi
  if is_impossible "$status"; then
    kind='!' what="impossible: $(tail -n 1 "$work/error")"
  elif [ -z "$newest_revision" ]; then
    what=new
  elif [ -z "$target" ] || [ "$target" != "$newest_revision" ]; then
    what="revision $newest_revision ($newest_status) was not verified; the last verified one is ${target:-none}"
  elif [ -s "$work/difference" ]; then
    what="$(grep -c '^+' "$work/difference" || true) lines added, $(grep -c '^-' "$work/difference" || true) removed since revision $target"
  elif [ "$status" -eq 1 ]; then
    kind='!' what='changed by hand in the cluster'
    masked <"$work/reply" | grep '^[-+@ ]' >"$work/difference" || true
  fi
  echo "$kind release $release: $what" >>"$work/plan"
  if [ "$what" = unchanged ]; then
    unchanged_releases+="$release/$newest_revision "
    return
  fi
  plan_differs=yes
  sed "s/$unknown_digest/(known after the build)/" "$work/difference" >>"$work/plan"
  if [ "$release" = "$redis_release" ] && [ -n "$newest_revision" ]; then
    echo '! Redis is one pod: if it restarts, that is an outage of some seconds' >>"$work/plan"
  fi
}

# was_unchanged RELEASE: the plan found its newest revision, still the newest, as it would be. After read_revisions.
was_unchanged() {
  case $unchanged_releases in *" $1/$newest_revision "*) return 0 ;; esac
  return 1
}

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
