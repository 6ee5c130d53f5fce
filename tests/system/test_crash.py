"""kill -9 at any point loses nothing: the next clean run leaves the destination equal to the model."""
import random

import pytest

from harness import processes
from harness.lab import assert_clean, kill_when
from harness.sink import wait_until

TARGETS = ["everything", "parent", "workers", "one worker", "redis"]


def strike(running, target, rng=random):
    """Kills the chosen part of a run. Returns True when the run itself is gone."""
    if target == "everything":
        running.kill_everything()
        return True
    if target == "parent":
        running.kill_parent()
        return True
    pids = running.redis() if target == "redis" else running.workers()
    if target == "one worker":
        pids = rng.sample(pids, min(1, len(pids)))
    processes.kill_hard(pids)
    return False


@pytest.mark.core
@pytest.mark.parametrize("target", TARGETS)
def test_killed_in_the_middle_of_requests_nothing_is_lost(lab, sink, target):
    lab.customers(6000)
    lab.simple(sink, batch_size=50)
    sink.hold(lambda q: len(sink.log) > 20)
    running = lab.start_run("--workers", "2")
    wait_until(lambda: sink.count_held() >= 2, 30, "requests that hang at the receiver")
    gone = strike(running, target)
    sink.release()
    if not gone:
        done = running.wait()
        assert done.rc == 0 and done.counts("succeeded", "status") == (6000, "success")
    done = lab.good_run()
    lab.assert_same(sink.state)
    assert_clean(sink)
    assert lab.good_run().counts("planned", "unchanged") == (0, 6000)


def test_a_run_that_a_crash_left_is_finished_and_printed_before_the_new_one(lab, sink):
    lab.customers(3000)
    lab.simple(sink, batch_size=50)
    sink.hold(lambda q: len(sink.log) > 10)
    running = lab.start_run()
    wait_until(lambda: sink.count_held() >= 1, 30, "a request that hangs")
    running.kill_everything()
    sink.release()
    done = lab.run()
    assert len(done.runs) == 2 and done.runs[0]["run"] != done.runs[1]["run"], done
    old, new = done.runs
    assert old["planned"] == old["succeeded"] == 3000 and new["unchanged"] == 3000 and new["planned"] == 0
    assert done.rc == 0
    lab.assert_same(sink.state)
    assert_clean(sink)


def test_a_run_killed_after_parts_of_it_were_committed_still_balances(lab, sink):
    lab.customers(4000)
    lab.simple(sink, batch_size=20, destination={"rate_limits": [{"requests": 10, "per": "250ms"}]})
    running = lab.start_run()
    sink.wait_requests(120)
    running.kill_everything()
    done = lab.good_run()
    assert done.runs[0]["planned"] == done.runs[0]["succeeded"] == 4000
    assert done.runs[0]["requests"] >= 200
    lab.assert_same(sink.state)
    assert_clean(sink)


def test_killed_while_reading_the_old_run_ends_failed_without_removals(lab, sink):
    lab.customers(2000)
    off = {"max_removed": "off"}  # with a guard nothing is sent before the read has ended
    lab.simple(sink, guard=off)
    lab.good_run()
    lab.sql("delete from c where id > 1990; update c set amount = -1 where id <= 1000")
    slow = "select * from c union all select 1000000 + g, '', '', 0, pg_sleep(0.2) is null from generate_series(1, 400) g"
    lab.simple(sink, sql=slow, batch_size=50, guard=off)
    mark = len(sink.log)
    running = lab.start_run()
    sink.wait_requests(mark + 2)
    running.kill_everything()
    lab.simple(sink, batch_size=50, guard=off)
    done = lab.run()
    assert done.runs[0]["status"] == "failed" and done.runs[0]["removed"] == 0, done
    assert done.last["removed"] >= 10
    lab.assert_same(sink.state)
    assert_clean(sink)


