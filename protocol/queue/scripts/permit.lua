--! flags allow-oom
--! uses prelude clock server window late factor place move say verdict lost watch
-- permit: renews the permit, keeps the clock from jumping, ends leases that ran out, raises the grants,
-- says how things stand.
-- ARGV: clock, epoch, permit_ms, mono_ms, boot, commit, grants, grant*
local GROUPS, BUCKETS_MAX = 250, 4096

if not epoch or ARGV[2] ~= epoch then return {STALE} end
if fenced == '1' then return {FENCED} end
if call('HGET', META, 'rid') ~= server_run() then return {RESTARTED} end
set_clock(ARGV[4], ARGV[5])
permit_until = now + tonumber(ARGV[3])
trusted = true
local w = windows()
call('HSET', META, 'pu', permit_until)
call('HSET', P .. ':owner', 'commit', ARGV[6])

start_late_waits()
end_leases_by(w, moves(), math.min(now, raw))

local leased, last_end = {}, 0
for _, held in ipairs(call('HVALS', LEASE)) do
    local s = cmsgpack.unpack(held)[4][B_SYNC]
    leased[s] = (leased[s] or 0) + 1
end
last_end = tonumber(call('ZRANGE', ENDS, -1, -1, 'WITHSCORES')[2]) or now

-- The buckets of a limit, gathered into groups that return late rather than early.
local function save_window(index, limit, out)
    local key, gathered, order, sum = w.key(limit), {}, {}, 0
    local used = tonumber(call('HGET', key, 'u')) or 0
    local longest = limit[L_PER] + SLACK
    if call('ZCARD', w.times(limit)) > BUCKETS_MAX then
        if used > 0 then out[#out + 1], out[#out + 2], out[#out + 3] = index, longest, used end
        return used
    end
    local width = math.max(1, math.ceil(limit[L_PER] / GROUPS))
    for _, time_text in ipairs(call('ZRANGE', w.times(limit), 0, -1)) do
        local group = math.ceil(tonumber(time_text) / width) * width
        local count = tonumber(call('HGET', key, time_text)) or 0
        if not gathered[group] then order[#order + 1] = group end
        gathered[group], sum = (gathered[group] or 0) + count, sum + count
    end
    for _, group in ipairs(order) do
        out[#out + 1], out[#out + 2], out[#out + 3] = index, math.max(0, group - raw), gathered[group]
    end
    if used > sum then
        local left = math.max(0, last_end - raw) + longest
        out[#out + 1], out[#out + 2], out[#out + 3] = index, left, used - sum
    end
    return used
end

local used, windows = {}, {}
for i = 1, LIMITS do
    local limit, grant = CFG[i + 3], tonumber(ARGV[7 + i])
    settle_late(w, limit)
    for _ = 1, 8 do
        if w.sweep(limit) == 0 then break end
    end
    raise_grant(w, limit, i <= tonumber(ARGV[7]) and grant)
    used[i] = save_window(i - 1, limit, windows)
end

local throttled_left, throttled_for, closures = 0, 0, {}
for _, d in ipairs(call('SMEMBERS', P .. ':dests')) do
    local key = P .. ':d:' .. d
    local closed, since, late = unpack(call('HMGET', key, 'tu', 'ts', 'lt'))
    closed = tonumber(closed) or 0
    if late then
        closed = math.max(closed, now + tonumber(late))
        call('HDEL', key, 'lt')
        call('HSET', key, 'tu', closed)
    end
    if closed > raw then closures[#closures + 1], closures[#closures + 2] = d, closed - raw end
    throttled_left = math.max(throttled_left, closed - raw)
    if since then throttled_for = math.max(throttled_for, now - tonumber(since), 1) end
end

local syncs = {}
for _, s in ipairs(call('SMEMBERS', P .. ':syncs')) do
    local living, bytes = unpack(call('HMGET', P .. ':s:' .. s, 'n', 'pb'))
    local parked, in_flight = call('SCARD', P .. ':pk:' .. s), leased[s] or 0
    local unread = tonumber(call('HGET', P .. ':rb', s)) or 0
    for _, x in ipairs({s, tonumber(living) - parked - in_flight, parked, in_flight, tonumber(bytes) + unread}) do
        syncs[#syncs + 1] = x
    end
end
-- Something may run, or could at any moment, and no worker asks when: one of them has to be called.
local due = call('EXISTS', ACTIVE) == 1 or #call('ZRANGEBYSCORE', PARKED, '-inf', now, 'LIMIT', 0, 1) > 0
local unwatched = (due and not watcher()) and 1 or 0

local factor, factor_next = factor_now()
return {OK, now, throttled_left, throttled_for, factor, used, windows, syncs,
    tonumber(call('HGET', META, 'sv')) or 0, tonumber(call('HGET', META, 'll')) or 0, unwatched, closures,
    factor_next and math.max(0, factor_next - now) or 0}
