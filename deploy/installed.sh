# shellcheck shell=bash
# What is installed under a project's name, for the commands that are given no more than that name.

# read_installed: sets environment, image_name, image_tag, digest, base_url and redis_release from the cluster.
read_installed() {
  local values
  redis_release=$project-redis
  ask get namespace "$namespace" --ignore-not-found -o jsonpath='{.metadata.name} {.metadata.labels.deploy/project} {.metadata.labels.deploy/environment}'
  local found owner label
  read -r found owner label <<<"$reply"
  if [ -z "$found" ]; then fail 3 "there is no namespace «$namespace» in the context «$context»" "give --context or --namespace"; fi
  if [ "$owner" != "$project" ]; then
    fail 3 "the namespace «$namespace» is not of the project «$project» but of «${owner:-nobody}»" "give --namespace"
  fi
  environment=$label
  check_prod_context
  read_revisions "$project"
  if [ -z "$newest_revision" ]; then return; fi
  ask_helm get values "$project" --revision "$newest_revision"
  values=$reply
  image_name=$(value_of repository) image_tag=$(value_of tag) digest=$(value_of digest)
  ask get ingress "$project" --ignore-not-found -o jsonpath='{.spec.rules[0].host}'
  base_url=$reply
}

value_of() { sed -n "s/^ *$1: *//p" <<<"$values" | head -n 1 | tr -d "\"'"; }
