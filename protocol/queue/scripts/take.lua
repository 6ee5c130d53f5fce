-- Claiming: promote due retries, choose the fairest runnable sync, check every limit, only then take.
-- Limits are checked for that sync's first batch alone: a smaller batch of another sync never overtakes
-- a large one that waits for its tokens.
local WORKER_MS, STRIDE = 86400000, 720720

-- Answers of a claim of worker `by` that gets nothing. foreign: it met a sync that only others can deliver (true), or
-- none of those (false), or no sync that has something in its lists (nil).
local function idle(by, foreign)
    local no = {}

    -- Of several workers that would wait for the same moment one watches, and the others are not told of it.
    local function watch(wait)
        local at = raw + math.min(wait, WATCH_MS)
        local watched, other = watcher()
        if watched and other ~= '' and other ~= by and watched <= at then return -1 end
        call('HSET', META, 'wt', string.format('%d %s', at, by))
        return wait
    end

    function no.nothing(wait, mismatch)
        if wait > 0 and not foreign then
            wait = watch(wait)
        elseif wait < 0 and foreign == false and not watcher() then
            call('HSET', META, 'wt', string.format('%d ', raw + WATCH_MS))
        end
        return {OK, 0, wait, mismatch and 1 or 0, 0}
    end

    function no.until_(at) return no.nothing(math.max(1, math.ceil(at - raw))) end

    function no.next_retry()
        local first = call('ZRANGE', PARKED, 0, 0, 'WITHSCORES')
        return first[2] and tonumber(first[2]) or math.huge
    end

    -- When a request in flight may end at the latest; unknown without one.
    function no.leases(or_at)
        local first = call('ZRANGE', ENDS, 0, 0, 'WITHSCORES')
        if #first == 0 then return no.nothing(-1) end
        local wait = math.max(100, math.ceil(tonumber(first[2]) - raw))
        if or_at then wait = math.min(wait, math.max(1, math.ceil(or_at - raw))) end
        return no.nothing(wait)
    end

    -- The fairest batch lacks tokens. Something that opens earlier may need fewer records.
    function no.tokens(check, blocked_until, opens, factor_next)
        local event = math.min(opens, no.next_retry())
        if event < blocked_until then
            -- Where batches have several requests, one may cost no records, in any group.
            local odd = call('HEXISTS', META, 'odd') == 1
            local _, _, least = check.all(odd and 0 or 1, odd and 0 or MAIN)
            blocked_until = math.min(blocked_until, math.max(event, least))
        end
        if factor_next then blocked_until = math.min(blocked_until, factor_next) end
        if blocked_until == math.huge then return no.leases() end
        return no.until_(blocked_until)
    end

    return no
end

-- Moves what is due to the head of its lists and opens the lanes that were held long enough, 32 at a time.
local function promote(due)
    local at = moves()
    for _ = 1, 8 do
        for i = #due, 1, -1 do
            if string.byte(due[i]) ~= HELD then
                local b = at.load(due[i])
                at.unpark(due[i], b)
                at.put_first(due[i], b)
                at.activate(b[B_SYNC])
            end
        end
        for i = 1, #due do
            if string.byte(due[i]) == HELD then at.end_hold(due[i]) end
        end
        if #due < 32 then return end
        due = call('ZRANGEBYSCORE', PARKED, '-inf', now, 'LIMIT', 0, 32)
    end
end

-- The sync of least virtual time that this worker may deliver and whose destination is open. Otherwise why
-- not: other work of another configuration (nil: no work at all), the earliest end of a throttle, and whether a job
-- must end first.
-- full: tells of a sync that it could only begin
-- another job, where no more may begin. passed: syncs that cannot run now.
local function choose(abilities, full, passed)
    local mismatch, opens, waits, from = nil, math.huge, false, 0
    while true do
        local syncs = call('ZRANGE', ACTIVE, from, from + 7, 'WITHSCORES')
        for i = 1, #syncs, 2 do
            local d, print, weight = unpack(call('HMGET', P .. ':s:' .. syncs[i], 'd', 'f', 'w'))
            mismatch = mismatch or abilities[d] ~= print
            if abilities[d] == print then
                local paused, throttled = unpack(call('HMGET', P .. ':d:' .. d, 'p', 'tu'))
                throttled = tonumber(throttled) or 0
                if paused then
                elseif throttled > now then
                    opens = math.min(opens, throttled)
                elseif full and full(syncs[i]) then
                    waits = true
                elseif not (passed and passed[syncs[i]]) then
                    return {syncs[i], tonumber(syncs[i + 1]), d, tonumber(weight)}, mismatch, opens, waits
                end
            end
        end
        if #syncs < 16 then return nil, mismatch, opens, waits end
        from = from + 8
    end
end

