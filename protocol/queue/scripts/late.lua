-- Late tokens count from now, which is later than whatever they stand for.
local function settle_late(w, limit)
    local late = call('HGET', w.key(limit), 'l')
    if late then
        call('HDEL', w.key(limit), 'l')
        w.give_back(limit, tonumber(late), now + limit[L_PER] + SLACK)
    end
end

-- Waits whose start nobody vouched for begin now: what was parked with its delay behind NEVER.
local function start_late_waits()
    local late = call('ZRANGEBYSCORE', P .. ':parked', NEVER, '+inf', 'WITHSCORES')
    for i = 1, #late, 2 do
        call('ZADD', P .. ':parked', now + SLACK + tonumber(late[i + 1]) - NEVER, late[i])
    end
end

-- What may be charged until the next permit; the scheduler has it on disk already.
local function raise_grant(w, limit, grant)
    if grant and limit[L_PER] > 60000 then
        local charged = tonumber(call('HGET', w.key(limit), 'c')) or 0
        call('HSET', w.key(limit), 'g', charged + grant)
    end
end
