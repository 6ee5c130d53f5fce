--! flags allow-oom
--! uses prelude window factor place say throttle verdict check take
-- settle: ends a lease and says what became of its batch; then, if asked, claims the next one.
-- ARGV: clock, epoch, worker, token, kind, delay_ms, unsure, charge_age_ms, keep_throttle, result,
--       number of parts, (part, ordset, payload, records)*, [claim: worker, token, lease_ms, mono_ms, n, (dest, print)*]
local PART_WORDS, FIRST_PART = 4, 12
local kind, part_count = ARGV[5], tonumber(ARGV[11])
local claim_at = FIRST_PART + PART_WORDS * part_count

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

-- Everything that can be wrong is found before anything is written.
if over and part_count > 0 then return {BAD} end

-- Everything but the plain end of a batch.
local function outcomes()
    local at, to = places(), {}

    local function part_at(i)
        local word = FIRST_PART + PART_WORDS * (i - 1)
        return {id = ARGV[word], ordset = ARGV[word + 1], payload = ARGV[word + 2], records = tonumber(ARGV[word + 3])}
    end

    function to.sound()
        local most = ({retry = 1, throttle = 0, split = 2, release = 0})[kind]
        if not most or part_count > most or (kind == 'split' and part_count ~= 2) then return false end
        for i = 1, part_count do
            local p = part_at(i)
            if not p.records or p.records < 1 then return false end
            if p.id ~= part and call('EXISTS', P .. ':b:' .. p.id) == 1 then return false end
        end
        return part_count < 2 or ARGV[FIRST_PART] ~= ARGV[FIRST_PART + PART_WORDS]
    end

    -- The parts that take the batch's place: same root, same lane. In the lane's own order, the last one first.
    local function replace(attempts, kills)
        local made = {}
        call('UNLINK', P .. ':b:' .. part, P .. ':p:' .. part)
        local bytes = -batch[B_BYTES]
        for i = 1, part_count do
            local p = part_at(i)
            local b = {batch[B_ROOT], p.ordset, p.records, s, batch[B_LANE], attempts, kills, unsure, #p.payload}
            at.store(p.id, b)
            call('SET', P .. ':p:' .. p.id, p.payload)
            bytes = bytes + #p.payload
            made[i] = {p.id, b}
        end
        call('HINCRBY', P .. ':s:' .. s, 'pb', bytes)
        if part_count > 1 then call('HINCRBY', P .. ':s:' .. s, 'n', part_count - 1) end
        return made
    end

    function to.throttle()
        if unsure ~= batch[B_UNSURE] then
            batch[B_UNSURE] = unsure
            at.store(part, batch)
        end
        at.put_first(part, batch)
        at.activate(s)
    end

    function to.retry()
        local id, b = part, batch
        if part_count == 1 then
            local made = replace(batch[B_ATTEMPTS] + 1, batch[B_KILLS])
            id, b = made[1][1], made[1][2]
        else
            b[B_ATTEMPTS], b[B_UNSURE] = b[B_ATTEMPTS] + 1, unsure
            at.store(id, b)
        end
        at.park(id, b, (trusted and now or math.min(now, permit_until)) + tonumber(ARGV[6]))
    end

    function to.split()
        local made = replace(batch[B_ATTEMPTS], 0)
        at.put_first(made[2][1], made[2][2])
        at.put_first(made[1][1], made[1][2])
        at.activate(s)
    end

    -- The sync was cancelled or failed meanwhile: what is still open gets that verdict.
    function to.give_up()
        if part_count == 0 then verdicts().ended(batch, batch[B_ORDSET], ended, unsure) end
        for i = 1, part_count do verdicts().ended(batch, part_at(i).ordset, ended, unsure) end
        drop(part, batch)
    end

    to.release = to.throttle
    return to
end

local to = not over and outcomes() or nil
if to and not to.sound() then return {BAD} end

call('HDEL', LEASE, lease_id)
call('ZREM', ENDS, lease_id)
if LIMITS > 0 then
    local w, since = windows(), trusted and now - tonumber(ARGV[8]) or nil
    for i = 1, LIMITS do
        if released then
            w.undo(CFG[i + 2], costs[i])
        else
            w.charge(CFG[i + 2], costs[i], since)
        end
    end
end
if ARGV[10] ~= '' then say(batch[B_ROOT], s, ARGV[10]) end
if kind == 'throttle' then
    throttle(destination, tonumber(ARGV[6]), claimed_at)
elseif not released and ARGV[9] ~= '1' then
    throttle_ended(destination)
end
if kind == 'stop' then
    -- Credentials or address are wrong: nothing more of this sync is handed out.
    call('HSETNX', P .. ':s:' .. s, 'x', 'c')
    call('ZREM', ACTIVE, s)
end
if over then
    drop(part, batch)
elseif ended then
    to.give_up()
else
    to[kind]()
end
-- The claim that follows reads what throttle() wrote.
if kind == 'throttle' then fac, fac_since = unpack(call('HMGET', META, 'fac', 'fs')) end
return reply(1)
