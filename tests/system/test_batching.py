"""Which records share a request: group_by, order_by and unique_by of a project's own connector, through crashes and refusals."""
import json
import re
import urllib.parse

import pytest

from harness.lab import assert_clean
from harness.sink import refuse, wait_until

BODY = """{sync: "{{sync}}", run: "{{run}}", batch: "{{batch}}", attempt: "{{attempt}}",
                                 records: {$records: {op: "{{op}}", key: {$keys: {}}, fields: {$fields: {as: native, null: send}}}}}"""

CONNECTOR = """
connectors:
  lists:
    options: {base_url: {default: "http://127.0.0.1:9"}}
    objects:
      members:
        keys: {id: {}}
        fields: {list: {}, "*": {}}
        max_records: 50
        WORDS
        requests:
          upsert: {url: "{{options.base_url}}/lists/{{group.list}}", idempotency: Idempotency-Key, body: {json: BODY}}
          delete: {url: "{{options.base_url}}/removed", idempotency: Idempotency-Key, body: {json: BODY}}
"""


def project(lab, sink, words, sql, connector=CONNECTOR, **sync):
    lab.project({"m": {"sql": sql}}, {"d": {"type": "lists", "base_url": sink.url}},
                {"s": {"model": "m", "destination": "d", "object": "members", "guard": "off", **sync}})
    lab.write(connector.replace("WORDS", words).replace("BODY", BODY), "lists.yaml")


def of_lists(lab, lists, rows=3000):
    lab.customers(rows)
    lab.sql(f"alter table c add column list text; update c set list = 'l/' || (id * 7919) % {lists}")


def check_lists(requests):
    """Each request is about the list in its address."""
    for q in requests:
        name = re.fullmatch(r"/in/lists/(.*)", q.path)
        if name:
            assert {r["fields"]["list"] for r in q.records} == {urllib.parse.unquote(name[1])}, q.path
        else:
            assert q.path == "/in/removed" and {r["op"] for r in q.records} == {"delete"}


