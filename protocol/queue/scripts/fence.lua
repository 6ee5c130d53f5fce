--! flags allow-oom
--! uses term
-- fence: no claim and no enqueue under any epoch until the next open. Says how many leases are left.
-- ARGV: clock[, state, term, holder]: refused where Redis has seen a later term of that state.
if fell_behind(ARGV[2], ARGV[3], ARGV[4]) then return {-9} end
local owner = KEYS[1] .. ':owner'
if ARGV[3] and redis.call('HGET', owner, 'state') == ARGV[2] then
    redis.call('HSET', owner, 'term', ARGV[3], 'holder', ARGV[4])
end
redis.call('HSET', KEYS[1] .. ':meta', 'fen', 1)
return {1, redis.call('ZCARD', KEYS[1] .. ':ends')}
