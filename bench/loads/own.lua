-- One keyed submission a request, of the job type in BENCH_TYPE with the same data; every key is new.
local count = 0
local seed = tostring(os.time()) .. tostring(math.random(1, 1e9))
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_KEY")
wrk.body = '{"type":"' .. os.getenv("BENCH_TYPE") .. '","data":{"to":"user@example.com","verificationCode":"123456"},"userId":"u1"}'
request = function()
  count = count + 1
  wrk.headers["Idempotency-Key"] = seed .. "-" .. count
  return wrk.format()
end
