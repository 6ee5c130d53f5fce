"""What a quota must do, said a second time in plain Python: lists and dictionaries, one token per entry.

Nothing here is taken from the Lua scripts; PROTOCOL.md is the common source. Every method answers as the
script must, so that a test can compare word for word.
"""
import copy
import math

from parts import Batch, Limit, Refused, Sync

STALE, FENCED, UNPERMITTED, BUSY, STOPPED, BAD, RESTARTED = -1, -2, -3, -4, -5, -6, -7
KILLS_MAX, INF = 3, math.inf


class Model:
    def __init__(self):
        self.off = self.last = self.seen = self.permit_clock = self.permit_mono = 0
        self.limits, self.old_limits = [], {}
        self.slack = 0
        self.factor, self.factor_since = 1000, 0
        self.owner = (None, "0")
        self.results, self.unread = [], {}
        self.closed, self.late_throttle = {}, {}
        self.tops = {}
        self.forget_epoch()

    def forget_epoch(self):
        self.epoch = self.state = None
        self.fenced = False
        self.permit_until = 0
        self.syncs, self.batches, self.parked, self.leases = {}, {}, {}, {}
        self.paused_syncs, self.paused_destinations = set(), set()
        self.since, self.lowered = {}, {}
        self.v = 0.0

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

    def open(self, state, epoch, permit_ms, mono, commit, concurrency, slack, limits, windows, server_changed):
        if self.epoch is not None or self.syncs or self.leases:
            raise Refused(BUSY)
        self.set_clock(mono)
        self.slack = slack
        known = {**self.old_limits, **{limit.key: limit for limit in self.limits}}
        for limit in self.limits:
            if limit.late:
                limit.give_back(limit.late, self.now + limit.per + slack)
                limit.late = 0
            limit.back = [t for t in limit.back if t > self.now]
        before = list(self.limits)
        self.limits = []
        for i, (kind, count, per) in enumerate(limits):
            new = Limit(kind, count, per)
            given = any(k == i for k, _, _ in windows)
            if new.key in known and not (server_changed and given):
                old = known[new.key]
                new.back, new.charged = old.back, old.charged
            else:
                saved = [(left, n) for k, left, n in windows if k == i and n > 0]
                for left, n in saved:
                    new.give_back(n, self.now + left)
                if not saved:
                    used = max([len(o.back) for o in before if o.kind == kind], default=0)
                    new.give_back(min(used, count), self.now + per + slack)
            self.limits.append(new)
        self.old_limits = known
        self.concurrency = concurrency
        for d in list(self.late_throttle):
            self.closed[d] = max(self.closed.get(d, 0), self.now + self.late_throttle.pop(d))
        self.closed = {d: t for d, t in self.closed.items() if t > self.now}
        self.paused_destinations, self.since, self.lowered = set(), {}, {}
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
        was_fenced = self.fenced
        self.forget_epoch()
        self.fenced = was_fenced

    # ---- where a batch is ----

    def wake(self, s):
        if not s.active and s.line and not s.paused and not s.ended:
            s.active, s.vt = True, max(s.vt, self.v)

    def put_first(self, part):
        b = self.batches[part]
        s = self.syncs[b.sync]
        if not b.lane:
            s.line.insert(0, part)
            return
        s.lanes.setdefault(b.lane, []).insert(0, part)
        if s.blocked[b.lane] is not None:
            s.blocked[b.lane] = None
            s.line.insert(0, ("lane", b.lane))

    def drop(self, part):
        b = self.batches.pop(part)
        s = self.syncs[b.sync]
        if not b.lane:
            return
        if s.lanes.get(b.lane):
            s.blocked[b.lane] = None
            s.line.append(("lane", b.lane))
            self.wake(s)
        else:
            s.blocked.pop(b.lane)
            s.lanes.pop(b.lane, None)

    def say(self, root, sync, body):
        self.results.append((root, sync, body))

    def say_own(self, b, records, verdict, unsure):
        self.say(b.root, b.sync, {"records": tuple(records), "verdict": verdict, "doubt": bool(unsure), "kills": b.kills})

    def say_ended(self, b, records, unsure):
        self.say_own(b, records, "failed" if self.syncs[b.sync].ended == "f" else "cancelled", unsure)

    # ---- scheduler's side ----

    def enqueue(self, epoch, name, run, destination, fingerprint, weight, cap, batches, unread):
        """batches: (number, root, part, lane, records, size)"""
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
        if s.ended:
            raise Refused(STOPPED)
        self.syncs[name] = s
        s.weight = weight
        count, size = len(living), sum(b.size for b in living)
        taken = 0
        for number, root, part, lane, records, n in batches:
            if number > s.top:
                if size + unread + n > cap and not (count < 2 and unread <= cap):
                    break
                count, size, s.top = count + 1, size + n, number
                self.batches[part] = Batch(root, records, name, lane, n)
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
        while budget and s.line:
            item = s.line.pop(0)
            part = s.lanes[item[1]].pop(0) if isinstance(item, tuple) else item
            self.say_ended(self.batches[part], self.batches[part].records, self.batches[part].unsure)
            self.drop(part)
            budget -= 1
        for part in [p for p in self.parked if self.batches[p].sync == s.name][:budget]:
            del self.parked[part]
            self.say_ended(self.batches[part], self.batches[part].records, self.batches[part].unsure)
            self.drop(part)
        return sum(b.sync == s.name for b in self.batches.values())

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

    def promote(self, now):
        due = sorted([p for p in self.parked if self.parked[p] <= now], key=lambda p: (self.parked[p], p.encode()))
        for group in range(0, min(len(due), 256), 32):
            for part in reversed(due[group:group + 32]):
                del self.parked[part]
                self.put_first(part)
                self.wake(self.syncs[self.batches[part].sync])

    def candidate(self, abilities, now):
        mismatch = False
        for s in sorted((s for s in self.syncs.values() if s.active), key=lambda s: (s.vt, s.name.encode())):
            if abilities.get(s.destination) != s.fingerprint:
                mismatch = True
            elif s.destination not in self.paused_destinations and self.closed.get(s.destination, 0) <= now:
                return s, mismatch
        return None, mismatch

    def would_run(self, abilities, now):
        """The claim at that time if nothing else happened: (sync, part, costs), or None."""
        self.promote(now)
        s, _ = self.candidate(abilities, now)
        if s is None:
            return None
        factor = self.factor_now(now)
        if len(self.leases) >= self.concurrency_now(now):
            return None
        item = s.line[0]
        part = s.lanes[item[1]][0] if isinstance(item, tuple) else item
        costs = [limit.cost(len(self.batches[part].records)) for limit in self.limits]
        for i, limit in enumerate(self.limits):
            used = self.used(i, now)
            if used and used + costs[i] > max(1, limit.count * factor // 1000):
                return None
            if limit.grant is not None and limit.charged + costs[i] > limit.grant:
                return None
        return s, part, costs

    def first_time(self, abilities):
        """The earliest later time at which a claim would succeed by itself; None: only something new helps."""
        times = {t for limit in self.limits for t in limit.back} | set(self.parked.values()) | set(self.closed.values())
        if self.factor_now(self.now) < 1000:
            times |= {self.factor_since + 10000 * k for k in range(1, 11)}
        for t in sorted(t for t in times if t > self.now):
            if copy.deepcopy(self).would_run(abilities, t):
                return t
        return None

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
        s, part, costs = run
        item = s.line.pop(0)
        if isinstance(item, tuple):
            s.lanes[item[1]].pop(0)
            s.blocked[item[1]] = part
        self.v = max(s.vt, self.v)
        s.vt, s.active = self.v + math.ceil(720720 / s.weight), bool(s.line)
        for limit, cost in zip(self.limits, costs):
            limit.charged += cost
            limit.back = [t for t in limit.back if t > self.now]
        self.leases[worker, token] = {"part": part, "end": self.now + lease_ms, "at": self.now, "costs": costs,
                                      "destination": s.destination}
        self.tops[worker] = token, self.raw, mono
        self.last, self.seen = self.now, self.raw
        return "batch", part

    def settle(self, epoch, worker, token, kind, delay, unsure, age, keep, parts):
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
            self.charge(lease, self.now - age)
            b.unsure = b.unsure or int(unsure)
        if kind == "throttle":
            self.throttle(lease["destination"], delay, lease["at"])
        elif kind != "release" and not keep:
            self.since.pop(lease["destination"], None)
        if kind == "stop":
            s.ended, s.active = s.ended or "c", False
        if kind in ("done", "stop"):
            self.drop(part)
        elif s.ended:
            for _, records, _ in parts or [(part, b.records, 0)]:
                self.say_ended(b, records, b.unsure)
            self.drop(part)
        elif kind == "retry":
            self.retry(part, b, s, parts, delay)
        else:
            if kind == "split":
                self.split(part, b, parts)
            else:
                self.put_first(part)
            self.wake(s)
        return True

    def retry(self, part, b, s, parts, delay):
        b.attempts += 1
        if parts:
            del self.batches[part]
            part, b.records, b.size = parts[0]
            self.batches[part] = b
        self.parked[part] = (self.now if self.trusted else min(self.now, self.permit_until)) + delay
        if b.lane:
            s.blocked[b.lane] = part

    def split(self, part, b, parts):
        del self.batches[part]
        for name, records, size in reversed(parts):
            child = Batch(b.root, records, b.sync, b.lane, size)
            child.attempts, child.unsure = b.attempts, b.unsure
            self.batches[name] = child
            self.put_first(name)

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
