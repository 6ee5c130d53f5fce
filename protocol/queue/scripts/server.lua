-- Which life of the server this is: another one than the epoch's has lost writes. A process that was a replica
-- meanwhile lost them too; what it follows on from (replid2) tells.
local function server_run()
    local info = call('INFO', 'server', 'replication')
    return string.match(info, 'run_id:(%x+)') .. ':' .. string.match(info, 'master_replid2:(%x%x%x%x%x%x%x%x)')
end
