"""Streams and what happens at their source: slots, publications, restarts, privileges."""
import signal

import psycopg2

from harness.lab import RUN_DEADLINE_S
from harness.sink import wait_until
from harness.stream import Flow, cdc, publications, short, slots


def drop_slot(lab, name):
    """As an administrator does it, with whoever follows it thrown out."""
    def dropped():
        lab.sql(f"select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = '{name}' and active")
        try:
            lab.sql(f"select pg_drop_replication_slot('{name}')")
        except psycopg2.errors.ObjectInUse:
            return False
        return True
    wait_until(dropped, 30, "the slot is gone")


def test_a_slot_that_is_dropped_loses_nothing(live, sink):
    live.customers(100)
    flow = Flow(live, sink).flowing()
    (name,) = slots(live)
    flow.stop()
    drop_slot(live, name)
    live.sql("update c set name = 'missed' where id <= 10; delete from c where id = 50; insert into c values (500, 'e', 'n', 1, true)")
    mark = len(sink.log)
    flow.start()
    flow.flowing()
    assert len(sink.sent_since(mark)) == 12, "only the difference"
    assert short(flow.sent_by("update c set name = 'live' where id = 20")) == [("upsert", 20)]
    flow.end()


def test_a_slot_that_is_dropped_while_it_flows_loses_nothing(live, sink):
    live.customers(100)
    flow = Flow(live, sink).flowing()
    (name,) = slots(live)
    drop_slot(live, name)
    live.sql("update c set name = 'missed' where id <= 10; delete from c where id = 50")
    flow.wait_same()
    flow.flowing()
    flow.sent_by("update c set name = 'live' where id = 20")
    assert len(slots(live)) == 1
    flow.end()


def test_postgres_restarts_in_every_way(own_live, sink):
    own_live.customers(100)
    flow = Flow(own_live, sink).flowing()
    mark = len(sink.log)
    for round_, how in enumerate((signal.SIGINT, signal.SIGQUIT)):
        own_live.sql(f"update c set name = 'before {round_}' where id <= 5")
        own_live.postgres.halt(how)
        own_live.postgres.start()
        own_live.sql(f"update c set name = 'after {round_}' where id between 6 and 10; delete from c where id = {20 + round_}")
        flow.wait_same()
    flow.flowing()
    assert len({r["key"]["id"] for r in sink.sent_since(mark)}) == 12, "others were not sent again"
    assert [r for r in flow.runs() if not r["stream"]][1:] == [], "the model was read once, at the start"
    flow.end()


def test_a_connection_that_is_cut_goes_on_where_it_was(live, sink):
    live.customers(100)
    flow = Flow(live, sink).flowing()
    mark = len(sink.log)
    for round_ in range(3):
        live.sql("select pg_terminate_backend(active_pid) from pg_replication_slots where database = current_database()")
        live.sql(f"update c set name = 'round {round_}' where id <= 3")
        flow.wait_same()
    assert {r["key"]["id"] for r in sink.sent_since(mark)} == {1, 2, 3}
    flow.end()


def test_a_publication_and_a_slot_of_ones_own(live, sink):
    live.customers(20)
    live.sql("create publication mine for table c")
    live.sql("select pg_create_logical_replication_slot('my_slot', 'pgoutput')")
    flow = Flow(live, sink, stream=cdc(slot="my_slot", publication="mine")).flowing()
    assert short(flow.sent_by("update c set name = 'x' where id = 1")) == [("upsert", 1)]
    assert list(slots(live)) == ["my_slot"] and publications(live) == ["mine"]
    flow.end()


def test_what_is_missing_is_said_and_not_made(live, sink):
    live.customers(20)
    flow = Flow(live, sink, stream=cdc(slot="my_slot", publication="mine"))
    why = flow.wait_why()
    assert "mine" in why or "my_slot" in why, why
    assert slots(live) == {} and publications(live) == [] and not sink.log
    live.sql("create publication mine for table c")
    live.sql("select pg_create_logical_replication_slot('my_slot', 'pgoutput')")
    flow.flowing()
    flow.end()


def test_names_are_shown_and_what_sluice_made_is_dropped_when_told_to(live, sink):
    live.customers(20)
    flow = Flow(live, sink).flowing()
    (slot,), (publication,) = slots(live), publications(live)
    told = live.command("stream", "status")
    assert told.rc == 0 and slot in told.out and publication in told.out, told
    assert live.command("stream", "drop", "s").rc != 0 and slots(live), "not while it is in use"
    flow.stop()
    dropped = live.command("stream", "drop", "s")
    assert dropped.rc == 0 and slot in dropped.out and slots(live) == {} and publications(live) == [], dropped


