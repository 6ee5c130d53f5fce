"""A read that did not reach its end never produces removals."""
import pytest

from harness.sink import wait_until

pytestmark = pytest.mark.core


def synced_view(lab, sink, rows=3000):
    lab.customers(rows)
    lab.sql("create view v as select * from c")
    lab.simple(sink, sql="select * from v", batch_size=100, guard={"max_removed": "off"})
    lab.good_run()


@pytest.mark.parametrize("read", ["copy", "rows"])
def test_a_query_that_fails_in_its_middle_removes_nothing(lab, sink, read):
    synced_view(lab, sink)
    lab.sql("create or replace view v as select id, email, name, case when id = 1500 then amount / (id - 1500) else amount end as amount, vip from c")
    lab.sql("update c set name = 'new' where id <= 500; delete from c where id > 2990")
    lab.simple(sink, sql="select * from v order by id", source={"read": read}, batch_size=100, guard={"max_removed": "off"})
    done = lab.run()
    assert done.rc == 2 and done.last["status"] == "failed" and done.last["removed"] == 0
    assert "division by zero" in done.text
    assert len(sink.state) == 3000
    lab.sql("create or replace view v as select * from c")
    lab.good_run()
    lab.assert_same(sink.state)


def test_a_terminated_backend_removes_nothing(lab, sink):
    synced_view(lab, sink)
    lab.sql("delete from c where id > 2990; update c set name = 'new'")
    lab.simple(sink, sql="select * from v where id < 1000 or pg_sleep(60) is not null", batch_size=100)
    mark = len(sink.log)
    running = lab.start_run()
    query = (f"from pg_stat_activity where datname = '{lab.database}' and pid <> pg_backend_pid() "
             "and wait_event = 'PgSleep'")
    wait_until(lambda: lab.sql(f"select 1 {query}"), 30, "the model's query")
    lab.sql(f"select pg_terminate_backend(pid) {query}")
    done = running.wait()
    assert done.rc == 2 and done.last["removed"] == 0 and done.last["status"] == "failed"
    assert len(sink.state) == 3000
    assert not [r for r in sink.sent_since(mark) if r["op"] == "delete"]
    lab.simple(sink, sql="select * from v", batch_size=100)
    lab.good_run()
    lab.assert_same(sink.state)


def test_a_model_that_cannot_be_run_fails_its_syncs_and_no_other(lab, sinks):
    good, bad = sinks(), sinks()
    lab.customers(100)
    lab.project({"works": {"sql": "select * from c"}, "broken": {"sql": "select * from nowhere"}},
                {"good": {"url": good.url}, "bad": {"url": bad.url}},
                {"a": {"model": "broken", "destination": "bad"}, "b": {"model": "works", "destination": "good"}})
    done = lab.run()
    assert done.rc == 2 and done.sync("b")["status"] == "success" and done.sync("a")["status"] == "failed"
    assert "nowhere" in done.text and len(good.state) == 100 and not bad.log


@pytest.mark.parametrize("sql", ["delete from c returning *", "select 1 as id; delete from c", "commit; delete from c",
                                 "with gone as (delete from c returning *) select * from gone"])
def test_a_model_cannot_change_the_warehouse(lab, sink, sql):
    lab.customers(10)
    lab.simple(sink, sql=sql)
    done = lab.command("run", "--json")
    assert done.rc in (2, 78) and not sink.log
    assert lab.sql("select count(*) from c") == [(10,)]


def test_an_unreachable_warehouse_is_a_failed_run(lab, sink):
    lab.warehouse_url = "postgresql://postgres@/none?host=/nowhere/at/all"
    lab.simple(sink)
    done = lab.run()
    assert done.rc == 2 and done.last["status"] == "failed" and "/nowhere/at/all" in done.text


def test_a_reader_with_nothing_but_select_is_enough(lab, sink):
    lab.customers(50)
    lab.sql("drop role if exists reader")
    lab.sql(f"create role reader login; grant select on c to reader; grant connect on database {lab.database} to reader")
    lab.sql("revoke create on schema public from public")
    lab.warehouse_url = lab.postgres.url(lab.database, user="reader")
    lab.simple(sink)
    try:
        assert lab.good_run().counts("succeeded") == (50,)
    finally:
        lab.sql("drop owned by reader; drop role reader")


def test_a_primary_key_that_the_model_does_not_have_is_named(lab, sink):
    lab.customers(3)
    lab.simple(sink, model={"primary_key": "idd"})
    done = lab.command("run")
    assert done.rc in (2, 78) and "idd" in done.text and not sink.log


def test_two_columns_of_one_name_are_a_mistake(lab, sink):
    lab.simple(sink, sql="select 1 as id, 2 as a, 3 as a")
    done = lab.command("run")
    assert done.rc in (2, 78) and not sink.log
