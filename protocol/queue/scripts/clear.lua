--! flags allow-oom
--! uses prelude window place move term
-- clear: removes everything of a fenced quota but its windows, owner, clock, closed destinations,
-- held lanes, shared values and results. At most 512 batches a call; says how many batches and syncs are left.
-- ARGV: clock[, state, term, holder].
if fell_behind(ARGV[2], ARGV[3], ARGV[4]) then return {SUPERSEDED} end
if epoch and fenced ~= '1' then return {BUSY} end
local budget = 512
local w, at = windows(), moves()

local function forget(part)
    call('UNLINK', P .. ':b:' .. part, P .. ':p:' .. part, P .. ':pg:' .. part)
    budget = budget - 1
end

-- Requests of these leases may still be on their way: their tokens count from the next open on.
local function clear_leases()
    for _, held in ipairs(call('HVALS', LEASE)) do
        held = cmsgpack.unpack(held)
        for i = 1, LIMITS do w.charge(CFG[i + 3], held[3][i], nil) end
        forget(held[1])
    end
    call('DEL', LEASE, ENDS)
end

local function clear_list(key, of_lanes)
    while budget > 0 do
        local item = call('LPOP', key)
        if not item then return end
        if of_lanes then
            forget(item)
        elseif string.byte(item) == 98 then
            forget(string.sub(item, 2))
        end
    end
end

local function clear_lanes(s)
    local cursor = '0'
    repeat
        local page = call('HSCAN', P .. ':lanes:' .. s, cursor, 'COUNT', 64)
        cursor = page[1]
        for i = 1, #page[2], 2 do
            local lane = page[2][i]
            clear_list(at.lane(s, lane), true)
            if budget <= 0 then return end
            if string.byte(page[2][i + 1]) ~= HELD then call('HDEL', P .. ':lanes:' .. s, lane) end
        end
    until cursor == '0'
end

local function clear_sync(s)
    clear_list(P .. ':o:' .. s, false)
    clear_list(P .. ':q:' .. s, false)
    if budget > 0 then clear_lanes(s) end
    while budget > 0 do
        local parts = call('SPOP', P .. ':pk:' .. s, 64)
        if #parts == 0 then break end
        for _, part in ipairs(parts) do
            local b = call('GET', P .. ':b:' .. part)
            b = b and cmsgpack.unpack(b) or {}
            call('ZREM', PARKED, part)
            if (b[B_HELD] or 0) > now then at.lane_free(s, b[B_LANE], b[B_HELD]) end
            forget(part)
        end
    end
    if budget <= 0 then return end
    call('DEL', P .. ':s:' .. s)
    call('SREM', P .. ':syncs', s)
end

clear_leases()
for _, s in ipairs(call('SMEMBERS', P .. ':syncs')) do
    if budget > 0 then clear_sync(s) end
end
local left = call('SCARD', P .. ':syncs')
if left == 0 then
    call('DEL', ACTIVE, P .. ':paused', P .. ':open')
    for _, name in ipairs(call('ZRANGE', PARKED, 0, -1)) do
        if string.byte(name) ~= HELD then call('ZREM', PARKED, name) end
    end
    call('HDEL', META, 'id', 'state', 'pu', 'v', 'chk', 'odd', 'wt')
end
return {OK, left}
