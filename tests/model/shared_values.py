"""What shared values must do: versions that never come twice, one holder of a lock at a time."""
from parts import Refused

STALE, UNPERMITTED = -1, -3


class SharedValues:
    """Part of the model; `shared`: name -> {version, value, durable, expires, holder, until}."""

    def shared_entry(self, name):
        e = self.shared.get(name) or {"version": 0, "value": "", "durable": False, "expires": None, "holder": "", "until": 0}
        if e["expires"] is not None and e["expires"] <= self.now:
            e = {**e, "version": 0, "value": "", "durable": False, "expires": None}
        return e

    def shared_answer(self, name, granted, value=None):
        e = self.shared_entry(name)
        held = e["holder"] and (e["until"] > self.now or not self.trusted)
        left = -1 if e["expires"] is None else max(1, e["expires"] - self.now)
        return [int(granted), e["version"], e["value"] if value is None else value, left, e["holder"] if held else "",
                max(0, e["until"] - self.now) if held else 0]

    def shared_sweep(self, but):
        """What may be forgotten is, when something is stored."""
        for name, e in list(self.shared.items()):
            passes = e["version"] == 0 or e["expires"] is not None
            if self.trusted and name != but and passes and max(e["expires"] or 0, e["until"]) <= self.now:
                del self.shared[name]

    def shared_call(self, op, name, holder="", version=None, value="", expire=0, durable=False, ttl=0):
        if self.epoch is None:
            raise Refused(STALE)
        e = self.shared_entry(name)
        locked = e["holder"] and (e["until"] > self.now or not self.trusted)
        mine = bool(e["holder"]) and e["holder"] == holder
        if op == "get":
            return self.shared_answer(name, False)
        if op == "lock":
            if not self.trusted:
                raise Refused(UNPERMITTED)
            if locked and not mine:
                return self.shared_answer(name, False)
            self.shared_sweep(name)
            self.shared[name] = {**e, "holder": holder, "until": self.now + ttl}
            return self.shared_answer(name, True)
        if op == "unlock":
            if not mine:
                return self.shared_answer(name, False)
            self.shared[name] = {**e, "holder": "", "until": 0}
            return self.shared_answer(name, True)
        if not mine and (locked or version != e["version"]):
            return self.shared_answer(name, False, "")
        self.shared_sweep(name)
        self.shared_version += 1
        if value:
            self.shared[name] = {"version": self.shared_version, "value": value, "durable": durable,
                                 "expires": self.now + expire if expire else None, "holder": "", "until": 0}
        else:
            self.shared.pop(name, None)
        return self.shared_answer(name, True, "")

    def shared_durable(self):
        """name -> (value, version, left_ms)"""
        entries = {n: self.shared_entry(n) for n in self.shared}
        return {n: (e["value"], e["version"], 0 if e["expires"] is None else max(1, e["expires"] - self.now))
                for n, e in entries.items() if e["durable"] and e["version"]}

    def restore_shared(self, saved):
        known = self.shared_version
        for name, value, version, left in saved:
            if version > known:
                self.shared[name] = {"version": version, "value": value, "durable": True,
                                     "expires": self.now + left if left else None, "holder": "", "until": 0}
            self.shared_version = max(self.shared_version, version)
