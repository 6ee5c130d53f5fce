-- Where a batch is: in its sync's list, in a lane, parked until it is due, or leased; in exactly one of them.
-- A sync's list holds `b` + part (an unordered batch) and `l` + lane (a lane whose first batch may run). With a
-- cap on remote jobs there is a second such list (`o`) for what holds a job: it goes on before others begin.
-- A batch's description: {root, ordset, records, sync, lane, attempts, kills, unsure, bytes}, and where one of them
-- is not 1, all records, 0, 0 four more: {…, group, records it costs, bytes of its progress, job}; and a fifth where
-- it waits because its lane is held: until when.
local B_ROOT, B_ORDSET, B_N, B_SYNC, B_LANE, B_ATTEMPTS, B_KILLS, B_UNSURE, B_BYTES = 1, 2, 3, 4, 5, 6, 7, 8, 9
local B_GROUP, B_COSTS, B_MORE, B_JOB, B_HELD = 10, 11, 12, 13, 14
local JOB_OPEN, JOB_NEVER = 1, 2
local MAIN, NO_RECORDS = 1, 4294967295
-- First byte of what waits in `parked` without being a batch: a lane that is held. No part begins with it.
local HELD = 32
local ACTIVE, PARKED, LEASE, ENDS = P .. ':active', P .. ':parked', P .. ':lease', P .. ':ends'

local function places()
    local at = {}

    function at.load(part) return cmsgpack.unpack(call('GET', P .. ':b:' .. part)) end
    function at.store(part, b) call('SET', P .. ':b:' .. part, cmsgpack.pack(b)) end
    -- What an ordinary batch does not say. costs: 0 stands for all records.
    function at.describe(b, group, costs, more, job, held)
        if group == 0 then group = MAIN end
        if costs == 0 then
            costs = b[B_N]
        elseif costs == NO_RECORDS then
            costs = 0
        end
        if group == MAIN and costs == b[B_N] and more == 0 and job == 0 and not held then
            group, costs, more, job = nil, nil, nil, nil
        else
            call('HSETNX', META, 'odd', 1)
        end
        b[B_GROUP], b[B_COSTS], b[B_MORE], b[B_JOB], b[B_HELD] = group, costs, more, job, held
    end

    function at.lane(s, lane) return P .. ':l:' .. #s .. ':' .. s .. lane end

    -- A sync with something to claim takes part in the choice unless it is paused or ended. It never starts
    -- behind the virtual time of the last claim: an absence earns no credit.
    function at.activate(s)
        local vt, paused, ended = unpack(call('HMGET', P .. ':s:' .. s, 'vt', 'p', 'x'))
        if paused or ended or call('EXISTS', P .. ':q:' .. s, P .. ':o:' .. s) == 0 then return end
        call('ZADD', ACTIVE, 'NX', math.max(tonumber(vt) or 0, tonumber(v_now) or 0), s)
    end

    return at
end
