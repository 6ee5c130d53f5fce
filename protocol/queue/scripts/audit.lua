--! uses prelude window place
-- audit: walks the whole quota and says which invariants of PROTOCOL.md (I1 …) do not hold. Reads only;
-- its cost grows with what is queued: for tests and for people. ARGV: clock.
local w, at = windows(), places()
local broken = {}
local function need(holds, text, ...)
    if not holds and #broken < 20 then broken[#broken + 1] = string.format(text, ...) end
end

local place, held_by_lane, batches, bytes = {}, {}, {}, {}

-- Notes that a batch was met at a place and returns what is stored about it.
local function meet(part, where, s)
    need(not place[part], 'I1: batch %s is %s and %s', part, place[part] or '', where)
    place[part] = where
    local stored = call('GET', P .. ':b:' .. part)
    local size = call('STRLEN', P .. ':p:' .. part)
    need(stored, 'I1: batch %s is %s but not stored', part, where)
    if not stored then return nil end
    local b = cmsgpack.unpack(stored)
    need(not s or b[B_SYNC] == s, 'I1: batch %s of sync %s is %s of sync %s', part, b[B_SYNC], where, tostring(s))
    need(size == b[B_BYTES], 'I2: batch %s has %d payload bytes, not %d', part, size, b[B_BYTES])
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
    else
        need(announced == 0, 'I6: blocked lane %s of %s is announced', lane, s)
        held_by_lane[blocker] = s .. '/' .. lane
    end
end

local function audit_sync(s)
    local announced = {}
    for _, item in ipairs(call('LRANGE', P .. ':q:' .. s, 0, -1)) do
        local name = string.sub(item, 2)
        if string.byte(item) == 108 then
            announced[name] = (announced[name] or 0) + 1
        else
            local b = meet(name, 'queued', s)
            need(not b or b[B_LANE] == '', 'I6: batch %s of a lane lies in the unordered list', name)
        end
    end
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
        local limit = CFG[k + 2]
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
    local should = call('EXISTS', P .. ':q:' .. s) == 1 and not paused and not ended
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
need(parked == call('ZCARD', PARKED), 'I1: %d batches wait, %d times', parked, call('ZCARD', PARKED))
for _, s in ipairs(syncs) do audit_active(s) end
need(call('ZCARD', ACTIVE) <= #syncs, 'I5: an unknown sync is active')
audit_windows()
audit_results()
audit_throttles()
return {OK, #broken, table.concat(broken, '\n')}
