"""Guards hold a run before it does harm; approve lets exactly that run go."""
import pytest

from harness.sink import record_errors, wait_until

pytestmark = pytest.mark.core

SQL = "select id, email, amount from c"


def synced(lab, sink, rows, **sync):
    lab.customers(rows)
    lab.simple(sink, sql=SQL, **sync)
    return lab.good_run()


def assert_held(done, sink, mark):
    assert done.rc == 3 and done.last["status"] == "held", done
    assert len(sink.log) == mark, "a held run sends nothing"


def approve(lab, done):
    return lab.command("approve", done.last["run"])


@pytest.mark.parametrize("guard, change", [
    ({"max_removed": 5}, "delete from c where id <= 6"),
    ({"max_removed": "5%"}, "delete from c where id <= 6"),
    ({"max_changed": 10}, "update c set amount = 0 where id <= 11"),
    ({"max_changed": "10%"}, "update c set amount = 0 where id <= 11"),
    ({"min_rows": 95, "max_removed": "off"}, "delete from c where id <= 6"),
])
def test_a_guard_holds_the_run_and_approval_sends_exactly_what_was_held(lab, sink, guard, change):
    synced(lab, sink, 100, guard=guard)
    mark = len(sink.log)
    lab.sql(change)
    done = lab.run()
    assert_held(done, sink, mark)
    assert approve(lab, done).rc == 0
    lab.assert_same(sink.state, SQL)
    assert len(sink.sent_since(mark)) == done.last["added"] + done.last["changed"] + done.last["removed"]
    lab.simple(sink, sql=SQL)
    assert lab.good_run().counts("planned") == (0,)


@pytest.mark.parametrize("guard, change", [
    ({"max_removed": 5}, "delete from c where id <= 5"),
    ({"max_removed": "5%"}, "delete from c where id <= 5"),
    ({"max_changed": "10%"}, "update c set amount = 0 where id <= 10"),
    ({"min_rows": 95}, "delete from c where id <= 5"),
])
def test_a_guard_lets_pass_what_just_keeps_its_limit(lab, sink, guard, change):
    synced(lab, sink, 100, guard=guard)
    lab.sql(change)
    lab.good_run()
    lab.assert_same(sink.state, SQL)


def test_no_percentage_holds_a_first_run(lab, sink):
    done = synced(lab, sink, 100, guard={"max_removed": "1%", "max_changed": "1%"})
    assert done.counts("added", "status") == (100, "success")


def test_mirror_holds_the_removal_of_more_than_half_by_default(lab, sink):
    synced(lab, sink, 100)
    mark = len(sink.log)
    lab.sql("delete from c where id <= 51")
    done = lab.run()
    assert_held(done, sink, mark)
    lab.simple(sink, sql=SQL, guard={"max_removed": "off"})
    assert lab.good_run().counts("removed") == (51,)


def test_half_of_a_mirror_may_go(lab, sink):
    synced(lab, sink, 100)
    lab.sql("delete from c where id <= 50")
    assert lab.good_run().counts("removed") == (50,)


@pytest.mark.parametrize("mode", ["mirror", "upsert"])
def test_an_empty_model_is_held_whatever_the_guards(lab, sink, mode):
    synced(lab, sink, 20, mode=mode, guard={"max_removed": "off"})
    mark = len(sink.log)
    lab.sql("delete from c")
    assert_held(lab.run(), sink, mark)
    assert len(sink.state) == 20


def test_allow_empty_lifts_the_hold(lab, sink):
    synced(lab, sink, 20, guard={"max_removed": "off", "allow_empty": True})
    lab.sql("delete from c")
    assert lab.good_run().counts("removed", "succeeded") == (20, 20)
    assert sink.state == {}


def test_a_run_by_hand_replaces_a_held_one(lab, sink):
    synced(lab, sink, 100, guard={"max_removed": 5})
    lab.sql("create table gone as select * from c where id <= 10; delete from c where id <= 10")
    held = lab.run()
    assert held.rc == 3
    lab.sql("insert into c select * from gone")
    assert lab.good_run().counts("unchanged", "removed") == (100, 0)
    late = approve(lab, held)
    assert late.rc not in (0, -11) and len(sink.state) == 100


