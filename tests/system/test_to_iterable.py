"""Warehouse to Iterable: users and list members equal the model, events arrive once, within 5 requests a second."""
import pytest

from harness.vendors import Cut, Throttle, html

pytestmark = pytest.mark.vendors

QUICK = {"retry": {"base": "20ms", "max": "100ms"}, "batch_size": 100}


@pytest.fixture
def iterable(vendors):
    return vendors.add("iterable", token="it-key", limits={name: (10, 1.0) for name in (
        "bulk_update", "track_bulk", "subscribe", "unsubscribe")} | {"delete": (40, 1.0)})


def project(lab, iterable, sql="select id, upper(email) as email, name, amount, vip from c", **sync):
    lab.project({"m": {"sql": sql}}, {"it": {"type": "iterable", "token": "it-key", "base_url": iterable.url, **QUICK, "rate_limits": [
        {"requests": 10, "per": "1s", "group": "main"}, {"requests": 40, "per": "1s", "group": "single"}, {"requests": 10, "per": "1s", "group": "events"}]}},
        {"s": {"model": "m", "destination": "it", "object": "users", "identify_by": "email",
               "mappings": ["email", "name", "amount", {"from": "vip", "to": "flags.vip"}], **sync}})


def model(lab, where="true"):
    return {email: {k: v for k, v in (("name", name), ("amount", amount), ("flags", {"vip": vip})) if v is not None}
            for email, name, amount, vip in lab.sql(f"select email, name, amount::float, vip from c where {where}")}


def users(iterable):
    return {key: {k: v for k, v in held.items() if v is not None} for key, held in iterable.objects("users").items()}


def test_users_equal_the_model_through_trouble(lab, vendors, iterable):
    lab.customers(450)
    lab.sql("update c set email = 'broken' where id = 9; update c set amount = null where id = 4")
    project(lab, iterable)
    for fault in (Throttle(retry_after=0), html(502), Cut(applied=True), html(500, applied=True), Cut(applied=False)):
        iterable.fail(fault, op="bulk_update")
    iterable.refuse("u7@example.org", "forgotten")
    iterable.poison("u50@example.org")
    done = lab.run()
    assert done.rc == 1 and done.counts("succeeded", "rejected", "failed") == (447, 3, 0), done
    assert users(iterable) == model(lab, "id not in (7, 9, 50)")
    iterable.pardon()
    lab.sql("delete from c where id in (7, 9, 50) or id between 101 and 120; update c set name = 'new' where id <= 3")
    iterable.fail(Cut(applied=True), op="delete")
    iterable.fail(html(503), op="delete")
    assert lab.good_run().counts("changed", "removed") == (3, 20)
    assert users(iterable) == model(lab)
    vendors.assert_clean()


def test_a_list_is_the_model(lab, vendors, iterable):
    lab.customers(220)
    project(lab, iterable, object="list/10")
    iterable.fail(Throttle(), op="subscribe")
    lab.good_run()
    assert set(iterable.objects("list:10")) == set(model(lab))
    lab.sql("delete from c where id > 120")
    lab.customers(5, first=900)
    iterable.fail(Cut(applied=True), op="unsubscribe")
    assert lab.good_run().counts("added", "removed") == (5, 100)
    assert set(iterable.objects("list:10")) == set(model(lab))
    vendors.assert_clean()


def test_every_event_arrives_once(lab, vendors, iterable):
    lab.sql("create table e (id int primary key, email text, at bigint); insert into e select g, 'u' || g % 9 || '@example.org', 1768400000 + g from generate_series(1, 350) g")
    project(lab, iterable, sql="select * from e", object="event/Order Completed", mode="append", first_run="send", identify_by="id",
            mappings=["id", "email", {"from": "at", "to": "createdAt"}])
    for fault in (Throttle(retry_after=0), Cut(applied=True), html(500)):
        iterable.fail(fault, op="track_bulk")
    lab.good_run()
    events = list(iterable.objects("events").values())
    assert sorted(event["dataFields"]["id"] for event in events) == list(range(1, 351))
    assert {event["eventName"] for event in events} == {"Order Completed"}
    vendors.assert_clean()
