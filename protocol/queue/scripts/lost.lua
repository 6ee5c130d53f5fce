-- Leases that end without a settle. w, at: the groups of window.lua and place.lua.
local KILLS_MAX = 3

-- What a worker was doing when it was last heard of is unknown: everything of it may have been sent.
local function end_lease(w, at, id, ends)
    local held = cmsgpack.unpack(call('HGET', LEASE, id))
    local part, costs, b = held[1], held[3], held[4]
    call('HDEL', LEASE, id)
    call('HINCRBY', META, 'll', 1)
    call('ZREM', ENDS, id)
    if MAX_OPEN > 0 and b[B_JOB] ~= JOB_OPEN then call('SREM', P .. ':open', part) end
    for i = 1, LIMITS do w.charge(CFG[i + 3], costs[i], trusted and math.min(ends, now) or nil) end
    b[B_KILLS], b[B_UNSURE] = b[B_KILLS] + 1, 1
    local ended = call('HGET', P .. ':s:' .. b[B_SYNC], 'x')
    if ended then
        verdicts().ended(b, b[B_ORDSET], ended, 1)
        drop(part, b)
    elseif b[B_N] == 1 and b[B_KILLS] >= KILLS_MAX then
        verdicts().say(b, b[B_ORDSET], VERDICT_FAILED, 1,
            'every one of ' .. b[B_KILLS] .. ' workers that tried to send this record was lost')
        drop(part, b)
    else
        at.store(part, b)
        at.put_first(part, b)
        at.activate(b[B_SYNC])
    end
end

-- By time: what had run out at the last permit, whose clock a jump cannot have moved. At most 256 a call.
local function end_leases_by(w, at, sure)
    local found = call('ZRANGEBYSCORE', ENDS, '-inf', sure, 'WITHSCORES', 'LIMIT', 0, 256)
    for i = 1, #found, 2 do end_lease(w, at, found[i], tonumber(found[i + 1])) end
end
