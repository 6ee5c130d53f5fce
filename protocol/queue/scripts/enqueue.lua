--! uses prelude place
-- enqueue: takes batches of one sync in order, as far as its share of memory allows.
-- ARGV: clock, epoch, sync, run, destination, fingerprint, weight, cap_bytes, count,
--       (number, root, part, lane, ordset, records, payload, group, records it costs, jobless)*
local WORDS, FIRST = 10, 10
local at = places()
local s, run, count = ARGV[3], ARGV[4], tonumber(ARGV[9])
local key = P .. ':s:' .. s

local refused = refusal(ARGV[2])
if refused then return {refused} end
if not count or count > 32 then return {BAD} end

local had_run, ended, top, living, bytes, had_destination, had_print =
    unpack(call('HMGET', key, 'run', 'x', 'top', 'n', 'pb', 'd', 'f'))
top, living, bytes = tonumber(top) or 0, tonumber(living) or 0, tonumber(bytes) or 0
if had_run ~= run then
    -- A sync never has two runs at a time.
    if living > 0 then return {BUSY} end
    ended, top = false, 0
elseif had_destination ~= ARGV[5] or had_print ~= ARGV[6] then
    return {BAD}
end
if ended then return {STOPPED} end

local unread = tonumber(call('HGET', P .. ':rb', s) or 0)
local cap = tonumber(ARGV[8])

-- How many fit, and whether all of them can be taken; nothing is written before that is known.
local function fitting()
    local n, sum, highest, seen = living, bytes, top, {}
    for i = 0, count - 1 do
        local word = FIRST + WORDS * i
        local number, part, size = tonumber(ARGV[word]), ARGV[word + 2], #ARGV[word + 6]
        if number > highest then
            local fits = sum + unread + size <= cap or (n < 2 and unread <= cap)
            if not fits then return i end
            if seen[part] or call('EXISTS', P .. ':b:' .. part) == 1 or tonumber(ARGV[word + 5]) < 1 or string.byte(part) == HELD then
                return nil
            end
            n, sum, highest, seen[part] = n + 1, sum + size, number, true
        end
    end
    return count
end

local function add(word)
    local part, lane, payload = ARGV[word + 2], ARGV[word + 3], ARGV[word + 6]
    local b = {ARGV[word + 1], ARGV[word + 4], tonumber(ARGV[word + 5]), s, lane, 0, 0, 0, #payload}
    at.describe(b, tonumber(ARGV[word + 7]), tonumber(ARGV[word + 8]), 0, ARGV[word + 9] == '1' and JOB_NEVER or 0)
    at.store(part, b)
    call('SET', P .. ':p:' .. part, payload)
    if lane == '' then
        call('RPUSH', P .. ':q:' .. s, 'b' .. part)
        return
    end
    call('RPUSH', at.lane(s, lane), part)
    if call('HSETNX', P .. ':lanes:' .. s, lane, '') == 1 then call('RPUSH', P .. ':q:' .. s, 'l' .. lane) end
end

local taken = fitting()
if not taken then return {BAD} end
if had_run ~= run then
    call('HDEL', key, 'x')
    call('HSET', key, 'run', run, 'd', ARGV[5], 'f', ARGV[6], 'top', 0, 'n', 0, 'pb', 0)
    call('SADD', P .. ':syncs', s)
    if call('SISMEMBER', P .. ':paused', s) == 1 then call('HSET', key, 'p', 1) end
end
for i = 0, taken - 1 do
    local word = FIRST + WORDS * i
    local number = tonumber(ARGV[word])
    if number > top then
        add(word)
        top, living, bytes = number, living + 1, bytes + #ARGV[word + 6]
    end
end
call('HSET', key, 'w', ARGV[7], 'top', top, 'n', living, 'pb', bytes)
at.activate(s)
return {OK, taken}
