"""Random operations on the real scripts, compared call by call with model.py and judged by a receiving end.

    /usr/bin/python3 -m pytest tests/model                 a minute of random seeds
    SLUICE_LONG=1 …                                        twenty minutes
    /usr/bin/python3 tests/model/test_queue.py --seed N --steps M     one story again
"""
import argparse
import copy
import hashlib
import os
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import model  # noqa: E402
import world  # noqa: E402

PERMIT_MS, LEASE_MS, SLACK_MS, CAP = 10000, 6000, 20, 400
FINGERPRINTS = {"d1": "f1", "d2": "f2"}
LIMITS = [
    [],
    [("requests", 5, 1000)],
    [("requests", 4, 1000), ("records", 12, 5000)],
    [("requests", 30, 120000)],
    [("records", 10, 2000), ("requests", 40, 90000)],
]
NOT_SENT = 2**64 - 1


class Planned:
    def __init__(self, number, root, lane, records, size):
        self.number, self.root, self.lane, self.records, self.size = number, root, lane, records, size
        self.verdicts = {}

    def open_records(self):
        return tuple(r for r in range(self.records) if r not in self.verdicts)


class Story:
    def __init__(self, server, seed, trace=False):
        self.rng = random.Random(seed)
        self.server, self.seed, self.trace = server, seed, trace
        self.quota = f"q{seed}"
        self.call_queue = world.Queue(server, self.quota)
        self.model, self.receiver = model.Model(), world.Receiver()
        self.true, self.skew = 1_700_000_000_000, 0
        self.limits = self.rng.choice(LIMITS)
        self.concurrency = self.rng.choice([1, 2, 5, 8])
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

    def open(self, windows=(), changed=True):
        self.epochs += 1
        self.epoch = f"e{self.epochs}"
        flat = [x for limit in self.limits for x in limit]
        saved = [x for window in windows for x in window]
        grants = [] if self.rng.random() < 0.5 else [50] * len(self.limits)
        self.granted = 50 if grants else None
        args = ["s" * 32, self.epoch, "", PERMIT_MS, self.true, "boot", self.epochs, self.concurrency, SLACK_MS, len(self.limits),
                *flat, len(windows), *saved, len(grants), *grants]
        reply, _ = self.both("open", args, lambda: self.model.open(
            "s" * 32, self.epoch, PERMIT_MS, self.true, self.epochs, self.concurrency, SLACK_MS, self.limits, windows, changed))
        assert reply
        for limit in self.model.limits:
            limit.grant = limit.charged + 50 if grants and limit.per > 60000 else None
        self.permit_at = self.true

    def permit(self):
        grants = [self.rng.choice([3, 40])] * len(self.limits) if self.granted is not None else []
        reply, _ = self.both("permit", [self.epoch, PERMIT_MS, self.true, "boot", 7, len(grants), *grants],
                             lambda: self.model.permit(self.epoch, PERMIT_MS, self.true, 7, grants))
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
            words += [p.number, p.root, part, p.lane, text, max(1, len(records)), payload]
            batches.append((p.number, p.root, part, p.lane, records, len(payload)))
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
        self.lossy = True
        self.model.tick(self.clock())
        reply = self.call("claim", "w0", 1, LEASE_MS, self.true, 0)
        assert reply[0] < 0, "a claim on a server that has lost writes"

    def windows_after_loss(self):
        """What may have been sent counts as sent now: all of a short window, the grant of a long one."""
        gone = self.true - self.permit_at
        out = [(i, max(0, left - gone) + SLACK_MS, n) for i, left, n in self.saved
               if self.limits[i][2] > 60000 and self.granted is not None]
        for i, (_, count, per) in enumerate(self.limits):
            short = per <= 60000 or self.granted is None
            out.append((i, per + SLACK_MS, count if short else self.granted))
        return out

    # ---- workers ----

    def abilities(self):
        return self.rng.choice([FINGERPRINTS] * 6 + [{"d1": "f1"}, {"d2": "old"}, {"d1": "f1", "d2": "new"}])

    def claim_args(self, worker, abilities):
        repeat = [t for w, t in self.held if w == worker]
        kind = self.rng.random()
        if kind < 0.07 and repeat:
            token = self.rng.choice(repeat)
        elif kind < 0.1 and self.tokens.get(worker):
            token = self.rng.randint(1, self.tokens[worker])
        else:
            token = self.tokens[worker] = self.tokens.get(worker, 0) + 1
        return token, [worker, token, LEASE_MS, self.true, len(abilities), *[x for pair in abilities.items() for x in pair]]

    def judge_claim(self, reply, worker, token, abilities):
        """Compares an answer with the model's and notes what the worker now holds."""
        try:
            answer = self.model.claim(worker, token, LEASE_MS, self.true, abilities)
        except model.Refused as refused:
            assert reply == [refused.status], (reply, refused.status)
            return
        assert reply[0] == 1, (reply, answer)
        if answer[0] == "stale":
            assert reply[1:] == [0, 0, 0, 1]
        elif answer[0] == "none":
            assert reply[1] == 0, (reply, answer)
            self.judge_wait(reply[2], abilities)
            assert bool(reply[3]) == (answer[1] and reply[2] == -1), (reply, answer)
        else:
            self.judge_batch(reply, answer[1], worker, token)

    def judge_batch(self, reply, part, worker, token):
        m = self.model
        b = m.batches[part]
        _, _, epoch, root, got_part, text, sync, destination, payload, n, attempts, kills, unsure = reply
        assert got_part.decode() == part and root.decode() == b.root and sync.decode() == b.sync
        assert (n, attempts, kills, unsure) == (len(b.records), b.attempts, b.kills, b.unsure)
        name, _, records = payload.decode().rstrip(".").partition("|")
        p = self.find(b.sync, b.root)
        assert name == b.root and tuple(int(r) for r in records.split(",")) == b.records == world.ordset_read(text.decode(), p.records)
        if (worker, token) not in self.held:
            self.judge_order(p, b, worker, token)
            self.held[worker, token] = {"part": part, "planned": p, "records": b.records, "lease": self.true + LEASE_MS,
                                        "sent": None, "epoch": epoch.decode(), "sync": b.sync, "lane": b.lane}

    def judge_order(self, p, b, worker, token):
        """No record is in two hands, and a lane is in order and one at a time."""
        for other in self.held.values():
            if other["planned"].root == b.root:
                assert not set(other["records"]) & set(b.records), "a record is in two hands"
            if b.lane and other["sync"] == b.sync:
                assert other["lane"] != b.lane, "two of a lane in flight"
        if b.lane:
            self.read_results()
            for earlier in self.plans[b.sync]["planned"]:
                if earlier.lane == b.lane and earlier.number < p.number:
                    assert not earlier.open_records(), f"{p.root} overtakes {earlier.root}"

    def judge_wait(self, wait, abilities):
        """Never late; early only where something else opens first that turns out not to fit."""
        m = self.model
        first = m.first_time(abilities)
        events = set(m.parked.values()) | set(m.closed.values())
        if m.factor_now(m.now) < 1000:
            events |= {m.factor_since + 10000 * k for k in range(1, 11)}
        if first is not None:
            assert 0 < wait <= m.wait(first), f"oversleeps: {wait}, {m.wait(first)}"
            grant = any(limit.grant is not None for limit in m.limits) and wait <= 1000
            early = wait < m.wait(first) and not any(m.now < t and m.wait(t) <= wait for t in events)
            assert not early or grant or (m.leases and len(m.leases) >= m.concurrency_now()), f"early: {wait}, {m.wait(first)}"
        elif wait != -1:
            assert wait >= 1

    def claim(self, worker=None):
        worker = worker or self.rng.choice(self.workers)
        abilities = self.abilities()
        token, args = self.claim_args(worker, abilities)
        self.model.tick(self.clock())
        self.judge_claim(self.call("claim", *args), worker, token, abilities)

    def send(self, lease=None):
        waiting = [h for h in self.held.values() if h["sent"] is None and self.true < h["lease"] - 1000]
        if waiting:
            lease = self.rng.choice(waiting)
            lease["sent"] = self.true
            self.receiver.request(self.true, len(lease["records"]))

    def settle(self, lease_id=None, kind=None, with_claim=None):
        if lease_id is None:
            if not self.held:
                return
            lease_id = self.rng.choice(sorted(self.held))
        held = self.held.pop(lease_id)
        sent = held["sent"] is not None
        kinds = ["done"] * 5 + ["retry"] * 2 + ["throttle", "split", "release"] if sent else ["release", "release", "split"]
        kind = kind or self.rng.choice(kinds)
        if sent and kind == "release":
            kind = "retry"
        if kind == "split" and len(held["records"]) < 2:
            kind = "done" if sent else "release"
        if kind == "done" and self.rng.random() < 0.02:
            kind = "stop"
        worker, token = lease_id
        result, words, parts = self.outcome(held, kind)
        delay = self.rng.choice([0, 100, 700, 4000, 20000])
        unsure, keep = int(sent and self.rng.random() < 0.3), int(self.rng.random() < 0.3)
        age = self.true - held["sent"] if sent else NOT_SENT
        args = [held["epoch"], worker, token, kind, delay, unsure, age, keep, result, len(parts), *words]
        next_claim = None
        if self.rng.random() < 0.5 if with_claim is None else with_claim:
            abilities = self.abilities()
            next_token, claim_args = self.claim_args(worker, abilities)
            next_claim = next_token, abilities
            args += claim_args
        self.model.tick(self.clock())
        reply = self.call("settle", *args)
        settled = self.model.settle(held["epoch"], worker, token, kind, delay, unsure, min(age, 10**15), keep, parts)
        assert reply[:2] == [1, int(settled)], (reply, settled)
        if settled and kind == "stop":
            self.cancel_unpublished(held["sync"])
        if next_claim:
            self.judge_claim(reply[2], worker, next_claim[0], next_claim[1])
        else:
            assert reply[2] is None
        if self.rng.random() < 0.05:
            self.settle_again(args, settled)

    def settle_again(self, args, settled):
        reply = self.call("settle", *args[:10], *args[10:10 + 4 * args[9]])
        assert reply[:2] == [1, 0], "a token settles twice"

    def outcome(self, held, kind):
        """The worker's result and the parts that stay."""
        p, records = held["planned"], held["records"]
        text = lambda rs: "ok:" + ",".join(map(str, rs))
        if kind in ("done", "stop"):
            return text(records), [], []
        if kind == "split":
            cut = self.rng.randrange(1, len(records))
            pieces, result = [records[:cut], records[cut:]], ""
        elif kind == "retry" and len(records) > 1 and self.rng.random() < 0.6:
            still = tuple(sorted(self.rng.sample(records, self.rng.randrange(1, len(records)))))
            pieces, result = [still], text([r for r in records if r not in still])
        else:
            pieces, result = [], ""
        words, parts = [], []
        for piece in pieces:
            part, ordset = self.part_id(p.root, piece, p.records)
            payload = f"{p.root}|{','.join(map(str, piece))}"
            words += [part, ordset, payload, len(piece)]
            parts.append((part, piece, len(payload)))
        return result, words, parts

    def crash(self, worker, tell=True):
        """The worker dies; what it held may have been sent."""
        for lease_id in [i for i in self.held if i[0] == worker]:
            self.zombies.append((lease_id, self.held.pop(lease_id)))
        if worker in self.workers:
            self.workers.remove(worker)
            self.new_worker()
            self.permit()  # a worker's first claim cannot tell a jump
        if tell:
            self.number("reap", [worker, 1], lambda: self.model.reap(worker, True))

    def zombie(self):
        """A settle of a lease that ended meanwhile changes nothing; one that did not is as good as any."""
        if self.zombies:
            lease_id, held = self.zombies.pop(self.rng.randrange(len(self.zombies)))
            if lease_id not in self.model.leases or held["epoch"] != self.model.epoch:
                reply = self.call("settle", held["epoch"], *lease_id, "done", 0, 0, 0, 0, "ok:0", 0)
                assert reply == [1, 0, None]

    def reap(self):
        self.number("reap", ["", 0], lambda: self.model.reap("", False))
        self.forget_ended()

    def forget_ended(self):
        """A worker stops by its own clock before its lease ends."""
        for lease_id in [i for i, h in self.held.items() if i not in self.model.leases]:
            held = self.held.pop(lease_id)
            assert self.true >= held["lease"] - 1000 or held["epoch"] != self.model.epoch, "a lease ended early"
            self.zombies.append((lease_id, held))

    def beat(self):
        worker = self.rng.choice(self.workers)
        tokens = [t for w, t in self.held if w == worker] + [10**6]
        held = self.number("beat", [worker, LEASE_MS, *tokens], lambda: self.model.beat(worker, tokens, LEASE_MS))
        if held:
            for w, t in self.held:
                if w == worker:
                    self.held[w, t]["lease"] = max(self.held[w, t]["lease"], self.true + LEASE_MS)

    # ---- time ----

    def advance(self, ms):
        self.true += ms

    def pass_time(self):
        self.advance(self.rng.choice([0, 1, 3, 30, 200, 900, 2500]))
        if self.true - self.permit_at > 4000 and self.rng.random() < 0.95:
            self.permit()

    def jump(self):
        """Any jump shows against the monotonic clock of a worker that has claimed before."""
        while any(w not in self.model.tops or self.model.tops[w][1] is None for w in self.workers):
            self.permit()
            if self.rng.random() < 0.2:
                return
            self.claim(self.rng.choice(self.workers))
        self.skew += self.rng.choice([-1, 1]) * self.rng.choice([600, 1500, 5000, 9000, 60_000, 3_600_000])
        if self.rng.random() < 0.3:
            self.reap()

    # ---- the story ----

    def step(self):
        ops = [(self.claim, 30), (self.settle, 22), (self.send, 30), (lambda: self.enqueue(self.rng.choice("ABCD")), 14),
               (self.pass_time, 25), (self.permit, 2), (self.reap, 3), (self.beat, 2), (self.trim, 3), (self.control, 4),
               (self.zombie, 2), (self.jump, 1), (lambda: self.crash(self.rng.choice(self.workers)), 1),
               (self.lose, 0.3), (self.save, 0.1)]
        self.rng.choices([op for op, _ in ops], [weight for _, weight in ops])[0]()
        self.check()

    def lose(self):
        losses = [None, None, "flush"] + (["restore"] if self.snapshot else [])
        self.recover(self.rng.choice(losses))

    def check(self):
        reply = self.call_queue("audit", self.clock())
        assert reply[1] == 0, reply[2].decode()

    def drain(self):
        """Everything is let go; every record must get its verdict."""
        self.permit()
        if self.model.fenced or self.model.epoch is None:
            self.recover(None)
        for name in "ABCD":
            self.number("control", [self.epoch, "resume_sync", name], lambda: self.model.control(self.epoch, "resume_sync", name))
        for d in FINGERPRINTS:
            self.number("control", [self.epoch, "resume_destination", d], lambda: self.model.control(self.epoch, "resume_destination", d))
        self.rng.seed(1)
        for turn in range(20000):
            if turn % 8 == 0:
                self.read_results()
                if all(not p.open_records() for plan in self.plans.values() for p in plan["planned"]):
                    return self.end()
            self.advance(self.rng.choice([1, 100, 800]))
            if turn % 4 == 0:
                self.permit()
                self.reap()
                self.trim()
            for sync in "ABCD":
                if sync in self.plans and self.republish[sync]:
                    self.enqueue(sync)
            self.claim()
            for s in self.model.syncs.values():
                if s.ended:
                    self.number("control", [self.epoch, "cancel_sync", s.name],
                                lambda name=s.name: self.model.control(self.epoch, "cancel_sync", name))
            self.send()
            sent = [i for i, h in self.held.items() if h["sent"] is not None]
            if sent:
                self.settle(sent[0], "done", False)
        raise AssertionError("does not drain: " + str([p.root for x in self.plans.values() for p in x["planned"] if p.open_records()]))

    def end(self):
        self.check()
        for kind, count, per in self.limits:
            worst, requests = self.receiver.worst(kind, per)
            assert worst <= count or requests == 1, f"{worst} {kind} in {per} ms, allowed {count}"
        assert not self.model.results, f"verdicts of the queue that never came: {self.model.results}"

    def play(self, steps):
        try:
            for _ in range(steps):
                self.step()
            self.drain()
        except BaseException:
            print(f"replay: /usr/bin/python3 tests/model/test_queue.py --seed {self.seed} --steps {steps}")
            raise
        finally:
            keys = self.server.redis.keys(f"sluice:{{{self.quota}}}*")
            if keys:
                self.server.redis.delete(*keys)


def test_random_operations_keep_every_promise():
    seconds = 1200 if os.environ.get("SLUICE_LONG") else 40
    seed = int(os.environ.get("SLUICE_SEED", random.SystemRandom().randrange(10**6)))
    server, end, stories = world.Server(), time.monotonic() + seconds, 0
    print("first seed", seed)
    try:
        while time.monotonic() < end:
            Story(server, seed + stories).play(400)
            stories += 1
    finally:
        server.stop()
    assert stories > 5


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--stories", type=int, default=1)
    options = parser.parse_args()
    one = world.Server()
    try:
        for k in range(options.stories):
            Story(one, options.seed + k, options.trace).play(options.steps)
    finally:
        one.stop()
