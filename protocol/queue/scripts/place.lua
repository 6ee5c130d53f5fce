-- Where a batch is: in its sync's list, in a lane, parked for a retry, or leased; in exactly one of them.
-- A sync's list holds `b` + part (an unordered batch) and `l` + lane (a lane whose first batch may run).
-- A batch's description: {root, ordset, records, sync, lane, attempts, kills, unsure, bytes}.
local B_ROOT, B_ORDSET, B_N, B_SYNC, B_LANE, B_ATTEMPTS, B_KILLS, B_UNSURE, B_BYTES = 1, 2, 3, 4, 5, 6, 7, 8, 9
local ACTIVE, PARKED, LEASE, ENDS = P .. ':active', P .. ':parked', P .. ':lease', P .. ':ends'

local function places()
    local at = {}

    function at.load(part) return cmsgpack.unpack(call('GET', P .. ':b:' .. part)) end
    function at.store(part, b) call('SET', P .. ':b:' .. part, cmsgpack.pack(b)) end
    function at.lane(s, lane) return P .. ':l:' .. #s .. ':' .. s .. lane end

    -- A sync with something to claim takes part in the choice unless it is paused or ended. It never starts
    -- behind the virtual time of the last claim: an absence earns no credit.
    function at.activate(s)
        local vt, paused, ended = unpack(call('HMGET', P .. ':s:' .. s, 'vt', 'p', 'x'))
        if paused or ended or call('EXISTS', P .. ':q:' .. s) == 0 then return end
        call('ZADD', ACTIVE, 'NX', math.max(tonumber(vt) or 0, tonumber(v_now) or 0), s)
    end

    -- To the head, so that a batch handed back runs before those behind it.
    function at.put_first(part, b)
        local s, lane = b[B_SYNC], b[B_LANE]
        if lane == '' then
            call('LPUSH', P .. ':q:' .. s, 'b' .. part)
            return
        end
        call('LPUSH', at.lane(s, lane), part)
        -- The second part of a split finds the lane already announced.
        if call('HGET', P .. ':lanes:' .. s, lane) ~= '' then
            call('HSET', P .. ':lanes:' .. s, lane, '')
            call('LPUSH', P .. ':q:' .. s, 'l' .. lane)
        end
    end

    -- The batch that held the lane is gone: the next one may run.
    function at.lane_free(s, lane)
        if call('EXISTS', at.lane(s, lane)) == 0 then
            call('HDEL', P .. ':lanes:' .. s, lane)
            return
        end
        call('HSET', P .. ':lanes:' .. s, lane, '')
        call('RPUSH', P .. ':q:' .. s, 'l' .. lane)
        at.activate(s)
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

-- The batch is in no list any more and leaves the queue.
local function drop(part, b)
    call('UNLINK', P .. ':b:' .. part, P .. ':p:' .. part)
    local s = P .. ':s:' .. b[B_SYNC]
    call('HINCRBY', s, 'n', -1)
    if b[B_BYTES] > 0 then call('HINCRBY', s, 'pb', -b[B_BYTES]) end
    if b[B_LANE] ~= '' then places().lane_free(b[B_SYNC], b[B_LANE]) end
end
