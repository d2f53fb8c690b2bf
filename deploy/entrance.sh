# Where the smoke test meets the service as visitors do: the first that answers of what was given, the addresses of the
# Ingress and of the HTTPRoute's Gateways, DNS, and a port-forward to the controller. If none can be reached, or none was
# asked for: a port-forward to the Service.

# For people; how curl gets there; whether it is the Service itself; and why HTTPS is not as visitors want it.
entrance='' scheme=http entrance_options=() entrance_is_service='' untrusted_fault=''
# What the chart that is installed says it has (ingress, httproute, both or none), what visitors speak, where they find
# it, the addresses of that, and what a Gateway says against the route.
entrance_kind='' public_scheme=http url='' has_ingress='' addresses=() route_fault=''

# find_entrance HOST: 1 if nothing answers, not even the Service.
find_entrance() {
  local host=$1 candidate given=${ingress_address%%,*}
  read_entrances "$host"
  entrance_is_service='' untrusted_fault=''
  if [ "$public_scheme" = https ]; then given=${ingress_address##*,}; fi
  # Whatever answers there, it is not asked to serve this.
  if [ "$entrance_kind" = none ]; then given=''; else addresses+=("$(with_port "$host" "$public_scheme")"); fi
  for candidate in ${given:+"$given"} ${addresses[@]+"${addresses[@]}"}; do
    # A redirect that led nowhere may have changed it.
    scheme=$public_scheme
    if answers_at "$host" "$candidate"; then return 0; fi
    if [ "$candidate" = "$given" ]; then warn "nothing answers at $given (--ingress), trying elsewhere"; fi
  done
  scheme=$public_scheme
  if [ -n "$has_ingress" ] && forward_to_controller && answers_at "$host" "$forward_address"; then return 0; fi
  forward_to_service
}

# read_entrances HOST: what is installed, into the variables above. A chart of before says nothing, and has no route.
read_entrances() {
  local told tls='' address=''
  addresses=() route_fault='' has_ingress='' public_scheme=http
  must_ask get configmap "$project" --ignore-not-found -o jsonpath='{.metadata.annotations.deploy/entrance}|{.metadata.annotations.deploy/scheme}'
  IFS='|' read -r entrance_kind told <<<"$reply"
  case $entrance_kind in
    '' | ingress | both)
      must_ask get ingress "$project" --ignore-not-found -o \
        jsonpath='{.metadata.name}|{.spec.tls}|{.status.loadBalancer.ingress[0].ip}{.status.loadBalancer.ingress[0].hostname}'
      IFS='|' read -r has_ingress tls address <<<"$reply"
      ;;
  esac
  public_scheme=${told:-http${tls:+s}}
  if [ -n "$address" ]; then addresses=("$(with_port "$address" "$public_scheme")"); fi
  case $entrance_kind in httproute | both) read_route "$1" ;; esac
  url=$public_scheme://$1/
  if [ "$entrance_kind" = none ]; then url='none outside the cluster'; fi
}

# read_route HOST: the same of the listeners that serve it.
read_route() {
  local parents parent space name section number address listener protocol port covers listeners
  local -A found=([HTTP]='' [HTTPS]='')
  try_ask get httproutes.gateway.networking.k8s.io "$project" -o jsonpath='{range .spec.parentRefs[*]}parent {.namespace}/{.name}/{.sectionName}/{.port}{"\n"}{end}{range .status.parents[*].conditions[*]}{.type}={.status} {.reason}: {.message}{"\n"}{end}' || return 0
  route_fault=$(sed -nE 's/^(Accepted|ResolvedRefs)=False //p' <<<"$reply" | sort -u | tr '\n' ' ')
  mapfile -t parents < <(sed -n 's/^parent //p' <<<"$reply")
  for parent in ${parents[@]+"${parents[@]}"}; do
    IFS=/ read -r space name section number <<<"$parent"
    try_ask get gateways.gateway.networking.k8s.io "$name" --namespace "${space:-$namespace}" -o \
      jsonpath='{.status.addresses[0].value}{"\n"}{range .spec.listeners[*]}{.name}|{.protocol}|{.port}|{.hostname}{"\n"}{end}' ||
      warn "the Gateway $name of the HTTPRoute cannot be read: $(last_words)"
    address=${reply%%$'\n'*}
    while IFS='|' read -r listener protocol port covers; do
      # shellcheck disable=SC2053 # a listener's hostname may be a wildcard
      if [[ ${section:-$listener} == "$listener" && ${number:-$port} == "$port" && $1 == ${covers:-*} ]]; then
        found[${protocol:-none}]+=" $(with_port "${address:-$1}" http "$port")"
      fi
    done <<<"$reply"
  done
  # The chart is told what a Gateway of others has, and may be told nothing.
  if [ "$entrance_kind${found[HTTP]}" = httproute ] && [ -n "${found[HTTPS]}" ]; then public_scheme=https; fi
  read -r -a listeners <<<"${found[${public_scheme^^}]}"
  addresses+=(${listeners[@]+"${listeners[@]}"})
}

# with_port ADDRESS SCHEME [PORT]: an address with the port, or the scheme's own, IPv6 in brackets.
with_port() {
  local port=80 address=$1
  if [ "$2" = https ]; then port=443; fi
  case $address in *:*) address="[$address]" ;; esac
  echo "$address:${3:-$port}"
}

# answers_at HOST ADDRESS: any answer counts here; whether it is the right one is for the smoke test to say.
answers_at() {
  local host=$1 address=$2 status=0 redirect port
  entrance=$address entrance_options=(--connect-to "::$address")
  if [ -n "$ca_file" ]; then entrance_options+=(--cacert "$ca_file"); fi
  ask_entrance "$host" || status=$?
  case $status in
    0) untrusted_fault='' ;;
    # 51 is of a curl before 7.62; 35 where there is no certificate yet, 77 where --ca is none.
    35 | 51 | 60 | 77)
      untrusted_fault="the certificate for $host at $address is not trusted by this machine (--ca FILE names who signed it): $(head -n 1 "$work/error")"
      if [ "$environment" != prod ] || [ "$current_step" = rollback ]; then warn "$untrusted_fault"; fi
      entrance_options+=(--insecure)
      status=0
      ask_entrance "$host" || status=$?
      ;;
  esac
  if [ "$status" -ne 0 ]; then return 1; fi
  redirect=${reply#* }
  # Visitors follow it, so the test goes there at once.
  case $scheme/$redirect in
    "http/https://$host/"* | "http/https://$host:"*)
      scheme=https url=https://$host/
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
  case $entrance_kind in
    none) warn "the values ask for no entrance, $project is reached inside the cluster only: asking the Service through a port-forward" ;;
    *) warn "no entrance answers for ${base_url:-$project} (--ingress HOST:PORT names one): asking the Service through a port-forward" ;;
  esac
  scheme=http entrance_is_service=yes
  entrance='a port-forward to the Service' entrance_options=(--connect-to "::$forward_address")
}
