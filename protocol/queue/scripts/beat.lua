--! flags allow-oom
--! uses prelude
-- beat: renews leases. ARGV: clock, worker, lease_ms, token*. Says how many of them are still held.
-- Under a fence nothing is renewed, so that every lease ends within its time.
local refused = refusal()
if refused then return {refused} end
local held = 0
for i = 4, #ARGV do
    local id = ARGV[i] .. ':' .. ARGV[2]
    if call('HEXISTS', P .. ':lease', id) == 1 then
        call('ZADD', P .. ':ends', 'XX', 'GT', now + tonumber(ARGV[3]), id)
        held = held + 1
    end
end
return {OK, held}
