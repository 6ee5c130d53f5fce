"""What a crash leaves is taken up by the rules of the run that was interrupted, not by those of the next one."""
import os
import signal

import pytest

from harness.sink import wait_until

# Rows come at about a thousand per second, so that a kill finds the read in the middle.
SLOW = "select c.* from c, lateral (select pg_sleep(0.001 + 0 * c.id)) s"


def spools(lab):
    folder = lab.state_dir / "spool"
    return sorted(os.listdir(folder)) if folder.exists() else []


def spooled(lab, at_least):
    return sum(os.path.getsize(lab.state_dir / "spool" / name) for name in spools(lab)) >= at_least


@pytest.mark.parametrize("cause", ["guard", "target"])
def test_a_plan_that_nobody_judged_is_not_sent_after_a_crash(lab, sinks, cause):
    sink, other = sinks(), sinks()
    lab.customers(2000)
    lab.simple(sink, batch_size=50, guard={"max_changed": "10%"})
    lab.good_run()
    mark = len(sink.log)
    lab.sql("update c set name = 'all of them'")
    receiver = other if cause == "target" else sink
    lab.simple(receiver, sql=SLOW, batch_size=50, guard={"max_changed": "10%"})
    running = lab.start_run()
    wait_until(lambda: spooled(lab, 20000), 60, "batches in the spool")
    running.kill_everything()
    done = lab.run()
    assert len(done.runs) == 2 and done.runs[0]["status"] == "failed" and done.runs[1]["status"] == "held", done
    assert done.runs[0]["cancelled"] == done.runs[0]["planned"] > 0 and done.rc == 3
    assert len(sink.log) == mark and not other.log


def test_a_first_read_that_was_interrupted_is_finished_without_removals(lab, sink):
    lab.customers(3000)
    lab.simple(sink, sql=SLOW, batch_size=50)
    running = lab.start_run()
    wait_until(lambda: len(sink.log) >= 5, 60, "requests while the read goes on")
    running.kill_everything()
    lab.sql("delete from c where id <= 50")
    done = lab.run()
    old, new = done.runs
    assert old["status"] == "failed" and old["removed"] == 0 and old["cancelled"] == 0, old
    assert new["status"] == "success" and new["removed"] == 50 and done.rc == 0, new
    times = [q.t for q in sink.log if q.doc["run"] == old["run"]]
    assert old["seconds"] >= times[-1] - times[0], "what came before the crash counts as well"
    lab.assert_same(sink.state)


def test_a_run_whose_sync_is_gone_from_the_project_ends_and_is_told(lab, sink):
    lab.customers(1000)
    lab.simple(sink, batch_size=50)
    sink.hold(lambda q: len(sink.log) > 5)
    running = lab.start_run()
    wait_until(lambda: sink.count_held() >= 1, 30, "a request that hangs")
    running.kill_everything()
    sink.release()
    mark = len(sink.log)
    lab.project({"m": {"sql": "select * from c"}}, {"hook": {"url": sink.url}}, {"other": {"model": "m", "destination": "hook"}})
    done = lab.run("other")
    assert done.runs[0]["sync"] == "s" and done.runs[0]["status"] == "cancelled", done
    assert done.runs[1]["sync"] == "other" and done.runs[1]["succeeded"] == 1000 and done.rc == 0
    assert all(q.doc["sync"] == "other" for q in sink.log[mark:])


def test_spools_that_no_run_needs_are_removed(lab, sink):
    lab.customers(100)
    lab.simple(sink)
    lab.good_run()
    assert spools(lab) == []
    (lab.state_dir / "spool" / "20200101T000000-deadbeef").write_bytes(b"left behind")
    lab.good_run()
    assert spools(lab) == []


def test_the_spool_of_a_held_run_stays_until_it_is_replaced(lab, sink):
    lab.customers(100)
    lab.simple(sink, guard={"max_removed": 5})
    lab.good_run()
    lab.sql("delete from c where id <= 10")
    held = lab.run()
    assert held.rc == 3 and spools(lab) == [held.last["run"]]
    again = lab.run()
    assert again.rc == 3 and spools(lab) == [again.last["run"]]


@pytest.mark.long
def test_a_redis_that_stays_away_ends_the_run_with_69_and_the_next_one_finishes_it(lab, sink, redis_servers):
    server = redis_servers()
    lab.customers(1000)
    lab.simple(sink, batch_size=50, settings={"redis": server.url})
    sink.hold(lambda q: len(sink.log) > 5)
    running = lab.start_run()
    wait_until(lambda: sink.count_held() >= 1, 30, "a request that hangs")
    server.stop()
    sink.release()
    assert running.wait(150).rc == 69
    again = redis_servers()
    lab.simple(sink, batch_size=50, settings={"redis": again.url})
    assert lab.run().rc == 0
    lab.assert_same(sink.state)


def test_a_result_that_cannot_be_read_fails_the_run_and_the_next_one_sends_every_row(lab, sink, redis_servers):
    server = redis_servers()
    lab.customers(500)
    lab.simple(sink, batch_size=50, settings={"redis": server.url})
    sink.hold(lambda q: len(sink.log) > 2)
    running = lab.start_run()
    wait_until(lambda: sink.count_held() >= 1, 30, "a request that hangs")
    run = sink.log[0].doc["run"]
    server.client().xadd("sluice:{hook}:results", {"b": f"{run}.9", "s": "s", "v": b"\xc1 not msgpack"})
    wait_until(lambda: "result_not_folded" in running.err(), 30, "the message")
    sink.release()
    done = running.wait()
    assert done.rc == 2 and done.last["status"] == "failed" and done.last["failed"] >= 50, done
    again = lab.good_run()
    assert again.counts("rows", "succeeded") == (500, 500)
    lab.assert_same(sink.state)


def test_a_project_edited_during_a_run_ends_the_run_with_words(lab, sinks):
    one, other = sinks(), sinks()
    lab.customers(500)
    lab.simple(one, batch_size=20)
    one.hold(lambda q: len(one.log) > 3)
    running = lab.start_run()
    wait_until(lambda: one.count_held() >= 1, 30, "a request that hangs")
    lab.project({"m": {"sql": "select * from c"}}, {"elsewhere": {"url": other.url}},
                {"t": {"model": "m", "destination": "elsewhere"}}, settings={"state_dir": str(lab.state_dir)})
    for pid in running.workers():
        os.kill(pid, signal.SIGHUP)
    one.release()
    done = running.wait()
    assert done.rc == 2 and "edited during the run" in done.text and done.last["cancelled"] > 0, done
    assert not other.log
    assert lab.good_run().counts("succeeded") == (500,)
