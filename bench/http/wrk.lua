-- Sends what the arguments say (method), and prints one line that bench/http/load.py reads.
function init(arguments)
  wrk.method = arguments[1]
  wrk.headers["User-Agent"] = "wrk/4.1 (bench)"
end

function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    'measured {"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f, ' ..
    '"not_2xx": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    latency.max / 1e3, errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
