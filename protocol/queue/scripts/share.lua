-- Values that the workers of a quota share. Name -> packed {version, value, durable, expires, holder, until}; 0: never
-- expires; `sx`: names by when they may be forgotten; `sd`: the durable ones. `sv` of meta counts changes and
-- numbers the versions, so that no version ever comes twice.
local S_VERSION, S_VALUE, S_DURABLE, S_EXPIRES, S_HOLDER, S_UNTIL = 1, 2, 3, 4, 5, 6
local SHARED, SHARED_TIMES, SHARED_DURABLE = P .. ':shared', P .. ':sx', P .. ':sd'

-- The value and its lock; an expired one is none. Also whether there was one.
local function load_shared(name)
    local e = call('HGET', SHARED, name)
    if not e then return {0, '', 0, 0, '', 0}, false end
    e = cmsgpack.unpack(e)
    if e[S_EXPIRES] > 0 and e[S_EXPIRES] <= now then
        e[S_VERSION], e[S_VALUE], e[S_DURABLE], e[S_EXPIRES] = 0, '', 0, 0
    end
    return e, true
end

local function store_shared(name, e)
    local empty = e[S_VERSION] == 0
    if empty and e[S_HOLDER] == '' then
        call('HDEL', SHARED, name)
        call('ZREM', SHARED_TIMES, name)
    else
        call('HSET', SHARED, name, cmsgpack.pack(e))
        if empty or e[S_EXPIRES] > 0 then
            call('ZADD', SHARED_TIMES, math.max(e[S_EXPIRES], e[S_UNTIL]), name)
        else
            call('ZREM', SHARED_TIMES, name)
        end
    end
    call(e[S_DURABLE] == 1 and 'SADD' or 'SREM', SHARED_DURABLE, name)
end

-- So many versions may have been lost with a server; none is given twice.
local VERSIONS_LOST = 65536

-- What Redis never knew comes back; what it knew and has no more was forgotten on purpose. values: {name, value,
-- version, left_ms}; newest: of all that the state heard of; lost: this server has lost writes; is_new: it
-- had none of this quota.
local function restore_shared(values, newest, lost, is_new)
    local known = tonumber(call('HGET', META, 'sv')) or 0
    for _, v in ipairs(values) do
        if v[3] > known then store_shared(v[1], {v[3], v[2], 1, v[4] > 0 and now + v[4] or 0, '', 0}) end
        newest = math.max(newest, v[3])
    end
    newest = math.max(newest, known)
    if lost or (is_new and newest > 0) then newest = newest + VERSIONS_LOST end
    if newest > known then call('HSET', META, 'sv', string.format('%d', newest)) end
end
