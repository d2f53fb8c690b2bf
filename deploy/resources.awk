# Of manifests, group/resource of each object. A kind's plural is English.
/^apiVersion: / { group = $2 ~ "/" ? $2 : ""; sub("/.*", "", group) }
/^kind: / {
  kind = tolower($2)
  if (kind ~ /[^a]y$/) sub("y$", "ie", kind)
  sub("ss$", "sse", kind)
  print group "/" kind "s"
}
