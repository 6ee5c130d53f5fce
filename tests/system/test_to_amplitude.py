"""Warehouse to Amplitude: each event once, properties of users equal to the model, through throttling, failures and bad events."""
import pytest

from harness.vendors import Cut, Silent, Throttle, html

pytestmark = pytest.mark.vendors

EVENTS = "select id, 1000000 + id as person, 1768478400000 + id as at, name, amount from c"
QUICK = {"retry": {"base": "20ms", "max": "100ms"}, "rate_limits": [{"requests": 40, "per": "1s"}]}


def project(lab, vendor, model=EVENTS, destination=None, **sync):
    lab.project({"m": {"sql": model}},
                {"stats": {"type": "amplitude", "base_url": vendor.url, "api_key": "amp-key", **QUICK, **(destination or {})}},
                {"s": {"model": "m", "destination": "stats", "batch_size": 20, **sync}})


def events_project(lab, vendor, **more):
    project(lab, vendor, **{"object": "event/paid", "mode": "append", "first_run": "send",
                            "mappings": [{"from": "person", "to": "user_id"}, {"from": "at", "to": "time"}, {"from": "name", "to": "who"},
                                         {"from": "amount", "to": "amount"}], **more})


def sent(vendor):
    """What the vendor holds, by person."""
    kept = [dict(event) for event in vendor.objects("events").values()]
    assert all(event.pop("insert_id") for event in kept) and len({event["user_id"] for event in kept}) == len(kept)
    return {event["user_id"]: event for event in kept}


def events(lab, where="true"):
    return dict(lab.sql("select (1000000 + id)::text, json_build_object('event_type', 'paid', 'user_id', (1000000 + id)::text, 'time', "
                        "1768478400000 + id, 'event_properties', json_strip_nulls(json_build_object('who', name, 'amount', amount))) "
                        f"from c where {where}"))


@pytest.fixture
def amplitude(vendors):
    return vendors.add("amplitude")


def test_each_event_is_counted_once(lab, vendors, amplitude):
    lab.customers(200)
    lab.sql("update c set name = 'Zoë \"Z\" O''Neil 🚀', amount = 9007199254740993 where id = 3; update c set amount = null where id = 4")
    events_project(lab, amplitude)
    for fault in (Throttle(retry_after=1), html(502), Cut(applied=True), html(504, applied=True)):
        amplitude.fail(fault, op="batch")
    amplitude.refuse("1000007")
    amplitude.refuse("1000008", "silenced")
    first = lab.run()
    assert first.rc == 1 and first.counts("planned", "succeeded", "rejected", "failed") == (200, 198, 2, 0)
    assert sent(amplitude) == events(lab, "id not in (7, 8)")

    amplitude.pardon()
    lab.customers(10, first=201)
    assert lab.good_run().counts("added", "quarantined") == (10, 2)
    assert sent(amplitude) == events(lab, "id not in (7, 8)")
    vendors.assert_clean()


def test_ids_may_be_short_where_that_is_said(lab, vendors, amplitude):
    lab.customers(12)
    mappings = [{"from": "id", "to": "user_id"}, {"from": "name", "to": "who"}]
    events_project(lab, amplitude, mappings=mappings)
    done = lab.run()
    assert done.counts("succeeded", "rejected") == (0, 12) and "invalid_id_lengths" in lab.command("errors", "s").out
    events_project(lab, amplitude, mappings=mappings, destination={"min_id_length": 1})
    lab.command("retry", "s")
    assert lab.good_run().counts("succeeded") == (12,)
    assert set(sent(amplitude)) == {str(n) for n in range(1, 13)}
    vendors.assert_clean()


def test_properties_of_users_equal_the_model(lab, vendors, amplitude):
    def model(where="true"):
        return dict(lab.sql("select (1000000 + id)::text, json_strip_nulls(json_build_object('email', email, 'name', name, 'amount', amount, "
                            f"'vip', vip)) from c where {where}"))
    lab.customers(100)
    lab.sql("update c set name = 'Zoë & \"Z\" +100% 🚀', amount = 9007199254740993 where id = 3")
    amplitude.put("users", "1000002", {"email": "old@example.org"})
    project(lab, amplitude, model="select 1000000 + id as id, email, name, amount, vip from c", object="users", identify_by="user_id",
            mode="upsert", mappings=[{"from": "id", "to": "user_id"}, {"from": "email", "to": "email"}, {"from": "name", "to": "name"},
                                     {"from": "amount", "to": "amount"}, {"from": "vip", "to": "vip"}])
    for fault in (Throttle(retry_after=1), html(502), Cut(applied=True)):
        amplitude.fail(fault, op="identify")
    amplitude.refuse("1000007")
    first = lab.run()
    assert first.rc == 1 and first.counts("succeeded", "rejected", "failed") == (99, 1, 0)
    assert amplitude.objects("users") == model("id <> 7")
    lab.sql("update c set name = 'changed' where id % 10 = 0; update c set amount = null where id = 3; delete from c where id = 100")
    assert lab.good_run().counts("changed", "removed") == (9 + 1, 0)
    held = amplitude.objects("users")
    assert held.pop("1000100")["name"] == "Name 100" and held == model("id <> 7")
    vendors.assert_clean()


def test_a_success_without_content_is_none(lab, vendors, amplitude):
    lab.customers(10)
    events_project(lab, amplitude)
    amplitude.fail(Silent(), op="batch")
    lab.good_run()
    assert sent(amplitude) == events(lab)
    vendors.assert_clean()


def test_a_key_that_is_refused_ends_the_run_and_loses_nothing(lab, amplitude):
    lab.customers(30)
    events_project(lab, amplitude, destination={"api_key": "old"})
    done = lab.run()
    assert done.rc == 2 and done.counts("succeeded", "cancelled", "rejected") == (0, 30, 0)
    events_project(lab, amplitude)
    lab.good_run()
    assert sent(amplitude) == events(lab)
