-- Another run of the server has lost writes even if it kept our keys. Asking costs as much as ten
-- commands; a server cannot stop and start within 10 ms.
local function same_server()
    local at = tonumber(checked) or 0
    if time >= at and time < at + 10 and ARGV[1] == '' then return true end
    if server_run() ~= call('HGET', META, 'rid') then return false end
    call('HSET', META, 'chk', time)
    return true
end
