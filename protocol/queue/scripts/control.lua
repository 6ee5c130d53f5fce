--! flags allow-oom
--! uses prelude window place move say verdict
-- control: pause, resume, cancel, fail, forget. ARGV: clock, epoch, what, name. Says what is left to do.
-- Cancelling takes at most 64 batches a call.
local BUDGET = 64
local what, name = ARGV[3], ARGV[4]
local key = P .. ':s:' .. name
local at = moves()

local function pause_sync()
    call('SADD', P .. ':paused', name)
    if call('EXISTS', key) == 1 then call('HSET', key, 'p', 1) end
    local vt = call('ZSCORE', ACTIVE, name)
    if vt then
        call('HSET', key, 'vt', vt)
        call('ZREM', ACTIVE, name)
    end
    return 0
end

local function resume_sync()
    call('SREM', P .. ':paused', name)
    call('HDEL', key, 'p')
    at.activate(name)
    return 0
end

local function pause_destination()
    call('SADD', P .. ':dests', name)
    call('HSET', P .. ':d:' .. name, 'p', 1)
    return 0
end

local function resume_destination()
    call('HDEL', P .. ':d:' .. name, 'p')
    return 0
end

local ended -- c: cancelled, f: failed

local function finish(part, b, held)
    verdicts().ended(b, b[B_ORDSET], ended, b[B_UNSURE])
    drop(part, b, held)
end

-- A lane's batches behind the first come back through the list, each when the one before has gone.
local function end_queued(list, budget)
    while budget > 0 do
        local item = call('LPOP', list)
        if not item then return budget end
        local part = string.sub(item, 2)
        if string.byte(item) == 108 then part = call('LPOP', at.lane(name, part)) end
        finish(part, at.load(part))
        budget = budget - 1
    end
    return 0
end

local function end_parked(budget)
    local parts = budget > 0 and call('SRANDMEMBER', P .. ':pk:' .. name, budget) or {}
    for _, part in ipairs(parts) do
        local b = at.load(part)
        at.unpark(part, b)
        finish(part, b)
    end
    return budget - #parts
end

-- What waits in lanes that are held; they stay so, for whatever comes next.
local function end_held(budget)
    local cursor = '0'
    while budget > 0 do
        local page = call('HSCAN', P .. ':lanes:' .. name, cursor, 'COUNT', 64)
        for i = 1, #page[2], 2 do
            local lane, blocker = page[2][i], page[2][i + 1]
            while budget > 0 and string.byte(blocker) == HELD do
                local part = call('LPOP', at.lane(name, lane))
                if not part then break end
                finish(part, at.load(part), false)
                budget = budget - 1
            end
        end
        cursor = page[1]
        if cursor == '0' then break end
    end
end

local function end_sync()
    if call('EXISTS', key) == 0 then return 0 end
    call('HSETNX', key, 'x', what == 'fail_sync' and 'f' or 'c')
    call('ZREM', ACTIVE, name)
    ended = call('HGET', key, 'x')
    end_held(end_parked(end_queued(P .. ':q:' .. name, end_queued(P .. ':o:' .. name, BUDGET))))
    return tonumber(call('HGET', key, 'n'))
end

local function forget_sync()
    local living = tonumber(call('HGET', key, 'n') or 0)
    if living > 0 then return living end
    call('ZREM', ACTIVE, name)
    call('SREM', P .. ':syncs', name)
    call('DEL', key)
    return 0
end

local DO = {
    pause_sync = pause_sync, resume_sync = resume_sync,
    pause_destination = pause_destination, resume_destination = resume_destination,
    cancel_sync = end_sync, fail_sync = end_sync, forget_sync = forget_sync,
}
local refused = refusal(ARGV[2])
if refused then return {refused} end
if not DO[what] then return {BAD} end
return {OK, DO[what]()}