def test_a_server_without_logical_replication_says_what_to_do(lab, sink):
    lab.customers(5)
    flow = Flow(lab, sink)
    why = flow.wait_why()
    assert "wal_level" in why, why
    flow.stop()


def test_stopped_and_started_again_it_goes_on_and_sends_nothing_twice(live, sink):
    live.customers(300)
    flow = Flow(live, sink).flowing()
    mark = len(sink.log)
    for round_ in range(3):
        live.sql(f"update c set name = 'a{round_}' where id between {10 * round_ + 1} and {10 * round_ + 10}")
        flow.wait_same()
        flow.stop()
        live.sql(f"update c set name = 'b{round_}' where id between {100 + 10 * round_} and {109 + 10 * round_}")
        flow.start()
        flow.wait_same()
    assert len(sink.sent_since(mark)) == 60, "each change once"
    assert len([r for r in flow.runs() if not r["stream"]]) == 1, "the model was read once, at the start"
    flow.end()


def test_stopped_in_the_middle_it_sends_the_rest_after_the_start(live, sinks):
    sink = sinks(delay_s=0.02)
    live.customers(50)
    flow = Flow(live, sink, batch_size=10, destination={"concurrency": 1}).flowing()
    mark = len(sink.log)
    live.sql("insert into c select g, 'n' || g, 'N', g, false from generate_series(1001, 2000) g")
    sink.wait_requests(mark + 10)
    flow.stop()
    assert len(sink.state) < 1050
    flow.start()
    flow.wait_same()
    ids = sink.ids_since(mark)
    assert len(ids) == len(set(ids)) == 1000, "each record once"
    flow.end()


def test_a_run_by_hand_takes_its_turn_beside_the_stream(live, sink):
    live.customers(100)
    flow = Flow(live, sink).flowing()
    live.sql("update c set name = 'x' where id <= 5")
    done = live.run("s")
    assert done.rc == 0 and done.last["rows"] == 100, done
    flow.wait_same()
    flow.sent_by("update c set name = 'y' where id <= 5")
    full = live.run("s", "--full")
    assert full.rc == 0 and full.last["succeeded"] == 100, full
    flow.sent_by("delete from c where id <= 5")
    flow.end()


def test_pause_and_resume(live, sink):
    live.customers(30)
    flow = Flow(live, sink).flowing()
    flow.service.post("/api/v1/syncs/s/pause")
    flow.wait_phase("paused")
    mark = len(sink.log)
    live.sql("update c set name = 'while paused' where id <= 5")
    wait_until(lambda: sum(held for _, held in slots(live).values()) > 0, 30, "the log is kept at the source")
    assert len(sink.log) == mark
    flow.service.post("/api/v1/syncs/s/resume")
    flow.wait_same()
    assert len(sink.sent_since(mark)) == 5
    flow.end()


def test_another_model_or_mapping_is_read_anew(live, sink):
    live.customers(30)
    flow = Flow(live, sink, guard="off").flowing()
    flow.write(model={"table": "c", "where": "not vip"}, guard="off")
    flow.sql = "select * from c where not vip"
    flow.reload()
    flow.wait_same()
    flow.stop()
    flow.write(model={"table": "c", "where": "id > 5"}, guard="off")
    flow.sql = "select * from c where id > 5"
    flow.start()
    flow.flowing()
    flow.sent_by("update c set name = 'n' where id < 10")
    flow.end()


def test_a_reload_changes_a_mapping_and_ends_a_stream(live, sink):
    live.customers(30)
    flow = Flow(live, sink).flowing()
    both = [{"from": "id", "to": "id"}, {"template": "<{{name}}>", "to": "name"}]
    flow.write(mappings=both)
    flow.sql = "select id, '<' || name || '>' as name from c"
    flow.reload()
    flow.wait_same()
    flow.flowing()
    flow.sent_by("update c set name = 'n' where id = 3")
    live.simple(sink, sql="select id, name from c", settings={"listen": "127.0.0.1:0"})
    flow.reload()
    wait_until(lambda: not any(active for active, _ in slots(live).values()), RUN_DEADLINE_S, "nobody follows the slot")
    flow.stop()
