"""Warehouse to Braze: profiles equal the model and every event arrives, through throttling, failures and refusals."""
import pytest

from harness.vendors import Cut, Throttle, html

pytestmark = pytest.mark.vendors

QUICK = {"retry": {"base": "20ms", "max": "100ms"}, "rate_limits": [{"requests": 20, "per": "1s"}]}
MODEL = "select 'u' || id as uid, id, name, amount, vip from c"


def model(lab, where="true"):
    """The model as Braze keeps it: attributes, without what is null."""
    rows = lab.sql(f"select json_strip_nulls(row_to_json(t)) from ({MODEL} where {where}) t")
    return {row.pop("uid"): row for (row,) in rows}


def project(lab, braze, destination=None, **sync):
    mappings = [{"from": "uid", "to": "external_id"}] + [{"from": name, "to": name} for name in ("id", "name", "amount", "vip")]
    lab.project({"people": {"sql": MODEL}},
                {"braze": {"type": "braze", "base_url": braze.url, "token": "rest-key", **QUICK, **(destination or {})}},
                {"s": {"model": "people", "destination": "braze", "object": "users", "identify_by": "external_id", "mappings": mappings, **sync}})


@pytest.fixture
def braze(vendors):
    return vendors.add("braze", token="rest-key", limits={"track": (20, 1.0), "delete": (20, 1.0)})


def test_profiles_equal_the_model_through_trouble(lab, vendors, braze):
    lab.customers(400)
    lab.sql("update c set name = 'Zoë \"Z\" O''Neil 🚀', amount = 9007199254740993 where id = 3")
    lab.sql("update c set amount = null where id = 4")
    project(lab, braze)
    for fault in (Throttle(), html(502), Cut(applied=True), html(500, applied=True), Cut(applied=False)):
        braze.fail(fault, op="track")
    braze.refuse("u7", "'email' is not a valid email address")
    braze.poison("u50")
    first = lab.run()
    assert first.rc == 1 and first.counts("planned", "succeeded", "rejected", "failed") == (400, 398, 2, 0)
    assert vendors.objects("braze", "users") == model(lab, "id not in (7, 50)")
    assert max(len(call.keys) for call in braze.calls("track")) == 75

    braze.pardon()
    lab.sql("update c set name = 'changed' where id % 10 = 0")
    lab.sql("update c set amount = null where id = 3")
    lab.sql("delete from c where id between 101 and 220")
    for fault in (Throttle(), Cut(applied=True), html(503)):
        braze.fail(fault, op="delete")
    second = lab.good_run()
    assert second.counts("added", "changed", "removed", "rejected") == (1, 28, 120, 0)
    assert vendors.objects("braze", "users") == model(lab, "id != 7")
    assert lab.good_run().counts("planned") == (0,)
    vendors.assert_clean()


def test_every_event_arrives(lab, vendors, braze):
    lab.sql("create table e (id int primary key, uid text, at timestamptz, total numeric)")
    lab.sql("insert into e select g, 'u' || g % 50, timestamptz '2026-01-01 10:00+00' + g * interval '1 min', g * 0.5 from generate_series(1, 300) g")
    lab.project({"orders": {"sql": "select id, uid, at, total from e"}},
                {"braze": {"type": "braze", "base_url": braze.url, "token": "rest-key", **QUICK}},
                {"s": {"model": "orders", "destination": "braze", "object": "events", "mode": "append", "first_run": "send",
                       "mappings": [{"from": "uid", "to": "external_id"}, {"value": "order paid", "to": "name"}, {"from": "at", "to": "time"},
                                    {"from": "total", "to": "total"}, {"from": "id", "to": "order"}]}})
    for fault in (Throttle(), html(500), Cut(applied=False)):
        braze.fail(fault)
    lab.good_run()
    lab.sql("insert into e values (301, 'u1', '2026-02-01 10:00+00', 1)")
    assert lab.good_run().counts("planned", "succeeded") == (1, 1)
    events = braze.objects("events").values()
    assert sorted(event["properties"]["order"] for event in events) == list(range(1, 302))
    one = next(event for event in events if event["properties"]["order"] == 60)
    assert one == {"external_id": "u10", "name": "order paid", "time": "2026-01-01T11:00:00Z", "properties": {"total": 30.0, "order": 60}}
    vendors.assert_clean()


def test_clearing_leaves_the_profile_and_updates_never_create(lab, vendors, braze):
    lab.customers(40)
    for number in range(1, 31):
        braze.put("users", f"u{number}", {"kept": "yes"})
    project(lab, braze, mode="update", on_removed="clear", guard="off")
    lab.good_run()
    assert braze.objects("users") == {uid: {"kept": "yes", **row} for uid, row in model(lab, "id <= 30").items()}
    lab.sql("delete from c where id <= 5")
    lab.good_run()
    assert [braze.objects("users").get(f"u{n}") for n in (4, 5, 35)] == [{"kept": "yes"}, {"kept": "yes"}, None]
    vendors.assert_clean()


def test_a_wrong_key_ends_the_run_and_loses_nothing(lab, vendors, braze):
    lab.customers(100)
    project(lab, braze, destination={"token": "wrong"})
    done = lab.run()
    assert done.rc == 2 and done.counts("succeeded", "cancelled", "rejected") == (0, 100, 0)
    project(lab, braze)
    lab.good_run()
    assert braze.objects("users") == model(lab)
