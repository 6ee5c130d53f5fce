"""Warehouse to Segment: users, groups and events arrive once each, though answers get lost."""
import pytest

from harness.vendors import Cut, Throttle, html

pytestmark = pytest.mark.vendors

QUICK = {"retry": {"base": "20ms", "max": "100ms"}, "rate_limits": [{"requests": 40, "per": "1s"}]}


@pytest.fixture
def segment(vendors):
    return vendors.add("segment", token="wk", limits={"second": (40, 1.0)})


def project(lab, segment, sql, sync, destination=None):
    lab.project({"m": {"sql": sql}}, {"seg": {"type": "segment", "base_url": segment.url, "write_key": "wk", **QUICK, **(destination or {})}},
                {"s": {"model": "m", "destination": "seg", **sync}})


def trouble(segment):
    for fault in (Throttle(retry_after=0), html(502), Cut(applied=True), html(500, applied=True), Cut(applied=False)):
        segment.fail(fault, op="batch")


def test_users_equal_the_model_and_clearing_empties_them(lab, vendors, segment):
    lab.customers(500)
    lab.sql("update c set name = 'Zoë \"Z\" 🚀', amount = 12345678901234567.25 where id = 3; update c set amount = null where id = 4")
    sql = "select id, name, amount, vip from c"
    sync = {"object": "identify", "mode": "upsert", "on_removed": "clear", "identify_by": "userId", "batch_size": 60, "guard": "off",
            "mappings": [{"from": "id", "to": "userId"}, "name", "amount", "vip"]}
    project(lab, segment, sql, sync)
    trouble(segment)
    assert lab.good_run().counts("planned", "succeeded") == (500, 500)

    def model(where="true"):
        return {str(row.pop("id")): row for (row,) in lab.sql(f"select json_strip_nulls(row_to_json(t)) from ({sql} where {where}) t")}
    assert segment.objects("users") == model()
    lab.sql("update c set vip = not vip where id % 50 = 0; delete from c where id <= 20")
    assert lab.good_run().counts("changed", "removed") == (10, 20)
    assert segment.objects("users") == {**{str(n): {} for n in range(1, 21)}, **model()}
    assert lab.good_run().counts("planned") == (0,)
    vendors.assert_clean()


def test_every_event_arrives_once(lab, vendors, segment):
    lab.sql("create table e (id int primary key, uid int, at timestamptz, total numeric); insert into e select g, g % 9, "
            "timestamptz '2026-01-01' + g * interval '1 min', g * 0.5 from generate_series(1, 400) g")
    project(lab, segment, "select * from e", {"object": "track/Order Completed", "mode": "append", "first_run": "send", "batch_size": 50,
                                              "mappings": [{"from": "uid", "to": "userId"}, {"from": "at", "to": "timestamp"}, "id", "total"]})
    trouble(segment)
    lab.good_run()
    lab.sql("insert into e values (401, 1, now(), 1)")
    assert lab.good_run().counts("planned", "succeeded") == (1, 1)
    events = list(segment.objects("events").values())
    assert sorted(event["properties"]["id"] for event in events) == list(range(1, 402))
    assert {event["event"] for event in events} == {"Order Completed"} and all("T" in event["timestamp"] for event in events)
    vendors.assert_clean()


def test_groups_are_told_through_a_member(lab, vendors, segment):
    lab.sql("create table g (id text primary key, owner int, seats int); insert into g values ('acme', 7, 10), ('umbra', 8, null)")
    project(lab, segment, "select * from g", {"object": "group", "mode": "upsert", "identify_by": "groupId", "mappings": [
        {"from": "id", "to": "groupId"}, {"from": "owner", "to": "userId"}, "seats"]})
    lab.good_run()
    assert segment.objects("groups") == {"acme": {"seats": 10}, "umbra": {}}
    vendors.assert_clean()


def test_a_row_that_is_too_large_is_invalid_and_the_rest_arrives(lab, vendors, segment):
    lab.customers(30)
    lab.sql("update c set name = repeat('x', 40000) where id = 5")
    project(lab, segment, "select id, name from c", {"object": "identify", "mode": "upsert", "identify_by": "userId",
                                                     "mappings": [{"from": "id", "to": "userId"}, "name"]})
    done = lab.run()
    assert done.rc == 1 and done.counts("planned", "invalid", "succeeded") == (29, 1, 29)
    vendors.assert_clean()
