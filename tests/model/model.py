"""What a quota must do, said a second time in plain Python: lists and dictionaries, one token per entry.

Nothing here is taken from the Lua scripts; PROTOCOL.md is the common source. Every method answers as the
script must, so that a test can compare word for word.
"""
import math

from claiming import Claiming
from parts import Batch, Limit, Refused, Step, Sync, held_name
from placing import Placing
from shared_values import SharedValues

STALE, FENCED, UNPERMITTED, BUSY, STOPPED, BAD, RESTARTED = -1, -2, -3, -4, -5, -6, -7
KILLS_MAX, INF = 3, math.inf
VERSIONS_LOST = 65536  # of shared values, where another life of the server goes on


class Model(Placing, Claiming, SharedValues):
    def __init__(self):
        self.off = self.last = self.seen = self.permit_clock = self.permit_mono = 0
        self.limits, self.old_limits = [], {}
        self.slack = 0
        self.factor, self.factor_since = 1000, 0
        self.owner = (None, "0")
        self.results, self.unread = [], {}
        self.closed, self.late_throttle = {}, {}
        self.tops = {}
        self.parked, self.holds, self.late_waits = {}, {}, {}
        self.shared, self.shared_version, self.had_epoch = {}, 0, False
        self.leases_lost = 0
        self.max_open = 0
        self.forget_epoch()

    def forget_epoch(self):
        self.epoch = self.state = None
        self.fenced = False
        self.permit_until = 0
        self.syncs, self.batches, self.leases = {}, {}, {}
        self.parked = {p: due for p, due in self.parked.items() if p in self.holds}
        self.late_waits = {p: wait for p, wait in self.late_waits.items() if p in self.holds}
        self.paused_syncs, self.paused_destinations = set(), set()
        self.since, self.lowered = {}, {}
        self.v = 0.0
        self.watch = None

    # ---- clock ----

    def tick(self, server):
        self.server = server
        self.raw = server + self.off
        self.now = max(self.raw, self.last)
        self.trusted = self.epoch is not None and self.now <= self.permit_until and self.raw >= self.seen

    def refuse(self, epoch=None):
        if self.epoch is None or (epoch is not None and epoch != self.epoch):
            raise Refused(STALE)
        if self.fenced:
            raise Refused(FENCED)
        if not self.trusted:
            raise Refused(UNPERMITTED)

    def wait(self, at):
        return max(1, math.ceil(at - self.raw))

    # ---- epoch ----

    def look_leases(self):
        return len(self.leases)

    def open(self, state, epoch, permit_ms, mono, commit, concurrency, slack, max_open, limits, windows, shared,
             server_changed, closed=(), carried=(0, 0, 0, 0)):
        newest, factor, factor_next, adds = carried
        if self.epoch is not None or self.syncs or self.leases:
            raise Refused(BUSY)
        self.set_clock(mono)
        self.slack, self.max_open = slack, max_open
        known = {**self.old_limits, **{limit.key: limit for limit in self.limits}}
        for limit in self.limits:
            if limit.late:
                limit.give_back(limit.late, self.now + limit.per + slack)
                limit.late = 0
            limit.back = [t for t in limit.back if t > self.now]
        before = list(self.limits)
        self.limits = []
        for i, (kind, count, per, group) in enumerate(limits):
            new = Limit(kind, count, per, group)
            given = any(k == i for k, _, _ in windows)
            if new.key in known and not (server_changed and given and not adds):
                old = known[new.key]
                new.back, new.charged = old.back, old.charged
                for k, left, n in windows if adds else ():
                    if k == i:
                        new.give_back(n, self.now + left)
            else:
                saved = [(left, n) for k, left, n in windows if k == i and n > 0]
                for left, n in saved:
                    new.give_back(n, self.now + left)
                if not saved:
                    alike = [o for o in before if o.kind == kind and (0 in (o.group, group) or o.group == group)]
                    used = max([len(o.back) for o in alike], default=0)
                    new.give_back(min(used, count), self.now + per + slack)
            self.limits.append(new)
        self.old_limits = known
        self.concurrency = concurrency
        for d in list(self.late_throttle):
            self.closed[d] = max(self.closed.get(d, 0), self.now + self.late_throttle.pop(d))
        self.closed = {d: t for d, t in self.closed.items() if t > self.now}
        self.paused_destinations, self.since, self.lowered = set(), {}, {}
        self.start_late_waits()
        for d, left in closed:
            self.closed[d] = max(self.closed.get(d, 0), self.now + left)
        self.restore_shared(shared)
        self.shared_version = max(self.shared_version, newest)
        if server_changed if self.had_epoch else self.shared_version:
            self.shared_version += VERSIONS_LOST
        if 0 < factor < 1000 and self.factor_now(self.now) >= 1000:
            self.factor, self.factor_since = factor, self.now + factor_next - 10000
        self.had_epoch = True
        self.epoch, self.state, self.fenced = epoch, state, False
        self.owner = (state, str(commit))
        self.permit_until, self.v = self.now + permit_ms, 0.0
        return self.now

    def set_clock(self, mono):
        if self.permit_mono:
            expected = self.permit_clock + mono - self.permit_mono
            if self.raw > expected + 500 or self.raw < self.permit_clock:
                self.off, self.raw = expected - self.server, expected
        self.now = self.last = max(self.raw, self.last)
        self.permit_clock, self.permit_mono, self.seen = self.raw, mono, self.raw

    def permit(self, epoch, permit_ms, mono, commit, grants):
        if self.epoch is None or epoch != self.epoch:
            raise Refused(STALE)
        if self.fenced:
            raise Refused(FENCED)
        self.set_clock(mono)
        self.permit_until = self.now + permit_ms
        self.owner = (self.state, str(commit))
        for i, limit in enumerate(self.limits):
            if limit.late:
                limit.give_back(limit.late, self.now + limit.per + self.slack)
                limit.late = 0
            if i < len(grants) and limit.per > 60000:
                limit.grant = limit.charged + grants[i]
        for d in list(self.late_throttle):
            self.closed[d] = max(self.closed.get(d, 0), self.now + self.late_throttle.pop(d))
        self.trusted = True
        self.start_late_waits()
        self.reap("", False)

    def fence(self):
        self.fenced = True
        return len(self.leases)

    def clear(self):
        if self.epoch is not None and not self.fenced:
            raise Refused(BUSY)
        for lease in self.leases.values():
            for limit, cost in zip(self.limits, lease["costs"]):
                limit.late += cost
        for part in self.parked_parts():
            b = self.batches[part]
            if b.held and b.held[0] > self.now:
                self.hold_lane(b.sync, b.lane, b.held)
        was_fenced = self.fenced
        self.forget_epoch()
        self.fenced = was_fenced

    def wipe(self):
        if (self.epoch and self.now <= self.permit_until) or not (self.epoch or self.fenced) or self.syncs or self.leases:
            raise Refused(BUSY)

    # ---- scheduler's side ----

    def enqueue(self, epoch, name, run, destination, fingerprint, weight, cap, batches, unread):
        """batches: (number, root, part, lane, records, size, group, costs, jobless)"""
        self.refuse(epoch)
        s = self.syncs.get(name)
        living = [b for b in self.batches.values() if b.sync == name]
        if s is None or s.run != run:
            if living:
                raise Refused(BUSY)
            if s is None:
                s = Sync(name)
                s.paused = name in self.paused_syncs
            s.run, s.top, s.ended = run, 0, None
            s.destination, s.fingerprint = destination, fingerprint
            s.blocked.update({lane: name for name, (sync, lane) in self.holds.items() if sync == s.name})
        if s.ended:
            raise Refused(STOPPED)
        self.syncs[name] = s
        s.weight = weight
        count, size = len(living), sum(b.size for b in living)
        taken = 0
        for number, root, part, lane, records, n, group, costs, jobless in batches:
            if number > s.top:
                if size + unread + n > cap and not (count < 2 and unread <= cap):
                    break
                count, size, s.top = count + 1, size + n, number
                b = self.batches[part] = Batch(root, records, name, lane, n)
                b.says(Step(group=group, costs=costs), 2 if jobless else 0)
                if not lane:
                    s.line.append(part)
                else:
                    s.lanes.setdefault(lane, []).append(part)
                    if lane not in s.blocked:
                        s.blocked[lane] = None
                        s.line.append(("lane", lane))
            taken += 1
        self.wake(s)
        return taken

    def control(self, epoch, what, name):
        self.refuse(epoch)
        s = self.syncs.get(name)
        if what == "pause_sync":
            self.paused_syncs.add(name)
            if s:
                s.paused, s.active = True, False
        elif what == "resume_sync":
            self.paused_syncs.discard(name)
            if s:
                s.paused = False
                self.wake(s)
        elif what == "pause_destination":
            self.paused_destinations.add(name)
        elif what == "resume_destination":
            self.paused_destinations.discard(name)
        elif what in ("cancel_sync", "fail_sync"):
            return self.end_sync(s, "c" if what == "cancel_sync" else "f")
        elif what == "forget_sync":
            living = sum(b.sync == name for b in self.batches.values())
            if living:
                return living
            self.syncs.pop(name, None)
        return 0

    def end_sync(self, s, how):
        if s is None:
            return 0
        s.ended, s.active = s.ended or how, False
        budget = 64
        for line in (s.jobs, s.line):
            while budget and line:
                item = line.pop(0)
                self.finish(s.lanes[item[1]].pop(0) if isinstance(item, tuple) else item)
                budget -= 1
        for part in [p for p in self.parked_parts() if self.batches[p].sync == s.name][:budget]:
            del self.parked[part]
            self.late_waits.pop(part, None)
            self.finish(part)
            budget -= 1
        for lane in [lane for lane, blocker in s.blocked.items() if blocker == held_name(s.name, lane)]:
            while budget and s.lanes.get(lane):
                self.finish(s.lanes[lane].pop(0), False)
                budget -= 1
        return sum(b.sync == s.name for b in self.batches.values())

    def finish(self, part, hold=None):
        b = self.batches[part]
        self.say_ended(b, b.records, b.unsure)
        self.drop(part, hold)

    def reap(self, prefix, every):
        if every:
            ids = [i for i in self.leases if i[0].startswith(prefix)]
        elif self.fenced or not self.trusted:
            ids = []
        else:
            ids = [i for i in self.leases if self.leases[i]["end"] <= min(self.now, self.permit_clock)]
        # Redis keeps leases by end, then by name.
        for i in sorted(ids, key=lambda i: (self.leases[i]["end"], f"{i[1]}:{i[0]}".encode())):
            self.end_lease(i)
        return len(self.leases)

    def end_lease(self, lease_id):
        lease = self.leases.pop(lease_id)
        b, part = self.batches[lease["part"]], lease["part"]
        self.charge(lease, min(lease["end"], self.now))
        b.kills, b.unsure = b.kills + 1, 1
        self.leases_lost += 1
        s = self.syncs[b.sync]
        if s.ended:
            self.say_ended(b, b.records, 1)
            self.drop(part)
        elif len(b.records) == 1 and b.kills >= KILLS_MAX:
            self.say_own(b, b.records, "failed", 1)
            self.drop(part)
        else:
            self.put_first(part)
            self.wake(s)

    def charge(self, lease, since):
        for limit, cost in zip(self.limits, lease["costs"]):
            if self.trusted:
                limit.give_back(cost, max(self.now, since + limit.per + self.slack))
            else:
                limit.late += cost

    # ---- worker's side ----

    def settle(self, epoch, worker, token, kind, delay, unsure, age, keep, parts, step):
        """parts: (part, records, size). True: settled. What the worker says in its result is not modelled."""
        lease = self.leases.get((worker, token)) if epoch == self.epoch else None
        if lease is None:
            return False
        del self.leases[worker, token]
        part = lease["part"]
        b = self.batches[part]
        s = self.syncs[b.sync]
        if kind == "release":
            for limit, cost in zip(self.limits, lease["costs"]):
                limit.charged -= cost
        else:
            self.charge_settled(lease, self.now - age, step.uncharge)
            b.unsure = int(unsure) if kind == "continue" else b.unsure or int(unsure)
        if kind == "throttle":
            self.throttle(lease["destination"], delay, lease["at"])
        elif kind != "release" and not keep:
            self.since.pop(lease["destination"], None)
        if step.pause and kind != "release":
            self.close(lease["destination"], step.pause)
        if kind == "stop":
            s.ended, s.active = s.ended or "c", False
        hold = None if kind == "release" or not b.lane else self.hold(step.hold, age)
        if kind in ("done", "stop"):
            self.drop(part, hold)
        elif s.ended:
            for _, records, _ in parts or [(part, b.records, 0)]:
                self.say_ended(b, records, b.unsure)
            self.drop(part, hold)
        else:
            self.go_on(kind, part, b, s, parts, delay, step, hold)
        return True

    def charge_settled(self, lease, since, uncharge):
        for i, limit in enumerate(self.limits):
            if uncharge and limit.kind == "records":
                limit.charged -= lease["costs"][i]
                lease["costs"][i] = 0
        self.charge(lease, since)

    def hold(self, ms, age):
        """Until when the lane stays closed, as park() takes it; None: not at all."""
        if not ms or age > ms + self.slack:
            return None
        if not self.trusted:
            return math.inf, ms
        until = self.now - age + ms + self.slack
        return (until, None) if until > self.now else None

    def go_on(self, kind, part, b, s, parts, delay, step, hold):
        if kind == "split":
            one, two = self.replace(part, b, parts, b.attempts, step.begins())
            self.batches[one].kills = self.batches[two].kills = 0
            if hold:
                s.lanes.setdefault(b.lane, []).insert(0, two)
            else:
                self.put_first(two)
            part, b = one, self.batches[one]
        elif kind != "release":
            attempts = {"retry": b.attempts + 1, "throttle": b.attempts, "continue": 0}[kind]
            if parts:
                part, = self.replace(part, b, parts, attempts, step)
                b = self.batches[part]
            else:
                b.attempts = attempts
                b.says(step, b.job)
        if kind != "release":
            b.held = hold
        waits = kind == "retry" or (kind == "continue" and delay > 0)
        if not waits and not hold:
            self.put_first(part)
            self.wake(s)
            return
        due = (self.now if self.trusted else min(self.now, self.permit_until)) + delay if waits else 0
        if hold and hold[1] is not None:
            self.park(part, math.inf, max(hold[1], delay if waits else 0))
        else:
            self.park(part, max(due, hold[0] if hold else 0))
        if b.lane:
            s.blocked[b.lane] = part

    def close(self, d, ms):
        if self.trusted:
            self.closed[d] = max(self.closed.get(d, 0), self.now + ms)
        else:
            self.late_throttle[d] = max(self.late_throttle.get(d, 0), ms)

    def throttle(self, d, delay, claimed_at):
        self.since.setdefault(d, self.now if self.trusted else min(self.now, self.permit_until))
        if not self.trusted:
            self.late_throttle[d] = max(self.late_throttle.get(d, 0), delay)
            return
        self.closed[d] = max(self.closed.get(d, 0), self.now + delay)
        factor = self.factor_now(self.now)
        if d not in self.lowered or claimed_at > self.lowered[d]:
            factor, self.lowered[d] = max(100, factor * 7 // 10), self.now
        self.factor, self.factor_since = factor, max(self.closed[d], self.factor_since)

    def beat(self, worker, tokens, lease_ms):
        self.refuse()
        held = [t for t in tokens if (worker, t) in self.leases]
        for t in held:
            lease = self.leases[worker, t]
            lease["end"] = max(lease["end"], self.now + lease_ms)
        return len(held)
