--! flags allow-oom
--! uses prelude window place move say verdict lost term
-- reap: ends the leases of workers that are gone. Says how many are left.
-- ARGV: clock, worker prefix, all[, state, term, holder].
-- By time it needs a permit; with `all` the caller vouches that those workers are dead.
if fell_behind(ARGV[4], ARGV[5], ARGV[6]) then return {SUPERSEDED} end
local w, at = windows(), moves()

local function end_leases_of(prefix)
    local all = call('ZRANGE', ENDS, 0, -1, 'WITHSCORES')
    for i = 1, #all, 2 do
        local worker = string.match(all[i], '^%d+:(.*)$')
        if string.sub(worker, 1, #prefix) == prefix then end_lease(w, at, all[i], tonumber(all[i + 1])) end
    end
end

if ARGV[3] == '1' then
    end_leases_of(ARGV[2])
elseif not refusal() then
    end_leases_by(w, at, math.min(now, tonumber(call('HGET', META, 'pn')) or 0))
end
return {OK, call('ZCARD', ENDS)}
