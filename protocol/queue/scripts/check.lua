-- Checking limits before a claim; made only where there are limits.
local FAR = math.huge

local function checks(w, factor)
    local c = {}

    -- Tokens of the limit that are missing for cost, after what is due was taken back, and those in use.
    -- A batch that needs more than there may be runs when nothing is in use.
    local function shortage(limit, used, cost)
        local allowed = math.max(1, math.floor(limit[L_COUNT] * factor / 1000))
        while used > 0 and used + cost > allowed do
            local back = w.sweep(limit)
            if back == 0 then return math.min(used, used + cost - allowed), used end
            used = used - back
        end
        return 0, used
    end

    -- When `tokens` more will have come back; FAR when that needs requests in flight to end first.
    local function back_at(limit, tokens)
        for from = 0, 128 * 512, 512 do
            local times = call('ZRANGE', w.times(limit), from, from + 511)
            if #times == 0 then return FAR end
            local counts = call('HMGET', w.key(limit), unpack(times))
            for i = 1, #times do
                tokens = tokens - (tonumber(counts[i]) or 0)
                if tokens <= 0 then return tonumber(times[i]) end
            end
        end
        return FAR
    end

    -- Checks every limit that counts requests of the group for one that costs that many records. Gives its costs
    -- and the counters to be stored; the time at which missing tokens are back, 0 when none is missing; whether
    -- a grant is spent; and whether one that counts the requests of every group blocks. It is their time then:
    -- from there on batches of other groups may overtake.
    function c.all(records, group)
        local costs, counters, by_grant, common = {}, {}, false, false
        local all_until, group_until = 0, 0
        for i = 1, LIMITS do
            local limit = CFG[i + 3]
            local cost, of = 0, limit[L_GROUP]
            if of == 0 or of == group then
                cost = limit[L_KIND] == 'records' and math.min(records, limit[L_COUNT]) or 1
            end
            if cost > 0 then
                local used, charged, grant = unpack(call('HMGET', w.key(limit), 'u', 'c', 'g'))
                local missing
                missing, used = shortage(limit, tonumber(used) or 0, cost)
                charged = (tonumber(charged) or 0) + cost
                local spent = missing == 0 and grant and charged > tonumber(grant)
                if missing > 0 and of == 0 then
                    all_until = math.max(all_until, back_at(limit, missing))
                elseif missing > 0 then
                    group_until = math.max(group_until, back_at(limit, missing))
                end
                by_grant = by_grant or spent
                common = common or ((missing > 0 or spent) and of == 0)
                counters[i] = {used + cost, charged}
            end
            costs[i] = cost
        end
        return costs, counters, common and all_until or group_until, by_grant, common
    end

    return c
end