-- What is only needed where remote jobs are capped or limits count groups of requests.
local function around()
    local go, at = {}, places()
    local LOOK = 16

    local function read(s, item)
        local lane, part = nil, string.sub(item, 2)
        if string.byte(item) == 108 then
            lane = part
            part = call('LINDEX', at.lane(s, lane), 0)
        end
        return lane, part, at.load(part)
    end

    -- Whether everything that the sync may give would begin a job.
    function go.must_begin(s)
        if call('EXISTS', P .. ':o:' .. s) == 1 then return false end
        local _, _, b = read(s, call('LINDEX', P .. ':q:' .. s, 0))
        return b[B_JOB] ~= JOB_NEVER
    end

    -- The first batch of the chosen sync waits for a limit of its own group alone: a batch of another group may
    -- overtake it, of the same sync if it is near the head, or of another. Gives {sync, list, item, lane, part,
    -- description, costs, counters}; or nil, when the first of the groups may go on, and the earliest end of a
    -- throttle that was met here: those before the chosen sync are the caller's to know.
    function go.further(chosen, check, abilities, full, group, earliest)
        local spent, passed, opens = {[group] = true}, {}, math.huge
        repeat
            local s = chosen[1]
            for _, list in ipairs(MAX_OPEN > 0 and {P .. ':o:' .. s, P .. ':q:' .. s} or {P .. ':q:' .. s}) do
                for _, item in ipairs(call('LRANGE', list, 0, LOOK - 1)) do
                    local lane, part, b = read(s, item)
                    local g, job = b[B_GROUP] or MAIN, b[B_JOB] or 0
                    if not spent[g] and not (full and job == 0) then
                        local costs, counters, at_ms, by_grant, common = check.all(b[B_COSTS] or b[B_N], g)
                        if at_ms == 0 and not by_grant then
                            return {chosen, list, item, lane, part, b, costs, counters}
                        end
                        if at_ms == 0 then at_ms = raw + math.max(1, math.min(1000, permit_until - now)) end
                        earliest, spent[g] = math.min(earliest, at_ms), true
                        if common then return nil, earliest, opens end
                    end
                end
            end
            passed[s] = true
            local next_sync, _, next_opens = choose(abilities, full, passed)
            chosen, opens = next_sync, math.min(opens, next_opens)
        until not chosen
        return nil, earliest, opens
    end

    return go
end

local function claimed(part, b, destination)
    local progress = (b[B_MORE] or 0) > 0 and call('GET', P .. ':pg:' .. part) or ''
    return {OK, 1, epoch, b[B_ROOT], part, b[B_ORDSET], b[B_SYNC], destination,
        call('GET', P .. ':p:' .. part), b[B_N], b[B_ATTEMPTS], b[B_KILLS], b[B_UNSURE], progress}
end

