-- The results stream, and the verdicts that the queue gives by itself. Unread results count by sync.
local VERDICT_FAILED, VERDICT_CANCELLED = 4, 5
local RESULT_VERSION, RESULT_DOUBT = 1, 1

local function say(root, s, body)
    call('XADD', P .. ':results', '*', 'b', root, 's', s, 'v', body)
    call('HINCRBY', P .. ':rb', s, #body)
end

local function say_verdict(b, ordset, verdict, unsure, message)
    local flags = (unsure == 1) and RESULT_DOUBT or 0
    say(b[B_ROOT], b[B_SYNC],
        cmsgpack.pack({RESULT_VERSION, ordset, verdict, flags, message, 0, 0, 0, 0, 0, b[B_KILLS], {}}))
end

-- The sync was ended (`x`: c cancelled, f failed) before these records had their answer.
local function say_ended(b, ordset, x, unsure)
    if x == 'f' then
        say_verdict(b, ordset, VERDICT_FAILED, unsure, 'the run was ended before these records were accepted')
    else
        say_verdict(b, ordset, VERDICT_CANCELLED, unsure, '')
    end
end
