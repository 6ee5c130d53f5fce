--! flags allow-oom
--! uses prelude window place term
-- wipe: removes what clear keeps, of a quota that is at another server now: a cleared one under a fence, or under an
-- epoch of the state's own whose permit is over. Never what a later commit of the state knows of; of another state only
-- where the caller fenced it. Keys that expire by themselves stay until then. Says how many results went with it.
-- ARGV: clock, state, commit, 1 where the caller fenced it[, term, holder].
if fell_behind(ARGV[2], ARGV[5], ARGV[6]) then return {SUPERSEDED} end
local owner, commit = unpack(call('HMGET', P .. ':owner', 'state', 'commit'))
if owner == ARGV[2] and tonumber(commit) > tonumber(ARGV[3]) then return {BUSY} end
if owner and owner ~= ARGV[2] and ARGV[4] ~= '1' then return {BUSY} end
if epoch and (now <= permit_until or call('HGET', META, 'state') ~= ARGV[2]) then return {BUSY} end
if not epoch and fenced ~= '1' and call('EXISTS', META) == 1 then return {BUSY} end
if call('EXISTS', P .. ':syncs', LEASE) > 0 then return {BUSY} end

local w = windows()
for i = 1, LIMITS do call('UNLINK', w.key(CFG[i + 3]), w.times(CFG[i + 3])) end

for _, d in ipairs(call('SMEMBERS', P .. ':dests')) do call('UNLINK', P .. ':d:' .. d) end

-- A held lane: a blank, the bytes of its sync's name, a colon, both names.
for _, hold in ipairs(call('ZRANGE', PARKED, 0, -1)) do
    local n, rest = string.match(hold, '^ (%d+):(.*)$')
    if n then call('UNLINK', P .. ':lanes:' .. string.sub(rest, 1, tonumber(n))) end
end

local results = call('XLEN', P .. ':results')
call('UNLINK', P .. ':results', P .. ':rb', P .. ':shared', P .. ':sx', P .. ':sd', P .. ':dests', PARKED,
    META)
-- Who owned it, and under which term, is known for a day still: a scheduler that was superseded may come back.
call('EXPIRE', P .. ':owner', 86400)
return {OK, results}