def test_a_repeat_after_a_crash_has_the_same_idempotency_key(lab, sink):
    lab.customers(1000)
    lab.simple(sink, batch_size=100)
    sink.hold()
    running = lab.start_run()
    wait_until(lambda: sink.count_held() >= 2, 30, "requests that hang")
    first = {frozenset(q.keys): q.idempotency_key for q in sink.log}
    running.kill_everything()
    sink.release()
    mark = len(sink.log)
    lab.good_run()
    again = {frozenset(q.keys): q.idempotency_key for q in sink.log[mark:]}
    assert first.keys() <= again.keys() and all(again[k] == v for k, v in first.items())


def test_removals_and_identity_changes_survive_a_kill(lab, sink):
    lab.customers(2000)
    lab.simple(sink, batch_size=20, identify_by="email")
    lab.good_run()
    mark = len(sink.log)
    lab.sql("delete from c where id % 10 = 0; update c set email = 'n' || id where id % 10 = 1")
    sink.hold(lambda q: len(sink.log) > mark + 5)
    running = lab.start_run()
    wait_until(lambda: sink.count_held() >= 1, 30, "a request that hangs")
    running.kill_everything()
    sink.release()
    lab.good_run()
    lab.assert_same(sink.state, key=("email",))
    assert_clean(sink)


def change_warehouse(lab, rng):
    low = rng.randrange(1, 9000)
    lab.sql(f"delete from c where id between {low} and {low + 40}")
    lab.sql(f"update c set amount = amount + 1 where id % {rng.randrange(3, 40)} = 0")
    fresh = lab.sql("select coalesce(max(id), 0) + 1 from c")[0][0]
    lab.customers(rng.randrange(1, 400), first=fresh)


def kill_campaign(lab, sink, seed, kills):
    """Kills runs at random points of their requests while the warehouse goes on changing."""
    rng = random.Random(seed)
    print(f"seed {seed}")
    lab.customers(4000)
    lab.simple(sink, batch_size=rng.choice([25, 100]), guard={"max_removed": "off"})
    for _ in range(kills):
        change_warehouse(lab, rng)
        mark, after = len(sink.log), rng.randrange(0, 12)
        running = lab.start_run("--workers", "2")
        wait_until(lambda: len(sink.log) >= mark + after or running.process.poll() is not None, 60, "the point to kill at")
        if running.process.poll() is None and not strike(running, rng.choice(TARGETS), rng):
            assert running.wait().rc == 0
    done = lab.good_run()
    lab.assert_same(sink.state)
    assert_clean(sink)
    assert lab.good_run().counts("planned") == (0,), done


@pytest.mark.parametrize("seed", [1, 2])
def test_kills_at_random_points_while_the_warehouse_changes(lab, sink, seed):
    kill_campaign(lab, sink, seed, kills=5)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 110))
def test_a_hundred_kills_at_random_points(lab, sink, seed):
    kill_campaign(lab, sink, seed, kills=10)


def test_a_batch_that_kills_its_worker_again_and_again_ends_as_a_single_failure(lab, sink):
    """Stands for a record that crashes the program: whoever sends it dies."""
    lab.customers(8)
    lab.simple(sink, batch_size=8, destination={"concurrency": 1})
    sink.hold(lambda q: 5 in q.ids)
    running = lab.start_run("--workers", "1")
    seen = 0
    while running.process.poll() is None:
        wait_until(lambda: sink.count_held() > seen or running.process.poll() is not None, 60, "the deadly record")
        if running.process.poll() is None:
            seen = sink.count_held()
            processes.kill_hard(running.workers())
        assert seen < 40, "it should have been given up by now"
    done = running.wait()
    assert done.rc == 1 and done.counts("failed", "succeeded") == (1, 7), done
    sink.release()
    lab.good_run()
    lab.assert_same(sink.state)


def test_killed_at_its_very_start_or_end_the_next_run_is_right(lab, sink):
    lab.customers(500)
    lab.simple(sink)
    kill_when(lab.start_run(), lambda: lab.state_dir.exists(), "the state directory")
    kill_when(lab.start_run(), lambda: len(sink.state) == 500, "the last record")
    lab.good_run()
    lab.assert_same(sink.state)
    assert lab.good_run().counts("planned") == (0,)
