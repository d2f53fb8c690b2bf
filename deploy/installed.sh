# What is installed under a project's name, for what is done to it without naming the rest.

# read_installed: sets environment, image_name, image_tag, asked_digest, base_url and redis_release from the cluster.
read_installed() {
  redis_release=$project-redis
  must_ask get namespace "$namespace" --ignore-not-found -o jsonpath='{.metadata.name} {.metadata.labels.deploy/project} {.metadata.labels.deploy/environment}'
  local found owner
  read -r found owner environment <<<"$reply"
  if [ -z "$found" ]; then fail 3 "there is no namespace «$namespace» in the context «$context»" "give --context or --namespace"; fi
  if [ "$owner" != "$project" ]; then
    fail 3 "the namespace «$namespace» is not of the project «$project» but of «${owner:-nobody}»" "give --namespace"
  fi
  check_prod_context
  read_revisions "$project"
  local revision=${newest[$project]}
  if [ -z "$revision" ]; then return; fi
  deployed_value image_name "$revision" image repository
  deployed_value image_tag "$revision" image tag
  deployed_value asked_digest "$revision" image digest
  deployed_value base_url "$revision" ingress host
}
