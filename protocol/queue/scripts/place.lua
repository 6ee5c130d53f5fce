-- Where a batch is: in its sync's list, in a lane, parked for a retry, or leased; in exactly one of them.
-- A sync's list holds `b` + part (an unordered batch) and `l` + lane (a lane whose first batch may run).
-- A batch's description: {root, ordset, records, sync, lane, attempts, kills, unsure, bytes}.
local B_ROOT, B_ORDSET, B_N, B_SYNC, B_LANE, B_ATTEMPTS, B_KILLS, B_UNSURE, B_BYTES = 1, 2, 3, 4, 5, 6, 7, 8, 9
local ACTIVE, PARKED, LEASE, ENDS = P .. ':active', P .. ':parked', P .. ':lease', P .. ':ends'

local function sync_key(s) return P .. ':s:' .. s end
local function list_key(s) return P .. ':q:' .. s end
local function lanes_key(s) return P .. ':lanes:' .. s end
local function lane_key(s, lane) return P .. ':l:' .. #s .. ':' .. s .. lane end
local function waiting_key(s) return P .. ':pk:' .. s end

local function batch_load(part) return cmsgpack.unpack(call('GET', P .. ':b:' .. part)) end
local function batch_store(part, b) call('SET', P .. ':b:' .. part, cmsgpack.pack(b)) end
local function batch_payload_key(part) return P .. ':p:' .. part end

-- A sync with something to claim takes part in the choice unless it is paused or ended. It never starts
-- behind the virtual time of the last claim: an absence earns no credit.
local function activate(s)
    local vt, paused, ended = unpack(call('HMGET', sync_key(s), 'vt', 'p', 'x'))
    if paused or ended or call('EXISTS', list_key(s)) == 0 then return end
    call('ZADD', ACTIVE, 'NX', math.max(tonumber(vt) or 0, tonumber(v_now) or 0), s)
end

-- To the head, so that a batch handed back runs before those behind it.
local function put_first(part, b)
    local s, lane = b[B_SYNC], b[B_LANE]
    if lane == '' then
        call('LPUSH', list_key(s), 'b' .. part)
    else
        call('LPUSH', lane_key(s, lane), part)
        -- The second part of a split finds the lane already announced.
        if call('HGET', lanes_key(s), lane) ~= '' then
            call('HSET', lanes_key(s), lane, '')
            call('LPUSH', list_key(s), 'l' .. lane)
        end
    end
end

-- The batch that held the lane is gone: the next one may run.
local function lane_free(s, lane)
    if call('EXISTS', lane_key(s, lane)) == 0 then
        call('HDEL', lanes_key(s), lane)
        return
    end
    call('HSET', lanes_key(s), lane, '')
    call('RPUSH', list_key(s), 'l' .. lane)
    activate(s)
end

-- The batch is in no list any more and leaves the queue.
local function drop(part, b)
    call('UNLINK', P .. ':b:' .. part, batch_payload_key(part))
    local s = sync_key(b[B_SYNC])
    call('HINCRBY', s, 'n', -1)
    if b[B_BYTES] > 0 then call('HINCRBY', s, 'pb', -b[B_BYTES]) end
    if b[B_LANE] ~= '' then lane_free(b[B_SYNC], b[B_LANE]) end
end

local function park(part, b, due)
    call('ZADD', PARKED, due, part)
    call('SADD', waiting_key(b[B_SYNC]), part)
    if b[B_LANE] ~= '' then call('HSET', lanes_key(b[B_SYNC]), b[B_LANE], part) end
end

local function unpark(part, b)
    call('ZREM', PARKED, part)
    call('SREM', waiting_key(b[B_SYNC]), part)
end
