"""SQL models, live: changes of base tables name keys, the model is asked for those alone."""
import pytest

from harness.lab import RUN_DEADLINE_S
from harness.stream import Flow, counts_of, short

MODEL = """select c.id, c.email, count(t.id) as tickets, max(t.subject) as subject
from customers c join tickets t on t.customer = c.id and t.open
where c.active group by c.id, c.email"""


def keys(**how):
    return {"stream": {"from": "keys", "create": True, "keys": {"customers": "id", "tickets": "customer"}, **how}}


def warehouse(lab, customers=100):
    lab.sql("create table customers (id bigint primary key, email text, active boolean, seen timestamptz)")
    lab.sql("create table tickets (id bigint primary key, customer bigint, subject text, open boolean)")
    lab.sql("alter table tickets replica identity full")
    lab.sql(f"insert into customers select g, 'u' || g || '@example.org', g % 3 > 0 from generate_series(1, {customers}) g")
    lab.sql(f"insert into tickets select g, g, 'broken ' || g, g % 2 = 0 from generate_series(1, {customers}) g")
    lab.sql("create index on tickets (customer)")


def flow_of(lab, sink, stream=None, **sync):
    warehouse(lab)
    return Flow(lab, sink, stream=stream or keys(), model={"sql": MODEL}, sql=MODEL, **sync).flowing()


def test_active_in_the_product_but_with_an_open_ticket(live, sink):
    flow = flow_of(live, sink)
    assert short(flow.sent_by("insert into tickets values (1000, 1, 'new', true)")) == [("upsert", 1)]
    assert short(flow.sent_by("update tickets set open = false where id = 2")) == [("delete", 2)]
    assert short(flow.sent_by("update customers set active = false where id = 4")) == [("delete", 4)]
    assert short(flow.sent_by("update customers set active = true where id = 6")) == [("upsert", 6)]
    assert short(flow.sent_by("delete from tickets where id = 8")) == [("delete", 8)]
    assert short(flow.sent_by("update tickets set customer = 5 where id = 10")) == [("delete", 10), ("upsert", 5)]
    assert short(flow.sent_by("delete from customers where id = 14")) == [("delete", 14)]
    assert short(flow.sent_by("update customers set id = 1600 where id = 16; update tickets set customer = 1600 where customer = 16")) == [("delete", 16), ("upsert", 1600)]
    flow.end()


def test_only_what_really_changed_is_sent(live, sink):
    flow = flow_of(live, sink)
    mark = len(sink.log)
    live.sql("update customers set seen = now()")
    live.sql("update tickets set subject = 'closed anyway' where not open")
    flow.sent_by("update customers set email = 'other@example.org' where id = 20")
    assert short(sink.sent_since(mark)) == [("upsert", 20)]
    flow.end()


def test_the_model_is_asked_for_the_keys_alone(live, sink):
    flow = flow_of(live, sink)
    live.postgres.sql("create extension if not exists pg_stat_statements", live.database)
    live.sql("select pg_stat_statements_reset()")
    flow.sent_by("insert into tickets select 2000 + g, 1, 'much', true from generate_series(1, 50) g")
    rows = live.sql("select sum(s.rows) from pg_stat_statements s join pg_database d on d.oid = s.dbid "
                    "where d.datname = current_database() and query like '%max(t.subject)%' and query not like '%pg_stat%' and calls > 0 and query ilike '%any%'")
    assert rows[0][0] is not None and rows[0][0] <= 10, "one customer, whatever its tickets"
    flow.end()


def test_many_changes_of_many_tables_end_as_the_model_says(live, sink):
    flow = flow_of(live, sink, guard="off")
    for step in range(10):
        live.sql(f"update tickets set open = not open where id % 10 = {step}; update customers set active = not active where id % 7 = {step % 7}; "
                 f"insert into tickets values ({3000 + step}, {step + 1}, 's', true); delete from tickets where id = {3000 + step - 3}")
    flow.wait_same()
    flow.end()


