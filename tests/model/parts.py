"""What the model of a quota is made of: limits, batches, syncs, and a call that is refused."""
import math


class Refused(Exception):
    def __init__(self, status):
        super().__init__(status)
        self.status = status


class Limit:
    def __init__(self, kind, count, per):
        self.kind, self.count, self.per = kind, count, per
        self.step = 1 if per <= 60000 else math.ceil(per / 1000)
        self.back = []  # return time of every token that is not in flight
        self.late = 0
        self.charged = 0
        self.grant = None

    @property
    def key(self):
        return self.kind, self.per

    def cost(self, records):
        return 1 if self.kind == "requests" else min(records, self.count)

    def give_back(self, tokens, at):
        self.back += [math.ceil(at / self.step) * self.step] * tokens


class Batch:
    def __init__(self, root, records, sync, lane, size):
        self.root, self.records, self.sync, self.lane, self.size = root, tuple(records), sync, lane, size
        self.attempts = self.kills = self.unsure = 0


class Sync:
    def __init__(self, name):
        self.name = name
        self.run = self.destination = self.fingerprint = self.ended = None
        self.weight, self.top, self.vt, self.paused = 1, 0, 0.0, False
        self.line = []      # parts that may run and ('lane', name), in order
        self.lanes = {}     # lane -> [parts]
        self.blocked = {}   # lane -> part in flight or parked, None: announced in the line
        self.active = False
