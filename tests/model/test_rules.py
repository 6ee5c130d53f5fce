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

    def open(self, epoch, limits, concurrency=8, windows=(), max_open=0, shared=(), closed=(), carried=(0, 0, 0, 0)):
        """carried: newest version of a shared value, factor, when its next tenth comes back, windows on top."""
        self.epoch = epoch
        flat = [x for limit in limits for x in (*limit, 0)[:4]]
        saved = [x for window in windows for x in window]
        args = ["s" * 32, epoch, "", 10**9, self.true, "boot", 1, concurrency, 20, max_open, len(limits), *flat,
                len(windows), *saved, 0, len(shared), *[x for value in shared for x in value],
                len(closed), *[x for one in closed for x in one], *carried]
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


def test_a_batch_goes_on_with_what_its_last_step_left(server):
    q = Quota(server, [("requests", 2, 1000)])
    q.fill("s", 2)
    reply, token = q.claim()
    assert (reply[3], reply[13]) == (b"s1", b"")
    q.settle(token, "continue", progress="job-7", costs=NONE)
    reply, token = q.claim()
    assert (reply[3], reply[13], reply[10]) == (b"s1", b"job-7", 0)
    q.settle(token, "continue", delay=5000, progress="job-7 sent")
    assert q.claim()[0][1] == 0, "two requests were charged"
    q.true += 1020
    assert q.served() == "s" and q.claim()[0][1:3] == [0, 3980]
    q.true += 3980
    reply, token = q.claim()
    assert reply[13] == b"job-7 sent"
    q.settle(token, "retry", progress="")
    reply, token = q.claim()
    assert (reply[10], reply[13]) == (1, b""), "begins anew"
    assert q.settle(token)[1] == 1
    assert not server.redis.keys("*:pg:*")


def test_a_lost_worker_leaves_the_step_to_be_done_again(server):
    q = Quota(server)
    q.fill("s", 1)
    token = q.claim()[1]
    q.settle(token, "continue", progress="job-7", group=2, open=1)
    q.claim()
    assert q("reap", "w", 1) == [1, 0]
    reply, token = q.claim(worker="other")
    assert (reply[11], reply[12], reply[13]) == (1, 1, b"job-7")
    assert q.settle(token, worker="other")[1] == 1


def test_a_limit_of_another_group_blocks_nobody_else(server):
    q = Quota(server, [("requests", 1, 1000, 2), ("requests", 100, 1000, 0)])
    q.fill("looks", 3, group=2)
    q.fill("writes", 3)
    assert q.served() == "looks"
    assert [q.served() for _ in range(3)] == ["writes"] * 3, "overtakes what waits for a limit of its own"
    assert q.claim()[0][1:3] == [0, 1020]
    q.fill("looks", 1, first=4)
    reply, token = q.claim()
    assert reply[3] == b"looks4", "and so does one of the same sync"
    q.settle(token)
    q.true += 1020
    assert q.served() == "looks"


def test_a_wait_among_groups_ends_no_later_than_a_destination_opens(server):
    q = Quota(server, [("requests", 1, 1000, 2), ("records", 10, 5000, 0)])
    q.fill("polls", 2, weight=4, costs=NONE)
    q.fill("writes", 2, destination="d2", group=2)
    q.fill("writes", 1, destination="d2", first=3, records=10)
    q.settle(q.claim()[1], pause=700)
    assert q.served() == "writes"
    # Its next batch waits for its group, the one behind it for records; a poll needs neither.
    assert q.claim()[0][1:3] == [0, 700]
    q.true += 700
    assert q.served() == "polls"


def test_a_request_is_charged_what_it_carries(server):
    q = Quota(server, [("records", 10, 1000)])
    q.fill("s", 3, records=8)
    token = q.claim()[1]
    q.settle(token, "continue", costs=NONE)
    token = q.claim()[1]  # a poll, while the records are used up
    q.settle(token)
    reply, token = q.claim()
    assert reply[1:3] == [0, 1020]
    q.true += 1020
    token = q.claim()[1]
    q.settle(token, "continue", uncharge=1)  # a token was refreshed instead
    reply, token = q.claim()
    assert reply[3] == b"s2"
    q.settle(token)
    assert q.claim()[0][1:3] == [0, 1020]


