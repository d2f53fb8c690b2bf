# A manifest without what its Secrets hold.
/^---/ { secret = 0; data = 0; depth = 0 }
/^kind: *Secret *$/ { secret = 1 }
/^[^ ]/ { data = ($0 ~ /^(data|stringData):/) }
# A line that goes on with the value of the one before is deeper than the keys.
secret && data && /^ / {
  match($0, /^ +/)
  if (!depth) depth = RLENGTH
  if (RLENGTH > depth) next
  sub(/:.*/, ": (masked)")
}
{ print }
