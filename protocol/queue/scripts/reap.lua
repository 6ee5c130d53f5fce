--! flags allow-oom
--! uses prelude window place move say verdict lost
-- reap: ends the leases of workers that are gone. ARGV: clock, worker prefix, all. Says how many are left.
-- By time it needs a permit; with `all` the caller vouches that those workers are dead.
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
