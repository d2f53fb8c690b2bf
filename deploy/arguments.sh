# The command line: what was asked for, checked before anything is touched.

action=deploy
image_name='' image_tag='' asked_digest='' project='' base_url='' environment=''
namespace='' context='' values_file='' redis_values_file='' ingress_address=${DEPLOY_INGRESS-}
platform='' timeout=300 build=yes candidate=yes assume_yes=no delete_data=no rollback_revision='' ca_file=''
declare -A option_variables=([--context]=context [--namespace]=namespace [--values]=values_file [--ca]=ca_file
  ["--redis-values"]=redis_values_file [--ingress]=ingress_address [--platform]=platform [--timeout]=timeout
  ["--rollback-to"]=rollback_revision)

# refuse ARGUMENT GIVEN ALLOWED: one line, exit 2.
refuse() { fail 2 "$1: got «${2//[[:cntrl:]]/?}», allowed: $3"; }

parse_arguments() {
  local positional=()
  while [ $# -gt 0 ]; do
    case $1 in
      --help | -h) exec cat "$root/deploy/usage.txt" ;;
      --version) exec sed -n 's/^version: /deploy.sh /p' "$root/.helm/Chart.yaml" ;;
      --plan | --status | --history | --rollback | --uninstall) set_action "${1#--}" ;;
      --json) as_json=yes ;;
      --no-build) build=no ;;
      --no-candidate) candidate=no ;;
      --yes) assume_yes=yes ;;
      --delete-data) delete_data=yes ;;
      --*=*) set_option "${1%%=*}" "${1#*=}" ;;
      --) shift && positional+=("$@") && break ;;
      -*)
        set_option "${@:1:2}"
        shift
        ;;
      *) positional+=("$1") ;;
    esac
    shift
  done
  set_positional ${positional[@]+"${positional[@]}"}
}

set_action() {
  if [ "$action" != deploy ]; then refuse "--$1" "--$action as well" "one of them"; fi
  action=$1
}

# set_option NAME [VALUE]
set_option() {
  local variable=${option_variables[$1]-}
  [ -n "$variable" ] || refuse option "$1" "those of ./deploy.sh --help"
  [ $# -eq 2 ] || refuse "$1" nothing "a value after it"
  case $1 in
    --rollback-to) [[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || refuse "$1" "$2" "the number of a revision" && set_action rollback ;;
    --values | --redis-values) [ -z "${!variable}" ] || refuse "$1" "$2 as well" "one file; put into it what both say" ;;&
    --values | --redis-values | --ca) [ -z "$2" ] || { [ -r "$2" ] && [ ! -d "$2" ]; } || refuse "$1" "$2" "a file that can be read" ;;
  esac
  printf -v "$variable" '%s' "$2"
}

set_positional() {
  case $action/$# in
    status/0 | history/0 | rollback/0 | uninstall/0) refuse project_name "nothing" "<project_name> --$action" ;;
    # What runs is asked of the cluster, so the project's name is enough.
    status/1 | history/1 | rollback/1 | uninstall/1) project=$1 && check_project ;;
    *) set_deployment "$@" ;;
  esac
  check_options
}

set_deployment() {
  local names=(image_name image_tag project_name base_url env) label='[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?'
  local host='([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*(:[0-9]+)?'
  local name='[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*'
  if [[ ${1-} == *@* ]]; then set_digest "$1" && set -- "$image_name" "$image_tag" "${@:2}"; fi
  [ $# -ge 5 ] || refuse "${names[$#]}" "nothing" "<image_name> <image_tag> <project_name> <base_url> <dev|staging|prod>"
  [ $# -eq 5 ] || refuse "argument 6" "$6" "five: <image_name> <image_tag> <project_name> <base_url> <dev|staging|prod>"
  image_name=$1 image_tag=$2 project=$3 base_url=$4 environment=$5
  # The grammar of image references: [host[:port]/]name[/name...], names in lower case.
  [[ ${#image_name} -le 255 && $image_name =~ ^($host/)?$name(/$name)*$ ]] ||
    refuse image_name "$image_name" 'registry and repository in lower case, without tag or digest (registry.example.com/team/visits)'
  [[ $image_tag =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$ ]] ||
    refuse image_tag "$image_tag" "letters, digits, _ . -, not first . or -, at most 128 characters"
  check_project
  [[ ${#base_url} -le 253 && $base_url =~ ^$label(\.$label)*$ && ! $base_url =~ ^[0-9.]+$ ]] ||
    refuse base_url "$base_url" "a host name in lower case, without scheme, port or path (visits.example.com)"
  case $environment in dev | staging | prod) ;; *) refuse env "$environment" "dev, staging or prod" ;; esac
}

# set_digest NAME[:TAG]@DIGEST: what the registry holds is deployed, as it is; nothing is built, pulled or pushed.
set_digest() {
  image_name=${1%%@*} asked_digest=${1#*@} build=no
  [[ $asked_digest =~ ^sha256:[0-9a-f]{64}$ ]] || refuse image_name "$1" "after @ a digest: sha256: and 64 of 0-9a-f"
  # The tag is a label of the pods.
  image_tag=${asked_digest:7:12}
  if [[ ${image_name##*/} == *:* ]]; then image_tag=${image_name##*:} image_name=${image_name%:*}; fi
}

check_project() {
  check_dns_label project_name "$project" 40
  namespace=${namespace:-$project}
  check_dns_label --namespace "$namespace" 63
}

# check_dns_label ARGUMENT GIVEN LENGTH. A project names Services, so it begins with a letter; what is appended
# to it (-redis, a revision) needs the room past its 40 characters.
check_dns_label() {
  [[ ${#2} -le $3 && $2 =~ ^[a-z]([a-z0-9-]*[a-z0-9])?$ ]] ||
    refuse "$1" "$2" "lower-case letters, digits and -, first a letter, last no -, at most $3 characters"
  case $2 in default | kube-*) refuse "$1" "$2" "a name of its own, not «default» or «kube-…»" ;; esac
  # YAML reads these as something else than text.
  case $2 in y | n | yes | no | on | off | true | false | null) refuse "$1" "$2" "a name that is no truth value" ;; esac
}

check_options() {
  local name address='([^]:/,[:space:]]+|\[[0-9a-fA-F:]+]):[0-9]{1,5}'
  [[ $timeout =~ ^[1-9][0-9]{0,4}$ ]] || refuse --timeout "$timeout" "whole seconds, 1 to 99999"
  [[ -z $ingress_address || $ingress_address =~ ^$address(,$address)?$ ]] ||
    refuse --ingress "$ingress_address" "HOST:PORT, or HOST:PORT,HOST:PORT with that for TLS"
  [[ -z $platform || $platform =~ ^linux/[a-z0-9]+(/v[0-9]+)?$ ]] || refuse --platform "$platform" "linux/ARCH, as linux/arm64"
  for name in ${!DEPLOY_@}; do
    case $name in
      # Bash reads 08 as an octal number.
      *_SECONDS) [[ ${!name} =~ ^(0|[1-9][0-9]{0,4})?$ ]] || refuse "$name" "${!name}" "whole seconds, 0 to 99999" ;;
      # Without milliseconds curl knows no limit.
      DEPLOY_SLOWEST_ANSWER) [[ ${!name} =~ ^([0-9]*[1-9][0-9]*(\.[0-9]+)?|0+\.[0-9]{0,2}[1-9][0-9]*)?$ ]] || refuse "$name" "${!name}" "seconds, at least 0.001" ;;
    esac
  done
}
