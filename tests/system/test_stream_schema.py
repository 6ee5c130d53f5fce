"""Streams when the table itself is changed: emptied, loaded anew, given other columns."""
import pytest

from harness.lab import RUN_DEADLINE_S
from harness.sink import never_within, wait_until
from harness.stream import Flow, short


def held(flow):
    flow.wait_phase("held")
    return next(r for r in flow.runs() if r["status"] == "held")


def test_a_truncate_is_held_and_obeyed_when_approved(live, sink):
    live.customers(100)
    flow = Flow(live, sink).flowing()
    mark = len(sink.log)
    live.sql("truncate c")
    run = held(flow)
    assert run["counts"]["removed"] == 100 and len(sink.log) == mark, "nothing was removed unasked"
    flow.service.post(f"/api/v1/runs/{run['id']}/approve")
    wait_until(lambda: not sink.state, RUN_DEADLINE_S, "an empty destination")
    flow.flowing()
    assert short(flow.sent_by("insert into c values (1, 'back@example.org', 'Back', 1, true)")) == [("upsert", 1)]
    flow.end()


def test_a_truncate_that_is_loaded_again_before_approval_goes_on_without_removals(live, sink):
    live.customers(100)
    flow = Flow(live, sink).flowing()
    mark = len(sink.log)
    live.sql("create table kept as table c; truncate c")
    run = held(flow)
    live.sql("insert into c select * from kept; update c set amount = 0 where id = 5")
    flow.service.post(f"/api/v1/runs/{run['id']}/reject")
    flow.service.wait(lambda: "run the sync" in (flow.view()["why"] or ""), "words for what to do")
    flow.service.post("/api/v1/syncs/s/run")
    flow.wait_same()
    flow.wait_phase("flowing")
    assert [r["op"] for r in sink.sent_since(mark)] == ["upsert"]
    flow.end()


def test_a_table_loaded_anew_in_one_transaction_sends_only_what_changed(live, sink):
    live.customers(200)
    flow = Flow(live, sink).flowing()
    live.sql("create table fresh as table c; update fresh set name = 'other' where id = 9; delete from fresh where id = 10")
    mark = len(sink.log)
    live.sql("begin; truncate c; insert into c select * from fresh; commit")
    flow.wait_same()
    assert short(sink.sent_since(mark)) == [("delete", 10), ("upsert", 9)]
    flow.flowing()
    flow.end()


def test_a_truncate_of_another_table_is_nothing(live, sink):
    live.customers(10)
    live.sql("create table other (id int)")
    flow = Flow(live, sink).flowing()
    live.sql("truncate other")
    assert short(flow.sent_by("update c set name = 'x' where id = 1")) == [("upsert", 1)]
    flow.end()


def test_a_column_is_added_and_dropped_while_changes_flow(live, sink):
    live.customers(30)
    flow = Flow(live, sink, mappings=[{"from": "id", "to": "id"}, {"from": "name", "to": "name"}], sql="select id, name from c").flowing()
    mark = len(sink.log)
    live.sql("alter table c add column note text default 'n'; update c set name = 'a' where id = 1")
    flow.wait_same()
    live.sql("alter table c drop column amount; update c set name = 'b' where id = 2")
    flow.wait_same()
    live.sql("alter table c alter column vip type text; update c set name = 'c' where id = 3; delete from c where id = 4")
    flow.wait_same()
    assert short(sink.sent_since(mark)) == [("delete", 4), ("upsert", 1), ("upsert", 2), ("upsert", 3)]
    flow.flowing()
    flow.end()


def test_a_new_column_of_a_sync_of_all_columns_goes_the_way_a_read_of_it_goes(live, sink):
    """Mapping all columns is another mapping now: what a batch run would send, the stream sends."""
    live.customers(30)
    flow = Flow(live, sink, guard={"columns": "off"}).flowing()
    live.sql("alter table c add column note text; update c set note = 'hello' where id = 1")
    flow.wait_same()
    assert sink.state['{"id":1}']["note"] == "hello"
    flow.flowing()
    flow.end()


def test_a_mapped_column_that_is_dropped_loses_nothing_and_says_so(live, sink):
    live.customers(30)
    flow = Flow(live, sink, mappings=[{"from": "id", "to": "id"}, {"from": "name", "to": "name"}], sql="select id, name from c").flowing()
    mark = len(sink.log)
    live.sql("alter table c rename column name to called; update c set called = 'x' where id = 1")
    flow.service.wait(lambda: "name" in (flow.view()["why"] or ""), "words for it")
    assert never_within(lambda: sink.sent_since(mark), 0.3)
    live.sql("alter table c rename column called to name")
    flow.service.post("/api/v1/syncs/s/run")
    flow.flowing()
    flow.sent_by("update c set name = 'y' where id = 2")
    flow.end()


def replace(lab):
    """As warehouses' tools do it: a new table is built and swapped in."""
    lab.sql("create table next (like c including all); insert into next select * from c where id > 5; update next set name = 'swapped' where id = 6")
    lab.sql("begin; alter table c rename to old; alter table next rename to c; drop table old; commit")


def test_a_table_that_is_replaced_under_its_name_while_nobody_looks(live, sink):
    live.customers(50)
    flow = Flow(live, sink).flowing()
    mark = len(sink.log)
    flow.stop()
    replace(live)
    flow.start()
    flow.flowing()
    assert len(sink.sent_since(mark)) == 6
    flow.sent_by("update c set name = 'followed' where id = 7")
    flow.end()


@pytest.mark.long
def test_a_table_that_is_replaced_under_its_name_is_noticed(live, sink):
    """Nothing tells of it: the tables are looked at now and then."""
    live.customers(50)
    flow = Flow(live, sink).flowing()
    replace(live)
    flow.wait_same()
    flow.flowing()
    flow.sent_by("update c set name = 'followed' where id = 7")
    flow.end()
