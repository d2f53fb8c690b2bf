# Judges answers that curl wrote with their heads and statuses, each up to a byte 30: against a status, a pattern of the
# body and one of the head. Prints "good" and the number of the last COUNT, or "wrong", whether it may be somebody
# else's fault, and what it was.
BEGIN { RS = "\036" }
function wrong(what, unsure) {
  gsub(/[[:cntrl:]]+/, " ", what)
  print "wrong", unsure + 0, what
  bad = 1
  exit
}
# The number that follows what stands before the word in the pattern.
function number_at(word,   before, rest) {
  before = substr(pattern, 1, index(pattern, word) - 1)
  match(body, before)
  rest = substr(body, RSTART + RLENGTH)
  match(rest, /^[0-9]+/)
  return substr(rest, 1, RLENGTH) + 0
}
!/[^ \n]/ || $NF == "000" { next } # 000 is of an answer that did not come
{
  status = $NF
  body = substr($0, 1, length($0) - length(status) - 1)
  # An entrance may send hints before the answer (RFC 8297).
  while (body ~ /^HTTP\/[0-9.]+ 1/ && (blank = index(body, "\r\n\r\n"))) body = substr(body, blank + 4)
  blank = index(body, "\r\n\r\n")
  head = tolower(substr(body, 1, blank))
  body = substr(body, blank ? blank + 4 : 1)
  shown = "«" substr(body, 1, 120) "»"
  if (conduct == "serving") {
    if (status >= 500) wrong("answer " NR " was " status ": " shown, status ~ unsure_status)
    if (pattern !~ /sha256:/) next
  }
  if (status != wanted)
    wrong("answer " NR " was " status ", not " wanted ": " shown, status ~ unsure_status)
  expected = pattern
  sub(/COUNT|LAST/, "[0-9]+", expected)
  if (head !~ expected_head) wrong("the head of answer " NR " does not match " expected_head)
  if (body !~ expected) wrong("answer " NR " does not match " expected ": " shown)
  if (pattern ~ /COUNT/) {
    number = number_at("COUNT")
    if (last != "" && number <= last) wrong("the counter says " number " after " last)
    if (last != "" && conduct == "alone" && number != last + 1)
      wrong("the counter says " number " after " last ", and nobody else was counted")
    last = number
  } else if (pattern ~ /LAST/ && last != "") {
    number = number_at("LAST")
    if (number < last || conduct == "alone" && number != last) wrong("the counter says " number " after " last)
  }
}
# %.0f: some awks print no more than six digits of a large number.
END { if (!bad) printf(last == "" ? "good \n" : "good %.0f\n", last) }
