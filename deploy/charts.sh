# shellcheck shell=bash
# What the charts are given, what they render, and what the rendered ConfigMap tells of the merged values.

digest='' redis_release='' service_values=() redis_values=() redis_mode='' secret_mode='' secret_name=''
# Stands for a digest that only the build will tell.
unknown_digest=sha256:0000000000000000000000000000000000000000000000000000000000000000

check_charts() {
  redis_release=$project-redis
  set_service_values "${digest:-$unknown_digest}"
  render "$project" "$root/.helm" "${service_values[@]}"
  redis_mode=$(rendered_annotation redis-mode)
  secret_mode=$(rendered_annotation secret-mode)
  secret_name=$(rendered_annotation secret-name)
  tell_left_out
  set_redis_values
  if [ "$redis_mode" = bundled ]; then render "$redis_release" "$root/.helm/redis" "${redis_values[@]}"; fi
}

# An optional part whose kind the cluster does not have is no reason to stop, but one to say so.
tell_left_out() {
  local left_out
  left_out=$(rendered_annotation left-out)
  if [ -n "$left_out" ]; then warn "left out of the release: $left_out"; fi
}

# set_service_values DIGEST
set_service_values() {
  service_values=(--values "$root/.helm/values-$environment.yaml")
  if [ -n "$values_file" ]; then service_values+=(--values "$values_file"); fi
  service_values+=(--set-string "image.repository=$image_name,image.tag=$image_tag,image.digest=$1,ingress.host=$base_url")
}

set_redis_values() {
  redis_values=(--values "$root/.helm/redis/values-$environment.yaml")
  if [ -n "$redis_values_file" ]; then redis_values+=(--values "$redis_values_file"); fi
  redis_values+=(--set-string "secret.name=$secret_name")
}

# render RELEASE CHART VALUES...: what Helm would apply, into $work/RELEASE.yaml. Exit 6 if the values do not fit.
render() {
  local release=$1 chart=$2
  shift 2
  if ! try_once "${helm[@]}" template "$release" "$chart" --no-hooks \
    --kube-version "$kubernetes_version" --api-versions "$api_versions" "$@"; then
    fail 6 "the chart ${chart#"$root/"} cannot be rendered: $(sed -n '/./p' "$work/error" | tail -n 20)" \
      "correct the values (.helm/values.yaml explains each), then run the same command again"
  fi
  cp "$work/reply" "$work/$release.yaml"
}

rendered_annotation() {
  sed -n "s|^ *deploy/$1: *\"\{0,1\}\([^\"]*\)\"\{0,1\}\$|\1|p" "$work/$project.yaml"
}

# deployed_manifest RELEASE REVISION: what Helm applied then, into $work/RELEASE.REVISION.yaml. It never changes.
deployed_manifest() {
  if [ -e "$work/$1.$2.yaml" ]; then return; fi
  ask_helm get manifest "$1" --revision "$2"
  cp "$work/reply" "$work/$1.$2.yaml"
}

# comparable FILE: a manifest without the blank lines in which Helm's commands differ.
comparable() { sed '/^ *$/d' "$1"; }

# is_current RELEASE: the newest revision was verified, and is what was rendered. After read_revisions and render.
is_current() {
  [ -n "$newest_revision" ] && [ "$newest_revision" = "$(last_verified)" ] && [ "$newest_status" = deployed ] || return 1
  deployed_manifest "$1" "$newest_revision"
  [ "$(comparable "$work/$1.yaml")" = "$(comparable "$work/$1.$newest_revision.yaml")" ]
}

# cluster_difference RELEASE: what was rendered against what is in the cluster, into `reply`. Status 0: the same;
# 1: differs; more: the cluster would refuse it, or cannot say.
cluster_difference() {
  KUBECTL_EXTERNAL_DIFF='' try_once "${kubectl[@]}" diff -f "$work/$1.yaml"
}

# is_impossible STATUS: after cluster_difference, whether it failed over a field that cannot change in place.
is_impossible() {
  [ "$1" -gt 1 ] && grep -Eq 'immutable|is invalid|Forbidden: updates' "$work/error"
}
