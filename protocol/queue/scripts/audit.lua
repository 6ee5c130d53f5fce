--! uses prelude window place share
-- audit: walks the whole quota and says which invariants of PROTOCOL.md (I1 …) do not hold. Reads only;
-- its cost grows with what is queued: for tests and for people. ARGV: clock.
local w, at = windows(), places()
local broken = {}
local function need(holds, text, ...)
    if not holds and #broken < 20 then broken[#broken + 1] = string.format(text, ...) end
end

local place, held_by_lane, batches, bytes, jobs = {}, {}, {}, {}, {}

-- Notes that a batch was met at a place and returns what is stored about it.
local function meet(part, where, s)
    need(not place[part], 'I1: batch %s is %s and %s', part, place[part] or '', where)
    place[part] = where
    local stored = call('GET', P .. ':b:' .. part)
    local more = call('STRLEN', P .. ':pg:' .. part)
    local size = call('STRLEN', P .. ':p:' .. part) + more
    need(stored, 'I1: batch %s is %s but not stored', part, where)
    if not stored then return nil end
    local b = cmsgpack.unpack(stored)
    need(not s or b[B_SYNC] == s, 'I1: batch %s of sync %s is %s of sync %s', part, b[B_SYNC], where, tostring(s))
    need(size == b[B_BYTES], 'I2: batch %s has %d payload bytes, not %d', part, size, b[B_BYTES])
    need(more == (b[B_MORE] or 0), 'I2: batch %s has %d bytes of progress, not %d', part, more, b[B_MORE] or 0)
    need(#b == 9 or #b == 14 or (#b == 13 and (b[B_GROUP] ~= MAIN or b[B_COSTS] ~= b[B_N] or b[B_MORE] > 0 or b[B_JOB] > 0)),
        'I1: batch %s is described by %d words', part, #b)
    if b[B_JOB] == JOB_OPEN then jobs[part] = true end
    batches[b[B_SYNC]] = (batches[b[B_SYNC]] or 0) + 1
    bytes[b[B_SYNC]] = (bytes[b[B_SYNC]] or 0) + size
    return b
end

local function audit_lane(s, lane, blocker, announced)
    local parts = call('LRANGE', at.lane(s, lane), 0, -1)
    for _, part in ipairs(parts) do
        local b = meet(part, 'in lane ' .. lane, s)
        need(not b or b[B_LANE] == lane, 'I6: batch %s lies in the wrong lane %s', part, lane)
    end
    if blocker == '' then
        need(announced == 1, 'I6: free lane %s of %s is announced %d times', lane, s, announced)
        need(#parts > 0, 'I6: free lane %s of %s is empty', lane, s)
    elseif string.byte(blocker) == HELD then
        need(announced == 0, 'I6: held lane %s of %s is announced', lane, s)
    else
        need(announced == 0, 'I6: blocked lane %s of %s is announced', lane, s)
        held_by_lane[blocker] = s .. '/' .. lane
    end
end

-- of_jobs: nothing but what holds a job; otherwise nothing that does.
local function audit_list(s, list, of_jobs, announced)
    for _, item in ipairs(call('LRANGE', list .. s, 0, -1)) do
        local name, b = string.sub(item, 2), nil
        if string.byte(item) == 108 then
            announced[name] = (announced[name] or 0) + 1
            local first = call('LINDEX', at.lane(s, name), 0)
            b = first and at.load(first)
        else
            b = meet(name, 'queued', s)
            need(not b or b[B_LANE] == '', 'I6: batch %s of a lane lies in the unordered list', name)
        end
        need(MAX_OPEN == 0 or not b or (b[B_JOB] == JOB_OPEN) == of_jobs, 'I13: %s lies in the wrong list of %s', item, s)
    end
end

local function audit_sync(s)
    local announced = {}
    audit_list(s, P .. ':q:', false, announced)
    audit_list(s, P .. ':o:', true, announced)
    local lanes = call('HGETALL', P .. ':lanes:' .. s)
    for i = 1, #lanes, 2 do
        audit_lane(s, lanes[i], lanes[i + 1], announced[lanes[i]] or 0)
        announced[lanes[i]] = nil
    end
    for lane in pairs(announced) do need(false, 'I6: lane %s of %s is announced but unknown', lane, s) end
    for _, part in ipairs(call('SMEMBERS', P .. ':pk:' .. s)) do
        need(call('ZSCORE', PARKED, part), 'I1: batch %s waits without a time', part)
        local b = meet(part, 'parked', s)
        if b and b[B_LANE] ~= '' then
            need(held_by_lane[part] == s .. '/' .. b[B_LANE], 'I6: parked batch %s does not block its lane', part)
            held_by_lane[part] = nil
        end
    end
end

local flying = {}
local function audit_leases()
    local leases = call('HGETALL', LEASE)
    for i = 1, #leases, 2 do
        local held = cmsgpack.unpack(leases[i + 1])
        need(call('ZSCORE', ENDS, leases[i]), 'I3: lease %s has no end', leases[i])
        local b = meet(held[1], 'leased', nil)
        if MAX_OPEN > 0 and b and (b[B_JOB] or 0) == 0 then jobs[held[1]] = true end
        for k = 1, LIMITS do flying[k] = (flying[k] or 0) + held[3][k] end
        if b then
            need(cmsgpack.pack(b) == cmsgpack.pack(held[4]), 'I3: lease %s differs from batch %s', leases[i], held[1])
            if b[B_LANE] ~= '' then
                need(held_by_lane[held[1]] == b[B_SYNC] .. '/' .. b[B_LANE], 'I6: leased batch %s does not block its lane', held[1])
                held_by_lane[held[1]] = nil
            end
        end
    end
    need(#leases / 2 == call('ZCARD', ENDS), 'I3: %d leases, %d ends', #leases / 2, call('ZCARD', ENDS))
    need(#leases / 2 <= CFG[1], 'I7: %d leases, concurrency %d', #leases / 2, CFG[1])
end

local function audit_windows()
    for k = 1, LIMITS do
        local limit = CFG[k + 3]
        local fields, sum, used, late, buckets = call('HGETALL', w.key(limit)), 0, 0, 0, 0
        for i = 1, #fields, 2 do
            local n = tonumber(fields[i + 1])
            if fields[i] == 'u' then
                used = n
            elseif fields[i] == 'l' then
                late = n
            elseif tonumber(fields[i]) then
                sum, buckets = sum + n, buckets + 1
                need(call('ZSCORE', w.times(limit), fields[i]), 'I4: bucket %s of %s has no time', fields[i], limit[L_KEY])
            end
        end
        need(buckets == call('ZCARD', w.times(limit)), 'I4: %s has a time without a bucket', limit[L_KEY])
        need(used == sum + late + (flying[k] or 0), 'I4: %s has %d in use: %d in flight, %d late, %d in buckets',
            limit[L_KEY], used, flying[k] or 0, late, sum)
    end
end

local function audit_active(s)
    local paused, ended, living, stored, vt = unpack(call('HMGET', P .. ':s:' .. s, 'p', 'x', 'n', 'pb', 'vt'))
    local should = call('EXISTS', P .. ':q:' .. s, P .. ':o:' .. s) > 0 and not paused and not ended
    local active = call('ZSCORE', ACTIVE, s) and true or false
    need(active == should, 'I5: sync %s is %s', s, active and 'active without cause' or 'not active')
    need((tonumber(living) or 0) == (batches[s] or 0), 'I2: sync %s counts %s batches, has %d', s, tostring(living), batches[s] or 0)
    need((tonumber(stored) or 0) == (bytes[s] or 0), 'I2: sync %s counts %s bytes, has %d', s, tostring(stored), bytes[s] or 0)
end

local function audit_results()
    local unread = {}
    for _, entry in ipairs(call('XRANGE', P .. ':results', '-', '+')) do
        local s = entry[2][4]
        unread[s] = (unread[s] or 0) + #entry[2][6]
    end
    local counted = call('HGETALL', P .. ':rb')
    for i = 1, #counted, 2 do
        need(unread[counted[i]] == tonumber(counted[i + 1]), 'I8: %s has %s unread bytes counted, %d there',
            counted[i], counted[i + 1], unread[counted[i]] or 0)
        unread[counted[i]] = nil
    end
    for s in pairs(unread) do need(false, 'I8: unread results of %s are not counted', s) end
end

-- A lane that is held stands in `lanes` with the very name that waits.
local function audit_holds()
    local n = 0
    for _, name in ipairs(call('ZRANGE', PARKED, 0, -1)) do
        if string.byte(name) == HELD then
            n = n + 1
            local size, rest = string.match(name, '^ (%d+):(.*)$')
            local s, lane = string.sub(rest, 1, size), string.sub(rest, size + 1)
            need(call('HGET', P .. ':lanes:' .. s, lane) == name, 'I6: lane %s of %s is held without cause', lane, s)
        end
    end
    return n
end

local function audit_jobs()
    if MAX_OPEN == 0 then return end
    local places_taken = call('SMEMBERS', P .. ':open')
    for _, part in ipairs(places_taken) do
        need(jobs[part], 'I13: batch %s takes the place of a job without cause', part)
        jobs[part] = nil
    end
    for part in pairs(jobs) do need(false, 'I13: batch %s holds a job without a place', part) end
    need(#places_taken <= MAX_OPEN, 'I13: %d jobs, at most %d', #places_taken, MAX_OPEN)
end

local function audit_shared()
    local all, durable = call('HGETALL', SHARED), 0
    local newest = tonumber(call('HGET', META, 'sv')) or 0
    for i = 1, #all, 2 do
        local e = cmsgpack.unpack(all[i + 1])
        need(e[S_VERSION] <= newest, 'I14: shared value %s is newer than the newest', all[i])
        need((call('SISMEMBER', SHARED_DURABLE, all[i]) == 1) == (e[S_DURABLE] == 1), 'I14: shared value %s is in no list', all[i])
        local passes = e[S_VERSION] == 0 or e[S_EXPIRES] > 0
        need(not passes == not call('ZSCORE', SHARED_TIMES, all[i]), 'I14: shared value %s has a wrong time', all[i])
        durable = durable + e[S_DURABLE]
    end
    need(durable == call('SCARD', SHARED_DURABLE), 'I14: %d durable values, %d listed', durable, call('SCARD', SHARED_DURABLE))
end

local function audit_throttles()
    local n = 0
    for _, d in ipairs(call('SMEMBERS', P .. ':dests')) do n = n + call('HEXISTS', P .. ':d:' .. d, 'ts') end
    if epoch then need(n == (tonumber(throttled_count) or 0), 'I9: %d destinations throttle, %s counted', n, tostring(throttled_count)) end
end

local syncs, parked = call('SMEMBERS', P .. ':syncs'), 0
for _, s in ipairs(syncs) do
    audit_sync(s)
    parked = parked + call('SCARD', P .. ':pk:' .. s)
end
audit_leases()
for part, lane in pairs(held_by_lane) do need(false, 'I6: lane %s is blocked by %s, which is elsewhere', lane, part) end
parked = parked + audit_holds()
need(parked == call('ZCARD', PARKED), 'I1: %d wait, %d times', parked, call('ZCARD', PARKED))
for _, s in ipairs(syncs) do audit_active(s) end
need(call('ZCARD', ACTIVE) <= #syncs, 'I5: an unknown sync is active')
audit_windows()
audit_results()
audit_throttles()
audit_jobs()
audit_shared()
return {OK, #broken, table.concat(broken, '\n')}
