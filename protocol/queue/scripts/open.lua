--! flags allow-oom
--! uses prelude clock server window factor late share term
-- open: starts an epoch on a cleared quota. Says the clock.
-- ARGV: clock, state, epoch, run id ('': this server's), permit_ms, mono_ms, boot, commit, concurrency, slack_ms,
--       open jobs, limits, (kind, count, per_ms, group)*, windows, (limit index, left_ms, count)*, grants, grant*,
--       shared values, (name, value, version, left_ms)*, closed destinations, (destination, left_ms)*, newest version
--       of a shared value, thousandths of the limits that throttling left, ms until the next tenth comes back,
--       1: the windows come on top of those that are here[, term, holder]
local run = server_run()
-- The term stands behind lists of their own length.
local function term_at()
    local i = 12
    for _, words in ipairs({4, 3, 1, 4, 2}) do i = i + 1 + words * tonumber(ARGV[i]) end
    return i + 4
end
local adds = ARGV[term_at() - 1] == '1'
if fell_behind(ARGV[2], ARGV[term_at()], ARGV[term_at() + 1]) then return {SUPERSEDED} end
if epoch == ARGV[3] then return {OK, now} end -- the answer was lost
if epoch or call('EXISTS', P .. ':syncs', P .. ':lease') > 0 then return {BUSY} end
if ARGV[4] ~= '' and ARGV[4] ~= run then return {RESTARTED} end

set_clock(ARGV[6], ARGV[7])

local w = windows()
local at = 12
local function word()
    at = at + 1
    return ARGV[at - 1]
end

-- Two limits of one kind and window have windows of their own.
local function read_limits()
    local limits, used = {}, {}
    for _ = 1, tonumber(word()) do
        local kind, count, per, group = word(), tonumber(word()), tonumber(word()), tonumber(word())
        local key = kind .. ':' .. string.format('%d', per)
        if group > 0 then key = key .. ':g' .. group end
        used[key] = (used[key] or 0) + 1
        if used[key] > 1 then key = key .. ':' .. used[key] end
        limits[#limits + 1] = {key, kind, count, per, per <= 60000 and 1 or math.ceil(per / 1000), group}
    end
    return limits
end

SLACK = tonumber(ARGV[10])

-- A limit that Redis has no window of: the saved one; otherwise as much as another limit of its kind has
-- in use may have been sent within this one's window too.
local function begin_window(limit, saved, old)
    local tokens = 0
    for _, window in ipairs(saved) do
        w.give_back(limit, window.count, now + window.left)
        tokens = tokens + window.count
    end
    if #saved == 0 then
        for _, other in ipairs(old) do
            local group = other[L_GROUP] or 0
            if other[L_KIND] == limit[L_KIND] and (group == 0 or limit[L_GROUP] == 0 or group == limit[L_GROUP]) then
                tokens = math.max(tokens, tonumber(call('HGET', w.key(other), 'u')) or 0)
            end
        end
        tokens = math.min(tokens, limit[L_COUNT])
        w.give_back(limit, tokens, now + limit[L_PER] + SLACK)
    end
    call('HSET', w.key(limit), 'u', tokens)
end

-- Windows that a restarted server read back from its disk, or a replica that took over had, lack what was
-- charged since they were written: the saved ones are believed instead.
local last_run = call('HGET', META, 'rid')
local server_changed = run ~= last_run

local function open_windows(limits)
    local saved, old, kept = {}, {}, {}
    for _ = 1, tonumber(word()) do
        local i, left, count = tonumber(word()) + 1, tonumber(word()), tonumber(word())
        saved[i] = saved[i] or {}
        if count > 0 then table.insert(saved[i], {left = left, count = count}) end
    end
    for i = 1, LIMITS do
        old[i] = CFG[i + 3]
        settle_late(w, old[i])
        while w.sweep(old[i]) > 0 do end
    end
    for i, limit in ipairs(limits) do
        kept[limit[L_KEY]] = true
        if server_changed and saved[i] and not adds then call('DEL', w.key(limit), w.times(limit)) end
        if not call('HGET', w.key(limit), 'u') then
            begin_window(limit, saved[i] or {}, old)
        elseif adds then
            for _, window in ipairs(saved[i] or {}) do
                w.give_back(limit, window.count, now + window.left)
                call('HINCRBY', w.key(limit), 'u', window.count)
            end
        end
        call('PERSIST', w.key(limit))
        call('PERSIST', w.times(limit))
        call('HDEL', w.key(limit), 'g')
    end
    for _, limit in ipairs(old) do
        if not kept[limit[L_KEY]] then
            call('PEXPIRE', w.key(limit), limit[L_PER] + SLACK)
            call('PEXPIRE', w.times(limit), limit[L_PER] + SLACK)
        end
    end
end

-- What a destination asked for stays closed; whether it goes on throttling is seen afresh.
local function open_destinations()
    for _, d in ipairs(call('SMEMBERS', P .. ':dests')) do
        local closed, late = unpack(call('HMGET', P .. ':d:' .. d, 'tu', 'lt'))
        closed = math.max(tonumber(closed) or 0, late and now + tonumber(late) or 0)
        call('DEL', P .. ':d:' .. d)
        if closed > now then
            call('HSET', P .. ':d:' .. d, 'tu', closed)
        else
            call('SREM', P .. ':dests', d)
        end
    end
end

-- What destinations asked of a server where the quota was before.
local function close_destinations()
    for _ = 1, tonumber(word()) do
        local d, left = word(), tonumber(word())
        local key = P .. ':d:' .. d
        call('SADD', P .. ':dests', d)
        call('HSET', key, 'tu', math.max(tonumber(call('HGET', key, 'tu')) or 0, now + left))
    end
end

local function lower_limits(factor, next_ms)
    if factor > 0 and factor < 1000 and factor_now() >= 1000 then
        call('HSET', META, 'fac', factor, 'fs', now + next_ms - 10000)
    end
end

local limits = read_limits()
open_windows(limits)
open_destinations()
for i = 1, tonumber(word()) do
    local grant = tonumber(word())
    if limits[i] then raise_grant(w, limits[i], grant) end
end
start_late_waits()
local shared = {}
for i = 1, tonumber(word()) do shared[i] = {word(), word(), tonumber(word()), tonumber(word())} end
close_destinations()
restore_shared(shared, tonumber(word()), last_run and server_changed, not last_run)
lower_limits(tonumber(word()), tonumber(word()))
at = at + 1
call('PERSIST', P .. ':owner') -- a wipe may have given it an end
call('HSET', P .. ':owner', 'state', ARGV[2], 'commit', ARGV[8])
if #ARGV >= at then
    call('HSET', P .. ':owner', 'term', ARGV[at], 'holder', ARGV[at + 1])
else
    call('HDEL', P .. ':owner', 'term', 'holder')
end
call('HDEL', META, 'fen', 'v', 'chk', 'wt')
call('HSET', META, 'id', ARGV[3], 'state', ARGV[2], 'rid', run, 'pu', now + tonumber(ARGV[5]), 'nth', 0,
    'cfg', cmsgpack.pack({tonumber(ARGV[9]), SLACK, tonumber(ARGV[11]), unpack(limits)}))
return {OK, now}
