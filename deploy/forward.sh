# A port-forward: a way to a pod or Service through the API server that no policy of the network closes.

forward='' forward_address=''

# start_forward NAMESPACE TARGET PORT: sets forward_address to the local end, as HOST:PORT; or $work/error says why not.
start_forward() {
  local ticks
  stop_forward
  : >"$work/forward"
  forward=after:${!-}
  kubectl --context "$context" --namespace "$1" port-forward --address 127.0.0.1 "$2" ":$3" \
    >"$work/forward" 2>"$work/forward-error" 3>&- 5>&- 9>&- &
  forward=$!
  for ((ticks = 0; ticks < 100; ticks++)); do
    forward_address=$(sed -n 's/^Forwarding from \([^ ]*\) .*/\1/p' "$work/forward" | head -n 1)
    if [ -n "$forward_address" ]; then return 0; fi
    kill -0 "$forward" 2>/dev/null || break
    run sleep 0.1
  done
  cp "$work/forward-error" "$work/error"
  stop_forward
  return 1
}

stop_forward() {
  stop_process "$forward"
  forward=''
}
