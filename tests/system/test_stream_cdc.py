"""Change data capture: what is committed in a table is written to the destination, change by change."""
import pytest

from harness.stream import Flow, cdc, publications, short, slots
from harness.sink import wait_until


def test_rows_that_are_there_and_changes_as_they_are_committed(live, sink):
    live.customers(200)
    flow = Flow(live, sink).flowing()
    mark = len(sink.log)
    assert short(flow.sent_by("insert into c values (1000, 'new@example.org', 'New', 1.5, true)")) == [("upsert", 1000)]
    assert short(flow.sent_by("update c set amount = 99.75 where id = 7")) == [("upsert", 7)]
    assert short(flow.sent_by("delete from c where id = 8")) == [("delete", 8)]
    assert short(flow.sent_by("update c set id = 2000 where id = 9")) == [("delete", 9), ("upsert", 2000)]
    assert len(sink.sent_since(mark)) == 5
    flow.end()


@pytest.mark.core
def test_a_stream_of_everything_in_one_transaction(live, sink):
    live.customers(300)
    flow = Flow(live, sink).flowing()
    sent = flow.sent_by("""begin;
        insert into c select g, 'n' || g, 'N', g, false from generate_series(1001, 1100) g;
        update c set name = 'changed' where id <= 100 or id > 1090;
        delete from c where id between 50 and 60;
        update c set id = id + 5000 where id between 70 and 75;
        commit""")
    assert len({r["key"]["id"] for r in sent}) == len(sent), "each record once: the last value of the transaction"
    flow.end()


def test_nothing_of_what_is_rolled_back_is_sent(live, sink):
    live.customers(20)
    flow = Flow(live, sink).flowing()
    mark = len(sink.log)
    live.sql("begin; update c set amount = -1; delete from c where id = 3; rollback")
    flow.sent_by("update c set amount = 5.5 where id = 4")
    assert short(sink.sent_since(mark)) == [("upsert", 4)]
    flow.end()


def test_what_did_not_change_is_not_sent(live, sink):
    live.customers(50)
    flow = Flow(live, sink).flowing()
    mark = len(sink.log)
    live.sql("update c set amount = amount")
    live.sql("update c set name = 'x' where id = 5; update c set name = 'Name 5' where id = 5")
    flow.sent_by("update c set amount = 5.5 where id = 4")
    assert [r for r in sink.sent_since(mark) if r["key"]["id"] not in (4, 5)] == []
    flow.end()


TYPES = """create table c (id bigint primary key, i2 smallint, i4 int, i8 bigint, n numeric, n2 numeric(12, 4), f4 real, f8 double precision,
    b boolean, t text, v varchar(20), ch char(5), by bytea, d date, tm time, ts timestamp, tz timestamptz, iv interval, u uuid,
    j json, jb jsonb, ia int[], ta text[], na numeric[], e mood, ip inet, o oid, m money)"""
ROWS = """insert into c select g, g, -g, 9007199254740993 + g, 12345678901234567890.123456789, g * 1.5, 1.1 * g, 0.1 + g, g % 2 = 0,
    E'Zo\\u00eb "q" \\\\ \\t\\n 🚀', 'v', 'c', '\\x00ff10'::bytea, date '2026-02-28' + g, time '23:59:59.123456', timestamp '2026-01-01 00:00:00.000001',
    timestamptz '2026-06-01 12:00:00.5+02', interval '1 year 2 days 03:04:05', '6b29fc40-ca47-1067-b31d-00dd010662da',
    '{"b": 1, "a": [1, 2.50, null]}', '{"b": 1, "a": [1, 2.50, null]}', array[1, null, 3], array['a "b"', 'c,d', null, ''], array[1.50, 2],
    'so so', '10.0.0.1/8', 1234, 12.34 from generate_series(1, 5) g"""


def test_every_type_has_the_same_value_from_a_read_and_from_the_stream(live, sink):
    live.sql("create type mood as enum ('sad', 'so so', 'happy')")
    live.sql(TYPES)
    live.sql(ROWS)
    live.sql("insert into c (id) values (100)")
    live.sql("insert into c (id, n, f4, f8, d, ts, tz) values (101, 'NaN', 'NaN', 'Infinity', 'infinity', '-infinity', 'infinity')")
    mapped = [{"from": n, "to": n} for n in live.sql("select string_agg(attname, ' ') from pg_attribute where attrelid = 'c'::regclass and attnum > 0")[0][0].split()]
    flow = Flow(live, sink, mappings=mapped)
    wait_until(lambda: len(sink.state) == 6, 60, "the first rows, but for one with values that no destination takes")
    flow.wait_phase("flowing")
    mark = len(sink.log)
    live.sql("update c set id = id")
    live.sql("insert into c (id, t) values (1, 'there') on conflict (id) do update set t = c.t")
    live.sql("update c set t = 'last' where id = 5")
    wait_until(lambda: sink.state['{"id":5}']["t"] == "last", 60, "the last change")
    assert short(sink.sent_since(mark)) == [("upsert", 5)], "as many as changed"
    before = dict(sink.state)
    live.sql("update c set t = coalesce(t, '') || '!'")
    wait_until(lambda: all(f["t"].endswith("!") for f in sink.state.values()), 60, "each row once more")
    for key, fields in before.items():
        now = {**sink.state[key], "t": None}
        assert now == {**fields, "t": None}, key
    flow.stop()


