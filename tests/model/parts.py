"""What the model of a quota is made of: limits, batches, syncs, and a call that is refused."""
import math

NONE = 2**32 - 1  # records: none


class Refused(Exception):
    def __init__(self, status):
        super().__init__(status)
        self.status = status


def held_name(sync, lane):
    """What waits in the place of a lane that is held."""
    return f" {len(sync)}:{sync}{lane}"


class Limit:
    def __init__(self, kind, count, per, group=0):
        self.kind, self.count, self.per, self.group = kind, count, per, group
        self.step = 1 if per <= 60000 else math.ceil(per / 1000)
        self.back = []  # return time of every token that is not in flight
        self.late = 0
        self.charged = 0
        self.grant = None

    @property
    def key(self):
        return self.kind, self.per, self.group

    def cost(self, b):
        if self.group not in (0, b.group):
            return 0
        return 1 if self.kind == "requests" else min(b.costs, self.count)

    def give_back(self, tokens, at):
        self.back += [math.ceil(at / self.step) * self.step] * tokens


class Batch:
    def __init__(self, root, records, sync, lane, size):
        self.root, self.records, self.sync, self.lane, self.payload = root, tuple(records), sync, lane, size
        self.attempts = self.kills = self.unsure = 0
        self.held = None  # what kept its lane closed when it was parked last
        self.says(Step(), 0)

    def says(self, step, job):
        """What the next request is; a batch that never holds a job stays so."""
        self.group = step.group or 1
        self.costs = len(self.records) if step.costs == 0 else 0 if step.costs == NONE else step.costs
        self.progress, self.job = step.progress, 2 if job == 2 else step.open

    @property
    def size(self):
        return self.payload + len(self.progress)


class Step:
    """What a settle says about the next request."""
    def __init__(self, progress="", group=0, costs=0, open=0, uncharge=0, pause=0, hold=0):
        self.progress, self.group, self.costs, self.open = progress, group, costs, open
        self.uncharge, self.pause, self.hold = uncharge, pause, hold

    def words(self):
        out = [self.progress, self.group, self.costs, self.open, self.uncharge, self.pause, self.hold]
        return [1, *out] if any(out) else [0]

    def begins(self):
        """The same for the parts of a split."""
        return Step(group=self.group, costs=self.costs)


class Sync:
    def __init__(self, name):
        self.name = name
        self.run = self.destination = self.fingerprint = self.ended = None
        self.weight, self.top, self.vt, self.paused = 1, 0, 0.0, False
        self.line = []      # parts that may run and ('lane', name), in order
        self.jobs = []      # the same for what holds a remote job, where those are capped
        self.lanes = {}     # lane -> [parts]
        self.blocked = {}   # lane -> part in flight or parked, or its hold; None: announced in a line
        self.active = False
