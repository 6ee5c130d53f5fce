"""A modelled worker: what sluice-worker asks Redis and when (worker/pump.c, servers.c, claim/quota.c), with requests that
take their time and send nothing."""
from scripts_redis import encode

POLL_MS, POLL_MAX_MS, WAIT_MAX_MS = 1000, 8000, 5000
ASKS_FIRST, ASKS = 16, 1
SLOTS, SLOTS_PER_QUOTA = 32, 2
WAKE_KEY, WAKE_ENTRIES = "sluice:wake", 64
RESULT = b"r" * 40


def wake(world, wire, quota):
    """Pushes the quota's name: the worker that waits longest gets it, or the next one that waits."""
    server = quota.server

    def pushed(_):
        if server.waits:
            worker, name = server.served()
            worker.called(server, name)
        else:
            server.listed = min(WAKE_ENTRIES, server.listed + 1)
    world.send(wire, "wake", encode("RPUSH", WAKE_KEY, quota.name), pushed)
    world.send(wire, "wake_trim", encode("LTRIM", WAKE_KEY, -WAKE_ENTRIES, -1))


class Hold:
    """A quota in a worker's eyes; only those that it ever asked have one."""

    def __init__(self, quota):
        self.quota, self.token, self.held, self.asking, self.ask_at, self.called = quota, 0, 0, False, None, -1


class Worker:
    def __init__(self, world, name, quotas, wires, rng, lease_ms, latency):
        self.world, self.name, self.quotas, self.rng = world, name, quotas, rng
        self.wires, self.waits = wires, {}  # server → connection
        self.lease_ms, self.latency = lease_ms, latency
        self.slots = self.free = max(SLOTS, SLOTS_PER_QUOTA * len(quotas))
        self.holds, self.busy, self.turn = {}, 0, rng.randrange(len(quotas))
        self.polls, self.round = {}, {}
        self.alive, self.leased = True, set()

    def wait_at(self, waits):
        """server → the connection for its wake list."""
        self.waits, self.polls, self.round = waits, dict.fromkeys(waits, POLL_MS), dict.fromkeys(waits, 0)

    # ---- who is asked ----

    def start(self):
        self.ask_some(ASKS_FIRST)
        for server in self.waits:
            self.wait(server)

    def ask_some(self, asks):
        for _ in range(len(self.quotas)):
            hold = self.hold(self.quotas[self.turn])
            self.turn = (self.turn + 1) % len(self.quotas)
            if hold.ask_at is None and not hold.asking:
                self.ask(hold)
                asks -= 1
                if not asks:
                    return

    def hold(self, quota):
        if quota not in self.holds:
            self.holds[quota] = Hold(quota)
        return self.holds[quota]

    def may_take(self, hold, held, free):
        """One slot stays for each quota that holds none. (That others could run at the same moment is rare.)"""
        reserved = len(self.quotas) - self.busy - (hold.held == 0)
        return free > 0 and (held == 0 or free > reserved)

    def ask(self, hold):
        if not self.alive or hold.asking:
            return
        hold.ask_at = self.world.now
        if not self.may_take(hold, hold.held, self.free):
            wake(self.world, self.wires[hold.quota.server], hold.quota)
            return
        self.take(hold, 1)
        hold.asking = True
        words, asked = self.claim_args(hold), self.world.now
        self.world.script(self.wires[hold.quota.server], hold.quota, "claim", *words,
                          then=lambda reply: self.claimed(hold, words[1], reply, asked, True))

    def take(self, hold, n):
        self.busy += (hold.held == 0) * (n > 0) - (hold.held == 1) * (n < 0)
        hold.held += n
        self.free -= n

    def claim_args(self, hold):
        hold.token += 1
        return [self.name, hold.token, self.lease_ms, self.world.now, 1, hold.quota.name, "f1"]

    def claimed(self, hold, token, reply, asked_ms, asks):
        if asks:
            hold.asking = False
        if reply[0] == 1 and reply[1] == 1:
            self.world.counts["got"] += 1
            self.deliver(hold, token, reply)
            if asks:
                self.ask(hold)
            return
        self.world.counts["refused" if reply[0] != 1 else "nothing"] += 1
        self.take(hold, -1)
        wait = reply[2] if reply[0] == 1 else -1
        if hold.called >= asked_ms:
            hold.called = -1
            self.world.at(self.world.now + 1, self.ask, hold)
        elif wait < 0:
            hold.ask_at = None
        else:
            hold.ask_at = self.world.now + min(wait, WAIT_MAX_MS)
            self.world.at(hold.ask_at, self.due, hold, hold.ask_at)

    def due(self, hold, when):
        if hold.ask_at == when:
            self.ask(hold)

    # ---- a batch ----

    def deliver(self, hold, token, reply):
        epoch, part = reply[2], reply[4]
        self.leased.add((hold.quota, part))
        hold.quota.receives(self.world.now, part, self)
        self.world.after(self.latency(self.rng), self.finish, hold, epoch, part, token, self.world.now)

    def finish(self, hold, epoch, part, token, sent):
        if not self.alive:
            return
        self.leased.discard((hold.quota, part))
        age = max(0, self.world.now - sent - 1)
        words = [epoch, self.name, token, "done", 0, 0, age, 0, RESULT, 0, 0]
        following = self.claim_args(hold) if self.may_take(hold, hold.held - 1, self.free + 1) else []

        def settled(reply, asked=self.world.now):
            assert reply[:2] == [1, 1], reply
            if following:
                self.claimed(hold, following[1], reply[2], asked, False)
            else:
                self.take(hold, -1)
                self.ask(hold)
        self.world.script(self.wires[hold.quota.server], hold.quota, "settle", *words, *following, then=settled)

    # ---- the wake lists ----

    def wait(self, server):
        """A call on the wake list, which lasts until called() or late()."""
        self.world.counts["wait"] += 1
        self.waits[server].sock.sendall(encode("BLPOP", WAKE_KEY, 0))
        self.round[server] += 1
        server.waits.add(self)
        self.world.after(self.polls[server], self.late, server, self.round[server])
        if server.listed:
            server.listed -= 1
            worker, name = server.served()
            self.world.at(self.world.now, worker.called, server, name)

    def called(self, server, name):
        if not self.alive:
            return
        self.world.counts["called"] += 1
        self.polls[server], hold = POLL_MS, self.hold(server.quotas[name])
        hold.called = self.world.now if hold.asking else -1
        self.ask(hold)
        self.wait(server)

    def late(self, server, round_):
        if not self.alive or self.round[server] != round_ or self not in server.waits:
            return
        self.world.counts["late"] += 1
        server.give_up(self)
        self.polls[server] = min(POLL_MAX_MS, self.polls[server] * 2)
        self.ask_some(ASKS)
        self.wait(server)

    def kill(self):
        """As kill -9: what it leased stays leased, its connections are gone."""
        self.alive = False
        for server in self.waits:
            server.lose(self)
