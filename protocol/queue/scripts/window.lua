-- Limits as sliding windows. A token is in use from the claim until its return time; `u` of a limit's hash
-- counts those in use: in flight, late (settled when no permit vouched for the clock) or in a bucket.
-- Buckets lie in the same hash, return time -> tokens, with the times sorted in a set.
-- config: {concurrency, slack_ms, {key, kind, count, per_ms, step_ms}, ...}
local CFG = config and cmsgpack.unpack(config) or {8, 0}
local SLACK = CFG[2]
local LIMITS = #CFG - 2
local L_KEY, L_KIND, L_COUNT, L_PER, L_STEP = 1, 2, 3, 4, 5
local KIND_RECORDS = 'records'

local function window_key(limit) return P .. ':win:' .. limit[L_KEY] end
local function times_key(limit) return P .. ':ret:' .. limit[L_KEY] end

-- Tokens in use come back at `at`, rounded up to the limit's step.
local function window_return(limit, tokens, at)
    if tokens == 0 then return end
    local bucket = math.ceil(at / limit[L_STEP]) * limit[L_STEP]
    if call('HINCRBY', window_key(limit), bucket, tokens) == tokens then
        call('ZADD', times_key(limit), bucket, bucket)
    end
end

-- The tokens of a request whose window counts from `since`; nil where the clock cannot be believed.
local function window_charge(limit, tokens, since)
    if since then
        window_return(limit, tokens, math.max(now, since + limit[L_PER] + SLACK))
    elseif tokens > 0 then
        call('HINCRBY', window_key(limit), 'l', tokens)
    end
end

-- Tokens that were never used.
local function window_undo(limit, tokens)
    call('HINCRBY', window_key(limit), 'u', -tokens)
    call('HINCRBY', window_key(limit), 'c', -tokens)
end

-- Late tokens count from now, which is later than whatever they stand for.
local function window_settle_late(limit)
    local late = call('HGET', window_key(limit), 'l')
    if late then
        call('HDEL', window_key(limit), 'l')
        window_return(limit, tonumber(late), now + limit[L_PER] + SLACK)
    end
end

-- Takes back at most 512 buckets whose time has come; returns their tokens, 0 when there are none.
local function window_sweep(limit)
    local due = call('ZRANGEBYSCORE', times_key(limit), '-inf', now, 'LIMIT', 0, 512)
    if #due == 0 then return 0 end
    local counts, sum = call('HMGET', window_key(limit), unpack(due)), 0
    for i = 1, #counts do sum = sum + (tonumber(counts[i]) or 0) end
    call('HDEL', window_key(limit), unpack(due))
    call('ZREMRANGEBYRANK', times_key(limit), 0, #due - 1)
    call('HINCRBY', window_key(limit), 'u', -sum)
    return sum
end

-- When `tokens` more will have come back; nil when that needs requests in flight to end first.
local function window_back_at(limit, tokens)
    for from = 0, 128 * 512, 512 do
        local times = call('ZRANGE', times_key(limit), from, from + 511)
        if #times == 0 then return nil end
        local counts = call('HMGET', window_key(limit), unpack(times))
        for i = 1, #times do
            tokens = tokens - (tonumber(counts[i]) or 0)
            if tokens <= 0 then return tonumber(times[i]) end
        end
    end
end

-- What a batch takes of a limit. One with more records than the limit allows runs alone.
local function limit_cost(limit, records)
    if limit[L_KIND] ~= KIND_RECORDS then return 1 end
    return math.min(records, limit[L_COUNT])
end

-- Thousandths of the limits (without limits: of the concurrency) that throttling answers left, and when the
-- next tenth comes back.
local function factor_now()
    local f = tonumber(fac) or 1000
    if f >= 1000 then return 1000 end
    local steps = math.max(0, math.floor((now - tonumber(fac_since)) / 10000))
    if f + 100 * steps >= 1000 then return 1000 end
    return f + 100 * steps, tonumber(fac_since) + 10000 * (steps + 1)
end

local function scaled(count, factor) return math.max(1, math.floor(count * factor / 1000)) end
