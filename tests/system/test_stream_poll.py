"""Polling a cursor, for sources whose log cannot be followed."""
import time

from harness.stream import Flow, short


def poll(**how):
    return {"stream": {"from": "poll", "every": "200ms", "cursor": "updated_at", **how}}


def warehouse(lab, rows=100):
    lab.sql("create table c (id bigint primary key, name text, updated_at timestamptz default clock_timestamp())")
    lab.sql(f"insert into c select g, 'n' || g from generate_series(1, {rows}) g")
    lab.sql("create index on c (updated_at)")


def flow_of(lab, sink, **how):
    warehouse(lab)
    return Flow(lab, sink, stream=poll(**how), mappings=[{"from": n, "to": n} for n in ("id", "name")], sql="select id, name from c").flowing()


def change(lab, where, name):
    lab.sql(f"update c set name = '{name}', updated_at = clock_timestamp() where {where}")


def test_rows_above_the_cursor_are_sent(lab, sink):
    flow = flow_of(lab, sink)
    mark = len(sink.log)
    change(lab, "id <= 3", "x")
    flow.wait_same()
    lab.sql("insert into c values (1000, 'new')")
    flow.wait_same()
    assert short(sink.sent_since(mark)) == [("upsert", 1), ("upsert", 2), ("upsert", 3), ("upsert", 1000)]
    flow.end()


def test_a_transaction_that_commits_late_is_not_skipped(lab, sink):
    flow = flow_of(lab, sink, overlap="1s")
    late = lab.postgres.connect(lab.database)
    late.autocommit = False
    with late.cursor() as cursor:
        cursor.execute("update c set name = 'late', updated_at = clock_timestamp() where id = 5")
        began = time.monotonic()
        step = 0
        while time.monotonic() < began + 3:  # far beyond the overlap, others commit meanwhile
            change(lab, "id = 6", f"step {step}")
            mark = lab.sql("select name from c where id = 6")[0][0]
            flow.service.wait(lambda: sink.state['{"id":6}']["name"] == mark, "what was committed after it")
            step += 1
    assert sink.state['{"id":5}']["name"] == "n5"
    late.commit()
    late.close()
    flow.wait_same()
    flow.end()


def test_a_notification_wakes_it_early(lab, sink):
    flow = flow_of(lab, sink, every="1h", notify="changed")
    for name in ("a", "b", "c"):
        change(lab, "id = 3", name)
        lab.sql("notify changed")
        flow.wait_same()
    flow.end()


def test_what_is_deleted_is_found_by_the_next_reconciliation(lab, sink):
    flow = flow_of(lab, sink, reconcile={"every": "2s"})
    lab.sql("delete from c where id in (4, 5)")
    flow.wait_same()
    flow.end()


def test_stopped_and_killed_it_goes_on_from_where_it_was(lab, sink):
    flow = flow_of(lab, sink)
    mark = len(sink.log)
    flow.stop()
    change(lab, "id <= 10", "while down")
    flow.start()
    flow.wait_same()
    flow.kill()
    change(lab, "id between 11 and 20", "while dead")
    flow.start()
    flow.wait_same()
    assert set(sink.ids_since(mark)) == set(range(1, 21)), "the others were not sent again"
    flow.end()


def test_many_rows_with_one_value_of_the_cursor(lab, sink):
    flow = flow_of(lab, sink)
    lab.sql("update c set name = 'same', updated_at = '2099-01-01'")
    flow.wait_same()
    lab.sql("insert into c select g, 'more', '2099-01-01' from generate_series(1000, 6000) g")
    flow.wait_same()
    flow.end()
