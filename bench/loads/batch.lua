-- Batches of 1,000 submissions; every item has a new key.
local count = 0
local seed = tostring(os.time()) .. tostring(math.random(1, 1e9))
local before = '{"type":"send-verification-email","data":{"to":"user@example.com","verificationCode":"123456"},"userId":"u1","idempotencyKey":"' .. seed .. "-"
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_KEY")
request = function()
  local items = {}
  for item = 1, 1000 do
    count = count + 1
    items[item] = before .. count .. '"}'
  end
  return wrk.format(nil, nil, nil, '{"items":[' .. table.concat(items, ",") .. "]}")
end
