"""Warehouse to Mixpanel: each event once, profiles and groups equal to the model, through throttling, failures and refusals."""
import time

import pytest

from harness.vendors import Cut, Silent, Throttle, html

pytestmark = pytest.mark.vendors

NOW = int(time.time()) - 3600
EVENTS = f"select id, 'p' || id as person, {NOW} + id as at, name, amount from c"
PEOPLE = "select id, 'p' || id as person, email, name, amount, vip from c"
QUICK = {"retry": {"base": "20ms", "max": "100ms"}, "rate_limits": [{"requests": 40, "per": "1s"}]}


def project(lab, vendor, model, destination=None, **sync):
    lab.project({"m": {"sql": model}},
                {"stats": {"type": "mixpanel", "base_url": vendor.url, "service_account": "service", "service_secret": "secret",
                           "project_id": "1", "token": "mp-token", **QUICK, **(destination or {})}},
                {"s": {"model": "m", "destination": "stats", "batch_size": 20, **sync}})


def events_project(lab, vendor, **more):
    project(lab, vendor, EVENTS, object="event/paid", mode="append", first_run="send",
            mappings=[{"from": "person", "to": "distinct_id"}, {"from": "at", "to": "time"}, {"from": "name", "to": "who"},
                      {"from": "amount", "to": "amount"}], **more)


def sent(vendor):
    """What the vendor holds, by person."""
    kept = [dict(event["properties"]) for event in vendor.objects("events").values()]
    assert all(event.pop("$insert_id") for event in kept) and len({event["distinct_id"] for event in kept}) == len(kept)
    return {event["distinct_id"]: event for event in kept}


def events(lab, where="true"):
    return dict(lab.sql(f"select 'p' || id, json_strip_nulls(json_build_object('distinct_id', 'p' || id, 'time', ({NOW} + id) * 1000::bigint, 'who', name, "
                        f"'amount', amount)) from c where {where}"))


@pytest.fixture
def mixpanel(vendors):
    return vendors.add("mixpanel")


def test_each_event_is_counted_once(lab, vendors, mixpanel):
    lab.customers(200)
    lab.sql("update c set name = 'Zoë \"Z\" O''Neil 🚀', amount = 9007199254740993 where id = 3; update c set amount = null where id = 4")
    events_project(lab, mixpanel)
    for fault in (Throttle(retry_after=1), html(502), Cut(applied=True), Silent(), html(504, applied=True)):
        mixpanel.fail(fault, op="import")
    mixpanel.refuse("p7")
    mixpanel.refuse("p8")
    first = lab.run()
    assert first.rc == 1 and first.counts("planned", "succeeded", "rejected", "failed") == (200, 198, 2, 0)
    assert sent(mixpanel) == events(lab, "id not in (7, 8)")

    mixpanel.pardon()
    lab.customers(10, first=201)
    assert lab.good_run().counts("added", "quarantined") == (10, 2)
    assert sent(mixpanel) == events(lab, "id not in (7, 8)")
    vendors.assert_clean()


def test_profiles_equal_the_model(lab, vendors, mixpanel):
    def model(where="true"):
        return dict(lab.sql("select 'p' || id, json_strip_nulls(json_build_object('$email', email, 'name', name, 'amount', amount, 'vip', "
                            f"vip)) from c where {where}"))
    lab.customers(120)
    project(lab, mixpanel, PEOPLE, object="users", identify_by="distinct_id",
            mappings=[{"from": "person", "to": "distinct_id"}, {"from": "email", "to": "$email"}, {"from": "name", "to": "name"},
                      {"from": "amount", "to": "amount"}, {"from": "vip", "to": "vip"}])
    for fault in (Throttle(retry_after=1), html(502), Cut(applied=True)):
        mixpanel.fail(fault, op="engage")
    mixpanel.refuse("p7")
    first = lab.run()
    assert first.rc == 1 and first.counts("succeeded", "rejected", "failed") == (119, 1, 0)
    assert mixpanel.objects("profiles") == model("id <> 7")
    mixpanel.pardon()
    lab.sql("update c set name = 'changed' where id % 10 = 0; update c set amount = null where id = 3; delete from c where id > 100")
    mixpanel.fail(Cut(applied=True), op="engage")
    assert lab.good_run().counts("changed", "removed") == (10 + 1, 20)
    assert mixpanel.objects("profiles") == model("id <> 7")
    vendors.assert_clean()


def test_what_is_there_already_is_not_overwritten(lab, vendors, mixpanel):
    lab.customers(3)
    mixpanel.put("profiles", "p2", {"email": "first@example.org", "name": "old"})
    project(lab, mixpanel, PEOPLE, object="users", identify_by="distinct_id",
            mappings=[{"from": "person", "to": "distinct_id"}, {"from": "name", "to": "name"},
                      {"from": "email", "to": "email", "on_conflict": "set_if_empty"}])
    lab.good_run()
    assert mixpanel.objects("profiles") == {
        f"p{n}": {"email": "first@example.org" if n == 2 else f"u{n}@example.org", "name": f"Name {n}"} for n in (1, 2, 3)}
    vendors.assert_clean()


def test_groups(lab, vendors, mixpanel):
    lab.customers(12)
    project(lab, mixpanel, PEOPLE, object="group/company", identify_by="group_id", guard="off",
            mappings=[{"from": "id", "to": "group_id"}, {"from": "name", "to": "name"}])
    lab.good_run()
    lab.sql("delete from c where id > 8")
    lab.good_run()
    assert mixpanel.objects("groups") == {f"company/{n}": {"name": f"Name {n}"} for n in range(1, 9)}
    vendors.assert_clean()


def test_credentials_that_are_refused_end_the_run_and_lose_nothing(lab, mixpanel):
    lab.customers(30)
    events_project(lab, mixpanel, destination={"service_secret": "old"})
    done = lab.run()
    assert done.rc == 2 and done.counts("succeeded", "cancelled", "rejected") == (0, 30, 0)
    events_project(lab, mixpanel)
    lab.good_run()
    assert sent(mixpanel) == events(lab)
