"""kill -9 anywhere during a stream of changes: the destination equals the table afterwards, no version goes back."""
import os
import random
import signal

import psycopg2
import pytest

from harness import processes
from harness.lab import RUN_DEADLINE_S, assert_clean
from harness.sink import never_within, wait_until
from harness.stream import Flow, assert_stretch_balances, cdc
from harness.versions import Versions, Writer

TARGETS = ["everything", "scheduler", "workers", "one worker", "redis", "walsender"]


def strike(flow, target, rng=random):
    """Kills the chosen part; what does not come back by itself is started again."""
    running = flow.running
    if target == "everything":
        running.kill_everything()
    elif target == "scheduler":
        running.kill_parent()
    elif target == "walsender":
        try:
            flow.lab.sql("select pg_terminate_backend(active_pid) from pg_replication_slots where database = current_database() and active")
        except psycopg2.OperationalError:
            pass
    else:
        pids = running.redis() if target == "redis" else running.workers()
        processes.kill_hard(rng.sample(pids, min(1, len(pids))) if target == "one worker" else pids)
    if running.process.poll() is not None:
        flow.start(ready=False)


@pytest.mark.core
@pytest.mark.parametrize("target", TARGETS)
def test_killed_with_records_in_flight_nothing_is_lost(live, sinks, target):
    sink = sinks()
    live.customers(200)
    flow = Flow(live, sink, batch_size=10).flowing()
    sink.hold()
    live.sql("update c set name = 'first' where id <= 60; insert into c select g, 'n', 'N', g, false from generate_series(500, 540) g; delete from c where id between 61 and 70")
    wait_until(lambda: sink.count_held() >= 2, RUN_DEADLINE_S, "requests that hang")
    live.sql("update c set name = 'second' where id <= 30; delete from c where id between 500 and 510")
    strike(flow, target)
    sink.release()
    flow.wait_same()
    flow.wait_phase("flowing")
    flow.sent_by("update c set name = 'third' where id = 100")
    flow.end()


def killed_while_it_reads(live, sinks, when):
    sink = sinks(delay_s=0.02)
    live.customers(2000)
    flow = Flow(live, sink, batch_size=50)
    wait_until(lambda: when(sink), RUN_DEADLINE_S, "the first rows are under way")
    live.sql("update c set name = 'during' where id % 100 = 0; delete from c where id % 100 = 1; insert into c values (5000, 'e', 'n', 1, true)")
    flow.kill()
    live.sql("update c set name = 'after' where id % 100 = 2; delete from c where id % 100 = 3")
    flow.start()
    flow.flowing()
    flow.sent_by("update c set name = 'then' where id % 100 = 4")
    assert_clean(sink)
    flow.end()


def test_killed_while_the_first_rows_are_sent(live, sinks):
    killed_while_it_reads(live, sinks, lambda sink: len(sink.log) > 5)


def test_killed_at_its_very_start(live, sinks):
    killed_while_it_reads(live, sinks, lambda sink: True)


KEYS = {"stream": {"from": "keys", "create": True, "keys": {"c": "id"}, "roll": "2s"}}
WHERE = "id % 100 <> 99"
ASKED = {"sql": f"select id, version, body from c where {WHERE}"}


def campaign(lab, sink, seed, changes, kills, size=200, rate=20_000, rows=20_000, where="true", **how):
    """Kills something each time that another random number of records has arrived, while the table goes on changing."""
    rng = random.Random(seed)
    print(f"seed {seed}")
    table = Versions(lab, rows, seed, where)
    flow = Flow(lab, sink, **{"stream": cdc(roll="2s"), "guard": "off", **how})
    writer = Writer(table, changes, size, rate)
    for _ in range(kills):
        point = sink.stats()["records"] + rng.randrange(changes // kills)
        wait_until(lambda: sink.stats()["records"] >= point or not writer.is_alive(), RUN_DEADLINE_S, "the point to kill at")
        strike(flow, rng.choice(TARGETS), rng)
    writer.finish(RUN_DEADLINE_S)
    table.wait_at(sink, 3 * RUN_DEADLINE_S, flow.service.must_run)
    flow.service.wait(flow.service.is_ready, "a scheduler that is ready")
    for run in flow.stretches():
        if run["ended_at"]:
            assert_stretch_balances(run)
    flow.stop()
    sink.assert_in_order()


@pytest.mark.parametrize("seed", [1, 2])
def test_kills_at_random_points_of_fifty_thousand_changes(live, version_sink, seed):
    campaign(live, version_sink, seed, changes=50_000, kills=5)


@pytest.mark.parametrize("seed", [5, pytest.param(6, marks=pytest.mark.long)])
def test_kills_at_random_points_while_a_model_is_asked_for_keys(live, version_sink, seed):
    campaign(live, version_sink, seed, changes=30_000, kills=4, rate=10_000, where=WHERE, stream=KEYS, model=ASKED)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 104))
