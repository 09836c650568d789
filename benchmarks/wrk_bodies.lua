-- Sends the bodies of a file (one on each line) in turn; each connection may wait between requests.
-- wrk … -s wrk_bodies.lua URL -- FILE PATH MEAN_DELAY_MS

local bodies, at, delay_ms = {}, 0, 0

function init(args)
  local headers = { ["Content-Type"] = "application/json" }
  for line in io.lines(args[1]) do
    bodies[#bodies + 1] = wrk.format("POST", args[2], headers, line)
  end
  delay_ms = tonumber(args[3])
  if delay_ms == 0 then delay = nil end
end

function request()
  at = at % #bodies + 1
  return bodies[at]
end

function delay()
  return delay_ms * (0.5 + math.random())
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "p999": %d, "max": %d, ' ..
    '"refused": %d, "broken": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    latency:percentile(99.9), latency.max, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
