-- Who asks again when something may run: one worker at a time, so that what waiting costs does not grow with them.
-- `wt` is the moment at which that is due and the worker, or no worker where it was only looked.
local WATCH_MS, WATCH_LATE_MS = 5000, 250

-- The moment and the worker; nil: nobody, or he is late. A moment too far ahead is of a clock that has been set back.
local function watcher()
    local at, by = string.match(call('HGET', META, 'wt') or '', '^(%d+) (.*)$')
    at = tonumber(at)
    if at and raw <= at + WATCH_LATE_MS and at <= raw + WATCH_MS then return at, by end
end
