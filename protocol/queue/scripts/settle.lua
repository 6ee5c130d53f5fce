--! flags allow-oom
--! uses prelude window factor place move say throttle verdict server same check watch take
-- settle: ends a lease and says what became of its batch; then, if asked, claims the next one.
-- ARGV: clock, epoch, worker, token, kind, delay_ms, unsure, charge_age_ms, keep_throttle, result,
--       number of parts, (part, ordset, payload, records)*, number of steps (0 or 1),
--       (progress, group, records it costs, open, uncharge_records, pause_ms, hold_ms)*,
--       [claim: worker, token, lease_ms, mono_ms, n, (dest, print)*]
local PART_WORDS, FIRST_PART, STEP_WORDS = 4, 12, 7
local PROGRESS_MAX = 262144
local kind, part_count = ARGV[5], tonumber(ARGV[11])
local step_at = FIRST_PART + PART_WORDS * part_count
local stepping = ARGV[step_at] == '1'
local claim_at = step_at + 1
if stepping then claim_at = claim_at + STEP_WORDS end

local function reply(settled) return {OK, settled, ARGV[claim_at] and claim(claim_at) or false} end

local lease_id = ARGV[4] .. ':' .. ARGV[3]
local held = ARGV[2] == epoch and call('HGET', LEASE, lease_id)
if not held then return reply(0) end

held = cmsgpack.unpack(held)
local part, claimed_at, costs, batch, destination = held[1], held[2], held[3], held[4], held[5]
local s = batch[B_SYNC]
local released = kind == 'release'
local over = kind == 'done' or kind == 'stop'
local ended = not over and call('HGET', P .. ':s:' .. s, 'x')
local unsure = (batch[B_UNSURE] == 1 or (ARGV[7] == '1' and not released)) and 1 or 0
if kind == 'continue' then unsure = tonumber(ARGV[7]) end
local since = trusted and now - tonumber(ARGV[8]) or nil

-- What the batch brings to its next request, as the caller says it.
local progress, group, next_records, open, uncharged, pause_ms, hold_ms = '', 0, 0, 0, false, 0, 0
if stepping then
    progress, group, next_records, open = ARGV[step_at + 1], tonumber(ARGV[step_at + 2]), tonumber(ARGV[step_at + 3]), tonumber(ARGV[step_at + 4])
    uncharged, pause_ms, hold_ms = ARGV[step_at + 5] == '1', tonumber(ARGV[step_at + 6]), tonumber(ARGV[step_at + 7])
end

-- Everything that can be wrong is found before anything is written.
if (over and part_count > 0) or #progress > PROGRESS_MAX then return {BAD} end

-- Until when the lane stays closed: counted from the request, or from the next permit where nobody vouches for
-- the clock. nil: not at all.
local function held_until()
    if hold_ms == 0 or released or batch[B_LANE] == '' or tonumber(ARGV[8]) > hold_ms + SLACK then return nil end
    if not since then return NEVER + hold_ms end
    local at = since + hold_ms + SLACK
    return at > now and at or nil
end