-- Takes the first batch of the chosen sync if the limits allow it. who: worker, token, lease_ms, mono_ms,
-- whether it is known, whether it met syncs that it cannot deliver.
local function take(chosen, who, opens, abilities, full)
    local raw_text = string.format('%d', raw)
    local factor, factor_next = 1000, nil
    if fac then factor, factor_next = factor_now() end
    local concurrency = CFG[1]
    if LIMITS == 0 then concurrency = math.max(1, math.floor(concurrency * factor / 1000)) end
    if call('ZCARD', ENDS) >= concurrency then return idle(who[1], who[6]).leases(LIMITS == 0 and factor_next) end

    local list = P .. ':q:' .. chosen[1]
    if MAX_OPEN > 0 and call('EXISTS', P .. ':o:' .. chosen[1]) == 1 then list = P .. ':o:' .. chosen[1] end
    local head = call('LRANGE', list, 0, 1)
    local lane, part, other = nil, string.sub(head[1], 2), nil
    if string.byte(head[1]) == 108 then
        lane = part
        part = call('LINDEX', places().lane(chosen[1], lane), 0)
    end
    local b = cmsgpack.unpack(call('GET', P .. ':b:' .. part))
    local costs = {}
    if LIMITS > 0 then
        local w = windows()
        local check = checks(w, factor)
        local counters, blocked_until, by_grant, common
        costs, counters, blocked_until, by_grant, common = check.all(b[B_COSTS] or b[B_N], b[B_GROUP] or MAIN)
        if blocked_until > 0 or by_grant then
            call('HSET', META, 'lr', raw_text)
            local renewal = math.max(1, math.min(1000, permit_until - now))
            if not common then
                if blocked_until == 0 then blocked_until = raw + renewal end
                local met
                other, blocked_until, met = around().further(chosen, check, abilities, full, b[B_GROUP] or MAIN, blocked_until)
                opens = math.min(opens, met or FAR)
            end
            if not other then
                if blocked_until == 0 then blocked_until = raw + renewal end
                return idle(who[1], who[6]).tokens(check, blocked_until, opens, factor_next)
            end
            chosen, list, head[1], lane, part, b, costs, counters = unpack(other, 1, 8)
        end
        for i = 1, LIMITS do
            if counters[i] then call('HSET', w.key(CFG[i + 3]), 'u', counters[i][1], 'c', counters[i][2]) end
        end
    end

    local s, vt, destination, weight = chosen[1], chosen[2], chosen[3], chosen[4]
    if other then
        call('LREM', list, 1, head[1])
    else
        call('LPOP', list)
    end
    if lane then
        call('LPOP', places().lane(s, lane))
        call('HSET', P .. ':lanes:' .. s, lane, part)
    end
    if MAX_OPEN > 0 and (b[B_JOB] or 0) == 0 then call('SADD', P .. ':open', part) end
    local more = head[2]
    if other or MAX_OPEN > 0 then more = call('EXISTS', P .. ':q:' .. s, P .. ':o:' .. s) > 0 end
    local start = math.max(vt, tonumber(v_now) or 0)
    vt = string.format('%d', start + math.ceil(STRIDE / math.max(1, weight)))
    if more then
        call('ZADD', ACTIVE, vt, s)
    else
        call('ZREM', ACTIVE, s)
        call('HSET', P .. ':s:' .. s, 'vt', vt)
    end
    local id = who[2] .. ':' .. who[1]
    call('HSET', LEASE, id, cmsgpack.pack({part, now, costs, b, destination}))
    call('ZADD', ENDS, string.format('%d', now + who[3]), id)
    local last_claim = who[2] .. ' ' .. raw_text .. ' ' .. who[4]
    if who[5] then
        call('SET', P .. ':w:' .. who[1], last_claim, 'KEEPTTL')
    else
        call('SET', P .. ':w:' .. who[1], last_claim, 'PX', WORKER_MS)
    end
    call('HSET', META, 'lr', raw_text, 'v', string.format('%d', start))
    return claimed(part, b, destination)
end

-- A clock that was seen to jump stays unbelieved, whatever it shows next, until a permit sets it right.
local function disbelieve(worker, top)
    call('HSET', META, 'last', last, 'lr', NEVER)
    if top then call('SET', P .. ':w:' .. worker, top, 'PX', WORKER_MS) end
    return {UNPERMITTED}
end

-- at: index in ARGV of worker, token, lease_ms, mono_ms, number of abilities, (destination, fingerprint)*.
local function claim(at)
    local worker, token, lease_ms, mono = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3]
    local refused = refusal()
    if refused == UNPERMITTED and raw < seen then return disbelieve(worker, nil) end
    if not refused and not same_server() then refused = RESTARTED end
    if refused then return {refused} end
    -- token [clock, the worker's monotonic clock] of its last claim
    local last_claim, top = call('GET', P .. ':w:' .. worker), nil
    if last_claim then
        local top_raw, top_mono
        top, top_raw, top_mono = string.match(last_claim, '^(%d+) ?(%-?%d*) ?(%d*)$')
        -- The server's clock must have moved as far as the worker's monotonic one since then.
        local passed = top_raw ~= '' and mono - top_mono
        if passed and math.abs(raw - top_raw - passed) > 500 + passed / 1000 then
            return disbelieve(worker, top)
        end
    end
    local held = call('HGET', LEASE, token .. ':' .. worker)
    if held then
        -- The answer was lost: the same batch again, for as long as the caller believes.
        held = cmsgpack.unpack(held)
        call('ZADD', ENDS, 'GT', now + lease_ms, token .. ':' .. worker)
        return claimed(held[1], held[4], held[5])
    end
    if top and tonumber(token) <= tonumber(top) then return {OK, 0, 0, 0, 1} end
    local due = call('ZRANGEBYSCORE', PARKED, '-inf', now, 'LIMIT', 0, 32)
    if #due > 0 then promote(due) end
    local abilities = {}
    for i = at + 5, at + 3 + 2 * tonumber(ARGV[at + 4]), 2 do abilities[ARGV[i]] = ARGV[i + 1] end
    local full
    if MAX_OPEN > 0 and call('SCARD', P .. ':open') >= MAX_OPEN then full = around().must_begin end
    local chosen, mismatch, opens, waits = choose(abilities, full)
    if chosen then return take(chosen, {worker, token, lease_ms, mono, last_claim, mismatch}, opens, abilities, full) end
    local no = idle(worker, mismatch)
    local at_ms = math.min(opens, no.next_retry())
    if waits and call('ZCARD', ENDS) > 0 then return no.leases(at_ms < math.huge and at_ms) end
    if at_ms == math.huge then return no.nothing(-1, mismatch) end
    return no.until_(at_ms)
end
