"""Where the model of a quota keeps its batches: lines, lanes, parked; and what it says when one ends."""
from parts import Batch, held_name


class Placing:
    def wake(self, s):
        if not s.active and (s.line or s.jobs) and not s.paused and not s.ended:
            s.active, s.vt = True, max(s.vt, self.v)

    def put_first(self, part):
        b = self.batches[part]
        s = self.syncs[b.sync]
        line = s.jobs if self.max_open and b.job == 1 else s.line
        if not b.lane:
            line.insert(0, part)
            return
        s.lanes.setdefault(b.lane, []).insert(0, part)
        if s.blocked[b.lane] is not None:
            s.blocked[b.lane] = None
            line.insert(0, ("lane", b.lane))

    def first_of(self, s, item):
        """The part that an item of a line stands for."""
        return s.lanes[item[1]][0] if isinstance(item, tuple) else item

    def drop(self, part, hold=None):
        """hold: what remains of the lane's hold; None: the lane opens; False: it stays as it is."""
        b = self.batches.pop(part)
        s = self.syncs[b.sync]
        if b.lane and hold is None:
            self.lane_free(s, b.lane)
        elif b.lane and hold is not False:
            s.blocked[b.lane] = self.hold_lane(s.name, b.lane, hold)

    def hold_lane(self, sync, lane, hold):
        name = held_name(sync, lane)
        self.holds[name] = sync, lane
        self.park(name, *hold)
        return name

    def lane_free(self, s, lane):
        if s.lanes.get(lane):
            s.blocked[lane] = None
            s.line.append(("lane", lane))
            self.wake(s)
        else:
            s.blocked.pop(lane)
            s.lanes.pop(lane, None)

    def park(self, name, due, late=None):
        """late: nobody vouches for the clock; it waits so long from the next permit on."""
        self.parked[name] = due
        if late is not None:
            self.late_waits[name] = late

    def start_late_waits(self):
        for name, wait in self.late_waits.items():
            self.parked[name] = self.now + self.slack + wait
        self.late_waits = {}

    def parked_parts(self):
        return [p for p in self.parked if p not in self.holds]

    def promote(self, now):
        due = sorted([p for p in self.parked if self.parked[p] <= now], key=lambda p: (self.parked[p], p.encode()))
        for group in range(0, min(len(due), 256), 32):
            some = due[group:group + 32]
            for name in some:
                del self.parked[name]
            for part in reversed([p for p in some if p not in self.holds]):
                self.put_first(part)
                self.wake(self.syncs[self.batches[part].sync])
            for name in [p for p in some if p in self.holds]:
                sync, lane = self.holds.pop(name)
                s = self.syncs.get(sync)
                if s:
                    self.lane_free(s, lane)

    def replace(self, part, b, parts, attempts, step):
        """The parts that take a batch's place."""
        del self.batches[part]
        made = []
        for name, records, size in parts:
            child = Batch(b.root, records, b.sync, b.lane, size)
            child.attempts, child.unsure, child.kills = attempts, b.unsure, b.kills
            child.says(step, b.job)
            self.batches[name] = child
            made.append(name)
        return made

    def places_taken(self):
        leased = [self.batches[x["part"]] for x in self.leases.values()]
        return sum(b.job == 1 for b in self.batches.values()) + sum(b.job == 0 for b in leased)

    # ---- verdicts of its own ----

    def say(self, root, sync, body):
        self.results.append((root, sync, body))

    def say_own(self, b, records, verdict, unsure):
        self.say(b.root, b.sync, {"records": tuple(records), "verdict": verdict, "doubt": bool(unsure), "kills": b.kills})

    def say_ended(self, b, records, unsure):
        self.say_own(b, records, "failed" if self.syncs[b.sync].ended == "f" else "cancelled", unsure)
