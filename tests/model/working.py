"""The workers' half of a story: claims, deliveries, settles of every kind, crashes and late answers."""
import model
import parts
import world
from claiming import WATCH_MS
from scheduling import FINGERPRINTS, LEASE_MS, NOT_SENT, Scheduling


class Working(Scheduling):
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
            self.judge_wait(reply[2], abilities, self.model.told(worker, reply[2], abilities), worker)
            assert bool(reply[3]) == (answer[1] and reply[2] == -1), (reply, answer)
        else:
            self.judge_batch(reply, answer[1], worker, token)

    def judge_batch(self, reply, part, worker, token):
        m = self.model
        b = m.batches[part]
        _, _, epoch, root, got_part, text, sync, destination, payload, n, attempts, kills, unsure, progress = reply
        assert got_part.decode() == part and root.decode() == b.root and sync.decode() == b.sync
        assert (n, attempts, kills, unsure) == (len(b.records), b.attempts, b.kills, b.unsure)
        assert progress.decode() == b.progress
        name, _, records = payload.decode().rstrip(".").partition("|")
        p = self.find(b.sync, b.root)
        assert name == b.root and tuple(int(r) for r in records.split(",")) == b.records == world.ordset_read(text.decode(), p.records)
        if (worker, token) not in self.held:
            assert self.true >= self.asked_for.get(destination, 0), f"{part} is handed out before its destination wants it"
            self.judge_order(p, b, worker, token)
            self.held[worker, token] = {"part": part, "planned": p, "records": b.records, "lease": self.true + LEASE_MS,
                                        "sent": None, "epoch": epoch.decode(), "sync": b.sync, "lane": b.lane,
                                        "group": b.group, "costs": b.costs, "refresh": False, "destination": destination}
            if m.max_open:
                assert m.places_taken() <= m.max_open, "more jobs than the destination takes"

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

    def judge_wait(self, wait, abilities, other, worker):
        """Never late; early only where something else opens first that turns out not to fit. No time at all only where
        there is none, or another worker asks by then."""
        m = self.model
        first = m.first_time(abilities)
        if wait == -1 and first is not None:
            assert other and other[1] not in ("", worker), f"nobody asks, and something may run in {m.wait(first)}"
            assert other[0] <= m.raw + min(m.wait(first), WATCH_MS), f"{other} asks too late: {m.wait(first)}"
            return
        events = {t for t in m.parked.values() if t < model.INF} | set(m.closed.values())
        if m.factor_now(m.now) < 1000:
            events |= {m.factor_since + 10000 * k for k in range(1, 11)}
        if any(limit.group for limit in m.limits):
            events |= {t for limit in m.limits for t in limit.back}  # then others may overtake
        if first is not None:
            assert 0 < wait <= m.wait(first), f"oversleeps: {wait}, {m.wait(first)}"
            grant = any(limit.grant is not None for limit in m.limits) and wait <= 1000
            early = wait < m.wait(first) and not any(m.now < t and m.wait(t) <= wait for t in events)
            full = m.leases and (len(m.leases) >= m.concurrency_now() or m.full())
            assert not early or grant or full, f"early: {wait}, {m.wait(first)}"
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
            # A token was refreshed in place of what the batch would have sent.
            lease["refresh"] = self.steps and self.rng.random() < 0.1
            closed = self.lane_closed.get((lease["sync"], lease["lane"]), 0)
            assert self.true >= closed, f"{lease['part']} is sent while its lane is held until {closed}"
            self.receiver.request(self.true, 0 if lease["refresh"] else lease["costs"], lease["group"])

    def settle(self, lease_id=None, kind=None, with_claim=None):
        if lease_id is None:
            if not self.held:
                return
            lease_id = self.rng.choice(sorted(self.held))
        held = self.held.pop(lease_id)
        sent = held["sent"] is not None
        kinds = ["done"] * 5 + ["retry"] * 2 + ["throttle", "split", "release"] if sent else ["release", "release", "split"]
        if sent and self.steps:
            kinds += ["continue"] * 6
        kind = kind or self.rng.choice(kinds)
        if sent and kind == "release":
            kind = "retry"
        if kind == "split" and len(held["records"]) < 2:
            kind = "done" if sent else "release"
        if kind == "done" and self.rng.random() < 0.02:
            kind = "stop"
        worker, token = lease_id
        result, words, pieces = self.outcome(held, kind)
        delay = self.rng.choice([0, 100, 700, 4000, 20000])
        unsure, keep = int(sent and self.rng.random() < 0.3), int(self.rng.random() < 0.3)
        age = self.true - held["sent"] if sent else NOT_SENT
        step = self.step_of(held, kind)
        args = [held["epoch"], worker, token, kind, delay, unsure, age, keep, result, len(pieces), *words, *step.words()]
        next_claim = None
        if self.rng.random() < 0.5 if with_claim is None else with_claim:
            abilities = self.abilities()
            next_token, claim_args = self.claim_args(worker, abilities)
            next_claim = next_token, abilities
            args += claim_args
        self.model.tick(self.clock())
        reply = self.call("settle", *args)
        settled = self.model.settle(held["epoch"], worker, token, kind, delay, unsure, min(age, 10**15), keep, pieces, step)
        assert reply[:2] == [1, int(settled)], (reply, settled)
        if settled and step.hold and held["lane"] and sent:
            at = held["sync"], held["lane"]
            self.lane_closed[at] = max(self.lane_closed.get(at, 0), held["sent"] + step.hold)
        if settled and kind != "release":
            wanted = self.true + max(step.pause, delay if kind == "throttle" else 0)
            self.asked_for[held["destination"]] = max(self.asked_for.get(held["destination"], 0), wanted)
        if settled and kind == "stop":
            self.cancel_unpublished(held["sync"])
        if next_claim:
            self.judge_claim(reply[2], worker, next_claim[0], next_claim[1])
        else:
            assert reply[2] is None
        if self.rng.random() < 0.05:
            self.settle_again(args, settled)

    def settle_again(self, args, settled):
        end = 10 + 4 * args[9]
        end += 1 + 7 * args[end]
        reply = self.call("settle", *args[:end])
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
        elif kind in ("retry", "continue") and len(records) > 1 and self.rng.random() < 0.6:
            still = tuple(sorted(self.rng.sample(records, self.rng.randrange(1, len(records)))))
            pieces, result = [still], text([r for r in records if r not in still])
        else:
            pieces, result = [], ""
        words, made = [], []
        for piece in pieces:
            part, ordset = self.part_id(p.root, piece, p.records)
            payload = f"{p.root}|{','.join(map(str, piece))}"
            words += [part, ordset, payload, len(piece)]
            made.append((part, piece, len(payload)))
        return result, words, made

    def step_of(self, held, kind):
        """What the settle says about the batch's next request."""
        if not self.steps:
            return parts.Step()
        step = parts.Step(uncharge=int(held["refresh"]))
        if kind in ("retry", "continue", "throttle", "split"):
            step.progress = self.rng.choice(["", "job-17", "x" * 40])
            step.group, step.costs = self.rng.choice([0, 0, 1, 2, 3]), self.rng.choice([0, 0, parts.NONE, 2])
            step.open = int(self.rng.random() < 0.5)
        if kind != "release":
            step.pause = self.rng.choice([0] * 9 + [900])
            step.hold = self.rng.choice([0, 0, 0, 1000, 6000])
        return step

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
                reply = self.call("settle", held["epoch"], *lease_id, "done", 0, 0, 0, 0, "ok:0", 0, 0)
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
