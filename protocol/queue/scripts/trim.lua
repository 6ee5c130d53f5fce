--! flags allow-oom
--! uses prelude
-- trim: forgets results up to and including a position, at most 4,096 a call. ARGV: clock, epoch, position.
-- Says whether there is more. Needs no permit: what is committed to disk is committed.
if not epoch or ARGV[2] ~= epoch then return {STALE} end
local RESULTS, UNREAD, MOST, ROUNDS = P .. ':results', P .. ':rb', 512, 8

local function forget(entries)
    local ids, bytes = {}, {}
    for i, entry in ipairs(entries) do
        ids[i] = entry[1]
        local s, v = entry[2][4], entry[2][6]
        bytes[s] = (bytes[s] or 0) + #v
    end
    call('XDEL', RESULTS, unpack(ids))
    for s, n in pairs(bytes) do
        if call('HINCRBY', UNREAD, s, -n) <= 0 then call('HDEL', UNREAD, s) end
    end
end

for _ = 1, ROUNDS do
    local entries = call('XRANGE', RESULTS, '-', ARGV[3], 'COUNT', MOST)
    if #entries > 0 then forget(entries) end
    if #entries < MOST then return {OK, 0} end
end
return {OK, 1}
