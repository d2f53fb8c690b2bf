# Helm's history after the file of outcomes: what was verified is marked, and below a revision stands how the deploy
# that made it ended.
function field(name,   value) {
  if (!match($0, "\"" name "\":(\"([^\"\\\\]|\\\\.)*\"|[0-9]+)")) return "unknown"
  value = substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3)
  gsub(/^"|"$/, "", value)
  gsub(/\\u00ab/, "«", value)
  gsub(/\\u00bb/, "»", value)
  gsub(/\\[nt]/, " ", value)
  gsub(/\\/, "", value)
  return value
}
FILENAME == ARGV[1] {
  ends[$1] = field("outcome") " after " field("seconds") " s, by " field("by") ", commit " field("commit") ", " field("digest")
  if (field("message") != "") ends[$1] = ends[$1] ": " field("message")
  next
}
{ print (index(verified, " " $1 " ") ? "verified " : "         ") $0 }
$1 in ends { print "            " ends[$1] }
