--! flags allow-oom
--! uses prelude server same share
-- shared: get, lock, put and unlock of a value; all of the durable ones. Not stopped by a fence: what a request
-- under way has fetched must not be lost.
-- ARGV: clock, op, name, …: lock: holder, ttl_ms; put: holder, version ('': only as the holder), value, expire_ms,
--       durable; unlock: holder. Says whether it was done and what there is now:
--       granted, version, value, left_ms, holder, holder_left_ms; all: sv, {name, value, version, left_ms, …}
local NAMES_MAX, DURABLE_MAX, VALUE_MAX, SWEEP = 4096, 256, 65536, 16
local op, name = ARGV[2], ARGV[3]

if not epoch then return {STALE} end
if not same_server() then return {RESTARTED} end

local function left(expires) return expires > 0 and math.max(1, expires - now) or 0 end

local function all()
    local values = {}
    for _, n in ipairs(call('SMEMBERS', SHARED_DURABLE)) do
        local e = load_shared(n)
        if e[S_VERSION] > 0 then
            for _, x in ipairs({n, e[S_VALUE], e[S_VERSION], left(e[S_EXPIRES])}) do values[#values + 1] = x end
        end
    end
    return {OK, tonumber(call('HGET', META, 'sv')) or 0, values}
end
if op == 'all' then return all() end

local e, known = load_shared(name)
-- Where the clock is not believed, a lock that somebody has is not over.
local locked = e[S_HOLDER] ~= '' and (e[S_UNTIL] > now or not trusted)
local mine = e[S_HOLDER] ~= '' and e[S_HOLDER] == ARGV[4]

local function reply(granted, value)
    local held = e[S_HOLDER] ~= '' and (e[S_UNTIL] > now or not trusted)
    return {OK, granted and 1 or 0, e[S_VERSION], value or e[S_VALUE], e[S_EXPIRES] > 0 and left(e[S_EXPIRES]) or -1,
        held and e[S_HOLDER] or '', held and math.max(0, e[S_UNTIL] - now) or 0}
end

-- Whether one more name, or durable name, has no room. What may be forgotten is, a little at a time.
local function no_room(durable)
    if trusted then
        for _, old in ipairs(call('ZRANGEBYSCORE', SHARED_TIMES, '-inf', now, 'LIMIT', 0, SWEEP)) do
            if old ~= name then store_shared(old, {0, '', 0, 0, '', 0}) end
        end
    end
    return (not known and call('HLEN', SHARED) >= NAMES_MAX) or
        (durable and call('SISMEMBER', SHARED_DURABLE, name) == 0 and call('SCARD', SHARED_DURABLE) >= DURABLE_MAX)
end

local function lock()
    if not trusted then return {UNPERMITTED} end
    if locked and not mine then return reply(false) end
    if no_room(false) then return {FULL} end
    e[S_HOLDER], e[S_UNTIL] = ARGV[4], now + tonumber(ARGV[5])
    store_shared(name, e)
    return reply(true)
end

local function put()
    local value, expire, durable = ARGV[6], tonumber(ARGV[7]), ARGV[8] == '1'
    if #value > VALUE_MAX then return {BAD} end
    if not mine and (locked or tonumber(ARGV[5]) ~= e[S_VERSION]) then return reply(false, '') end
    if no_room(durable) then return {FULL} end
    local version = call('HINCRBY', META, 'sv', 1)
    if value == '' then version, expire, durable = 0, 0, false end
    e = {version, value, durable and 1 or 0, expire > 0 and now + expire or 0, '', 0}
    store_shared(name, e)
    return reply(true, '')
end

local function unlock()
    if not mine then return reply(false) end
    e[S_HOLDER], e[S_UNTIL] = '', 0
    store_shared(name, e)
    return reply(true)
end

if op == 'get' then return reply(false) end
return ({lock = lock, put = put, unlock = unlock})[op]()
