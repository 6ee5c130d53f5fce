--! flags allow-oom
--! uses prelude window place say verdict
-- reap: ends the leases of workers that are gone. ARGV: clock, worker prefix, all. Says how many are left.
-- By time it goes by the clock of the last permit, which a jump cannot have moved; with `all` the caller
-- vouches that those workers are dead, and no permit is needed.
local KILLS_MAX = 3
local w, at = windows(), places()

local function candidates()
    if ARGV[3] ~= '1' then
        if refusal() then return {} end
        local sure = math.min(now, tonumber(call('HGET', META, 'pn')) or 0)
        return call('ZRANGEBYSCORE', ENDS, '-inf', sure, 'WITHSCORES', 'LIMIT', 0, 256)
    end
    local found, all = {}, call('ZRANGE', ENDS, 0, -1, 'WITHSCORES')
    for i = 1, #all, 2 do
        local worker = string.match(all[i], '^%d+:(.*)$')
        if string.sub(worker, 1, #ARGV[2]) == ARGV[2] then
            found[#found + 1], found[#found + 2] = all[i], all[i + 1]
        end
    end
    return found
end

-- What a worker was doing when it was last heard of is unknown: everything of it may have been sent.
local function end_lease(id, ends)
    local held = cmsgpack.unpack(call('HGET', LEASE, id))
    local part, costs, b = held[1], held[3], held[4]
    call('HDEL', LEASE, id)
    call('ZREM', ENDS, id)
    for i = 1, LIMITS do w.charge(CFG[i + 2], costs[i], trusted and math.min(ends, now) or nil) end
    b[B_KILLS], b[B_UNSURE] = b[B_KILLS] + 1, 1
    local ended = call('HGET', P .. ':s:' .. b[B_SYNC], 'x')
    if ended then
        say_ended(b, b[B_ORDSET], ended, 1)
        drop(part, b)
    elseif b[B_N] == 1 and b[B_KILLS] >= KILLS_MAX then
        say_verdict(b, b[B_ORDSET], VERDICT_FAILED, 1,
            'every one of ' .. b[B_KILLS] .. ' workers that tried to send this record was lost')
        drop(part, b)
    else
        at.store(part, b)
        at.put_first(part, b)
        at.activate(b[B_SYNC])
    end
end

local found = candidates()
for i = 1, #found, 2 do end_lease(found[i], tonumber(found[i + 1])) end
return {OK, call('ZCARD', ENDS)}