def test_approval_of_a_changed_mapping_says_to_plan_again(lab, sink):
    synced(lab, sink, 100, guard={"max_removed": 5})
    lab.sql("delete from c where id <= 10")
    held = lab.run()
    mark = len(sink.log)
    lab.simple(sink, sql=SQL, guard={"max_removed": 5}, mappings=[{"from": "email", "to": "mail"}])
    refused = approve(lab, held)
    assert refused.rc != 0 and "again" in refused.text and len(sink.log) == mark


def test_what_changes_after_the_hold_is_not_sent_by_the_approval(lab, sink):
    synced(lab, sink, 100, guard={"max_removed": 5})
    lab.sql("delete from c where id <= 10")
    held = lab.run()
    lab.sql("delete from c where id = 50")
    mark = len(sink.log)
    assert approve(lab, held).rc == 0
    assert sorted(r["key"]["id"] for r in sink.sent_since(mark)) == list(range(1, 11))
    assert lab.good_run().counts("removed") == (1,)


@pytest.mark.parametrize("changed", ["url", "identify_by", "primary_key"])
def test_a_changed_target_is_held_and_approval_sends_all_rows_as_added(lab, sinks, changed):
    first, second = sinks(), sinks()
    synced(lab, first, 50, mode="upsert")
    new = {"url": {}, "identify_by": {"identify_by": "email"}, "primary_key": {"model": {"primary_key": "email"}}}[changed]
    target = second if changed == "url" else first
    mark = len(target.log)
    lab.simple(target, sql=SQL, mode="upsert", **new)
    done = lab.run()
    assert_held(done, target, mark)
    assert done.counts("added", "changed", "removed") == (50, 0, 0)
    assert approve(lab, done).rc == 0
    assert len(target.sent_since(mark)) == 50
    assert lab.good_run().counts("unchanged", "planned") == (50, 0)


def test_what_is_in_doubt_is_not_counted_twice_where_the_target_changed(lab, sinks):
    first, second = sinks(), sinks()
    synced(lab, first, 50, mode="upsert")
    lab.sql("update c set amount = amount + 1")
    first.hold()
    running = lab.start_run()
    wait_until(lambda: first.count_held() > 0, 60, "a request that is not answered")
    running.kill_everything()
    first.release()
    lab.simple(second, sql=SQL, mode="upsert")
    done = lab.run()
    reason = done.runs[-1]["reason"]
    assert done.rc == 3 and "while 50 records are accepted and 50 in doubt at the old one" in reason, done


def test_a_target_changed_back_needs_no_approval(lab, sinks):
    first, second = sinks(), sinks()
    synced(lab, first, 50)
    lab.simple(second, sql=SQL)
    assert lab.run().rc == 3
    lab.simple(first, sql=SQL)
    assert lab.good_run().counts("unchanged", "planned") == (50, 0)


def test_too_many_rejections_stop_the_run_once_enough_verdicts_are_in(lab, sink):
    sink.behave = lambda q: record_errors(*[(n, "no", False) for n, i in enumerate(q.ids) if i % 2])
    sink.delay_s = 0.02
    lab.customers(5000)
    lab.simple(sink, sql=SQL, batch_size=50, guard={"max_rejected": "5%"}, destination={"concurrency": 1})
    done = lab.run()
    assert done.rc == 2 and done.last["status"] == "failed", done
    assert done.last["rejected"] >= 100 and done.last["cancelled"] > 0
    assert len(sink.log) < 60, "it stops soon after the 200th verdict"
    sink.behave = None
    mark = len(sink.log)
    again = lab.good_run()
    assert again.counts("planned", "quarantined", "unchanged") == (done.last["cancelled"], done.last["rejected"], done.last["succeeded"])
    assert len(sink.sent_since(mark)) == done.last["cancelled"], "the rest was kept"


def test_fewer_rejections_than_the_guard_let_the_run_end(lab, sink):
    sink.behave = lambda q: record_errors(*[(n, "no", False) for n, i in enumerate(q.ids) if i % 50 == 0])
    lab.customers(1000)
    lab.simple(sink, sql=SQL, batch_size=50, guard={"max_rejected": "5%"})
    done = lab.run()
    assert done.rc == 1 and done.counts("rejected", "succeeded", "cancelled") == (20, 980, 0)


def test_a_held_run_is_shown_with_its_reason(lab, sink):
    synced(lab, sink, 100, guard={"max_removed": 5})
    lab.sql("delete from c where id <= 10")
    held = lab.run()
    listed = lab.command("runs")
    assert listed.rc == 0 and held.last["run"] in listed.text and "held" in listed.text
    assert "max_removed" in held.text + lab.command("status").text + listed.text
