-- Limits as sliding windows. A token is in use from the claim until its return time; `u` of a limit's hash
-- counts those in use: in flight, late (settled when no permit vouched for the clock) or in a bucket.
-- Buckets lie in the same hash, return time -> tokens, with the times sorted in a set.
-- config: {concurrency, slack_ms, open jobs at most (0: any), {key, kind, count, per_ms, step_ms, group}, ...}
local CFG = config and cmsgpack.unpack(config) or {8, 0, 0}
-- The release before knew no jobs; open and clear still meet what it left.
if type(CFG[3]) ~= 'number' then table.insert(CFG, 3, 0) end
local SLACK, MAX_OPEN = CFG[2], CFG[3]
local LIMITS = #CFG - 3
local L_KEY, L_KIND, L_COUNT, L_PER, L_STEP, L_GROUP = 1, 2, 3, 4, 5, 6

-- Functions come in groups that are made when first needed: making one costs as much as a Redis command.
local function windows()
    local w = {}

    function w.key(limit) return P .. ':win:' .. limit[L_KEY] end
    function w.times(limit) return P .. ':ret:' .. limit[L_KEY] end

    -- Tokens in use come back at `at`, rounded up to the limit's step.
    function w.give_back(limit, tokens, at)
        if tokens == 0 then return end
        local bucket = string.format('%d', math.ceil(at / limit[L_STEP]) * limit[L_STEP])
        if call('HINCRBY', w.key(limit), bucket, tokens) == tokens then
            call('ZADD', w.times(limit), bucket, bucket)
        end
    end

    -- The tokens of a request whose window counts from `since`; nil where the clock cannot be believed.
    function w.charge(limit, tokens, since)
        if since then
            w.give_back(limit, tokens, math.max(now, since + limit[L_PER] + SLACK))
        elseif tokens > 0 then
            call('HINCRBY', w.key(limit), 'l', tokens)
        end
    end

    -- Tokens that were never used.
    function w.undo(limit, tokens)
        if tokens == 0 then return end
        call('HINCRBY', w.key(limit), 'u', -tokens)
        call('HINCRBY', w.key(limit), 'c', -tokens)
    end

    -- Takes back at most 512 buckets whose time has come; returns their tokens, 0 when there are none.
    function w.sweep(limit)
        local due = call('ZRANGEBYSCORE', w.times(limit), '-inf', now, 'LIMIT', 0, 512)
        if #due == 0 then return 0 end
        local counts, sum = call('HMGET', w.key(limit), unpack(due)), 0
        for i = 1, #counts do sum = sum + (tonumber(counts[i]) or 0) end
        call('HDEL', w.key(limit), unpack(due))
        call('ZREMRANGEBYRANK', w.times(limit), 0, #due - 1)
        call('HINCRBY', w.key(limit), 'u', -sum)
        return sum
    end

    return w
end
