-- Moving a batch from one place to another, and out of the queue.
local function moves()
    local at = places()

    -- To the head, so that a batch handed back runs before those behind it.
    function at.put_first(part, b)
        local s, lane = b[B_SYNC], b[B_LANE]
        local list = P .. ((MAX_OPEN > 0 and b[B_JOB] == JOB_OPEN) and ':o:' or ':q:') .. s
        if lane == '' then
            call('LPUSH', list, 'b' .. part)
            return
        end
        call('LPUSH', at.lane(s, lane), part)
        -- The second part of a split finds the lane already announced.
        if call('HGET', P .. ':lanes:' .. s, lane) ~= '' then
            call('HSET', P .. ':lanes:' .. s, lane, '')
            call('LPUSH', list, 'l' .. lane)
        end
    end

    -- The batch that held the lane is gone: the next one may run, where the lane itself is held when that is over.
    function at.lane_free(s, lane, held)
        if held then
            local name = ' ' .. #s .. ':' .. s .. lane
            call('HSET', P .. ':lanes:' .. s, lane, name)
            call('ZADD', PARKED, held, name)
        elseif call('EXISTS', at.lane(s, lane)) == 0 then
            call('HDEL', P .. ':lanes:' .. s, lane)
        else
            call('HSET', P .. ':lanes:' .. s, lane, '')
            call('RPUSH', P .. ':q:' .. s, 'l' .. lane)
            at.activate(s)
        end
    end

    -- name: of a held lane, as lane_free made it.
    function at.end_hold(name)
        call('ZREM', PARKED, name)
        local bytes, rest = string.match(name, '^ (%d+):(.*)$')
        at.lane_free(string.sub(rest, 1, bytes), string.sub(rest, bytes + 1))
    end

    function at.park(part, b, due)
        call('ZADD', PARKED, due, part)
        call('SADD', P .. ':pk:' .. b[B_SYNC], part)
        if b[B_LANE] ~= '' then call('HSET', P .. ':lanes:' .. b[B_SYNC], b[B_LANE], part) end
    end

    function at.unpark(part, b)
        call('ZREM', PARKED, part)
        call('SREM', P .. ':pk:' .. b[B_SYNC], part)
    end

    return at
end

-- The batch is in no list any more and leaves the queue. held: until when its lane stays closed; nil: it opens;
-- false: it is left as it is.
local function drop(part, b, held)
    call('UNLINK', P .. ':b:' .. part, P .. ':p:' .. part)
    if b[B_MORE] and b[B_MORE] > 0 then call('UNLINK', P .. ':pg:' .. part) end
    if MAX_OPEN > 0 then call('SREM', P .. ':open', part) end
    local s = P .. ':s:' .. b[B_SYNC]
    call('HINCRBY', s, 'n', -1)
    if b[B_BYTES] > 0 then call('HINCRBY', s, 'pb', -b[B_BYTES]) end
    if b[B_LANE] ~= '' and held ~= false then moves().lane_free(b[B_SYNC], b[B_LANE], held) end
end
