# Of two manifests: a line for each object that is new (+), gone (-) or changed (~).
function keep() {
  if (kind != "") { objects[kind "/" name]; text[side, kind "/" name] = body }
  kind = name = body = ""
}
FNR == 1 || /^---/ { keep(); side = FILENAME }
/^kind: / { kind = $2 }
/^  name: / && name == "" { name = $2 }
{ body = body $0 "\n" }
END {
  keep()
  for (object in objects) {
    before = text[ARGV[1], object]
    after = text[ARGV[2], object]
    if (before != after) print (before == "" ? "+" : after == "" ? "-" : "~"), object
  }
}
