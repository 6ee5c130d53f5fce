"""Corners where a hold, a skip or a change of target meets something else."""
from harness import processes
from harness.lab import assert_clean
from harness.sink import never_within, record_errors, wait_until


def test_an_empty_model_is_held_before_any_of_its_removals_is_sent(lab, sink):
    lab.customers(20000)
    lab.simple(sink, batch_size=20, guard={"max_removed": "off"})
    lab.good_run()
    mark = len(sink.log)
    lab.sql("delete from c")
    done = lab.run()
    assert done.rc == 3 and done.last["status"] == "held", done
    assert len(sink.log) == mark and len(sink.state) == 20000
    assert lab.command("approve", done.last["run"]).rc == 0
    assert sink.state == {}


def test_first_run_skip_of_an_empty_model_skips_no_later_row(lab, sink):
    lab.customers(1)
    lab.sql("delete from c")
    lab.simple(sink, first_run="skip")
    lab.good_run()
    lab.customers(10)
    assert lab.good_run().counts("added", "succeeded") == (10, 10)
    lab.assert_same(sink.state)


def test_rows_that_come_after_all_skipped_ones_went_are_sent(lab, sink):
    lab.customers(5)
    lab.simple(sink, first_run="skip", guard={"max_removed": "off", "allow_empty": True})
    assert lab.good_run().counts("unchanged", "planned") == (5, 0)
    lab.sql("delete from c")
    assert lab.good_run().counts("removed") == (5,)
    lab.customers(3, first=10)
    assert lab.good_run().counts("added") == (3,)
    lab.assert_same(sink.state)


def test_what_one_target_refused_is_sent_to_another(lab, sinks):
    first, second = sinks(), sinks()
    first.behave = lambda q: record_errors(*[(n, "no", False) for n in range(len(q.ids))])
    lab.customers(5)
    lab.simple(first)
    assert lab.run().last["rejected"] == 5
    lab.simple(second)
    assert lab.good_run().counts("added", "quarantined") == (5, 0)
    lab.assert_same(second.state)


def test_a_long_key_counts_towards_the_bytes_of_a_batch(lab, sink):
    lab.sql("create table k as select repeat('k', 4000) || g as id, g as n from generate_series(1, 500) g")
    lab.simple(sink, sql="select * from k", destination={"batch_bytes": "64KiB"}, mappings=[{"from": "n", "to": "n"}])
    lab.good_run()
    assert len(sink.state) == 500 and max(len(q.raw) for q in sink.log) <= 64 << 10


def test_a_judged_run_that_was_killed_right_after_its_first_request_is_in_doubt(lab, sink):
    lab.customers(2000)
    lab.simple(sink, batch_size=20, guard={"max_changed": "off", "max_removed": "50%"})
    lab.good_run()
    lab.customers(1000, first=2001)
    mark = len(sink.log)
    sink.hold(lambda q: len(sink.log) > mark)
    running = lab.start_run()
    sink.wait_requests(mark + 1)
    running.kill_everything()
    sink.release()
    lab.sql("delete from c where id > 2000")
    lab.run()
    lab.good_run()
    lab.assert_same(sink.state)


def test_one_sync_of_a_model_that_cannot_be_mapped_leaves_the_other_alone(lab, sink):
    lab.customers(300)
    lab.project({"m": {"sql": "select * from c"}}, {"hook": {"url": sink.url}},
                {"bad": {"model": "m", "destination": "hook", "mappings": [{"from": "nothing", "to": "x"}]},
                 "good": {"model": "m", "destination": "hook"}})
    done = lab.run()
    assert done.rc == 2 and done.sync("bad")["status"] == "failed" and done.sync("good")["succeeded"] == 300
    lab.assert_same(sink.tables["good"])


def test_a_private_redis_that_dies_again_and_again_loses_nothing(lab, sink):
    lab.customers(4000)
    lab.simple(sink, batch_size=20)
    sink.delay_s = 0.02
    running = lab.start_run("--workers", "2")
    for _ in range(6):
        mark = len(sink.log)
        wait_until(lambda: len(sink.log) > mark + 5 or running.process.poll() is not None, 30, "requests")
        processes.kill_hard(running.redis())
    done = running.wait()
    assert done.rc == 0 and done.counts("succeeded") == (4000,), done
    lab.assert_same(sink.state)
    assert_clean(sink)


def test_a_redis_that_dies_while_a_run_is_stopped_does_not_keep_it_from_ending(lab, sink):
    lab.simple(sink, batch_size=10)
    for turn in range(4):
        lab.customers(3000, first=1 + turn * 3000)
        sink.delay_s = 0.05
        mark = len(sink.log)
        running = lab.start_run("--workers", "2")
        sink.wait_requests(mark + 5)
        running.interrupt()
        never_within(lambda: False, 0.01 * turn)  # the moment of the kill moves on
        processes.kill_hard(running.redis())
        assert running.wait(40).rc == 2
    sink.delay_s = 0
    lab.good_run()
    lab.assert_same(sink.state)