def test_keys_of_text_and_of_several_columns(live, sink):
    live.sql("create table shops (country text, nr int, name text, primary key (country, nr))")
    live.sql("create table sales (id bigint primary key, country text, shop int, amount numeric); alter table sales replica identity full")
    live.sql("insert into shops select c, g, 'Shop ''' || g from generate_series(1, 10) g, unnest(array['de', 'O''Neil \\ {x,\"y\"}']) c")
    live.sql("insert into sales select g, 'de', 1 + g % 10, g from generate_series(1, 30) g")
    sql = "select s.country, s.nr, s.name, (select sum(amount) from sales x where x.country = s.country and x.shop = s.nr) as turnover from shops s"
    stream = {"stream": {"from": "keys", "create": True, "keys": {"shops": ["country", "nr"], "sales": ["country", "shop"]}}}
    flow = Flow(live, sink, stream=stream, model={"sql": sql, "primary_key": ["country", "nr"]}, sql=sql, key=("country", "nr")).flowing()
    assert len(flow.sent_by("insert into sales values (100, 'O''Neil \\ {x,\"y\"}', 3, 12.50)")) == 1
    assert len(flow.sent_by("update sales set shop = 9 where id = 1")) == 2
    assert len(flow.sent_by("delete from shops where nr = 4")) == 2
    flow.end()


def test_reconciliation_reports_what_drifted(live, sink):
    """What no base table tells (here: the model looks at one that is not named) is found by reading it all."""
    live.sql("create table rates (factor numeric); insert into rates values (1)")
    live.sql("create table c (id bigint primary key, amount numeric); insert into c select g, g from generate_series(1, 50) g")
    sql = "select c.id, c.amount * (select factor from rates) as amount from c"
    stream = {"stream": {"from": "keys", "create": True, "keys": {"c": "id"}, "reconcile": {"every": "2s"}}}
    flow = Flow(live, sink, stream=stream, model={"sql": sql}, sql=sql).flowing()
    live.sql("update rates set factor = 2")
    flow.wait_same()
    flow.service.wait(lambda: "drift" in str(flow.runs()) + flow.running.err(), "words for the drift")
    flow.sent_by("update c set amount = 7 where id = 3")
    flow.end()


@pytest.mark.parametrize("broken", ["alter table tickets rename to other", "alter table tickets rename column open to opened"])
def test_a_model_that_no_longer_works_removes_nothing_and_goes_on_when_it_does(live, sink, broken):
    flow = flow_of(live, sink)
    mark = len(sink.log)
    live.sql(broken + "; update customers set email = 'x' || id")
    assert flow.wait_why()
    assert len(sink.log) == mark
    live.sql("alter table other rename to tickets" if "rename to" in broken and "column" not in broken else "alter table tickets rename column opened to open")
    flow.wait_same(RUN_DEADLINE_S)
    flow.end()


def test_a_table_that_does_not_tell_which_key_was_left_is_noted(live, sink):
    warehouse(live)
    live.sql("alter table tickets replica identity default")
    flow = Flow(live, sink, stream=keys(), model={"sql": MODEL}, sql=MODEL).flowing()
    note = flow.view()["note"]
    assert "tickets" in note and "replica identity" in note.lower(), note
    assert short(flow.sent_by("update tickets set open = false where id = 2")) == [("delete", 2)]
    live.sql("delete from tickets where id = 4")
    assert live.command("run", "s").rc == 0, "a read of the whole model finds it"
    flow.wait_same()
    flow.end()


def test_counts_of_a_stream_of_keys(live, sink):
    flow = flow_of(live, sink, stream=keys(roll="1s"))
    live.sql("update customers set seen = now() where id <= 10")
    flow.sent_by("update customers set email = 'n' || id where id = 20")
    runs = flow.wait_stretches(lambda ended: sum(counts_of(r)["changes"] for r in ended) >= 11, "their stretch has ended")
    assert sum(counts_of(r)["planned"] for r in runs) == 1
    flow.end()
