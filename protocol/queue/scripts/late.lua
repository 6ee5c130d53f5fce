-- Late tokens count from now, which is later than whatever they stand for.
local function settle_late(w, limit)
    local late = call('HGET', w.key(limit), 'l')
    if late then
        call('HDEL', w.key(limit), 'l')
        w.give_back(limit, tonumber(late), now + limit[L_PER] + SLACK)
    end
end

-- What may be charged until the next permit; the scheduler has it on disk already.
local function raise_grant(w, limit, grant)
    if grant and limit[L_PER] > 60000 then
        local charged = tonumber(call('HGET', w.key(limit), 'c')) or 0
        call('HSET', w.key(limit), 'g', charged + grant)
    end
end
