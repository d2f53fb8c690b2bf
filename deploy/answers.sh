# Asks a version everything that good_answers.sh lists, and judges what it answers.

# What was wrong, for a person, empty while all was good; and 1 if it may be the fault of Redis or of the way there.
answer_fault='' answer_unsure=0
# The number of the last COUNT; empty before the first.
last_count=''
# So many requests go out through one curl: few processes, and a version that is bad all over is known soon.
answers_at_once=40
# At most so many of a line.
most_answers=1000

# ask_answers CONDUCT DIGEST URL CURL_OPTION...: 0 when every answer was good; 1 when one was wrong; 2 when one did not
# come in time or was a 503, which trouble of Redis or of the way there may cause, too. CONDUCT is
#   alone    nobody else asks: COUNT grows by exactly one
#   shared   others ask, too: COUNT grows
#   serving  of a version that may know less than this table: no errors of the server, and the digest
ask_answers() {
  local conduct=$1 digest=$2 url=$3 method path wanted times accept head pattern body urls left i status
  answer_fault='' last_count=''
  while read -r -u 4 method path wanted times accept head pattern; do
    pattern=${pattern//DIGEST/${digest:-[^\"]*}} pattern=${pattern//ENVIRONMENT/$shown_environment}
    case $method in
      '') continue ;;
      GET) body=() ;;
      HEAD) body=(--head) ;;
      # On a connection of its own: curl sends a request again when a kept one breaks, which would hide that.
      *) body=(--request "$method" --data '' --header 'Content-Type:' --header 'Connection: close') ;;
    esac
    for ((left = times < most_answers ? times : most_answers; left > 0; left -= answers_at_once)); do
      urls=() status=0
      for ((i = 0; i < left && i < answers_at_once; i++)); do urls+=("$url$path"); done
      ask_visitor "${@:4}" ${body[@]+"${body[@]}"} --header "Accept: $accept" --header 'Accept-Language: ja, fr-CH;q=0.5' --include --fail-early \
        --write-out $'\n%{http_code}\036' "${urls[@]}" || status=$?
      # For an answer that did not come, or not whole, curl writes a status, too.
      if ! judge_answers "$conduct" "$wanted" "$pattern" "$head" && [ "$status" -eq 0 ]; then
        answer_fault="$method $path: $answer_fault"
        return "$((answer_unsure + 1))"
      fi
      if [ "$status" -ne 0 ]; then
        answer_fault="$method $path: no answer within $slowest_answer s: $(last_words)"
        return 2
      fi
      # What was not built here says itself what it was built from.
      [ "$commit $path $digest" != "unknown $first_path $asked_digest" ] || commit=$(sed -n '/.*"git_commit": *"\([^"]*\).*/{s//\1/p;q;}' "$work/reply")
    done
  done 4<<<"$good_answers"
}

# ask_visitor CURL_ARGUMENT...: as a visitor does, into $work/reply.
ask_visitor() { try_once curl --disable --silent --show-error --globoff --max-time "$slowest_answer" --noproxy '*' "$@"; }

# judge_answers CONDUCT STATUS PATTERN HEAD: of what is in $work/reply. Otherwise sets answer_fault and answer_unsure.
judge_answers() {
  local verdict
  verdict=$(awk -v conduct="$1" -v wanted="$2" -v pattern="$3" -v expected_head="$4" -v last="$last_count" -v unsure_status='^(429|502|503|504)$' \
    -f "$root/deploy/judge_answers.awk" "$work/reply")
  case $verdict in
    'good '*) last_count=${verdict#good } && return ;;
    '') verdict="wrong 0 awk cannot read the pattern «$3» of deploy/good_answers.sh: correct it; the word must stand outside of brackets" ;;
  esac
  verdict=${verdict#wrong }
  answer_unsure=${verdict%% *} answer_fault=${verdict#* }
  return 1
}
