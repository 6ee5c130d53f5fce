-- Of two schedulers on copies of one state the later one goes on. What Redis has seen of the state that owns the
-- quota: another state's term says nothing about this one.
local function fell_behind(state, term, holder)
    local owner, seen, by = unpack(redis.call('HMGET', KEYS[1] .. ':owner', 'state', 'term', 'holder'))
    if not term or owner ~= state or not seen then return false end
    seen, term = tonumber(seen), tonumber(term)
    return seen > term or (seen == term and by ~= holder)
end
