--! flags allow-oom
--! uses none
-- fence: no claim and no enqueue under any epoch until the next open. Says how many leases are left.
redis.call('HSET', KEYS[1] .. ':meta', 'fen', 1)
return {1, redis.call('ZCARD', KEYS[1] .. ':ends')}
