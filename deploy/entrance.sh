# Where the smoke test meets the service as visitors do: the first that answers of what was given, the Ingress's
# address, DNS, and a port-forward to the controller. If none can be reached: a port-forward to the Service.

# For people; how curl gets there; and whether it is the Service itself.
entrance='' scheme=http entrance_options=() entrance_is_service=''
untrusted_fault=''

# find_entrance HOST: 1 if nothing answers, not even the Service.
find_entrance() {
  local host=$1 fields address addresses=() candidate asked_scheme given=${ingress_address%%,*}
  must_ask get ingress "$project" --ignore-not-found -o \
    jsonpath='{.metadata.name}|{.spec.tls}|{.status.loadBalancer.ingress[0].ip}{.status.loadBalancer.ingress[0].hostname}'
  fields=$reply
  scheme=http entrance_is_service='' untrusted_fault=''
  case $fields in '' | *'||'*) ;; *) scheme=https ;; esac
  address=${fields##*|}
  if [ -n "$given" ]; then
    if [ "$scheme" = https ]; then given=${ingress_address##*,}; fi
    addresses+=("$given")
  fi
  if [ -n "$address" ]; then addresses+=("$(with_port "$address" "$scheme")"); fi
  # Without an Ingress, as behind an HTTPRoute, DNS is as good a guess.
  addresses+=("$(with_port "$host" "$scheme")")
  asked_scheme=$scheme
  for candidate in "${addresses[@]}"; do
    # A redirect that led nowhere may have changed it.
    scheme=$asked_scheme
    if answers_at "$host" "$candidate"; then return 0; fi
    if [ "$candidate" = "$given" ]; then warn "nothing answers at $given (--ingress), trying elsewhere"; fi
  done
  scheme=$asked_scheme
  if [ -n "$fields" ] && forward_to_controller && answers_at "$host" "$forward_address"; then return 0; fi
  forward_to_service
}

# with_port ADDRESS SCHEME: an address with the scheme's own port, IPv6 in brackets.
with_port() {
  local port=80 address=$1
  if [ "$2" = https ]; then port=443; fi
  case $address in *:*) address="[$address]" ;; esac
  echo "$address:$port"
}

# answers_at HOST ADDRESS: any answer counts here; whether it is the right one is for the smoke test to say.
answers_at() {
  local host=$1 address=$2 status=0 redirect port
  entrance=$address entrance_options=(--connect-to "::$address")
  if [ -n "$ca_file" ]; then entrance_options+=(--cacert "$ca_file"); fi
  ask_entrance "$host" || status=$?
  if [ "$status" -eq 60 ]; then
    untrusted_fault="the certificate for $host at $address is not trusted by this machine (--ca FILE names who signed it)"
    if [ "$environment" != prod ]; then warn "$untrusted_fault"; fi
    entrance_options+=(--insecure)
    status=0
    ask_entrance "$host" || status=$?
  fi
  if [ "$status" -ne 0 ]; then return 1; fi
  redirect=${reply#* }
  # Visitors follow it, so the test goes there at once.
  case $scheme/$redirect in
    "http/https://$host/"* | "http/https://$host:"*)
      scheme=https
      port=${redirect#https://"$host"}
      port=${port%%/*}
      case $ingress_address in
        "$address",*) address=${ingress_address##*,} ;;
        *) address=${address%:*}${port:-:443} ;;
      esac
      answers_at "$host" "$address"
      ;;
  esac
}

# ask_entrance HOST: the first of the good answers; into `reply`, the status and where it redirects to.
ask_entrance() {
  ask_visitor "${entrance_options[@]}" --output /dev/null --write-out '%{http_code} %{redirect_url}' "$scheme://$1$first_path"
}

# To the ingress controller's pod.
forward_to_controller() {
  local pod
  try_once kubectl --context "$context" get pods --all-namespaces -l app.kubernetes.io/component=controller --request-timeout 10s \
    -o jsonpath='{range .items[?(@.status.phase=="Running")]}{.metadata.namespace}/{.metadata.name}{"\n"}{end}' || return
  pod=$(sed -n '/ingress/{p;q;}' <<<"$reply")
  if [ -z "$pod" ]; then return 1; fi
  start_forward "${pod%%/*}" "pod/${pod#*/}" "$scheme"
}

forward_to_service() {
  start_forward "$namespace" "service/$project" http || return 1
  warn "no entrance answers for ${base_url:-$project} (--ingress HOST:PORT names one): asking the Service through a port-forward"
  scheme=http entrance_is_service=yes
  entrance='a port-forward to the Service' entrance_options=(--connect-to "::$forward_address")
}
