"""The main job: full, incremental, unchanged and removal runs."""
import pytest

from harness.lab import assert_clean

pytestmark = pytest.mark.core


def test_the_first_run_sends_every_row_and_the_second_nothing(lab, sink):
    lab.customers(5000)
    lab.simple(sink)
    first = lab.good_run()
    assert first.counts("rows", "added", "planned", "succeeded", "status") == (5000, 5000, 5000, 5000, "success")
    assert first.last["requests"] == len(sink.log) == 10
    lab.assert_same(sink.state)
    second = lab.good_run()
    assert second.counts("rows", "unchanged", "planned", "requests") == (5000, 5000, 0, 0)
    assert len(sink.log) == 10
    assert_clean(sink)


def test_an_incremental_run_sends_what_was_added_changed_and_removed_and_nothing_else(lab, sink):
    lab.customers(4000)
    lab.simple(sink)
    lab.good_run()
    mark = len(sink.log)
    lab.sql("delete from c where id % 100 = 0; update c set amount = amount + 1 where id % 50 = 1")
    lab.customers(30, first=5001)
    done = lab.good_run()
    assert done.counts("added", "changed", "removed", "unchanged") == (30, 80, 40, 4000 - 40 - 80)
    sent = sink.sent_since(mark)
    assert len(sent) == 150
    assert {r["key"]["id"] for r in sent if r["op"] == "delete"} == set(range(100, 4001, 100))
    lab.assert_same(sink.state)
    assert_clean(sink)


def test_full_sends_known_rows_again_as_changed(lab, sink):
    lab.customers(1200)
    lab.simple(sink)
    lab.good_run()
    mark = len(sink.log)
    done = lab.good_run("--full")
    assert done.counts("changed", "added", "succeeded") == (1200, 0, 1200)
    assert sink.ids_since(mark) == list(range(1, 1201))
    assert lab.good_run().counts("planned") == (0,)


def test_rows_may_come_in_any_order(lab, sink):
    lab.customers(3000)
    lab.simple(sink, sql="select * from c order by id desc")
    lab.good_run()
    lab.simple(sink, sql="select * from c order by md5(id::text)")
    lab.sql("delete from c where id in (5, 2999)")
    done = lab.good_run()
    assert done.counts("unchanged", "removed", "planned") == (2998, 2, 2)
    lab.assert_same(sink.state)


def test_only_mapped_columns_take_part_in_change_detection(lab, sink):
    lab.customers(300)
    lab.simple(sink, mappings=[{"from": "email", "to": "email"}])
    lab.good_run()
    lab.sql("update c set amount = amount * 2, name = 'other'")
    assert lab.good_run().counts("unchanged", "planned") == (300, 0)
    lab.sql("update c set email = 'new@example.org' where id = 7")
    mark = len(sink.log)
    assert lab.good_run().counts("changed", "planned") == (1, 1)
    assert sink.sent_since(mark)[0]["fields"] == {"email": "new@example.org"}


def test_a_new_transform_with_the_same_output_sends_nothing(lab, sink):
    lab.customers(300)
    lab.simple(sink, mappings=[{"from": "email", "to": "email"}])
    lab.good_run()
    lab.simple(sink, mappings=[{"from": "email", "to": "email", "transform": ["trim", "lower"]}])
    assert lab.good_run().counts("unchanged", "planned") == (300, 0)


def test_a_new_target_name_sends_every_row(lab, sink):
    lab.customers(300)
    lab.simple(sink, mappings=[{"from": "email", "to": "email"}])
    lab.good_run()
    lab.simple(sink, mappings=[{"from": "email", "to": "mail"}])
    assert lab.good_run().counts("changed", "added") == (300, 0)


def test_composite_keys_keep_their_parts_apart(lab, sink):
    lab.sql("create table o (shop text, nr int, total int, primary key (shop, nr))")
    lab.sql("insert into o values ('a', 11, 1), ('a1', 1, 2), ('a', 1, 3), ('', 1, 4), ('a:1', 1, 5)")
    sql = "select * from o"
    lab.simple(sink, sql=sql, model={"primary_key": ["shop", "nr"]})
    assert lab.good_run().counts("added", "succeeded") == (5, 5)
    lab.assert_same(sink.state, sql, ("shop", "nr"))
    lab.sql("delete from o where shop = 'a' and nr = 11; update o set total = 9 where shop = 'a1'")
    assert lab.good_run().counts("changed", "removed", "unchanged") == (1, 1, 3)
    lab.assert_same(sink.state, sql, ("shop", "nr"))