def test_a_pause_closes_the_destination_and_lowers_nothing(server):
    q = Quota(server, [("requests", 100, 1000)])
    q.fill("s", 3)
    q.settle(q.claim()[1], pause=700)
    assert q.claim()[0][1:3] == [0, 700]
    permit = q("permit", q.epoch, 10**9, q.true, "boot", 1, 0)
    assert permit[2:5] == [700, 0, 1000]
    q.true += 700
    assert q.served() == "s"


def test_no_more_jobs_begin_than_the_destination_takes_and_those_that_began_go_on(server):
    q = Quota(server, max_open=2)
    q.fill("a", 4)
    q.fill("b", 4)
    q.fill("plain", 1, jobless=1)
    first, second = q.claim(), q.claim()
    assert {first[0][6], second[0][6]} == {b"a", b"b"}
    reply, token = q.claim()
    assert reply[6] == b"plain", "what never holds a job is not meant"
    q.settle(token)
    assert q.claim()[0][1] == 0
    for _, token in (first, second):
        q.settle(token, "continue", delay=1000, progress="job", open=1)
    assert q.claim()[0][1:3] == [0, 1000]
    q.true += 1000
    again = [q.claim(), q.claim()]
    assert [r[13] for r, _ in again] == [b"job", b"job"]
    q.settle(again[0][1], "continue", progress="", open=0)  # its job is over; another batch may begin
    assert q.claim()[0][1] == 1
    assert q.claim()[0][1] == 0
    assert q("audit")[1] == 0


def test_what_holds_a_job_is_not_stuck_behind_what_may_not_begin(server):
    q = Quota(server, max_open=1)
    q.fill("s", 2)
    first = q.claim()[1]
    q.settle(first, "retry", delay=500)
    second = q.claim()[1]  # s2 opens a job while s1 waits
    q.settle(second, "continue", delay=500, progress="job", open=1)
    q.true += 500  # both are due, s1 first
    reply, token = q.claim()
    assert (reply[3], reply[13]) == (b"s2", b"job")
    q.settle(token)
    assert q.claim()[0][3] == b"s1"


@pytest.mark.parametrize("kind", ["done", "continue", "throttle"])
def test_a_lane_that_is_held_stays_closed_even_if_it_was_empty(server, kind):
    q = Quota(server)
    q.fill("s", 1, lane="L")
    q.fill("t", 1, lane="L")
    token = q.claim()[1]
    q.true += 100
    q.settle(token, kind, age=100, hold=1000, progress="")
    q.fill("s", 1, lane="L", first=2)
    reply, token = q.claim()
    assert reply[6] == b"t", "a lane belongs to its sync"
    q.settle(token)
    assert q.claim()[0][1:3] == [0, 920]
    q("fence"), q("clear")
    q.open("e2", [])
    q.fill("s", 2, lane="L")
    assert q.claim()[0][1:3] == [0, 920], "a new epoch opens no lane"
    q.true += 920
    assert q.served() == "s"
    assert q("audit")[1] == 0


def test_a_hold_that_no_permit_vouches_for_counts_from_the_next_one(server):
    q = Quota(server)
    q("permit", q.epoch, 1000, q.true, "boot", 1, 0)
    q.fill("s", 2, lane="L")
    token = q.claim()[1]
    q.true += 5000
    q.settle(token, age=10, hold=1000)
    q.true += 5000
    q("permit", q.epoch, 10**9, q.true, "boot", 1, 0)
    assert q.claim()[0][1:3] == [0, 1020]
    q.true += 1020
    assert q.served() == "s"


def test_cancelling_ends_what_waits_in_a_held_lane_and_forgets_no_hold(server):
    q = Quota(server)
    q.fill("s", 3, lane="L")
    q.settle(q.claim()[1], hold=1000)
    assert q("control", q.epoch, "cancel_sync", "s") == [1, 0]
    assert q("control", q.epoch, "forget_sync", "s") == [1, 0]
    q.fill("s", 1, lane="L")
    assert q.claim()[0][1:3] == [0, 1020]
    q.true += 1020
    assert q.served() == "s"


