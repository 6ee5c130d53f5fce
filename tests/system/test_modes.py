"""What each mode sends for added, changed and vanished rows."""
import pytest

pytestmark = pytest.mark.core

SQL = "select id, email, amount from c"


def ops(sink, mark):
    return sorted((r["op"], r["key"]["id"]) for r in sink.sent_since(mark))


def three_customers(lab, sink, mode, **sync):
    lab.customers(3)
    lab.simple(sink, sql=SQL, mode=mode, **sync)


def add_change_remove(lab):
    lab.customers(1, first=4)
    lab.sql("update c set amount = 99 where id = 2; delete from c where id = 3")


@pytest.mark.parametrize("mode, op, removed_op", [
    ("upsert", "upsert", None), ("update", "update", None), ("mirror", "upsert", "delete"),
])
def test_added_and_changed_rows_are_sent_by_the_op_of_the_mode(lab, sink, mode, op, removed_op):
    three_customers(lab, sink, mode)
    lab.good_run()
    assert ops(sink, 0) == [(op, 1), (op, 2), (op, 3)]
    mark = len(sink.log)
    add_change_remove(lab)
    done = lab.good_run()
    removed = [(removed_op, 3)] if removed_op else []
    assert ops(sink, mark) == sorted(removed + [(op, 2), (op, 4)])
    assert done.counts("added", "changed", "removed", "unchanged") == (1, 1, len(removed), 1)
    assert lab.good_run().counts("planned") == (0,)


def test_insert_sends_added_rows_only_and_takes_over_changes(lab, sink):
    three_customers(lab, sink, "insert")
    lab.good_run()
    assert ops(sink, 0) == [("insert", 1), ("insert", 2), ("insert", 3)]
    mark = len(sink.log)
    add_change_remove(lab)
    assert lab.good_run().counts("added", "changed", "removed", "unchanged") == (1, 0, 0, 2)
    assert ops(sink, mark) == [("insert", 4)]
    lab.simple(sink, sql=SQL, mode="upsert")
    assert lab.good_run().counts("planned", "unchanged") == (0, 3)


def test_append_sends_every_added_row_once_as_an_event(lab, sink):
    three_customers(lab, sink, "append", first_run="send")
    lab.good_run()
    assert ops(sink, 0) == [("append", 1), ("append", 2), ("append", 3)]
    mark = len(sink.log)
    add_change_remove(lab)
    assert lab.good_run().counts("added", "changed", "removed", "unchanged") == (1, 0, 0, 2)
    assert ops(sink, mark) == [("append", 4)]
    assert [k for k, _ in sink.events["s"]] == ['{"id":1}', '{"id":2}', '{"id":3}', '{"id":4}']


def test_full_sends_every_row_every_run(lab, sink):
    three_customers(lab, sink, "full")
    lab.good_run()
    mark = len(sink.log)
    add_change_remove(lab)
    assert lab.good_run().counts("added", "changed", "removed", "unchanged") == (1, 2, 0, 0)
    assert [i for _, i in ops(sink, mark)] == [1, 2, 4]


def test_full_with_on_removed_delete_removes(lab, sink):
    three_customers(lab, sink, "full", on_removed="delete")
    lab.good_run()
    add_change_remove(lab)
    assert lab.good_run().counts("changed", "added", "removed") == (2, 1, 1)
    assert set(sink.state) == {'{"id":1}', '{"id":2}', '{"id":4}'}


@pytest.mark.parametrize("mode", ["upsert", "update"])
def test_on_removed_delete_deletes_vanished_rows(lab, sink, mode):
    three_customers(lab, sink, mode, on_removed="delete")
    lab.good_run()
    mark = len(sink.log)
    lab.sql("delete from c where id = 1")
    assert lab.good_run().counts("removed", "succeeded", "unchanged") == (1, 1, 2)
    assert ops(sink, mark) == [("delete", 1)]


def test_on_removed_clear_names_the_fields_to_empty(lab, sink):
    three_customers(lab, sink, "upsert", on_removed="clear")
    lab.good_run()
    mark = len(sink.log)
    lab.sql("delete from c where id = 1")
    assert lab.good_run().counts("removed", "succeeded") == (1, 1)
    sent = sink.sent_since(mark)
    assert [(r["op"], r["key"]) for r in sent] == [("clear", {"id": 1})]
    assert all(value is None for value in sent[0]["fields"].values())


def test_an_ignored_removal_is_unchanged_when_the_row_returns_as_it_was(lab, sink):
    three_customers(lab, sink, "upsert")
    lab.good_run()
    lab.sql("create table kept as select * from c where id = 2; delete from c where id = 2")
    assert lab.good_run().counts("rows", "unchanged", "removed", "planned") == (2, 2, 0, 0)
    lab.sql("insert into c select * from kept")
    assert lab.good_run().counts("rows", "unchanged", "planned") == (3, 3, 0)


def test_an_ignored_removal_is_carried_out_when_the_sync_starts_to_remove(lab, sink):
    three_customers(lab, sink, "upsert")
    lab.good_run()
    lab.sql("delete from c where id = 2")
    lab.good_run()
    mark = len(sink.log)
    lab.simple(sink, sql=SQL, mode="upsert", on_removed="delete")
    assert lab.good_run().counts("removed", "succeeded") == (1, 1)
    assert ops(sink, mark) == [("delete", 2)]


def test_first_run_skip_takes_the_present_rows_as_synced(lab, sink):
    three_customers(lab, sink, "upsert", first_run="skip")
    assert lab.good_run().counts("rows", "planned", "unchanged") == (3, 0, 3)
    assert len(sink.log) == 0
    lab.customers(1, first=4)
    lab.sql("update c set amount = 0 where id = 1")
    assert lab.good_run().counts("added", "changed", "unchanged") == (1, 1, 2)
    assert ops(sink, 0) == [("upsert", 1), ("upsert", 4)]


def test_append_wants_to_be_told_about_its_first_run(lab, sink):
    three_customers(lab, sink, "append")
    done = lab.command("check")
    assert done.rc == 78 and "first_run" in done.text
    assert lab.command("run").rc == 78 and len(sink.log) == 0


def test_append_with_first_run_skip_sends_only_what_comes_later(lab, sink):
    three_customers(lab, sink, "append", first_run="skip")
    lab.good_run()
    lab.customers(2, first=10)
    lab.good_run()
    assert ops(sink, 0) == [("append", 10), ("append", 11)]


def test_a_returning_row_is_added_after_its_removal(lab, sink):
    three_customers(lab, sink, "mirror")
    lab.good_run()
    lab.sql("delete from c where id = 3")
    lab.good_run()
    lab.customers(1, first=3)
    assert lab.good_run().counts("added", "changed", "unchanged") == (1, 0, 2)
    assert '{"id":3}' in sink.state
