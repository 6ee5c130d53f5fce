-- Keys, clock and the state of the epoch, for every script. PROTOCOL.md is the contract.
-- KEYS[1] is `sluice:{QUOTA}`; ARGV[1] replaces the server's clock (milliseconds) in tests, '' otherwise.
local call = redis.call
local P = KEYS[1]
local META = P .. ':meta'

-- Later than any time; the clock's `lr` while it is not believed.
local NEVER = 9000000000000000

-- First element of every reply: what became of the call.
local OK, STALE, FENCED, UNPERMITTED, BUSY, STOPPED, BAD, RESTARTED, FULL, SUPERSEDED = 1, -1, -2, -3, -4, -5, -6, -7, -8, -9

local epoch, permit_until, fenced, off, last, seen, config, v_now, fac, fac_since, throttled_count, checked =
    unpack(call('HMGET', META, 'id', 'pu', 'fen', 'off', 'last', 'lr', 'cfg', 'v', 'fac', 'fs', 'nth', 'chk'))
permit_until, off, last, seen =
    tonumber(permit_until) or 0, tonumber(off) or 0, tonumber(last) or 0, tonumber(seen) or 0
if seen > last and seen < NEVER then last = seen end

-- `raw` follows the server and may jump; `now` never goes back. Neither is believed past the permit, nor
-- once the server's clock was seen to go back, until the next permit sets it right.
local time
if ARGV[1] == '' then
    local t = call('TIME')
    time = t[1] * 1000 + math.floor(t[2] / 1000)
else
    time = tonumber(ARGV[1])
end
local raw = time + off
local now = raw > last and raw or last
local trusted = epoch and now <= permit_until and raw >= seen

-- Why nothing may be handed out or taken in, or nil.
local function refusal(wanted)
    if not epoch or (wanted and wanted ~= epoch) then return STALE end
    if fenced == '1' then return FENCED end
    if not trusted then return UNPERMITTED end
end
