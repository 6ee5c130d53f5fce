-- Claiming: promote due retries, choose the fairest runnable sync, check every limit, only then take.
-- Limits are checked for that sync's first batch alone: a smaller batch of another sync never overtakes
-- a large one that waits for its tokens.
local FAR, NEVER, WORKER_MS = math.huge, 9e15, 86400000

-- Moves due retries to the head of their lists, 32 at a time.
local function promote()
    for _ = 1, 8 do
        local due = call('ZRANGEBYSCORE', PARKED, '-inf', now, 'LIMIT', 0, 32)
        for i = #due, 1, -1 do
            local b = batch_load(due[i])
            unpark(due[i], b)
            put_first(due[i], b)
            activate(b[B_SYNC])
        end
        if #due < 32 then return end
    end
end

-- Tokens of the limit that are missing for cost, after what is due was taken back, and whether any was.
local function shortage(limit, used, cost, factor)
    local allowed, swept = scaled(limit[L_COUNT], factor), false
    while used > 0 and used + cost > allowed do
        local back = window_sweep(limit)
        if back == 0 then return math.min(used, used + cost - allowed), used, swept end
        used, swept = used - back, true
    end
    return 0, used, swept
end

-- Checks every limit for a batch of that many records. Gives the costs and counters to be stored, or the
-- time at which the tokens are back (FAR: when requests in flight have ended).
local function check_limits(records, factor)
    local costs, counters, blocked_until, by_grant = {}, {}, 0, false
    for i = 1, LIMITS do
        local limit = CFG[i + 2]
        local used, charged, grant = unpack(call('HMGET', window_key(limit), 'u', 'c', 'g'))
        used, charged = tonumber(used) or 0, tonumber(charged) or 0
        local cost = limit_cost(limit, records)
        local missing
        missing, used = shortage(limit, used, cost, factor)
        if missing > 0 then
            blocked_until = math.max(blocked_until, window_back_at(limit, missing) or FAR)
        elseif grant and charged + cost > tonumber(grant) then
            by_grant = true
        end
        costs[i], counters[i] = cost, {used + cost, charged + cost}
    end
    return costs, counters, blocked_until, by_grant
end

local function claimed(part, b, destination)
    return {OK, 1, epoch, b[B_ROOT], part, b[B_ORDSET], b[B_SYNC], destination,
        call('GET', batch_payload_key(part)), b[B_N], b[B_ATTEMPTS], b[B_KILLS], b[B_UNSURE]}
end

local function nothing(wait, mismatch) return {OK, 0, wait, mismatch and 1 or 0, 0} end

-- When a request in flight may end at the latest; unknown without one.
local function wait_for_leases()
    local first = call('ZRANGE', ENDS, 0, 0, 'WITHSCORES')
    if #first == 0 then return -1 end
    return math.max(100, wait_until(tonumber(first[2])))
end

local function next_retry()
    local first = call('ZRANGE', PARKED, 0, 0, 'WITHSCORES')
    return first[2] and tonumber(first[2]) or FAR
end

-- The sync of least virtual time that this worker may deliver and whose destination is open. Otherwise why
-- not: other work of another configuration, and the earliest end of a throttle.
local function choose(abilities)
    local mismatch, opens, from = false, FAR, 0
    while true do
        local syncs = call('ZRANGE', ACTIVE, from, from + 7, 'WITHSCORES')
        for i = 1, #syncs, 2 do
            local about = call('HMGET', sync_key(syncs[i]), 'd', 'f', 'w')
            if abilities[about[1]] ~= about[2] then
                mismatch = true
            else
                local paused, throttled = unpack(call('HMGET', P .. ':d:' .. about[1], 'p', 'tu'))
                throttled = tonumber(throttled) or 0
                if not paused and throttled <= now then
                    return syncs[i], tonumber(syncs[i + 1]), about, mismatch, opens
                end
                if not paused then opens = math.min(opens, throttled) end
            end
        end
        if #syncs < 16 then return nil, nil, nil, mismatch, opens end
        from = from + 8
    end
end

-- The answer when the fairest batch lacks tokens. Something that opens earlier may need fewer records.
local function wait_for_tokens(blocked_until, opens, factor, factor_next)
    local event = math.min(opens, next_retry())
    if event < blocked_until then
        local _, _, least = check_limits(1, factor)
        blocked_until = math.min(blocked_until, math.max(event, least))
    end
    if factor_next then blocked_until = math.min(blocked_until, factor_next) end
    if blocked_until == FAR then return nothing(wait_for_leases()) end
    return nothing(wait_until(blocked_until))
end

-- Takes the chosen batch out of its list and advances the sync's virtual time.
local function pop(s, vt, weight, lane, part, more)
    call('LPOP', list_key(s))
    if lane then
        call('LPOP', lane_key(s, lane))
        call('HSET', lanes_key(s), lane, part)
    end
    local start = math.max(vt, tonumber(v_now) or 0)
    v_now = start
    vt = start + 1 / math.max(1, tonumber(weight) or 1)
    if more then
        call('ZADD', ACTIVE, vt, s)
    else
        call('ZREM', ACTIVE, s)
        call('HSET', sync_key(s), 'vt', string.format('%.17g', vt))
    end
