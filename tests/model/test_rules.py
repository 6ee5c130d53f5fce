"""Rules that show over many claims: shares, use of a limit, what an idle worker is told, limits that change."""
import pathlib
import random
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import world  # noqa: E402
from parts import NONE, Step  # noqa: E402

ABLE = ("d1", "f1", "d2", "f2")
START = 1_700_000_000_000


@pytest.fixture(scope="module")
def server():
    one = world.Server()
    yield one
    one.stop()


class Quota:
    def __init__(self, server, limits=(), concurrency=8, windows=(), max_open=0):
        server.redis.flushall()
        self.call, self.true, self.token = world.Queue(server, "q"), START, 0
        self.open("e1", limits, concurrency, windows, max_open)

    def open(self, epoch, limits, concurrency=8, windows=(), max_open=0, shared=()):
        self.epoch = epoch
        flat = [x for limit in limits for x in (*limit, 0)[:4]]
        saved = [x for window in windows for x in window]
        args = ["s" * 32, epoch, "", 10**9, self.true, "boot", 1, concurrency, 20, max_open, len(limits), *flat,
                len(windows), *saved, 0, len(shared), *[x for value in shared for x in value]]
        assert self("open", *args)[0] == 1

    def __call__(self, name, *args):
        return self.call(name, self.true, *args)

    def fill(self, sync, count, weight=1, records=1, destination="d1", first=1, lane="", group=0, costs=0, jobless=0):
        for start in range(0, count, 32):
            words = []
            for n in range(start, min(count, start + 32)):
                words += [first + n, f"{sync}{first + n}", f"{sync}{first + n}", lane, "", records, "", group, costs, jobless]
            assert self("enqueue", self.epoch, sync, "r", destination, "f" + destination[1], weight, 10**9, len(words) // 10, *words)[0] == 1

    def claim(self, able=ABLE, worker="w"):
        self.token += 1
        return self("claim", worker, self.token, 40000, self.true, len(able) // 2, *able), self.token

    def settle(self, token, kind="done", delay=0, age=0, worker="w", **step):
        """step: progress, group, costs, open, uncharge, pause, hold of parts.Step."""
        return self("settle", self.epoch, worker, token, kind, delay, 0, age, 0, "", 0, *Step(**step).words())

    def served(self):
        reply, token = self.claim()
        assert reply[1] == 1, reply
        self.settle(token)
        return reply[6].decode()


def test_waiting_syncs_share_by_weight_at_every_moment(server):
    q, weights = Quota(server), {"a": 1, "b": 2, "c": 4}
    for sync, weight in weights.items():
        q.fill(sync, 300, weight)
    count = dict.fromkeys(weights, 0)
    for _ in range(500):
        count[q.served()] += 1
        shares = {s: count[s] / weights[s] for s in weights}
        for s in weights:
            for t in weights:
                assert abs(shares[s] - shares[t]) <= 1 / weights[s] + 1 / weights[t], count


def test_a_small_sync_is_not_stuck_behind_a_backfill_nor_an_absence_saved_up(server):
    q = Quota(server)
    q.fill("big", 400)
    for _ in range(200):
        q.served()
    q.fill("small", 3)
    assert [q.served() for _ in range(6)].count("small") == 3
    q.fill("late", 50, destination="d2")
    q("control", q.epoch, "pause_destination", "d2")
    for _ in range(100):
        assert q.served() == "big"
    q("control", q.epoch, "resume_destination", "d2")
    first = [q.served() for _ in range(20)]
    assert 9 <= first.count("late") <= 11, first


@pytest.mark.parametrize("kind,count,per,records", [("requests", 100, 1000, 1), ("records", 300, 1000, 3), ("requests", 7, 1000, 1),
                                                    ("requests", 200, 120000, 1)])
def test_a_worker_that_follows_the_waits_uses_a_limit_and_never_more(server, kind, count, per, records):
    q, rng, sent, busy = Quota(server, [(kind, count, per)]), random.Random(7), [], []
    total = 5 * count // (records if kind == "records" else 1)
    q.fill("s", total, records=records)
    asks = 0
    while len(sent) < total:
        for end, begin, token in [b for b in busy if b[0] <= q.true]:
            busy.remove((end, begin, token))
            q.settle(token, age=q.true - begin)
        reply, token = q.claim()
        asks += 1
        if reply[1]:
            sent.append(q.true)
            busy.append((q.true + rng.randint(1, min(60, per // 20)), q.true, token))
        else:
            nexts = [b[0] for b in busy] + ([q.true + reply[2]] if reply[2] > 0 else [])
            q.true = min(nexts)
    cost = records if kind == "records" else 1
    for t in sent:
        assert cost * sum(t <= x < t + per for x in sent) <= count
    spans = (sent[-1] - sent[0]) / per
    assert cost * len(sent) >= 0.95 * count * spans
    assert asks <= 4 * len(sent), "a worker that spins"


def test_a_batch_above_the_limit_runs_alone_and_is_not_starved(server):
    q = Quota(server, [("records", 10, 1000)])
    q.fill("huge", 1, records=25)
    q.fill("tiny", 50, records=1)
    seen = []
    for _ in range(200):
        reply, token = q.claim()
        if reply[1]:
            seen.append(reply[6].decode())
            q.settle(token)
        else:
            q.true += reply[2]
        if "huge" in seen:
            break
    assert len(seen) <= 12


def test_a_limit_that_is_new_starts_as_full_as_one_of_its_kind(server):
    q = Quota(server, [("requests", 5, 1000)])
    q.fill("s", 20)
    for _ in range(5):
        q.served()
    q("fence"), q("clear")
    q.open("e2", [("requests", 5, 30000)])
    q.fill("s", 20)
    reply, _ = q.claim()
    assert reply[1] == 0 and reply[2] == 30020


def test_windows_are_restored_only_where_there_are_none(server):
    q = Quota(server, [("requests", 5, 1000)], windows=[(0, 700, 4)])
    q.fill("s", 20)
    q.served()
    reply, _ = q.claim()
    assert reply[1:3] == [0, 700]
    q("fence"), q("clear")
    q.open("e2", [("requests", 5, 1000)], windows=[(0, 90000, 5)])
    q.fill("s", 20)
    reply, _ = q.claim()
    assert reply[1:3] == [0, 700]


def test_a_permit_that_ran_out_stops_everything_but_settling(server):
    q = Quota(server)
    q("permit", q.epoch, 1000, q.true, "boot", 1, 0)
    q.fill("s", 3)
    reply, token = q.claim()
    assert reply[1] == 1
    q.true += 1001
    assert q.claim()[0] == [-3]
    assert q("beat", "w", 40000, token) == [-3]
    assert q("control", q.epoch, "pause_sync", "s") == [-3]
    assert q("reap", "", 0) == [1, 1]
    assert q.settle(token)[:2] == [1, 1]
    q("permit", q.epoch, 1000, q.true, "boot", 1, 0)
    assert q.claim()[0][1] == 1


def test_throttling_lowers_a_limit_once_per_closure_and_it_comes_back(server):
    q = Quota(server, [("requests", 100, 1000)])
    q.fill("s", 900)
    tokens = [q.claim()[1] for _ in range(8)]
    for token in tokens:
        q.settle(token, "throttle", delay=500)
    factor = lambda: q("permit", q.epoch, 10**9, q.true, "boot", 1, 0)[4]
    assert factor() == 700
    for _ in range(20):
        q.true += 500
        reply, token = q.claim()
        assert reply[1] == 1
        q.settle(token, "throttle", delay=500)
    assert factor() == 100
    q.true += 500 + 10000
    assert factor() == 200
    q.true += 90000
    assert factor() == 1000


def test_nothing_that_is_idle_stays(server):
    q = Quota(server, [("requests", 100, 1000)])
    q.fill("s", 5)
    for _ in range(5):
        q.served()
    q("control", q.epoch, "forget_sync", "s")
    q.true += 2000
    q("permit", q.epoch, 10**9, q.true, "boot", 1, 0)
    left = sorted(k.decode() for k in server.redis.keys("*"))
    assert left == ["sluice:{q}:meta", "sluice:{q}:owner", "sluice:{q}:w:w", "sluice:{q}:win:requests:1000"]
    assert server.redis.pttl("sluice:{q}:w:w") > 0


def test_a_full_memory_stops_publishing_but_not_the_work(server):
    q = Quota(server)
    q.fill("s", 3)
    used = server.redis.info("memory")["used_memory"]
    server.redis.config_set("maxmemory", used // 2)
    try:
        with pytest.raises(Exception, match="OOM|maxmemory"):
            q.fill("s", 1, first=4)
        for _ in range(3):
            assert q.served() == "s"
    finally:
        server.redis.config_set("maxmemory", 0)
    q.fill("s", 1, first=4)
    assert q.served() == "s"
