--! uses prelude server
-- look: what a scheduler finds; changes nothing. ARGV: clock, state id.
local state, run = unpack(call('HMGET', META, 'state', 'rid'))
local owner, commit, term, holder = unpack(call('HMGET', P .. ':owner', 'state', 'commit', 'term', 'holder'))
local known = state or owner
local last_end = call('ZRANGE', P .. ':ends', -1, -1, 'WITHSCORES')[2]
return {OK, now, epoch and 0 or 1, (epoch and state == ARGV[2]) and 1 or 0,
    (known and known ~= ARGV[2]) and known or '',
    epoch and math.max(0, permit_until - now) or 0, commit or '0',
    call('ZCARD', P .. ':ends'),
    last_end and math.max(0, tonumber(last_end) - now) or 0,
    (epoch and run ~= server_run()) and 1 or 0,
    owner == ARGV[2] and term or '0', owner == ARGV[2] and holder or ''}
