-- A destination that asked to be asked less. `tu`: closed until; `ts`: since when nothing but throttling
-- came back; `la`: when its answers last lowered the limits; `lt`: a delay whose start no permit vouched for.
local function throttle_ended(d)
    if (tonumber(throttled_count) or 0) > 0 and call('HDEL', P .. ':d:' .. d, 'ts') == 1 then
        call('HINCRBY', META, 'nth', -1)
    end
end

-- Nothing of the destination is handed out for so long.
local function close(d, delay)
    local key = P .. ':d:' .. d
    call('SADD', P .. ':dests', d)
    local field, value = 'lt', delay
    if trusted then field, value = 'tu', now + delay end
    call('HSET', key, field, math.max(tonumber(call('HGET', key, field)) or 0, value))
end

-- Closes the destination for delay. The limits fall once per closure: an answer to a request that was
-- claimed before the last fall says nothing about the lowered limits.
local function throttle(d, delay, claimed_at)
    local key = P .. ':d:' .. d
    local closed, lowered, late = unpack(call('HMGET', key, 'tu', 'la', 'lt'))
    closed = tonumber(closed) or 0
    call('SADD', P .. ':dests', d)
    if call('HSETNX', key, 'ts', trusted and now or math.min(now, permit_until)) == 1 then
        call('HINCRBY', META, 'nth', 1)
    end
    if not trusted then
        call('HSET', key, 'lt', math.max(tonumber(late) or 0, delay))
        return
    end
    closed = math.max(closed, now + delay)
    local factor = factor_now()
    if not lowered or claimed_at > tonumber(lowered) then
        factor = math.max(100, math.floor(factor * 7 / 10))
        call('HSET', key, 'la', now)
    end
    call('HSET', key, 'tu', closed)
    call('HSET', META, 'fac', factor, 'fs', math.max(closed, tonumber(fac_since) or 0))
end
