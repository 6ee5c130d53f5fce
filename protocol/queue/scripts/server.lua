-- Which run of the server this is: another one than the epoch's has lost writes.
local function server_run()
    return string.match(call('INFO', 'server'), 'run_id:(%x+)')
end