def test_a_long_value_that_did_not_change_stays(live, sink):
    live.sql("create table c (id bigint primary key, body text, n int); alter table c alter body set storage external")
    live.sql("insert into c select g, repeat(md5(g::text), 400), 0 from generate_series(1, 10) g")
    flow = Flow(live, sink).flowing()
    assert short(flow.sent_by("update c set n = 1 where id = 3")) == [("upsert", 3)]
    assert len(sink.state['{"id":3}']["body"]) == 12800
    assert short(flow.sent_by("update c set id = 30, n = 2 where id = 4")) == [("delete", 4), ("upsert", 30)]
    assert short(flow.sent_by("update c set body = repeat('x', 9000) where id = 5")) == [("upsert", 5)]
    flow.sent_by("begin; update c set body = repeat('y', 9000) where id = 6; update c set n = 5 where id = 6; commit")
    flow.end()


def indexed(lab):
    lab.customers(20)
    lab.sql("alter table c alter email set not null; create unique index c_email on c (email); create unique index c_both on c (email, id)")


@pytest.mark.parametrize("identity", ["default", "full", "using index c_both"])
def test_every_replica_identity_that_holds_the_key(live, sink, identity):
    indexed(live)
    live.sql(f"alter table c replica identity {identity}")
    flow = Flow(live, sink).flowing()
    flow.sent_by("update c set name = 'A' where id = 1")
    flow.sent_by("update c set email = 'moved@example.org' where id = 2")
    flow.sent_by("delete from c where id = 3")
    flow.sent_by("update c set id = 300 where id = 4")
    flow.sent_by("update c set id = 500, email = 'both@example.org' where id = 5")
    flow.sent_by("begin; delete from c where id = 6; insert into c values (6, 'again', 'Again', 6, false); commit")
    flow.end()


@pytest.mark.parametrize("identity", ["using index c_email", "nothing"])
def test_a_replica_identity_that_lacks_the_key_is_refused_in_words(live, sink, identity):
    indexed(live)
    live.sql(f"alter table c replica identity {identity}")
    flow = Flow(live, sink)
    why = flow.wait_why()
    assert "replica identity" in why.lower() and "alter table" in why.lower(), why
    live.sql("alter table c replica identity default; delete from c where id = 3")
    flow.flowing()
    flow.sent_by("update c set id = 300 where id = 4")
    flow.end()


def test_a_replica_identity_that_changes_while_it_flows_loses_nothing(live, sink):
    indexed(live)
    flow = Flow(live, sink).flowing()
    live.sql("alter table c replica identity using index c_email; update c set name = 'A' where id = 1; update c set email = 'm' where id = 2; delete from c where id = 3")
    live.sql("alter table c replica identity full; update c set id = 300 where id = 4")
    flow.wait_same()
    flow.flowing()
    flow.sent_by("delete from c where id = 5")
    flow.end()


def test_a_row_filter_is_entered_and_left(live, sink):
    live.customers(40)
    flow = Flow(live, sink, model={"table": "c", "where": "vip and amount > 10"}, sql="select * from c where vip and amount > 10", guard="off").flowing()
    assert short(flow.sent_by("update c set vip = false where id = 14")) == [("delete", 14)]
    assert short(flow.sent_by("update c set vip = true where id = 15")) == [("upsert", 15)]
    assert short(flow.sent_by("update c set amount = 3 where id = 21")) == [("delete", 21)]
    assert flow.sent_by("insert into c values (50, 'e', 'n', 1, true)") == []
    assert short(flow.sent_by("update c set amount = 11 where id = 50")) == [("upsert", 50)]
    assert flow.sent_by("update c set name = 'x' where not vip") == []
    assert short(flow.sent_by("delete from c where id in (28, 29)")) == [("delete", 28)]
    assert short(flow.sent_by("update c set id = 350 where id = 35")) == [("delete", 35), ("upsert", 350)]
    flow.end()


def test_a_choice_of_columns(live, sink):
    live.customers(20)
    flow = Flow(live, sink, model={"table": "c", "columns": ["id", "name"]}, sql="select id, name from c").flowing()
    mark = len(sink.log)
    live.sql("update c set amount = 0, email = 'secret'")
    assert short(flow.sent_by("update c set name = 'seen' where id = 2")) == [("upsert", 2)]
    assert "secret" not in str([q.doc for q in sink.log[mark:]])
    flow.end()