def test_null_and_duplicate_keys_are_invalid_and_the_first_row_of_a_key_wins(lab, sink):
    lab.sql("create table k (id int, v text)")
    lab.sql("insert into k values (1, 'first'), (1, 'second'), (null, 'x'), (2, 'two'), (null, 'y'), (1, 'third')")
    lab.simple(sink, sql="select * from k")
    done = lab.run()
    assert done.rc == 1
    assert done.counts("rows", "added", "invalid", "succeeded", "status") == (6, 2, 4, 2, "warning")
    assert sink.state['{"id":1}']["v"] == "first"
    again = lab.run()
    assert again.rc == 1 and again.counts("unchanged", "invalid", "planned") == (2, 4, 0)


def test_a_key_that_turns_invalid_is_not_removed(lab, sink):
    lab.sql("create table k (id int, t text); insert into k select g, 'x' from generate_series(1, 20) g")
    lab.simple(sink, sql="select id, t, case when id = 3 and t <> 'x' then 'NaN'::float8 else 1 end as f from k")
    lab.good_run()
    lab.sql("update k set t = 'y' where id = 3")
    done = lab.run()
    assert done.counts("invalid", "removed", "unchanged") == (1, 0, 19)
    assert '{"id":3}' in sink.state


def test_a_removal_carries_the_key_alone(lab, sink):
    lab.customers(20)
    lab.simple(sink)
    lab.good_run()
    lab.sql("delete from c where id = 4")
    mark = len(sink.log)
    lab.good_run()
    assert sink.sent_since(mark) == [{"op": "delete", "key": {"id": 4}, "fields": {}}]
    assert lab.good_run().counts("planned", "removed") == (0, 0)


def test_a_run_names_its_syncs_and_leaves_the_others_alone(lab, sinks):
    one, two = sinks(), sinks()
    lab.customers(100)
    lab.project({"m": {"sql": "select * from c"}}, {"one": {"url": one.url}, "two": {"url": two.url}},
                {"first": {"model": "m", "destination": "one"}, "second": {"model": "m", "destination": "two"}})
    done = lab.good_run("second")
    assert [r["sync"] for r in done.runs] == ["second"]
    assert len(one.log) == 0 and len(two.state) == 100
    done = lab.good_run()
    assert {r["sync"] for r in done.runs} == {"first", "second"}
    assert done.sync("second")["planned"] == 0 and done.sync("first")["succeeded"] == 100


def test_several_syncs_of_one_model_cost_one_read(lab, sinks):
    three = [sinks() for _ in range(3)]
    lab.customers(2000)
    lab.project({"m": {"sql": "select * from c where id > 0"}},
                {f"d{i}": {"url": s.url} for i, s in enumerate(three)},
                {f"s{i}": {"model": "m", "destination": f"d{i}"} for i in range(3)})
    lab.postgres.sql("select pg_stat_statements_reset()")
    done = lab.good_run()
    assert [r["succeeded"] for r in done.runs] == [2000] * 3
    reads = lab.postgres.sql("select sum(calls), sum(rows) from pg_stat_statements s join pg_database d on d.oid = s.dbid "
                             f"where d.datname = '{lab.database}' and query like '%from c where id > %'")
    assert reads == [(1, 2000)]


@pytest.mark.parametrize("args", [["-C", "DIR", "run", "--json"], ["run", "-C", "DIR", "--json"], ["run", "--json", "-CDIR"]])
def test_the_project_folder_may_be_named(lab, sink, args):
    lab.customers(50)
    lab.simple(sink)
    lab.project_dir, folder = lab.root, lab.project_dir
    done = lab.command(*[a.replace("DIR", str(folder)) for a in args])
    assert done.last["succeeded"] == 50


def test_an_empty_model_on_a_first_run_is_a_success_of_nothing(lab, sink):
    lab.sql("create table c (id int, v int)")
    lab.simple(sink)
    done = lab.good_run()
    assert done.counts("rows", "planned", "status") == (0, 0, "success") and len(sink.log) == 0


def test_a_state_directory_that_does_not_exist_is_made(lab, sink):
    lab.customers(10)
    lab.simple(sink, settings={"state_dir": str(lab.root / "deep" / "er")})
    lab.good_run()
    assert (lab.root / "deep" / "er").is_dir()
