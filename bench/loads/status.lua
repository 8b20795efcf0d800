-- Reads jobs whose ids stand in the file BENCH_IDS, one a line, in turn.
local ids = {}
for id in io.lines(os.getenv("BENCH_IDS")) do ids[#ids + 1] = id end
local at = 0
wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_KEY")
request = function()
  at = at % #ids + 1
  return wrk.format("GET", "/v1/jobs/" .. ids[at])
end
