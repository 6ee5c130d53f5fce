-- Verdicts that the queue gives by itself, in the layout of protocol/wire/result.h.
local VERDICT_FAILED, VERDICT_CANCELLED, RESULT_VERSION, RESULT_DOUBT = 4, 5, 1, 1

local function verdicts()
    local v = {}

    function v.say(b, ordset, verdict, unsure, message)
        local flags = (unsure == 1) and RESULT_DOUBT or 0
        say(b[B_ROOT], b[B_SYNC],
            cmsgpack.pack({RESULT_VERSION, ordset, verdict, flags, message, 0, 0, 0, 0, 0, b[B_KILLS], {}}))
    end

    -- The sync was ended (`x`: c cancelled, f failed) before these records had their answer.
    function v.ended(b, ordset, x, unsure)
        if x == 'f' then
            v.say(b, ordset, VERDICT_FAILED, unsure, 'the run was ended before these records were accepted')
        else
            v.say(b, ordset, VERDICT_CANCELLED, unsure, '')
        end
    end

    return v
end