end

local function take(s, vt, about, who, opens)
    local factor, factor_next = factor_now()
    local concurrency = CFG[1]
    if LIMITS == 0 then concurrency = scaled(concurrency, factor) end
    if call('ZCARD', ENDS) >= concurrency then
        local wait = wait_for_leases()
        if LIMITS == 0 and factor_next then wait = math.min(wait, wait_until(factor_next)) end
        return nothing(wait)
    end
    local head = call('LRANGE', list_key(s), 0, 1)
    local lane, part = nil, string.sub(head[1], 2)
    if string.byte(head[1]) == 108 then
        lane = part
        part = call('LINDEX', lane_key(s, lane), 0)
    end
    local b = batch_load(part)
    local costs, counters, blocked_until, by_grant = check_limits(b[B_N], factor)
    if blocked_until > 0 then
        call('HSET', META, 'last', now, 'lr', raw)
        return wait_for_tokens(blocked_until, opens, factor, LIMITS > 0 and factor_next)
    end
    if by_grant then
        call('HSET', META, 'last', now, 'lr', raw)
        return nothing(math.max(1, math.min(1000, permit_until - now)))
    end
    pop(s, vt, about[3], lane, part, head[2])
    for i = 1, LIMITS do
        call('HSET', window_key(CFG[i + 2]), 'u', counters[i][1], 'c', counters[i][2])
    end
    local id = who[2] .. ':' .. who[1]
    call('HSET', LEASE, id, cmsgpack.pack({part, now, costs, b, about[1]}))
    call('ZADD', ENDS, now + who[3], id)
    call('SET', P .. ':w:' .. who[1], string.format('%s %d %d', who[2], raw, who[4]), 'PX', WORKER_MS)
    call('HSET', META, 'last', now, 'lr', raw, 'v', string.format('%.17g', v_now))
    return claimed(part, b, about[1])
end

-- Another run of the server has lost writes even if it kept our keys. Asking costs as much as ten
-- commands; a server cannot stop and start within 10 ms.
local function same_server()
    local run, checked = unpack(call('HMGET', META, 'rid', 'chk'))
    checked = tonumber(checked) or 0
    if time >= checked and time < checked + 10 and ARGV[1] == '' then return true end
    if server_run() ~= run then return false end
    call('HSET', META, 'chk', time)
    return true
end

-- Whether the server's clock has moved as far as the worker's monotonic one since its last claim.
local function clocks_agree(top_raw, top_mono, mono)
    if not top_raw then return true end
    local passed = mono - tonumber(top_mono)
    return math.abs(raw - tonumber(top_raw) - passed) <= 500 + passed / 1000
end

-- A clock that was seen to jump stays unbelieved, whatever it shows next, until a permit sets it right.
local function disbelieve(worker, top)
    call('HSET', META, 'lr', NEVER)
    if top then call('SET', P .. ':w:' .. worker, top, 'PX', WORKER_MS) end
    return {UNPERMITTED}
end

-- at: index in ARGV of worker, token, lease_ms, mono_ms, number of abilities, (destination, fingerprint)*.
local function claim(at)
    local worker, token, lease_ms, mono = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
    local refused = refusal()
    if refused == UNPERMITTED and raw < (tonumber(seen) or 0) then return disbelieve(worker, nil) end
    if not refused and not same_server() then refused = RESTARTED end
    if refused then return {refused} end
    -- token [clock, the worker's monotonic clock] of its last claim
    local last_claim = call('GET', P .. ':w:' .. worker)
    local top, top_raw, top_mono
    if last_claim then top, top_raw, top_mono = string.match(last_claim, '^(%d+) ?(%-?%d*) ?(%d*)$') end
    if top_raw ~= '' and not clocks_agree(top_raw, top_mono, mono) then return disbelieve(worker, top) end
    local held = call('HGET', LEASE, token .. ':' .. worker)
    if held then
        -- The answer was lost: the same batch again, for as long as the caller believes.
        held = cmsgpack.unpack(held)
        call('ZADD', ENDS, 'GT', now + lease_ms, token .. ':' .. worker)
        return claimed(held[1], held[4], held[5])
    end
    if top and tonumber(token) <= tonumber(top) then return {OK, 0, 0, 0, 1} end
    promote()
    local abilities = {}
    for i = at + 5, at + 3 + 2 * tonumber(ARGV[at + 4]), 2 do abilities[ARGV[i]] = ARGV[i + 1] end
    local s, vt, about, mismatch, opens = choose(abilities)
    if s then return take(s, vt, about, {worker, token, lease_ms, mono}, opens) end
    local at_ms = math.min(opens, next_retry())
    if at_ms == FAR then return nothing(-1, mismatch) end
    return nothing(wait_until(at_ms))
end