def test_one_holder_at_a_time_renews_a_shared_value(server):
    q = Quota(server)
    assert q("shared", "lock", "token", "w1", 5000) == [1, 1, 0, b"", -1, b"w1", 5000]
    assert q("shared", "lock", "token", "w2", 5000) == [1, 0, 0, b"", -1, b"w1", 5000]
    assert q("shared", "put", "token", "w2", 0, "stolen", 0, 0)[1] == 0
    assert q("shared", "put", "token", "w1", "", "secret", 3000, 0) == [1, 1, 1, b"", 3000, b"", 0]
    assert q("shared", "lock", "token", "w2", 5000)[:4] == [1, 1, 1, b"secret"]
    q.true += 3000
    assert q("shared", "get", "token") == [1, 0, 0, b"", -1, b"w2", 2000], "it expired"
    q.true += 2000
    assert q("shared", "lock", "token", "w1", 5000)[1] == 1, "a dead holder blocks nobody for ever"
    assert q("shared", "unlock", "token", "w1")[1] == 1
    assert q("shared", "put", "token", "", 0, "third", 0, 0)[1:3] == [1, 2]
    assert q("shared", "put", "token", "", 0, "late", 0, 0)[1:3] == [0, 2], "someone was faster"


def test_durable_shared_values_come_back_where_redis_lost_them(server):
    q = Quota(server)
    q("shared", "put", "refresh", "", 0, "r1", 0, 1)
    q("shared", "put", "access", "", 0, "a1", 0, 0)
    saved = q("shared", "all", "")
    assert saved == [1, 2, [b"refresh", b"r1", 1, 0]]
    q("fence"), q("clear")
    q.open("e2", [], shared=[("refresh", "older", 1, 0)])
    assert q("shared", "get", "refresh")[3] == b"r1" and q("shared", "get", "access")[3] == b"a1"
    q("shared", "put", "refresh", "", 1, "", 0, 0)
    q("fence"), q("clear")
    q.open("e3", [], shared=[("refresh", "r1", 1, 0)])
    assert q("shared", "get", "refresh")[2] == 0, "what was forgotten on purpose stays so"
    server.redis.flushall()
    assert q("shared", "get", "refresh") == [-1], "nobody takes an empty Redis for an answer"
    q.open("e4", [], shared=[("refresh", "r1", 1, 0)])
    assert q("shared", "get", "refresh")[2:4] == [1, b"r1"]
    assert q("shared", "put", "refresh", "", 1, "r2", 0, 1)[2] > 65536, "versions go on, and none that was lost comes again"


def test_shared_values_have_a_limit(server):
    q = Quota(server)
    for i in range(4096):
        assert q("shared", "put", f"n{i}", "", 0, "v", 100 if i else 0, 0)[0] == 1
    assert q("shared", "put", "one more", "", 0, "v", 0, 0) == [-8]
    assert q("shared", "get", "one more")[2] == 0
    q.true += 100
    assert q("shared", "put", "one more", "", 0, "v", 0, 0)[1] == 1


def test_what_destinations_asked_for_holds_at_another_server(server):
    q = Quota(server, [("requests", 100, 1000)])
    q.fill("s", 3)
    for _ in range(2):
        q.settle(q.claim()[1], "throttle", delay=4000)
        q.true += 4000
    q.settle(q.claim()[1], "throttle", delay=60000)
    told = q("permit", q.epoch, 1, q.true, "boot", 1, 0)
    assert told[11:] == [[b"d1", 60000], 70000] and told[4] == 343
    server.redis.flushall()
    q.open("e2", [("requests", 100, 1000)], closed=[("d1", 60000)], carried=(0, 343, 70000, 0))
    q.fill("s", 3)
    assert q.claim()[0][1:3] == [0, 60000]
    q.true += 60000
    assert q("permit", q.epoch, 10**9, q.true, "boot", 1, 0)[4] == 343 and q.served() == "s"
    q.true += 10000
    assert q("permit", q.epoch, 10**9, q.true, "boot", 1, 0)[4] == 443
    q("fence"), q("clear")
    q.open("e3", [("requests", 100, 1000)], closed=[("d1", 10)], carried=(0, 900, 0, 0))
    assert q("permit", q.epoch, 10**9, q.true, "boot", 1, 0)[4] == 443, "the lower one counts, and is not raised"


def test_windows_come_on_top_where_redis_knows_what_state_does_not(server):
    q = Quota(server, [("requests", 5, 1000)])
    q.fill("s", 20)
    q.served(), q.served()
    q("fence"), q("clear")
    q.open("e2", [("requests", 5, 1000)], windows=[(0, 700, 2)], carried=(0, 0, 0, 1))
    q.fill("s", 20)
    q.served()
    assert q.claim()[0][1:3] == [0, 700]
    assert q("audit")[1] == 0