def test_keys_of_several_columns(live, sink):
    live.sql("create table c (shop text, nr int, v text, primary key (nr, shop))")
    live.sql("insert into c select s, g, 'v' from generate_series(1, 10) g, unnest(array['a', 'b']) s")
    flow = Flow(live, sink, model={"table": "c", "primary_key": ["shop", "nr"]}, key=("shop", "nr")).flowing()
    flow.sent_by("update c set v = 'w' where nr = 3")
    flow.sent_by("delete from c where shop = 'a' and nr = 4")
    flow.sent_by("update c set shop = 'z' where shop = 'b' and nr = 5")
    flow.end()


def test_an_identity_that_moves_from_row_to_row(live, sink):
    live.customers(30)
    mapped = [{"from": n, "to": n} for n in ("email", "name")]
    flow = Flow(live, sink, identify_by="email", mappings=mapped, sql="select email, name from c", key=("email",)).flowing()
    flow.sent_by("update c set email = 'fresh@example.org' where id = 1")
    flow.sent_by("begin; delete from c where id = 2; insert into c values (200, 'u2@example.org', 'Two', 1, true); commit")
    flow.sent_by("begin; update c set email = 'tmp' where id = 3; update c set email = 'u3@example.org' where id = 4; "
                 "update c set email = 'u4@example.org' where id = 3; commit")
    flow.end()


def test_a_partitioned_table(live, sink):
    live.sql("create table c (id bigint, region text, v text, primary key (id, region)) partition by list (region)")
    live.sql("create table c_eu partition of c for values in ('eu'); create table c_us partition of c for values in ('us')")
    live.sql("insert into c select g, case when g % 2 = 0 then 'eu' else 'us' end, 'v' from generate_series(1, 20) g")
    flow = Flow(live, sink, model={"table": "c"}).flowing()
    flow.sent_by("update c set v = 'w' where id = 2")
    flow.sent_by("update c set region = 'us', v = 'moved' where id = 4")
    flow.sent_by("insert into c_eu values (100, 'eu', 'direct')")
    flow.sent_by("delete from c_us where id = 1")
    live.sql("create table c_jp partition of c for values in ('jp')")
    flow.sent_by("insert into c values (200, 'jp', 'new partition')")
    flow.end()


def test_a_transaction_of_many_rows(live, version_sink):
    live.sql("create table c (id bigint primary key, version bigint, body text)")
    live.sql("insert into c select g, 1, 'b' from generate_series(1, 1000) g")
    flow = Flow(live, version_sink, guard="off")
    wait_until(lambda: version_sink.stats()["rows"] == 1000, 60, "the first rows")
    flow.wait_phase("flowing")
    live.sql("begin; insert into c select g, 1, 'b' from generate_series(1001, 120000) g; update c set version = 2 where id % 2 = 0; "
             "delete from c where id % 10 = 0; commit")
    want = dict(live.sql("select id, version from c"))
    wait_until(lambda: version_sink.stats()["rows"] == len(want) and version_sink.rows() == want, 120, "all of the transaction", pause_s=0.1)
    version_sink.assert_in_order()
    flow.stop()


def test_other_tables_traffic_does_not_hold_the_slot_back(live, sink):
    live.customers(5)
    live.sql("create table other (id int primary key, t text)")
    flow = Flow(live, sink).flowing()
    live.sql("insert into other select g, repeat('x', 500) from generate_series(1, 20000) g")
    wait_until(lambda: all(held < 1 << 20 for _, held in slots(live).values()) and len(slots(live)) == 1, 60, "a slot that moves on", pause_s=0.1)
    flow.end()


def test_several_syncs_of_one_table_and_of_others(live, sinks):
    a, b, d = sinks(), sinks(), sinks()
    live.customers(50)
    live.sql("create table other (id int primary key, v text); insert into other values (1, 'one')")
    live.project({"m": {"table": "c"}, "o": {"table": "other"}}, {"a": {"url": a.url}, "b": {"url": b.url}, "d": {"url": d.url}},
                 {"one": {"model": "m", "destination": "a", "schedule": cdc()}, "two": {"model": "m", "destination": "b", "schedule": cdc()},
                  "three": {"model": "o", "destination": "d", "schedule": cdc()}}, {"listen": "127.0.0.1:0"})
    service = live.start_service()

    def same():
        try:
            for s, sql in ((a, "select * from c"), (b, "select * from c"), (d, "select * from other")):
                live.assert_same(s.state, sql)
        except AssertionError:
            return False
        return True
    wait_until(same, 60, "the first rows everywhere")
    live.sql("update c set name = 'n' where id < 10; delete from c where id = 20; insert into other values (2, 'two')")
    wait_until(same, 60, "the changes everywhere")
    assert len(slots(live)) == 3 and len(publications(live)) == 3
    service.process.terminate()
    assert service.wait().rc == 0
