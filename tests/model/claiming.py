"""What a claim gives, said a second time: the fairest batch that the clock, the cap and the limits let go."""
import copy
import math

from parts import Refused

UNPERMITTED, INF, LOOK = -3, math.inf, 16
WATCH_MS, WATCH_LATE_MS = 5000, 250  # who is to ask again does by then; so much later he is missed


class Claiming:
    def factor_now(self, now):
        if self.factor >= 1000:
            return 1000
        return min(1000, self.factor + 100 * max(0, (now - self.factor_since) // 10000))

    def concurrency_now(self, now=None):
        if self.limits:
            return self.concurrency
        return max(1, self.concurrency * self.factor_now(self.now if now is None else now) // 1000)

    def used(self, i, now):
        limit = self.limits[i]
        return sum(t > now for t in limit.back) + limit.late + sum(x["costs"][i] for x in self.leases.values())

    def full(self):
        return self.max_open and self.places_taken() >= self.max_open

    def candidate(self, abilities, now, passed=()):
        mismatch = False
        for s in sorted((s for s in self.syncs.values() if s.active), key=lambda s: (s.vt, s.name.encode())):
            if abilities.get(s.destination) != s.fingerprint:
                mismatch = True
            elif s.destination in self.paused_destinations or self.closed.get(s.destination, 0) > now:
                continue
            elif self.full() and not s.jobs and self.batches[self.first_of(s, s.line[0])].job != 2:
                continue
            elif s not in passed:
                return s, mismatch
        return None, mismatch

    def fits(self, b, now):
        """The batch's costs, None where its limits let it go; otherwise what blocks: 'common' or 'group'."""
        costs = [limit.cost(b) for limit in self.limits]
        blocking = set()
        for i, limit in enumerate(self.limits):
            used = self.used(i, now)
            if not costs[i]:
                continue
            if used and used + costs[i] > max(1, limit.count * self.factor_now(now) // 1000):
                blocking.add(limit.group)
            elif limit.grant is not None and limit.charged + costs[i] > limit.grant:
                blocking.add(limit.group)
        return costs, ("common" if 0 in blocking else "group") if blocking else None

    def would_run(self, abilities, now):
        """The claim at that time if nothing else happened: (sync, line, item, part, costs), or None."""
        self.promote(now)
        s, _ = self.candidate(abilities, now)
        if s is None or len(self.leases) >= self.concurrency_now(now):
            return None
        line = s.jobs if self.max_open and s.jobs else s.line
        part = self.first_of(s, line[0])
        costs, blocked = self.fits(self.batches[part], now)
        if not blocked:
            return s, line, line[0], part, costs
        return None if blocked == "common" else self.further(s, self.batches[part].group, abilities, now)

    def further(self, s, group, abilities, now):
        """Batches of other groups overtake one that waits for a limit of its own group alone."""
        spent, passed = {group}, []
        while s is not None:
            for line in (s.jobs, s.line):
                for item in line[:LOOK]:
                    part = self.first_of(s, item)
                    b = self.batches[part]
                    if b.group in spent or (self.full() and b.job == 0):
                        continue
                    costs, blocked = self.fits(b, now)
                    if not blocked:
                        return s, line, item, part, costs
                    if blocked == "common":
                        return None
                    spent.add(b.group)
            passed.append(s)
            s, _ = self.candidate(abilities, now, passed)
        return None

    def first_time(self, abilities):
        """The earliest later time at which a claim would succeed by itself; None: only something new helps."""
        times = {t for limit in self.limits for t in limit.back} | set(self.parked.values()) | set(self.closed.values())
        if self.factor_now(self.now) < 1000:
            times |= {self.factor_since + 10000 * k for k in range(1, 11)}
        for t in sorted(t for t in times if self.now < t < INF):
            if copy.deepcopy(self).would_run(abilities, t):
                return t
        return None

    def watcher(self):
        """(moment, worker) that asks again, worker '' where one only looked; None: nobody, or he is late."""
        living = self.watch and self.watch[0] - WATCH_MS <= self.raw <= self.watch[0] + WATCH_LATE_MS
        return self.watch if living else None

    def told(self, worker, wait, abilities):
        """Notes what a claim without work was told. Gives who else asks again, where that may be why."""
        _, mismatch = self.candidate(abilities, self.now)
        other = None if mismatch else self.watcher()
        if not mismatch and wait > 0:
            self.watch = self.raw + min(wait, WATCH_MS), worker
        elif not mismatch and not other and any(s.active for s in self.syncs.values()):
            self.watch = self.raw + WATCH_MS, ""
        return other

    def unwatched(self):
        due = any(s.active for s in self.syncs.values()) or any(t <= self.now for t in self.parked.values())
        return due and not self.watcher()

    def claim(self, worker, token, lease_ms, mono, abilities):
        """('batch', part) | ('stale',) | ('none', mismatch)"""
        if self.epoch and not self.fenced and not self.trusted and self.raw < self.seen:
            self.seen = INF
        self.refuse()
        top, top_raw, top_mono = self.tops.get(worker, (-1, None, None))
        if top_raw is not None and abs(self.raw - top_raw - (mono - top_mono)) > 500 + (mono - top_mono) / 1000:
            self.seen, self.tops[worker] = INF, (top, None, None)
            raise Refused(UNPERMITTED)
        held = self.leases.get((worker, token))
        if held:
            held["end"] = max(held["end"], self.now + lease_ms)
            return "batch", held["part"]
        if token <= top:
            return ("stale",)
        run = self.would_run(abilities, self.now)
        if run is None:
            found, mismatch = self.candidate(abilities, self.now)
            if found and len(self.leases) < self.concurrency_now():
                self.last, self.seen = self.now, self.raw
            return "none", mismatch and not found
        s, line, item, part, costs = run
        line.remove(item)
        if isinstance(item, tuple):
            s.lanes[item[1]].pop(0)
            s.blocked[item[1]] = part
        self.v = max(s.vt, self.v)
        s.vt, s.active = self.v + math.ceil(720720 / s.weight), bool(s.line or s.jobs)
        for limit, cost in zip(self.limits, costs):
            limit.charged += cost
            limit.back = [t for t in limit.back if t > self.now]
        self.leases[worker, token] = {"part": part, "end": self.now + lease_ms, "at": self.now, "costs": costs,
                                      "destination": s.destination}
        self.tops[worker] = token, self.raw, mono
        self.last, self.seen = self.now, self.raw
        return "batch", part
