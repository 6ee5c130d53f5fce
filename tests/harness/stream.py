"""A table that streams into receivers: the project, the running scheduler, and what has to be true of it."""
import os
import signal

from .lab import RUN_DEADLINE_S, assert_clean
from .service import Service
from .sink import wait_until

OFF = {"listen": "127.0.0.1:0"}
STRETCH_SUMS = {"changes": ("planned", "unchanged", "coalesced", "invalid", "quarantined"),
                "rows": ("added", "changed", "unchanged", "coalesced", "invalid", "quarantined"),
                "planned": ("added", "changed", "removed")}


def counts_of(run):
    return {**run["counts"], "changes": run["changes"], "coalesced": run["coalesced"]}


def assert_stretch_balances(run):
    """The law of conservation of a stream's runs."""
    counts = counts_of(run)
    for whole, parts in STRETCH_SUMS.items():
        assert counts[whole] == sum(counts[p] for p in parts), f"{whole} is not {' + '.join(parts)}: {run}"
    assert counts["planned"] == sum(counts[n] for n in ("succeeded", "rejected", "failed", "cancelled")), run


def cdc(**how):
    """A schedule. Sluice makes slot and publication unless they are named."""
    return {"stream": {"from": "cdc", **({} if "slot" in how or "create" in how else {"create": True}), **how}}


class Flow:
    """The sync `s` of the table `c` into a receiver, kept by a scheduler. sql: what the receiver holds in the end."""

    def __init__(self, lab, sink, stream=None, model=None, destination=None, settings=None, sql="select * from c", key=("id",), start=True, args=(), **sync):
        self.lab, self.sink, self.sql, self.key, self.args = lab, sink, sql, key, args
        self.write(stream, model, destination, settings, **sync)
        self.service = None
        if start:
            self.start()

    def write(self, stream=None, model=None, destination=None, settings=None, **sync):
        self.lab.project({"m": model or {"table": "c"}}, {"hook": {"url": self.sink.url, **(destination or {})}},
                         {"s": {"model": "m", "destination": "hook", "schedule": stream or cdc(), **sync}}, {**OFF, **(settings or {})})

    # ---- the scheduler ----

    def start(self, ready=True):
        if self.service:
            self.service.start(ready)
        else:
            self.service = Service(self.lab, None, *self.args)
        return self

    @property
    def running(self):
        return self.service.running

    def stop(self):
        done = self.service.stop()
        assert done.rc == 0, done
        return done

    def kill(self):
        self.running.kill_everything()

    def reload(self):
        mark = len(self.running.err())
        self.running.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "reloaded" in self.running.err()[mark:], RUN_DEADLINE_S, "the reload")

    def view(self):
        """How the stream stands, for people."""
        return self.service.sync("s")["stream"] or {}

    def wait_phase(self, *phases):
        return self.service.wait(lambda: (lambda v: v if v.get("phase") in phases else None)(self.view()), f"a stream that is {' or '.join(phases)}")

    def wait_why(self):
        """What the stream says is wrong, once it does."""
        return self.service.wait(lambda: self.view().get("why"), "words for what is wrong")

    def flowing(self):
        """All rows are there, and changes are followed."""
        self.wait_same()
        self.wait_phase("flowing")
        return self

    # ---- the destination ----

    def is_same(self):
        self.service.must_run()
        try:
            self.lab.assert_same(self.sink.state, self.sql, self.key)
        except AssertionError:
            return False
        return True

    def wait_same(self, deadline_s=RUN_DEADLINE_S):
        try:
            wait_until(self.is_same, deadline_s, "a destination that equals the table", pause_s=0.02)
        except AssertionError:
            self.lab.assert_same(self.sink.state, self.sql, self.key)  # says what differs
            raise

    def sent_by(self, sql):
        """What is sent for a transaction: everything up to the time at which the destination equals the table."""
        mark = len(self.sink.log)
        self.lab.sql(sql)
        self.wait_same()
        return self.sink.sent_since(mark)

    # ---- runs ----

    def runs(self):
        """The newest first."""
        return self.service.get("/api/v1/runs?sync=s&limit=200")["runs"]

    def stretches(self):
        return [r for r in self.runs() if r["stream"]]

    def wait_stretches(self, condition, what):
        """Ended stretches, when the condition holds for them; all of them balance."""
        def look():
            ended = [r for r in self.stretches() if r["ended_at"]]
            return ended if condition(ended) else None
        ended = self.service.wait(look, what)
        for run in ended:
            assert_stretch_balances(run)
        return ended

    def end(self):
        """Stops it in good order; every stretch that has ended balances, no key was in flight twice."""
        for run in self.stretches():
            if run["ended_at"]:
                assert_stretch_balances(run)
        self.stop()
        self.lab.assert_same(self.sink.state, self.sql, self.key)
        assert_clean(self.sink)


def short(records):
    """(op, id) of each record, to compare."""
    return sorted((r["op"], r["key"].get("id")) for r in records)


def slots(lab):
    """{name: (active, bytes of the log it holds back)} of the lab's database."""
    rows = lab.sql("select slot_name, active, pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint "
                   "from pg_replication_slots where database = current_database()")
    return {name: (active, held) for name, active, held in rows}


def publications(lab):
    return [name for (name,) in lab.sql("select pubname from pg_publication")]


def signal_all(pids, how):
    for pid in pids:
        os.kill(pid, how)
