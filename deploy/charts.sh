# shellcheck shell=bash
# What the charts are given, and what the rendered ConfigMap tells of the merged values.

digest='' redis_release='' service_values=() redis_values=() redis_mode='' secret_mode='' secret_name=''

check_charts() {
  redis_release=$project-redis
  set_service_values
  read_merged_values
  set_redis_values
  if [ "$redis_mode" = bundled ]; then
    render "$redis_release" "$root/.helm/redis" "$work/redis.yaml" "${redis_values[@]}"
  fi
}

# Called again when the digest is known.
set_service_values() {
  service_values=(--values "$root/.helm/values-$environment.yaml")
  [ -z "$values_file" ] || service_values+=(--values "$values_file")
  service_values+=(--set-string "image.repository=$image_name,image.tag=$image_tag,image.digest=$digest")
  service_values+=(--set-string "ingress.host=$base_url")
}

set_redis_values() {
  redis_values=(--values "$root/.helm/redis/values-$environment.yaml")
  [ -z "$redis_values_file" ] || redis_values+=(--values "$redis_values_file")
  redis_values+=(--set-string "secret.name=$secret_name")
}

# render RELEASE CHART FILE VALUES...: exit 6 with Helm's own words if the values do not fit.
render() {
  local release=$1 chart=$2 file=$3
  shift 3
  if ! "${helm[@]}" template "$release" "$chart" --no-hooks "$@" >"$file" 2>"$work/helm"; then
    fail 6 "the chart ${chart#"$root/"} cannot be rendered: $(sed -n '/./p' "$work/helm" | tail -n 20)" \
      "correct the values (.helm/values.yaml explains each), then run the same command again"
  fi
}

read_merged_values() {
  render "$project" "$root/.helm" "$work/service.yaml" "${service_values[@]}"
  redis_mode=$(rendered_annotation redis-mode)
  secret_mode=$(rendered_annotation secret-mode)
  secret_name=$(rendered_annotation secret-name)
}

rendered_annotation() {
  sed -n "s|^ *deploy/$1: *\"\{0,1\}\([^\"]*\)\"\{0,1\}\$|\1|p" "$work/service.yaml"
}
