"""The modelled scheduler of each quota: permits, a window of batches, the results read, committed and trimmed (scheduler/run/quota.c)."""
from scripts_redis import enqueue_args, encode, open_args
from worker import wake

PERMIT_MS, PERMIT_RENEW_MS = 10_000, 500
RESULTS_COUNT, PAUSE_MS, PAUSE_MAX_MS, PAUSE_IDLE_MS, COMMIT_MS = 256, 2, 50, 250, 250
ENQUEUE_MAX, RECORDS = 32, 100
EPOCH = "e" * 32


class Quota:
    """One destination with its limit, its scheduler and its receiver."""

    def __init__(self, world, server, name, limit, concurrency, window, payload):
        self.world, self.server, self.name = world, server, name
        self.limit, self.concurrency, self.window, self.payload = limit, concurrency, window, payload
        self.published, self.living, self.pause, self.busy, self.fed = 0, 0, PAUSE_MS, False, False
        self.position, self.trimmed, self.round = "0-0", "0-0", 0
        self.arrivals, self.received, self.verdicts = [], {}, {}
        server.quotas[name] = self

    def open(self):
        limits = [("requests", *self.limit, 0)] if self.limit else []
        assert self.server.together([self.server.call("open", self.name, *open_args(
            EPOCH, self.world.now, self.concurrency, limits))])[0][0] == 1

    def start(self, phase_ms):
        self.world.after(phase_ms, self.permit)
        self.read_after(phase_ms)
        self.world.after(phase_ms, self.commit)

    def feed(self, fed):
        """There is a backlog from now on, or none any more."""
        self.fed = fed
        self.publish()

    def permit(self):
        def told(reply):
            assert reply[0] == 1, reply
            if reply[10]:
                wake(self.world, self.server.scheduler, self)
        self.renew(told)
        self.world.after(PERMIT_RENEW_MS, self.permit)

    def renew(self, then):
        self.world.script(self.server.scheduler, self, "permit", EPOCH, PERMIT_MS, self.world.now, "boot", 7, 0, then=then)

    def look(self):
        """The last results, and how many batches are still in the queue: waiting, parked or leased."""
        def told(reply):
            self.living = sum(reply[7][1:4])
        self.renew(told)
        self.ask_results(self.take)

    def publish(self):
        """As many as the window has room for, but not one at a time."""
        room = self.window - (self.published - len(self.verdicts))
        if self.busy or not self.fed or room < ENQUEUE_MAX // 2:
            return
        count = min(ENQUEUE_MAX, room)
        self.busy = True

        def taken(reply):
            assert reply == [1, count], reply
            self.published += count
            self.busy = False
            if self.pause > PAUSE_MS:
                self.pause = PAUSE_MS
                self.read_after(PAUSE_MS)
            wake(self.world, self.server.scheduler, self)
            self.publish()
        self.world.script(self.server.scheduler, self, "enqueue", *enqueue_args(
            EPOCH, self.world.now, "s", "20261122T140102-7f3a9c21", self.name, self.published + 1, count, RECORDS,
            self.payload)[1:], then=taken)

    def read_after(self, ms):
        self.round += 1
        self.world.after(ms, self.read, self.round)

    def read(self, round_):
        def told(reply):
            some, out = self.take(reply), self.published > len(self.verdicts)
            self.pause = 0 if some else max(PAUSE_MS, min(PAUSE_MAX_MS if out else PAUSE_IDLE_MS, self.pause * 2))
            self.read_after(self.pause)
            if some:
                self.publish()
        if round_ == self.round:
            self.ask_results(told)

    def ask_results(self, then):
        self.world.send(self.server.scheduler, "results", encode(
            "XREAD", "COUNT", RESULTS_COUNT, "STREAMS", "sluice:{%s}:results" % self.name, self.position), then)

    def take(self, reply):
        """Counts the verdicts; says whether there were any."""
        entries = reply[0][1] if reply else []
        for entry, fields in entries:
            self.verdicts[fields[1]] = self.verdicts.get(fields[1], 0) + 1
            self.position = entry.decode()
        return bool(entries)

    def commit(self):
        if self.position != self.trimmed:
            self.trimmed = self.position
            self.world.script(self.server.scheduler, self, "trim", EPOCH, self.position)
        self.world.after(COMMIT_MS, self.commit)

    # ---- the receiving end ----

    def receives(self, now, part, worker):
        self.arrivals.append(now)
        self.received.setdefault(part, []).append(worker)

    def worst(self):
        """The most requests in any window, and what the limit allows."""
        if not self.limit:
            return 0, 0
        count, per = self.limit
        times, first, worst = sorted(self.arrivals), 0, 0
        for i, t in enumerate(times):
            while times[first] <= t - per:
                first += 1
            worst = max(worst, i - first + 1)
        return worst, count

    def twice(self):
        """Batches that came again: without a cause, and after the death of the worker that had them first."""
        again = [workers for workers in self.received.values() if len(workers) > 1]
        caused = sum(all(not w.alive for w in workers[:-1]) for workers in again)
        return len(again) - caused, caused
