"""A quota that goes to another server: everything is taken there, nothing stays, and what an earlier stay left there goes."""
import copy

import model
import world
from scheduling import LEASE_MS, SLACK_MS

LONGEST_HOLD_MS, HOURS_MS = 6000, 3_600_000


class Moving:
    """Part of a story. Each server has a clock of its own; a worker's last claim is remembered there for a day."""

    def move(self):
        self.leave_in_order()
        old, tops = self.server, self.model.tops
        self.wipe()
        self.assert_bare(old)
        if self.snapshot and self.rng.random() < 0.5:
            old.restart()  # it comes back with what was there before
            tops = self.snapshot[0].tops
        self.tops_at[old] = copy.deepcopy(tops)
        self.server = next(s for s in self.servers if s is not old)
        self.arrive()

    def leave_in_order(self):
        """Fence to clear as after a crash; then the epoch that nobody can claim in, which tells what only Redis knows."""
        self.number("fence", [], lambda: self.model.fence())
        for worker in sorted({w for w, _ in self.held}):
            self.crash(worker, tell=False)
        self.advance(self.rng.choice([0, LEASE_MS]))
        self.number("reap", ["w", 1], lambda: self.model.reap("w", True))
        self.read_results()
        self.number("clear", [], lambda: (self.model.clear(), 0)[1])
        self.advance(LONGEST_HOLD_MS + SLACK_MS)
        self.open(changed=False, permit_ms=1)
        self.permit(permit_ms=1)
        self.save_shared()
        self.advance(2)

    def wipe(self):
        reply, _ = self.both("wipe", ["s" * 32, 10**9, 0], self.model.wipe)
        assert reply[1] == len(self.untrimmed), "all results were read"

    def wipe_in_use(self):
        """Refused at any other moment, whoever asks."""
        self.model.tick(self.clock())
        if self.model.epoch and self.model.now <= self.model.permit_until:
            assert self.call("wipe", "s" * 32, 10**9, 1) == [model.BUSY]
        if self.model.epoch:
            assert self.call("wipe", "s" * 32, 0, 0) == [model.BUSY], "Redis knows more than such a state"
            assert self.call("wipe", "t" * 32, 10**9, 0) == [model.BUSY], "it is another state's"

    def arrive(self):
        left, fresh = self.saved, model.Model()
        fresh.tops = self.tops_at.get(self.server, {})
        self.call_queue = world.Queue(self.server, self.quota)
        self.skew += self.rng.choice([-1, 1]) * self.rng.randrange(HOURS_MS)
        self.position, self.untrimmed, self.snapshot = "0-0", [], None
        assert self.call("fence")[0] == 1
        assert self.call("reap", "w", 1) == [1, 0]
        while self.call("clear")[1]:
            pass
        assert self.call("wipe", "s" * 32, 10**9, 1)[0] == 1
        self.assert_bare(self.server)
        passed = self.true - self.permit_at
        closed = [(d, left_ms - passed) for d, left_ms in self.told_closed if left_ms > passed]
        factor, factor_next = self.told_factor
        carried = (self.model.shared_version, factor, max(0, factor_next - passed), 0)
        self.model, self.lane_closed = fresh, {}
        self.open([(i, max(0, left_ms - passed), n) for i, left_ms, n in left], closed=closed, carried=carried)
        for sync, plan in self.plans.items():
            self.republish[sync] = list(plan["planned"])

    def assert_bare(self, server):
        """What stays goes by itself."""
        for key in server.redis.scan_iter(f"sluice:{{{self.quota}}}*", 1000):
            assert server.redis.pttl(key) > 0, key
