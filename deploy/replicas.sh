# The number of pods when the autoscaler is turned on. Helm then sees that the new manifest has no `replicas` where
# the old one had, and takes the field away: Kubernetes puts 1 in its place, and all pods but one end at once. With the
# field gone from Helm's record of the old manifest, too, Helm leaves it alone.

# keep_replicas RELEASE FILE REVISION: before Helm applies this manifest, which it compares with that revision's.
keep_replicas() {
  local release=$1 revision=$3
  if [ "$release" != "$project" ] || [ -n "$(replicas_of "$2")" ] || [ -z "$revision" ]; then return 0; fi
  deployed_manifest "$release" "$revision"
  if [ -z "$(replicas_of "$work/$release.$revision.yaml")" ]; then return 0; fi
  forget_replicas "sh.helm.release.v1.$release.v$revision"
}

# forget_replicas SECRET: a record is JSON, compressed, encoded by Helm and once more by the API server.
forget_replicas() {
  must_ask get secret "$1" -o jsonpath='{.data.release}'
  # Never write a record that was not read whole.
  if ! base64 -d <"$work/reply" | base64 -d | gzip -d | sed $'s/\\\\n/&\\\n/g' |
    awk '/^---/ { kind = "" } /^kind: / { kind = $2 } kind != "Deployment\\n" || !/^  replicas: /' | tr -d '\n' >"$work/record" ||
    ! grep -q '"manifest":"' "$work/record"; then
    warn "Helm's record $1 cannot be read: until the autoscaler acts there may be one pod" && return
  fi
  printf '{"data":{"release":"%s"}}' "$(gzip -c "$work/record" | base64 | tr -d '\n' | base64 | tr -d '\n')" >"$work/patch"
  must_ask patch secret "$1" --type merge --patch-file "$work/patch" -o name
}
