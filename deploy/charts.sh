# What the charts are given, what they render, and what the rendered ConfigMap tells of the merged values.

redis_release='' service_values=() redis_values=() redis_mode='' secret_mode='' secret_name='' secret_keys='' shown_environment='[^<]*' drain_delay=0
# The image that $work/PROJECT.yaml runs.
rendered_digest=''
# Stands for a digest that only the build will tell.
unknown_digest=sha256:0000000000000000000000000000000000000000000000000000000000000000

check_charts() {
  local told left_out
  redis_release=$project-redis
  keep_charts
  render_service "$unknown_digest"
  for told in redis-mode secret-mode secret-name secret-keys left-out drain-delay; do
    printf -v "${told//-/_}" '%s' "$(rendered_annotation "$told")"
  done
  shown_environment=$(rendered_annotation environment)
  # An optional part whose kind the cluster does not have is no reason to stop, but one to say so.
  if [ -n "$left_out" ]; then warn "left out of the release: $left_out"; fi
  redis_values=(--values "$work/charts/redis/values-$environment.yaml")
  if [ -n "$redis_values_file" ]; then redis_values+=(--values "$redis_values_file"); fi
  redis_values+=(--set-string "secret.name=$secret_name")
  if [ "$redis_mode" = bundled ]; then render_into "$redis_release" "$redis_release" "$work/charts/redis" "${redis_values[@]}"; fi
}

# keep_charts: what was tested is what is applied, whatever becomes of these files meanwhile.
keep_charts() {
  local file
  cp -R "$root/.helm" "$work/charts"
  mkdir -p "$work/values" "$work/parts"
  for file in values_file redis_values_file; do
    if [ -z "${!file}" ]; then continue; fi
    cat "${!file}" >"$work/values/$file.yaml"
    printf -v "$file" '%s' "$work/values/$file.yaml"
  done
}

# render_service DIGEST: from now on the release would run this image.
render_service() {
  if [ "$rendered_digest" = "$1" ]; then return; fi
  rendered_digest=$1
  service_values=(--set candidate.enabled=false --values "$work/charts/values-$environment.yaml")
  if [ -n "$values_file" ]; then service_values+=(--values "$values_file"); fi
  if [ -n "$node_architecture" ]; then service_values+=(--set-string "nodeSelector.kubernetes\\.io/arch=$node_architecture"); fi
  service_values+=(--set-string "image.repository=$image_name,image.tag=$image_tag,image.digest=$1,ingress.host=$base_url,environment=${environment^^}")
  render_into "$project" "$project" "$work/charts" "${service_values[@]}"
}

# render_candidate FILE VALUES...: the candidate's template, with the release's values, into $work/parts/FILE.yaml.
render_candidate() {
  render_into "parts/$1" "$project" "$work/charts" "${service_values[@]}" --show-only "templates/$1.yaml" "${@:2}"
}

# render_into FILE RELEASE CHART ARGUMENT...: what Helm would apply, into $work/FILE.yaml. Exit 6 if the values do not fit.
render_into() {
  local file=$1 release=$2 chart=$3
  try_once "${helm[@]}" template "$release" "$chart" --no-hooks \
    --kube-version "$kubernetes_version" --api-versions "$api_versions" "${@:4}" ||
    fail 6 "the chart .helm${chart#"$work/charts"} cannot be rendered: $(last_words 20)" \
      "correct the values (.helm/values.yaml explains each), then run the same command again"
  cp "$work/reply" "$work/$file.yaml"
}

rendered_annotation() { sed -n "s|^ *deploy/$1: *\"\{0,1\}\([^\"]*\)\"\{0,1\}\$|\1|p" "$work/$project.yaml"; }

# deployed_manifest RELEASE REVISION: what Helm applied then, into $work/RELEASE.REVISION.yaml. It never changes.
deployed_manifest() {
  if [ -e "$work/$1.$2.yaml" ]; then return; fi
  must_helm get manifest "$1" --revision "$2"
  cp "$work/reply" "$work/$1.$2.yaml"
}

# deployed_value VARIABLE REVISION SECTION NAME: what the service's deploy of that revision gave, or '', into the variable.
deployed_value() {
  must_helm get values "$project" --revision "$2"
  reply=$(awk -v section="$3:" -v name="$4:" '
    /^[^ ]/ { inside = $1 == section }
    inside && /^  [^ ]/ && $1 == name { print $2 }
  ' <<<"$reply" | tr -d "\"'")
  printf -v "$1" '%s' "$reply"
}

# comparable FILE: a manifest without the blank lines in which Helm's commands differ.
comparable() { sed '/^ *$/d' "$1"; }

# deployment_of FILE: the lines of a manifest's Deployment, from its kind on.
deployment_of() { awk '/^---/ { kind = "" } /^kind: / { kind = $2 } kind == "Deployment" && /[^ ]/' "$1"; }

# replicas_of FILE: the number of pods that the Deployment asks for; empty where an autoscaler decides.
replicas_of() { deployment_of "$1" | sed -n 's/^  replicas: *//p'; }

# is_current RELEASE: its newest revision was verified, and is what was rendered. After read_revisions and render.
is_current() {
  local revision=${newest[$1]}
  [ -n "$revision" ] && [ "$revision" = "$(last_verified "$1")" ] && [ "${newest_status[$1]}" = deployed ] || return 1
  deployed_manifest "$1" "$revision"
  [ "$(comparable "$work/$1.yaml")" = "$(comparable "$work/$1.$revision.yaml")" ]
}

# cluster_difference RELEASE: what was rendered against what is in the cluster, into `reply`. Status 0: the same;
# 1: differs; more: the cluster would refuse it, or cannot say.
cluster_difference() { KUBECTL_EXTERNAL_DIFF='' try_once "${kubectl[@]}" diff -f "$work/$1.yaml"; }

# is_impossible STATUS: after cluster_difference, over a field that cannot change; a changed port kubectl alone has twice.
is_impossible() { [ "$1" -gt 1 ] && grep -v 'Duplicate value' "$work/error" | grep -Eq 'immutable|is invalid|Forbidden: updates'; }
