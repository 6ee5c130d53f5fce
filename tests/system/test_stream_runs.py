"""What a stream counts: stretches that balance, changes that coalesce, guards over an hour."""
from harness.lab import RUN_DEADLINE_S
from harness.sink import never_within, record_errors, wait_until
from harness.stream import Flow, cdc, counts_of, short

SLOW = {"rate_limits": [{"requests": 1, "per": "1s"}], "concurrency": 1}


def total(runs, name):
    return sum(counts_of(r)[name] for r in runs)


def test_every_stretch_balances_and_rolls(live, sink):
    live.customers(100)
    flow = Flow(live, sink, stream=cdc(roll="1s")).flowing()
    changes = 0
    while len([r for r in flow.stretches() if r["ended_at"]]) < 3:
        live.sql("update c set amount = amount + 1 where id <= 10; update c set name = name where id between 20 and 24; delete from c where id = 90")
        live.sql("insert into c values (90, 'u90', 'N', 1, true)")
        changes += 17
        flow.wait_same()
    flow.sent_by("update c set name = 'the last' where id = 1")
    flow.stop()
    flow.start()
    runs = flow.wait_stretches(lambda ended: total(ended, "changes") >= changes + 1, "all stretches have ended")
    assert total(runs, "changes") == changes + 1, "each change is counted once"
    assert total(runs, "unchanged") >= 5 and all(r["status"] == "success" for r in runs), runs
    flow.end()


def test_newer_values_replace_those_that_wait(live, sink):
    live.customers(50)
    flow = Flow(live, sink, stream=cdc(roll="1s")).flowing()
    sink.hold()
    live.sql("update c set amount = -1 where id = 1")
    wait_until(lambda: sink.count_held() == 1, RUN_DEADLINE_S, "the first version is under way")
    mark = len(sink.log)
    for step in range(200):
        live.sql(f"update c set amount = {step} where id = 1")
    assert len(sink.log) == mark, "one version of a record at a time"
    sink.release()
    flow.wait_same()
    assert len(sink.sent_since(mark)) < 20, "few, not two hundred"
    runs = flow.wait_stretches(lambda ended: total(ended, "changes") >= 201, "their stretches have ended")
    assert total(runs, "changes") == 201 and total(runs, "coalesced") >= 180
    flow.end()


def test_a_rate_limit_makes_few_records_of_many_changes(live, sink):
    live.customers(20)
    flow = Flow(live, sink, destination=SLOW).flowing()
    mark = len(sink.log)
    for step in range(100):
        live.sql(f"update c set amount = {step} where id <= 10")
    flow.wait_same()
    assert len(sink.sent_since(mark)) <= 60 and len(sink.log) - mark <= 6
    flow.end()


def test_an_add_that_was_never_sent_and_its_removal_cancel_out(live, sink):
    live.customers(20)
    flow = Flow(live, sink, destination={"concurrency": 1}).flowing()
    sink.hold()

    fresh = iter(range(1000, 2000))

    def waits():
        """A row of its own each time: only for want of room does one wait, some batches being in the queue."""
        live.sql(f"insert into c values ({next(fresh)}, 'e', 'n', 1, true)")
        return flow.view()["pending"] > 0 and flow.view()["pending"] > 0
    flow.service.wait(waits, "a change that waits")
    live.sql("insert into c values (200, 'b', 'n', 1, true)")
    live.sql("update c set name = 'later' where id = 200")
    live.sql("delete from c where id = 200; update c set name = 'the last' where id = 20")
    flow.service.wait(lambda: flow.view()["lag_seconds"] == 0, "all is read")
    sink.release()
    flow.wait_same()
    assert 200 not in sink.ids_since(0)
    flow.end()


def test_what_is_paused_coalesces(live, sink):
    live.customers(50)
    flow = Flow(live, sink).flowing()
    flow.service.post("/api/v1/destinations/hook/pause")
    mark = len(sink.log)
    for step in range(100):
        live.sql(f"update c set amount = {step} where id <= 5")
    live.sql("insert into c values (100, 'a', 'n', 1, true)")
    live.sql("delete from c where id = 100")
    flow.service.post("/api/v1/destinations/hook/resume")
    flow.wait_same()
    assert len(sink.sent_since(mark)) <= 20
    flow.end()


def test_a_guard_over_an_hour_holds_the_stream_and_approval_lets_it_go_on(live, sink):
    live.customers(100)
    flow = Flow(live, sink, guard={"max_removed": 10}).flowing()
    mark = len(sink.log)
    for first in range(1, 18, 3):  # what is left after the first ten is no reason for a second hold
        live.sql(f"delete from c where id between {first} and {first + 2}")
    flow.wait_phase("held")
    run = next(r for r in flow.runs() if r["status"] == "held")
    removed = len([r for r in sink.sent_since(mark) if r["op"] == "delete"])
    assert removed <= 10, "no more than the guard allows within the hour"
    assert "max_removed" in run["reason"], run
    assert never_within(lambda: len([r for r in sink.sent_since(mark) if r["op"] == "delete"]) > 10, 0.3)
    flow.service.post(f"/api/v1/runs/{run['id']}/approve")
    flow.wait_same()
    flow.flowing()
    flow.sent_by("update c set name = 'goes on' where id = 50")
    flow.end()


def test_refused_records_are_quarantined_until_their_row_changes(live, sinks):
    sink = sinks(behave=lambda q: record_errors(*[(i, "no such plan", False) for i, k in enumerate(q.ids) if k == 5 and q.records[i]["fields"]["name"] != "good"]))
    live.customers(20)
    flow = Flow(live, sink, stream=cdc(roll="1s"), sql="select * from c where id <> 5")
    flow.flowing()
    live.sql("update c set name = 'bad' where id = 5")
    runs = flow.wait_stretches(lambda ended: total(ended, "rejected") == 1, "the refusal")
    live.sql("update c set name = 'bad' where id = 5")
    flow.wait_stretches(lambda ended: total(ended, "quarantined") == 1, "not sent again")
    assert total(runs, "rejected") == 1
    flow.sql = "select * from c"
    assert short(flow.sent_by("update c set name = 'good' where id = 5")) == [("upsert", 5)]
    flow.end()


def test_records_that_cannot_be_mapped_are_invalid_and_counted(live, sink):
    live.sql("create table c (id bigint primary key, doc text); insert into c select g, '{}' from generate_series(1, 10) g")
    flow = Flow(live, sink, stream=cdc(roll="1s"), mappings=[{"from": "id", "to": "id"}, {"from": "doc", "to": "doc", "transform": ["json"]}],
                sql="select id, '{}'::json as doc from c")
    flow.flowing()
    live.sql("update c set doc = 'no json' where id = 3")
    runs = flow.wait_stretches(lambda ended: total(ended, "invalid") == 1, "an invalid record")
    assert total(runs, "planned") == 0
    live.sql("update c set doc = '{}' where id = 3")
    flow.wait_stretches(lambda ended: total(ended, "changes") == 2, "the second change")
    flow.end()


def test_linger_fills_batches_where_requests_are_counted(live, sink):
    live.customers(50)
    flow = Flow(live, sink, stream=cdc(linger="500ms"), destination={"rate_limits": [{"requests": 1000, "per": "1s"}]}).flowing()
    mark = len(sink.log)
    for i in range(1, 31):
        live.sql(f"update c set name = 'x' where id = {i}")
    flow.wait_same()
    assert len(sink.sent_since(mark)) == 30 and len(sink.log) - mark <= 10
    flow.end()
