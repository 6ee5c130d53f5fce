-- Sets the clock right: the caller's monotonic clock tells how much time has really passed since the last
-- permit. It is the same clock as long as the caller's machine has not been started again (`boot`).
local JUMP_MS = 500

local function set_clock(mono, boot)
    local known, clock, at = unpack(call('HMGET', META, 'boot', 'pn', 'pm'))
    if clock and known == boot and tonumber(mono) >= tonumber(at) then
        local expected = tonumber(clock) + tonumber(mono) - tonumber(at)
        -- Ahead: set back. Behind the last permit: set forward. A smaller step back, which nobody may have
        -- noticed, is accepted: what was charged since returns in time, what was charged before a little late.
        if raw > expected + JUMP_MS or raw < tonumber(clock) then off, raw = expected - time, expected end
    elseif raw < last then
        -- Nobody knows how long it was: the clock goes on from where it stood.
        off, raw = last - time, last
    end
    now = math.max(raw, last)
    call('HSET', META, 'off', off, 'last', now, 'pn', raw, 'lr', raw, 'pm', mono, 'boot', boot)
end
