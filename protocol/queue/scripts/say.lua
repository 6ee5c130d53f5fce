-- The results stream. Unread results count by sync.
local function say(root, s, body)
    call('XADD', P .. ':results', '*', 'b', root, 's', s, 'v', body)
    call('HINCRBY', P .. ':rb', s, #body)
end