@pytest.mark.core
def test_each_request_is_about_one_value_and_sorted(lab, sink):
    of_lists(lab, 13)
    project(lab, sink, "group_by: list\n        order_by: amount", "select * from c order by md5(id::text)")
    assert lab.good_run().counts("succeeded", "added") == (3000, 3000)
    check_lists(sink.log)
    lab.assert_same(sink.state)
    assert len(sink.log) == sum(-(-n // 50) for (n,) in lab.sql("select count(*) from c group by list"))
    for q in sink.log:
        amounts = [r["fields"]["amount"] for r in q.records]
        assert amounts == sorted(amounts)
    mark = len(sink.log)
    lab.sql("delete from c where id <= 120; update c set list = 'other' where id between 200 and 249")
    assert lab.good_run().counts("changed", "removed") == (50, 120)
    check_lists(sink.log)
    assert sorted(len(q.records) for q in sink.log[mark:]) == [20, 50, 50, 50]
    lab.assert_same(sink.state)
    assert_clean(sink)


def test_values_that_come_in_any_order_still_fill_requests(lab, sink):
    of_lists(lab, 997)
    project(lab, sink, "group_by: list", "select * from c order by md5(id::text)")
    assert lab.good_run().counts("succeeded") == (3000,)
    check_lists(sink.log)
    assert len(sink.log) == 997
    lab.assert_same(sink.state)
    assert_clean(sink)


def test_more_values_than_batches_that_may_be_open(lab, sink):
    of_lists(lab, 4999, 7000)
    project(lab, sink, "group_by: list", "select * from c")
    assert lab.good_run().counts("succeeded") == (7000,)
    check_lists(sink.log)
    assert 4999 <= len(sink.log) <= 7000
    lab.assert_same(sink.state)
    assert_clean(sink)


def test_killed_in_the_middle_the_groups_are_kept(lab, sink):
    of_lists(lab, 29)
    project(lab, sink, "group_by: list\n        order_by: amount", "select * from c")
    sink.hold(lambda q: len(sink.log) > 8)
    running = lab.start_run("--workers", "2")
    wait_until(lambda: sink.count_held() >= 2, 30, "requests that hang at the receiver")
    running.kill_everything()
    sink.release()
    done = lab.good_run()
    assert done.runs[0]["planned"] == done.runs[0]["succeeded"] == 3000
    check_lists(sink.log)
    lab.assert_same(sink.state)
    assert_clean(sink)
    assert lab.good_run().counts("planned", "unchanged") == (0, 3000)


def test_a_refused_record_is_found_by_halves_that_stay_in_their_group(lab, sink):
    of_lists(lab, 5, 400)
    sink.behave = lambda q: refuse(422, "seventy-seven is no friend") if 77 in q.ids else None
    project(lab, sink, "group_by: list", "select * from c")
    done = lab.run()
    assert done.rc == 1 and done.counts("succeeded", "rejected") == (399, 1)
    check_lists(sink.log)
    lab.assert_same(sink.state, "select * from c where id <> 77")


def test_a_row_without_the_value_that_the_address_needs_is_refused_alone(lab, sink):
    of_lists(lab, 5, 200)
    lab.sql("update c set list = null where id in (3, 4, 150)")
    project(lab, sink, "group_by: list", "select * from c")
    done = lab.run()
    assert done.rc == 1 and done.counts("succeeded", "rejected") == (197, 3)
    assert "needs a value that this record does not have" in lab.command("errors").text
    lab.assert_same(sink.state, "select * from c where list is not null")


def test_lanes_of_a_value_and_groups_of_it_go_together(lab, sink):
    """Rows of one list go one request at a time; lists that share a lane still fill requests of their own."""
    of_lists(lab, 100)
    project(lab, sink, "group_by: list\n        lane_by: list", "select * from c")
    assert lab.good_run().counts("succeeded") == (3000,)
    check_lists(sink.log)
    assert len(sink.log) == 100
    lab.assert_same(sink.state)


def test_no_request_holds_a_value_twice(lab, sink):
    lab.customers(900)
    lab.sql("alter table c add column list text default 'x', add column house text; update c set house = 'h' || id % 30 where id > 100")
    project(lab, sink, "group_by: list\n        unique_by: house", "select * from c")
    assert lab.good_run().counts("succeeded") == (900,)
    for q in sink.log:
        houses = [r["fields"]["house"] for r in q.records if r["fields"]["house"] is not None]
        assert len(houses) == len(set(houses))
    lab.assert_same(sink.state)
    assert len(sink.log) < 60


def test_the_command_shows_what_shares_a_request(lab, sink):
    lab.customers(1)
    project(lab, sink, 'group_by: [list, kind]\n        order_by: "{{identify_by}}"\n        unique_by: email', "select * from c")
    shown = lab.command("connectors", "show", "lists")
    assert "| a request | only records with the same `list` and `kind`; sorted by key; no two records with the same `email` |" in shown.out
    members = json.loads(lab.command("connectors", "show", "lists", "--json").out)["objects"][0]
    assert (members["group_by"], members["order_by"], members["unique_by"]) == (["list", "kind"], "{{identify_by}}", "email")


def test_a_record_above_the_cap_of_one_is_invalid_and_nothing_else_is_lost(lab, sink):
    lab.customers(300)
    lab.sql("alter table c add column list text default 'x'; update c set name = repeat('y', 3000) where id in (7, 8, 299)")
    lab.sql("update c set name = repeat('y', 1500) where id = 9")
    project(lab, sink, "group_by: list\n        max_item_bytes: 2kB", "select * from c")
    done = lab.run()
    assert done.rc == 1 and done.counts("rows", "invalid", "succeeded", "rejected") == (300, 3, 297, 0)
    shown = lab.command("errors").text
    assert "the row is larger than the destination takes of one record" in shown and "yyy" not in shown
    lab.assert_same(sink.state, "select * from c where id not in (7, 8, 299)")
    assert lab.run().counts("invalid", "planned", "unchanged") == (3, 0, 297)

    lab.sql("update c set name = 'short' where id = 7; update c set name = repeat('z', 3000) where id = 10; delete from c where id = 299")
    done = lab.run()
    assert done.counts("added", "invalid", "removed") == (1, 2, 0)
    assert lab.sql("select count(*) from c where id = 10") and sink.state['{"id":10}']["name"] == "Name 10"
    lab.sql("delete from c where id in (8, 10)")
    assert lab.good_run().counts("removed", "invalid") == (1, 0)
    lab.assert_same(sink.state)
    assert_clean(sink)


@pytest.mark.parametrize("words, said", [
    ("group_by: lsit", r'lists\.yaml:10:19: .*no field "lsit"; did you mean "list"\?'),
    ("order_by: amuont", r'lists\.yaml:10:19: .*no field "amuont"'),
    ("group_by: list\n        session: true", r"lists\.yaml:10:19: `group_by` and `session` exclude each other"),
    ("batch_records: 10", r"lists\.yaml:12:\d+: \{\{group\.list\}\} needs an object with `group_by`"),
])
def test_check_names_what_is_wrong(lab, sink, words, said):
    lab.customers(1)
    project(lab, sink, words, "select * from c", CONNECTOR.replace(', "*": {}}', ", amount: {}}"), mappings=["amount", "list"])
    done = lab.command("check")
    assert done.rc == 78 and re.search(said, done.text), done.text