-- Everything but the plain end of a batch.
local function outcomes()
    local at, to = moves(), {}

    local function part_at(i)
        local word = FIRST_PART + PART_WORDS * (i - 1)
        return {id = ARGV[word], ordset = ARGV[word + 1], payload = ARGV[word + 2], records = tonumber(ARGV[word + 3])}
    end

    function to.sound()
        local most = ({retry = 1, throttle = 0, split = 2, release = 0, continue = 1})[kind]
        if not most or part_count > most or (kind == 'split' and part_count ~= 2) then return false end
        for i = 1, part_count do
            local p = part_at(i)
            if not p.records or p.records < 1 then return false end
            if p.id ~= part and call('EXISTS', P .. ':b:' .. p.id) == 1 then return false end
        end
        return part_count < 2 or ARGV[FIRST_PART] ~= ARGV[FIRST_PART + PART_WORDS]
    end

    -- The job that the batch holds from now on; a batch that may begin one had a place for it since its claim.
    local function job()
        if batch[B_JOB] == JOB_NEVER then return JOB_NEVER end
        return kind == 'split' and 0 or open
    end

    -- The parts that take the batch's place: same root, same lane. In the lane's own order, the last one first.
    local function replace(attempts, kills, kept)
        local made = {}
        call('UNLINK', P .. ':b:' .. part, P .. ':p:' .. part, P .. ':pg:' .. part)
        local bytes = -batch[B_BYTES]
        for i = 1, part_count do
            local p = part_at(i)
            local b = {batch[B_ROOT], p.ordset, p.records, s, batch[B_LANE], attempts, kills, unsure, #p.payload + #kept}
            at.describe(b, group, next_records, #kept, job(), i == 1 and held_until() or nil)
            at.store(p.id, b)
            call('SET', P .. ':p:' .. p.id, p.payload)
            if kept ~= '' then call('SET', P .. ':pg:' .. p.id, kept) end
            bytes = bytes + b[B_BYTES]
            made[i] = {p.id, b}
        end
        call('HINCRBY', P .. ':s:' .. s, 'pb', bytes)
        if part_count > 1 then call('HINCRBY', P .. ':s:' .. s, 'n', part_count - 1) end
        return made
    end

    -- The whole batch goes on with what the caller says; true if that changed its description.
    local function keep()
        local had, more = batch[B_MORE] or 0, #progress
        local before = {batch[B_GROUP], batch[B_COSTS], batch[B_JOB], batch[B_HELD]}
        if more > 0 then
            call('SET', P .. ':pg:' .. part, progress)
        elseif had > 0 then
            call('UNLINK', P .. ':pg:' .. part)
        end
        if more ~= had then call('HINCRBY', P .. ':s:' .. s, 'pb', more - had) end
        batch[B_BYTES] = batch[B_BYTES] + more - had
        at.describe(batch, group, next_records, more, job(), held_until())
        return more ~= had or batch[B_GROUP] ~= before[1] or batch[B_COSTS] ~= before[2] or
            batch[B_JOB] ~= before[3] or batch[B_HELD] ~= before[4]
    end

    -- The one batch that is left: kept or replaced, stored with its attempts.
    local function survivor(attempts)
        if part_count == 1 then
            local made = replace(attempts, batch[B_KILLS], progress)
            return made[1][1], made[1][2]
        end
        local changed = keep()
        if changed or unsure ~= batch[B_UNSURE] or attempts ~= batch[B_ATTEMPTS] then
            batch[B_ATTEMPTS], batch[B_UNSURE] = attempts, unsure
            at.store(part, batch)
        end
        return part, batch
    end

    -- To the head, or aside while its lane is held.
    local function first(id, b)
        if MAX_OPEN > 0 and b[B_JOB] == JOB_OPEN then call('SADD', P .. ':open', id) end
        local due = held_until()
        if due then
            at.park(id, b, due)
        else
            at.put_first(id, b)
            at.activate(s)
        end
    end

    local function later(id, b)
        if MAX_OPEN > 0 and b[B_JOB] == JOB_OPEN then call('SADD', P .. ':open', id) end
        local delay, due = tonumber(ARGV[6]), held_until()
        if due and not since then
            due = NEVER + math.max(hold_ms, delay)
        else
            due = math.max(due or 0, (trusted and now or math.min(now, permit_until)) + delay)
        end
        at.park(id, b, due)
    end

    function to.release() first(part, batch) end
    function to.throttle() first(survivor(batch[B_ATTEMPTS])) end
    function to.retry() later(survivor(batch[B_ATTEMPTS] + 1)) end
    to['continue'] = function()
        if tonumber(ARGV[6]) > 0 then
            later(survivor(0))
        else
            first(survivor(0))
        end
    end

    function to.split()
        local made = replace(batch[B_ATTEMPTS], 0, '')
        if held_until() then
            call('LPUSH', at.lane(s, batch[B_LANE]), made[2][1])
        else
            at.put_first(made[2][1], made[2][2])
        end
        first(made[1][1], made[1][2])
    end

    -- The sync was cancelled or failed meanwhile: what is still open gets that verdict.
    function to.give_up()
        if part_count == 0 then verdicts().ended(batch, batch[B_ORDSET], ended, unsure) end
        for i = 1, part_count do verdicts().ended(batch, part_at(i).ordset, ended, unsure) end
        drop(part, batch, held_until())
    end

    return to
end

local to = not over and outcomes() or nil
if to and not to.sound() then return {BAD} end

call('HDEL', LEASE, lease_id)
call('ZREM', ENDS, lease_id)
if MAX_OPEN > 0 then call('SREM', P .. ':open', part) end
if LIMITS > 0 then
    local w = windows()
    for i = 1, LIMITS do
        local limit = CFG[i + 3]
        if released or (uncharged and limit[L_KIND] == 'records') then
            w.undo(limit, costs[i])
        else
            w.charge(limit, costs[i], since)
        end
    end
end
if ARGV[10] ~= '' then say(batch[B_ROOT], s, ARGV[10]) end
if kind == 'throttle' then
    throttle(destination, tonumber(ARGV[6]), claimed_at)
elseif not released and ARGV[9] ~= '1' then
    throttle_ended(destination)
end
if pause_ms > 0 and not released then close(destination, pause_ms) end
if kind == 'stop' then
    -- Credentials or address are wrong: nothing more of this sync is handed out.
    call('HSETNX', P .. ':s:' .. s, 'x', 'c')
    call('ZREM', ACTIVE, s)
end
if over then
    drop(part, batch, held_until())
elseif ended then
    to.give_up()
else
    to[kind]()
end
-- The claim that follows reads what throttle() wrote.
if kind == 'throttle' then fac, fac_since = unpack(call('HMGET', META, 'fac', 'fs')) end
return reply(1)
