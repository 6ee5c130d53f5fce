"""Rate limits as vendors count them: sliding windows, windows aligned to the clock, and calls at once.

Every arrival is counted, refused ones too: a limiter that keeps its promise never sends the one too many. The clock is
the arrival's: the moment the request's last byte was read. TOLERANCE_S is what the way there may add (it equals the
slack that the sender promises to keep in hand): a sliding window is judged TOLERANCE_S shorter than it is, and an arrival up
to TOLERANCE_S after the turn of an aligned window may still count for the window before.
"""
import collections
import math

TOLERANCE_S = 0.02


class Limit:
    """name: how a test overrides it. shape: sliding, aligned or concurrent. ops: names of the endpoints it covers (None: all).
    scope(call): whose limit it is (an account, a channel). cost(call): what a call takes from it."""

    def __init__(self, name, amount, window_s=None, shape="sliding", ops=None, scope=None, cost=None):
        self.name, self.amount, self.window_s, self.shape = name, amount, window_s, shape
        self.ops, self.scope, self.cost = ops, scope or (lambda call: None), cost or (lambda call: 1)
        self.tolerance_s = TOLERANCE_S
        self._arrivals = collections.defaultdict(collections.deque)  # scope -> (t, cost), sliding
        self._sums = collections.Counter()                           # scope -> cost of the above, or of calls now
        self._counts = collections.defaultdict(collections.Counter)  # scope -> window number -> cost, aligned

    def covers(self, call):
        return self.ops is None or call.op in self.ops

    def charge(self, call):
        """Counts an arrival; False when it was one too many."""
        scope, cost = self.scope(call), self.cost(call)
        if self.shape == "concurrent":
            self._sums[scope] += 1
            return self._sums[scope] <= self.amount
        if self.shape == "aligned":
            return self._charge_aligned(scope, cost, call.wall)
        self._forget(scope, call.t)
        self._arrivals[scope].append((call.t, cost))
        self._sums[scope] += cost
        return self._sums[scope] <= self.amount

    def release(self, call):
        if self.shape == "concurrent" and self.covers(call):
            self._sums[self.scope(call)] -= 1

    def used(self, call):
        scope = self.scope(call)
        if self.shape == "aligned":
            return self._counts[scope][math.floor(call.wall / self.window_s)]
        return self._sums[scope]

    def remaining(self, call):
        return max(0, self.amount - self.used(call))

    def reset_s(self, call):
        """Seconds until something of it comes back."""
        if self.shape == "aligned":
            return self.window_s - call.wall % self.window_s
        arrivals = self._arrivals[self.scope(call)]
        return max(0.0, arrivals[0][0] + self.window_s - call.t) if arrivals and self.window_s else 0.0

    def _forget(self, scope, now):
        arrivals, horizon = self._arrivals[scope], now - self.window_s + min(self.tolerance_s, self.window_s / 4)
        while arrivals and arrivals[0][0] <= horizon:
            self._sums[scope] -= arrivals.popleft()[1]

    def _charge_aligned(self, scope, cost, wall):
        number, counts = math.floor(wall / self.window_s), self._counts[scope]
        early = wall - number * self.window_s < self.tolerance_s
        if early and counts and 0 < counts[number - 1] and counts[number - 1] + cost <= self.amount:
            number -= 1
        counts[number] += cost
        for old in [n for n in counts if n < number - 1]:
            del counts[old]
        return counts[number] <= self.amount

    def __repr__(self):
        return f"{self.name}: {self.amount}" + (f" in {self.window_s} s ({self.shape})" if self.window_s else " at once")
