# The smoke test: does this version answer where its users are, and well?

smoke_seconds=${DEPLOY_SMOKE_SECONDS:-45} smoke_tries=3 smoke_fault=''
# Whether the entrance answered well before the change; empty: nothing was there to answer.
entrance_was_good=''

# read_baseline HOST: how the entrance answers before the change, so that its own trouble is not blamed on a version.
# After read_revisions. A host that is new was not served before.
read_baseline() {
  local before served tries
  before=$(last_verified "$project")
  if [ -z "$before" ]; then return; fi
  deployed_value served "$before" ingress host
  if [ "$served" != "$1" ] || ! find_entrance "$1"; then return; fi
  if [ -n "$entrance_is_service" ]; then
    # What keeps visitors out before the change is not the new version's fault.
    if [ -n "$route_fault$untrusted_fault" ]; then entrance_was_good=no; fi
    return
  fi
  # A way back is never refused over a certificate.
  [ -z "$untrusted_fault" ] || [ "$environment" != prod ] || [ "$action" = rollback ] ||
    fail 3 "$untrusted_fault" "nothing was changed; give --ca FILE, or mend the certificate"
  for ((tries = smoke_tries; tries > 0; tries--)); do
    if ask_entrance "$1" && [ "${reply%% *}" = 200 ]; then entrance_was_good=yes && return; fi
    run sleep 1
  done
  entrance_was_good=no
  warn "before the change $scheme://$1 through $entrance answers ${reply%% *}: what is wrong there is not the new version's fault"
}

# smoke_test HOST DIGEST CONDUCT: see ask_answers. Otherwise smoke_fault says what was wrong.
smoke_test() {
  local host=$1 digest=$2 conduct=$3 deadline=$((SECONDS + smoke_seconds)) tries=0 counted status=2
  answer_fault=''
  if [ -z "${changes[*]-}" ] && [ "$entrance_was_good" = yes ]; then status=0; fi # the way there is known
  while :; do
    counted=$tries
    # The way there may have gone with a pod, and the certificate may still be on its way.
    if [ "$status" -eq 2 ] && ! find_entrance "$host"; then
      # A port-forward may fail with the API server, or with a pod that just ended.
      if ! is_denied && [ "$SECONDS" -lt "$deadline" ]; then run sleep 1 && continue; fi
      if [ "$entrance_was_good" = yes ] || [ "$tries" -gt 0 ]; then
        smoke_fault="nothing answers any more, not even the Service: $(last_words)${answer_fault:+; before that: $answer_fault}"
        return 1
      fi
      warn "neither an entrance nor the Service can be reached: $(last_words); the pods are ready, nobody asked them" && return
    fi
    if [ -n "$untrusted_fault" ] && [ "$environment" = prod ] && [ "$conduct" != serving ]; then
      status=2 smoke_fault=$untrusted_fault
    elif [[ -n $entrance_is_service && $entrance_kind != none && $entrance_was_good != no && -n $entrance_was_good$route_fault ]]; then
      status=2 smoke_fault="no entrance answers${entrance_was_good:+, and one did before the change}"
    else
      ask_answers "$conduct" "$digest" "$scheme://$host" "${entrance_options[@]}" &&
        note "all answers from $scheme://$host through $entrance are good" && return 0
      status=$? smoke_fault=$answer_fault
      # Until the controller knows the Ingress and the last old pod is gone, others answer: not yet the version's fault.
      if [[ $answer_fault = "$first_method $first_path:"* ]] || old_pods_remain; then
        status=2
      else
        tries=$((tries + (status == 1 ? smoke_tries : 1)))
      fi
    fi
    if [ "$tries" -ge "$smoke_tries" ]; then break; fi
    # On a slow way the time is over after one try: what counts has its three all the same.
    if [ "$tries" -eq "$counted" ] && [ "$SECONDS" -ge "$deadline" ]; then break; fi
    run sleep 1
  done
  if [ -n "$route_fault" ]; then smoke_fault+="; the HTTPRoute $project is not served: $route_fault"; fi
  if [ "$entrance_was_good" = no ] && [ "$status" -ne 1 ] && forward_to_service &&
    ask_answers "$conduct" "$digest" "$scheme://$host" "${entrance_options[@]}"; then
    warn "the Service answers well; the entrance does not, and did not before: $smoke_fault" && return
  fi
  return 1
}
