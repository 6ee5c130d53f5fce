-- Thousandths of the limits (without limits: of the concurrency) that throttling answers left, and when the
-- next tenth comes back.
local function factor_now()
    local f = tonumber(fac) or 1000
    if f >= 1000 then return 1000 end
    local steps = math.max(0, math.floor((now - tonumber(fac_since)) / 10000))
    if f + 100 * steps >= 1000 then return 1000 end
    return f + 100 * steps, tonumber(fac_since) + 10000 * (steps + 1)
end