def test_kills_at_random_points_of_a_million_changes(live, version_sink, seed):
    campaign(live, version_sink, seed, changes=1_000_000, kills=40, size=500, rate=30_000, rows=100_000)


@pytest.mark.parametrize("seed", [7, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(20, 40))])
def test_the_server_itself_is_killed_again_and_again(own_live, version_sink, seed):
    table = Versions(own_live, 5000, seed)
    flow = Flow(own_live, version_sink, guard="off")
    writer = Writer(table, 30_000, 100, 10_000)
    for number in range(3):
        wait_until(lambda: table.changes >= 10_000 * number or not writer.is_alive(), RUN_DEADLINE_S, "the point to kill at")
        postmaster = own_live.postgres.process.pid
        backends = [pid for pid, name in processes.descendants(postmaster).items() if name == "postgres"]
        processes.kill_hard(backends[-1:])  # a backend that is killed makes the server recover from a crash
    writer.finish(RUN_DEADLINE_S)
    table.wait_at(version_sink, 2 * RUN_DEADLINE_S, flow.service.must_run)
    flow.stop()


def disturb(flow, what):
    if what in ("run", "full run"):
        flow.service.post("/api/v1/syncs/s/run", **({"full": True} if what == "full run" else {}))
    elif what == "pause":
        flow.service.post("/api/v1/syncs/s/pause")
        assert flow.service.sync("s")["paused"]
        flow.service.post("/api/v1/syncs/s/resume")
    elif what == "destination":
        flow.service.post("/api/v1/destinations/hook/pause")
        flow.service.post("/api/v1/destinations/hook/resume")
    elif what == "reload":
        flow.reload()
    elif what == "restart":
        flow.stop()
        flow.start(ready=False)
        flow.service.wait(flow.service.is_ready, "a scheduler that is ready")
    else:
        strike(flow, what)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long), pytest.param(3, marks=pytest.mark.long)])
def test_reads_of_the_whole_model_and_other_disturbances_bring_no_old_version_back(live, version_sink, seed):
    rng = random.Random(seed)
    table = Versions(live, 20_000, seed)
    flow = Flow(live, version_sink, stream=cdc(roll="1s", reconcile={"every": "2s"}), guard="off")
    flow.service.wait(flow.service.is_ready, "a scheduler that is ready")
    flow.wait_phase("flowing")
    writer = Writer(table, 60_000, 200, 10_000)
    done = []
    while writer.is_alive():
        done.append(rng.choice(["run", "full run", "pause", "destination", "reload", "restart", "workers", "redis", "walsender"]))
        disturb(flow, done[-1])
        writer.join(rng.random())
    writer.finish(RUN_DEADLINE_S)
    table.wait_at(version_sink, 2 * RUN_DEADLINE_S, flow.service.must_run)
    assert len(done) > 5, done
    flow.stop()
    version_sink.assert_in_order()


@pytest.mark.long
def test_an_external_redis_that_is_emptied_loses_nothing(live, version_sink, redis_servers):
    redis = redis_servers()
    table = Versions(live, 20_000)
    flow = Flow(live, version_sink, stream=cdc(roll="1s"), guard="off", settings={"redis": redis.url}, args=("--workers", "2"))
    flow.wait_phase("flowing")
    writer = Writer(table, 40_000, 200, 10_000)
    for _ in range(3):
        point = version_sink.stats()["records"] + 3000
        wait_until(lambda: version_sink.stats()["records"] >= point or not writer.is_alive(), RUN_DEADLINE_S, "the point to empty it at")
        redis.kill()
        redis.start()
    writer.finish(RUN_DEADLINE_S)
    table.wait_at(version_sink, 2 * RUN_DEADLINE_S, flow.service.must_run)
    flow.stop()


@pytest.mark.long
def test_a_worker_that_stands_still_beyond_its_lease_brings_no_old_version_back(live, version_sink):
    table = Versions(live, 2_000)
    flow = Flow(live, version_sink, destination={"timeout": "1s"}, guard="off")
    table.wait_at(version_sink, RUN_DEADLINE_S)
    flow.wait_phase("flowing")
    writer = Writer(table, 150_000, 50, 6_000)
    for worker in flow.running.workers()[:2]:
        os.kill(worker, signal.SIGSTOP)
        assert never_within(lambda: flow.running.process.poll() is not None, 12), "a lease is the timeout and ten seconds"
        os.kill(worker, signal.SIGCONT)
    writer.finish(RUN_DEADLINE_S)
    table.wait_at(version_sink, RUN_DEADLINE_S, flow.service.must_run)
    flow.stop()
