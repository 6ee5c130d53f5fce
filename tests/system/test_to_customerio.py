"""Warehouse to Customer.io: people equal the model and every event arrives once, through throttling, failures and refusals."""
import pytest

from harness.vendors import Answer, Cut, Throttle, html

pytestmark = pytest.mark.vendors

QUICK = {"retry": {"base": "20ms", "max": "100ms"}, "rate_limits": [{"requests": 20, "per": "1s"}]}
MODEL = "select id, 'u' || id as uid, email, name, amount, vip from c"


def model(lab, where="true"):
    """The model as Customer.io keeps it: attributes, without what is null."""
    rows = lab.sql(f"select json_strip_nulls(row_to_json(t)) from ({MODEL} where {where}) t")
    return {row.pop("uid"): {k: v for k, v in row.items() if k != "id"} for (row,) in rows}


def project(lab, cio, destination=None, **sync):
    mappings = [{"from": "uid", "to": "id"}] + [{"from": name, "to": name} for name in ("email", "name", "amount", "vip")]
    lab.project({"people": {"sql": MODEL}},
                {"cio": {"type": "customerio", "base_url": cio.url, "site_id": "site", "api_key": "key", **QUICK, **(destination or {})}},
                {"s": {"model": "people", "destination": "cio", "object": "people", "identify_by": "id", "mappings": mappings,
                       "batch_size": 40, **sync}})


@pytest.fixture
def cio(vendors):
    return vendors.add("customerio", token="site:key", limits={"second": (20, 1.0)})


def test_people_equal_the_model_through_trouble(lab, vendors, cio):
    lab.customers(400)
    lab.sql("update c set name = 'Zoë \"Z\" O''Neil 🚀', amount = 9007199254740993 where id = 3")
    lab.sql("update c set amount = null where id = 4")
    project(lab, cio)
    for fault in (Throttle(retry_after=1), html(502), Cut(applied=True), Answer(500, {"meta": {"error": "oops"}}, applied=True)):
        cio.fail(fault)
    cio.refuse("u7", "invalid")
    cio.poison("u50")
    first = lab.run()
    assert first.rc == 1 and first.counts("planned", "succeeded", "rejected", "failed") == (400, 398, 2, 0)
    assert vendors.objects("customerio", "people") == model(lab, "id not in (7, 50)")

    cio.pardon()
    lab.sql("update c set name = 'changed' where id % 10 = 0")
    lab.sql("update c set amount = null where id = 3")
    lab.sql("delete from c where id between 101 and 220")
    for fault in (Throttle(retry_after=1), Cut(applied=True), html(503)):
        cio.fail(fault)
    second = lab.good_run()
    assert second.counts("added", "changed", "removed", "rejected") == (1, 28, 120, 0)
    assert vendors.objects("customerio", "people") == model(lab, "id != 7")
    assert lab.good_run().counts("planned") == (0,)
    vendors.assert_clean()


def test_a_person_above_the_vendors_cap_is_not_sent(lab, vendors, cio):
    lab.customers(90)
    lab.sql("update c set name = repeat('é', 20000) where id = 5; update c set name = repeat('é', 15000) where id = 6")
    project(lab, cio)
    done = lab.run()
    assert done.rc == 1 and done.counts("rows", "invalid", "succeeded") == (90, 1, 89)
    assert vendors.objects("customerio", "people") == model(lab, "id <> 5")
    vendors.assert_clean()


def test_every_event_arrives_once(lab, vendors, cio):
    lab.sql("create table e (id int primary key, uid text, at bigint, total numeric)")
    lab.sql("insert into e select g, 'u' || g % 50, 1768300000 + g, g * 0.5 from generate_series(1, 300) g")
    lab.project({"orders": {"sql": "select id, uid, at, total from e"}},
                {"cio": {"type": "customerio", "base_url": cio.url, "site_id": "site", "api_key": "key", **QUICK}},
                {"s": {"model": "orders", "destination": "cio", "object": "event/order paid", "mode": "append", "first_run": "send",
                       "batch_size": 50, "mappings": [{"from": "uid", "to": "id"}, {"from": "at", "to": "timestamp"},
                                                      {"from": "total", "to": "total"}, {"from": "id", "to": "order"}]}})
    for fault in (Throttle(retry_after=1), Cut(applied=True), html(500, applied=True)):
        cio.fail(fault)
    lab.good_run()
    lab.sql("insert into e values (301, 'u1', 1768400000, 1)")
    assert lab.good_run().counts("planned", "succeeded") == (1, 1)
    events = list(cio.objects("events").values())
    assert sorted(event["attributes"]["order"] for event in events) == list(range(1, 302))
    one = next(event for event in events if event["attributes"]["order"] == 60)
    one.pop("id")
    assert one == {"person": "u10", "name": "order paid", "timestamp": 1768300060, "attributes": {"total": 30.0, "order": 60}}
    vendors.assert_clean()


def test_wrong_keys_end_the_run_and_lose_nothing(lab, vendors, cio):
    lab.customers(100)
    project(lab, cio, destination={"api_key": "wrong"})
    done = lab.run()
    assert done.rc == 2 and done.counts("succeeded", "cancelled", "rejected") == (0, 100, 0)
    project(lab, cio)
    lab.good_run()
    assert cio.objects("people") == model(lab)
