"""The scheduler's half of a story: planning, publishing, permits, results, losses and recovery."""
import copy
import hashlib
import random

import model
import world
from parts import NONE

PERMIT_MS, LEASE_MS, SLACK_MS, CAP = 10000, 6000, 20, 400
FINGERPRINTS = {"d1": "f1", "d2": "f2"}
LIMITS = [
    [],
    [("requests", 5, 1000, 0)],
    [("requests", 4, 1000, 0), ("records", 12, 5000, 0)],
    [("requests", 30, 120000, 0)],
    [("records", 10, 2000, 0), ("requests", 40, 90000, 0)],
    [("requests", 2, 1000, 2), ("requests", 6, 1000, 0)],
    [("requests", 3, 2000, 1), ("requests", 2, 3000, 2), ("records", 12, 5000, 0)],
    [("records", 9, 2000, 1), ("requests", 20, 90000, 2)],
]
NOT_SENT = 2**64 - 1


class Planned:
    def __init__(self, number, root, lane, records, size):
        self.number, self.root, self.lane, self.records, self.size = number, root, lane, records, size
        self.verdicts = {}
        self.group = self.costs = self.jobless = 0

    def open_records(self):
        return tuple(r for r in range(self.records) if r not in self.verdicts)


class Scheduling:
    def __init__(self, servers, seed, trace=False):
        self.rng = random.Random(seed)
        self.servers, self.server, self.seed, self.trace = servers, servers[0], seed, trace
        self.tops_at = {}  # server -> the workers' last claims there, before the quota left
        self.quota = f"q{seed}"
        self.call_queue = world.Queue(self.server, self.quota)
        self.model, self.receiver = model.Model(), world.Receiver()
        self.true, self.skew = 1_700_000_000_000, 0
        self.limits = self.rng.choice(LIMITS)
        self.concurrency = self.rng.choice([1, 2, 5, 8])
        self.max_open = self.rng.choice([0, 0, 1, 2, 4])
        self.steps = self.rng.random() < 0.7  # batches of several requests
        self.lane_closed = {}  # (sync, lane) -> the true instant before which nothing may be sent
        self.shared_saved, self.shared_asked = [], 0
        self.told_closed, self.told_factor = [], (1000, 0)
        self.asked_for = {}  # destination -> the true instant before which it wants nothing
        self.plans, self.republish = {}, {}
        self.position, self.untrimmed = "0-0", []
        self.runs = self.epochs = self.workers_made = 0
        self.lossy = False  # Redis forgot something: a record may be delivered and answered again
        self.permit_at, self.saved, self.granted = self.true, [], 0
        self.held = {}  # (worker, token) -> what the worker knows
        self.workers, self.tokens, self.zombies = [], {}, []
        self.snapshot = None
        for _ in range(3):
            self.new_worker()
        self.open()

    # ---- plumbing ----

    def clock(self):
        return self.true + self.skew

    def call(self, name, *args):
        reply = self.call_queue(name, self.clock(), *args)
        if self.trace:
            print(f"  {self.true - 1_700_000_000_000:>8} {name} {args} -> {reply}")
        return reply

    def both(self, name, args, expected):
        """Runs the script and the model; both refuse with the same status or both give an answer."""
        self.model.tick(self.clock())
        reply = self.call(name, *args)
        try:
            answer = expected()
        except model.Refused as refused:
            assert reply[0] == refused.status, (name, reply, refused.status)
            return None, None
        assert reply[0] == 1, (name, reply, answer)
        return reply, answer

    def number(self, name, args, expected):
        reply, answer = self.both(name, args, expected)
        if reply is not None:
            assert reply[1] == answer, (name, args, reply, answer)
        return answer

    def new_worker(self):
        self.workers_made += 1
        self.workers.append(f"w{self.workers_made}-{self.rng.randrange(100)}")

    def part_id(self, root, records, planned):
        text = world.ordset(records, planned)
        return (root if not text else f"{root}-{hashlib.sha1(text.encode()).hexdigest()[:16]}"), text

    # ---- scheduler ----

    def open(self, windows=(), changed=True, closed=(), carried=(0, 0, 0, 0), permit_ms=PERMIT_MS):
        self.epochs += 1
        self.epoch = f"e{self.epochs}"
        flat = [x for limit in self.limits for x in limit]
        saved = [x for window in windows for x in window]
        grants = [] if self.rng.random() < 0.5 else [50] * len(self.limits)
        self.granted = 50 if grants else None
        shared = list(self.shared_saved)
        args = ["s" * 32, self.epoch, "", permit_ms, self.true, "boot", self.epochs, self.concurrency, SLACK_MS, self.max_open,
                len(self.limits), *flat, len(windows), *saved, len(grants), *grants,
                len(shared), *[x for value in shared for x in value], len(closed), *[x for one in closed for x in one], *carried]
        reply, _ = self.both("open", args, lambda: self.model.open(
            "s" * 32, self.epoch, permit_ms, self.true, self.epochs, self.concurrency, SLACK_MS, self.max_open, self.limits,
            windows, shared, changed, closed, carried))
        assert reply
        for limit in self.model.limits:
            limit.grant = limit.charged + 50 if grants and limit.per > 60000 else None
        self.permit_at = self.true

    def permit(self, permit_ms=PERMIT_MS):
        grants = [self.rng.choice([3, 40])] * len(self.limits) if self.granted is not None else []
        reply, _ = self.both("permit", [self.epoch, permit_ms, self.true, "boot", 7, len(grants), *grants],
                             lambda: self.model.permit(self.epoch, permit_ms, self.true, 7, grants))
        if reply is None:
            return
        self.permit_at, self.granted = self.true, grants[0] if grants else None
        self.forget_ended()
        m = self.model
        assert reply[1] == m.now
        assert reply[2] == max([0] + [t - m.raw for t in m.closed.values()])
        assert reply[4] == m.factor_now(m.now)
        assert reply[5] == [m.used(i, m.now) for i in range(len(m.limits))]
        self.saved = [tuple(reply[6][i:i + 3]) for i in range(0, len(reply[6]), 3)]
        for i in range(len(m.limits)):
            assert sum(n for k, _, n in self.saved if k == i) == m.used(i, m.now)
        stats = {reply[7][i].decode(): reply[7][i + 1:i + 5] for i in range(0, len(reply[7]), 5)}
        assert reply[8] == m.shared_version
        assert reply[9] == m.leases_lost
        assert reply[10] == m.unwatched()
        self.told_closed = [(reply[11][i].decode(), reply[11][i + 1]) for i in range(0, len(reply[11]), 2)]
        assert dict(self.told_closed) == {d: t - m.raw for d, t in m.closed.items() if t > m.raw}
        self.told_factor = reply[4], reply[12]
        unread = self.unread()
        for s in m.syncs.values():
            mine = {p: b for p, b in m.batches.items() if b.sync == s.name}
            parked, leased = sum(p in m.parked for p in mine), sum(x["part"] in mine for x in m.leases.values())
            size = sum(b.size for b in mine.values()) + unread.get(s.name, 0)
            assert stats[s.name] == [len(mine) - parked - leased, parked, leased, size]

    def unread(self):
        self.read_results()
        out = {}
        for _, sync, size in self.untrimmed:
            out[sync] = out.get(sync, 0) + size
        return out

    def plan(self, sync):
        """A new run, when the one before has all its verdicts."""
        old = self.plans.get(sync)
        if old and any(p.open_records() for p in old["planned"]):
            return
        if old:
            left = self.number("control", [self.epoch, "forget_sync", sync],
                               lambda: self.model.control(self.epoch, "forget_sync", sync))
            if left is None:
                return
        self.runs += 1
        run, lanes = f"r{self.runs}", self.rng.random() < 0.4
        planned = []
        for number in range(1, self.rng.randint(2, 14)):
            lane = self.rng.choice(["", "L1", "L2", "L:3"]) if lanes else ""
            planned.append(Planned(number, f"{run}.{number}", lane, self.rng.choice([1, 1, 2, 5, 13]), self.rng.randint(0, 90)))
            if self.steps:
                p = planned[-1]
                p.group, p.costs = self.rng.choice([0, 0, 1, 2, 3]), self.rng.choice([0, 0, 0, NONE, 1])
                p.jobless = int(self.rng.random() < 0.2)
        self.plans[sync] = {"run": run, "planned": planned, "weight": self.rng.choice([1, 2, 4]),
                            "destination": self.rng.choice(["d1", "d2"])}
        self.republish[sync] = list(planned)

    def enqueue(self, sync):
        if sync not in self.plans or not self.republish[sync]:
            self.plan(sync)
        plan, queue = self.plans.get(sync), self.republish.get(sync, [])
        queue[:] = [p for p in queue if p.open_records()]
        if not queue:
            return
        chosen = queue[:self.rng.randint(1, 6)]
        again = [] if self.rng.random() < 0.8 else [p for p in plan["planned"] if p.number < chosen[0].number][-2:]
        words, batches = [], []
        for p in again + chosen:
            records = p.open_records()
            part, text = self.part_id(p.root, records, p.records)
            payload = f"{p.root}|{','.join(map(str, records))}".ljust(p.size, ".")
            words += [p.number, p.root, part, p.lane, text, max(1, len(records)), payload, p.group, p.costs, p.jobless]
            batches.append((p.number, p.root, part, p.lane, records, len(payload), p.group, p.costs, p.jobless))
        args = [self.epoch, sync, plan["run"], plan["destination"], FINGERPRINTS[plan["destination"]], plan["weight"], CAP,
                len(batches), *words]
        if any(p.number > self.top(sync, plan) and not p.open_records() for p in again):
            return  # it has its verdicts: a scheduler would not send it
        taken = self.number("enqueue", args, lambda: self.model.enqueue(
            self.epoch, sync, plan["run"], plan["destination"], FINGERPRINTS[plan["destination"]], plan["weight"], CAP,
            batches, self.unread().get(sync, 0)))
        if taken:
            del queue[:max(0, taken - len(again))]

    def top(self, sync, plan):
        s = self.model.syncs.get(sync)
        return s.top if s and s.run == plan["run"] else 0

    def read_results(self):
        """Folds new results into the plans, each record once."""
        for entry, root, sync, body in self.call_queue.results(self.position):
            self.position = entry
            self.untrimmed.append((entry, sync, len(body)))
            if body[:1] == b"\x9c":
                self.fold_own(root, sync, body)
            else:
                verdict, text = body.decode().split(":", 1)
                self.fold(root, sync, [int(r) for r in text.split(",") if r], verdict)

    def fold_own(self, root, sync, body):
        version, text, verdict, flags, message, requests, retries, size, status, duration, kills, entries = world.unpack(body)[0]
        p = self.find(sync, root)
        records = world.ordset_read(text, p.records)
        assert (version, requests, retries, size, status, duration, entries) == (1, 0, 0, 0, 0, 0, [])
        got = (root, sync, {"records": records, "verdict": {4: "failed", 5: "cancelled"}[verdict],
                            "doubt": bool(flags & 1), "kills": kills})
        assert got in self.model.results, (got, self.model.results)
        self.model.results.remove(got)
        self.fold(root, sync, records, got[2]["verdict"])

    def find(self, sync, root):
        return next((p for p in self.plans[sync]["planned"] if p.root == root), None)

    def fold(self, root, sync, records, verdict):
        p = self.find(sync, root)
        if p is None:
            assert self.lossy, f"a result of a run that was over: {root}"
            return
        for record in records:
            assert self.lossy or record not in p.verdicts, f"{root}/{record} has two verdicts"
            p.verdicts.setdefault(record, verdict)

    def trim(self):
        self.read_results()
        if not self.untrimmed:
            return
        k = self.rng.randrange(len(self.untrimmed))
        reply = self.call("trim", self.epoch, self.untrimmed[k][0])
        if self.model.epoch is None:
            assert reply == [-1]
            return
        assert reply == [1, 0]
        del self.untrimmed[:k + 1]

    def control(self):
        what = self.rng.choice(["pause_sync", "resume_sync", "resume_sync", "pause_destination", "resume_destination",
                                "resume_destination", "cancel_sync", "fail_sync"])
        name = self.rng.choice(["d1", "d2"]) if "destination" in what else self.rng.choice("ABCD")
        if what in ("cancel_sync", "fail_sync"):
            if self.rng.random() < 0.6:
                return
        left = self.number("control", [self.epoch, what, name], lambda: self.model.control(self.epoch, what, name))
        if left is not None and what in ("cancel_sync", "fail_sync") and name in self.plans:
            self.cancel_unpublished(name)

    def cancel_unpublished(self, name):
        """What never reached Redis gets its verdict from the scheduler itself."""
        s = self.model.syncs.get(name)
        if s is None or s.run != self.plans[name]["run"]:
            return
        for p in self.republish[name]:
            if p.number > s.top:
                for r in p.open_records():
                    p.verdicts[r] = "cancelled"
        self.republish[name] = []

    def recover(self, loss):
        """Section 5 of the design: fence, wait or declare dead, drain, clear, open, publish again."""
        if loss == "flush":
            self.server.redis.delete(*self.server.redis.keys(f"sluice:{{{self.quota}}}*"))
            self.model, self.lossy, self.position, self.untrimmed = model.Model(), True, "0-0", []
            self.lane_closed, self.asked_for = {}, {}
        elif loss == "restore":
            self.restore()
        self.number("fence", [], lambda: self.model.fence())
        for worker in sorted({w for w, _ in self.held}):
            self.crash(worker, tell=False)
        wait = self.rng.choice([0, 5000, PERMIT_MS + LEASE_MS]) if not loss else PERMIT_MS + LEASE_MS
        self.advance(wait)
        if wait < LEASE_MS or self.rng.random() < 0.5:
            self.number("reap", ["w", 1], lambda: self.model.reap("w", True))
        self.read_results()
        if self.rng.random() < 0.5:
            self.number("clear", [], lambda: (self.model.clear(), 0)[1])
        else:
            self.both("clear", [], lambda: self.model.clear())
        windows = self.windows_after_loss() if loss else []
        if loss and self.limits:
            self.open(windows)
        else:
            self.open(windows, changed=bool(loss))
        for sync, plan in self.plans.items():
            self.republish[sync] = list(plan["planned"])

    def save(self):
        self.read_results()
        self.server.redis.save()
        self.snapshot = copy.deepcopy((self.model, self.position, self.untrimmed))

    def restore(self):
        """The server is killed and comes back with what it once wrote to its disk."""
        self.server.restart()
        self.model, self.position, self.untrimmed = copy.deepcopy(self.snapshot)
        self.lossy, self.lane_closed, self.asked_for = True, {}, {}
        self.model.tick(self.clock())
        reply = self.call("claim", "w0", 1, LEASE_MS, self.true, 0)
        assert reply[0] < 0, "a claim on a server that has lost writes"

    def windows_after_loss(self):
        """What may have been sent counts as sent now: all of a short window, the grant of a long one."""
        gone = self.true - self.permit_at
        out = [(i, max(0, left - gone) + SLACK_MS, n) for i, left, n in self.saved
               if self.limits[i][2] > 60000 and self.granted is not None]
        for i, (_, count, per, _) in enumerate(self.limits):
            short = per <= 60000 or self.granted is None
            out.append((i, per + SLACK_MS, count if short else self.granted))
        return out

    # ---- shared values ----

    def share(self):
        """A worker looks up, locks or stores something that all of them use."""
        name, holder = self.rng.choice(["token", "audience"]), self.rng.choice(self.workers)
        op = self.rng.choice(["get", "lock", "lock", "put", "put", "unlock"])
        m = self.model
        m.tick(self.clock())
        if op == "get":
            words, given = [], {}
        elif op == "unlock":
            words, given = [holder], {"holder": holder}
        elif op == "lock":
            ttl = self.rng.choice([500, 5000])
            words, given = [holder, ttl], {"holder": holder, "ttl": ttl}
        else:
            version = self.rng.choice([None, 0, m.shared_entry(name)["version"], m.shared_version])
            value = self.rng.choice(["", "a", "b" * 100])
            expire, durable = self.rng.choice([0, 0, 3000, 60000]), self.rng.random() < 0.5
            words = [holder, "" if version is None else version, value, expire, int(durable)]
            given = {"holder": holder, "version": version, "value": value, "expire": expire, "durable": durable}
        reply, answer = self.both("shared", [op, name, *words], lambda: m.shared_call(op, name, **given))
        if reply is not None:
            reply = [x.decode() if isinstance(x, bytes) else x for x in reply[1:]]
            assert reply == answer, (op, name, given, reply, answer)

    def save_shared(self):
        """The scheduler keeps the durable ones."""
        reply, answer = self.both("shared", ["all", ""], lambda: self.model.shared_durable() if self.model.epoch else self.model.refuse())
        if reply is None:
            return
        assert reply[1] == self.model.shared_version
        flat = reply[2]
        got = {flat[i].decode(): (flat[i + 1].decode(), flat[i + 2], flat[i + 3]) for i in range(0, len(flat), 4)}
        assert got == answer, (got, answer)
        self.shared_saved = [(name, *rest) for name, rest in got.items()]
