-- wrk: requests from a list, spread over paths and tokens.   wrk … -s load.lua URL -- LIST TOKENS
-- LIST: lines "METHOD PATH [NUMBER]"; TOKENS: the values of Authorization, one a line, NUMBER counts from 1. Prints one line
-- "RESULT requests microseconds status-errors other-errors p50 p99 max bytes" (latencies in microseconds).
local requests, n, order = {}, 0, 0

function init(args)
	local tokens = {}
	if args[2] then
		for line in io.lines(args[2]) do tokens[#tokens + 1] = line end
	end
	local tail = "Host: " .. (wrk.headers["Host"] or wrk.host) .. "\r\nAccept: application/vnd.oci.image.manifest.v1+json, "
		.. "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json\r\n"
	for line in io.lines(args[1]) do
		local method, path, number = line:match("^(%S+) (%S+) ?(%d*)$")
		n = n + 1
		requests[n] = method .. " " .. path .. " HTTP/1.1\r\n" .. tail
		if number ~= "" then requests[n] = requests[n] .. "Authorization: " .. tokens[tonumber(number)] .. "\r\n" end
		requests[n] = requests[n] .. "\r\n"
	end
	order = tonumber(args[3] or "0") or 0      -- where in the list to begin; a cold run goes on where the last one ended
end

-- The list is in random order already.
function request()
	order = order % n + 1
	return requests[order]
end

function done(summary, latency)
	local e = summary.errors
	io.write(string.format("RESULT %d %d %d %d %d %d %d %d\n", summary.requests, summary.duration, e.status,
		e.connect + e.read + e.write + e.timeout, latency:percentile(50), latency:percentile(99), latency.max, summary.bytes))
end
