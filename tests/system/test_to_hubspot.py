"""Warehouse to HubSpot: the CRM's objects equal the model, through throttling, failures, refusals and tokens that end."""
import pytest

from harness.vendors import Cut, Shuffled, Silent, Throttle, html

pytestmark = pytest.mark.vendors

QUICK = {"retry": {"base": "20ms", "max": "100ms"}, "rate_limits": [{"requests": 40, "per": "1s"}]}
MODEL = "select id, email, name, amount, vip from c"


def model(lab, where="true"):
    """The model as HubSpot keeps it: texts, without what is empty."""
    rows = lab.sql(f"select json_strip_nulls(row_to_json(t)) from (select email, name, amount::text, vip::text from c where {where}) t")
    return {row["email"]: row for (row,) in rows}


def project(lab, hub, destination=None, **sync):
    mappings = [{"from": name, "to": name} for name in ("email", "name", "amount", "vip")]
    lab.project({"people": {"sql": MODEL}}, {"crm": {"type": "hubspot", "base_url": hub.url, "token": "pat-1", **QUICK, **(destination or {})}},
                {"s": {"model": "people", "destination": "crm", "object": "contacts", "identify_by": "email", "mappings": mappings,
                       "batch_size": 20, **sync}})


@pytest.fixture
def hub(vendors):
    return vendors.add("hubspot", token="pat-1", limits={"ten_seconds": (40, 1.0)})


def test_contacts_equal_the_model_through_trouble(lab, vendors, hub):
    lab.customers(300)
    lab.sql("update c set name = 'Zoë \"Z\" O''Neil 🚀', amount = 9007199254740993 where id = 3")
    lab.sql("update c set amount = null where id = 4")
    project(lab, hub)
    for fault in (Throttle(retry_after=1), html(502), Cut(applied=True), Silent(), html(524, applied=True), Shuffled()):
        hub.fail(fault, op="upsert")
    hub.refuse("u7@example.org")
    hub.poison("u50@example.org")
    first = lab.run()
    assert first.rc == 1 and first.counts("planned", "succeeded", "rejected", "failed") == (300, 298, 2, 0)
    assert vendors.objects("hubspot", "contacts") == model(lab, "id not in (7, 50)")

    hub.pardon()
    lab.sql("update c set name = 'changed' where id % 10 = 0")
    lab.sql("update c set amount = null where id = 3")
    lab.sql("delete from c where id between 100 and 160")
    for fault in (Throttle(retry_after=1), Cut(applied=True), html(503)):
        hub.fail(fault, op="archive")
    hub.fail(html(502), op="read")
    second = lab.good_run()
    assert second.counts("added", "changed", "removed", "rejected") == (1, 23, 61, 0)
    assert vendors.objects("hubspot", "contacts") == model(lab, "id != 7")
    assert lab.good_run().counts("planned") == (0,)
    vendors.assert_clean()


def test_a_public_app_goes_on_when_its_tokens_end(lab, vendors):
    hub = vendors.add("hubspot", oauth=True, token_requests=15, client_id="app", client_secret="s3c", refresh_token="r-1")
    lab.customers(200)
    lab.project({"people": {"sql": MODEL}},
                {"crm": {"type": "hubspot", "base_url": hub.url, "client_id": "app", "client_secret": "s3c", "refresh_token": "r-1", "concurrency": 2, **QUICK}},
                {"s": {"model": "people", "destination": "crm", "object": "contacts", "identify_by": "email", "batch_size": 4,
                       "mappings": [{"from": "email", "to": "email"}, {"from": "name", "to": "name"}]}})
    done = lab.good_run()
    assert len(hub.calls("token")) >= 4 and done.counts("rejected", "failed") == (0, 0)
    assert set(hub.objects("contacts")) == set(model(lab))
    vendors.assert_clean()


def test_a_token_that_is_refused_ends_the_run_and_loses_nothing(lab, vendors, hub):
    lab.customers(30)
    project(lab, hub, destination={"token": "pat-old"})
    done = lab.run()
    assert done.rc == 2 and done.counts("succeeded", "cancelled", "rejected") == (0, 30, 0) and hub.objects("contacts") == {}
    project(lab, hub)
    lab.good_run()
    assert hub.objects("contacts") == model(lab)
    assert {violation.kind for violation in hub.violations} <= {"auth"}


def test_updates_never_create_and_clearing_empties(lab, vendors, hub):
    lab.customers(40)
    hub.put("contacts", "u41@example.org", {"email": "u41@example.org", "name": "there"})
    for number in range(1, 31):
        hub.put("contacts", f"u{number}@example.org", {"email": f"u{number}@example.org"})
    project(lab, hub, mode="update", on_removed="clear", guard="off")
    done = lab.run()
    assert done.counts("succeeded", "rejected") == (30, 10)
    assert {key: held for key, held in hub.objects("contacts").items() if "name" in held and key != "u41@example.org"} == model(lab, "id <= 30")
    lab.sql("delete from c where id <= 5")
    hub.drop("contacts", "u5@example.org")
    lab.run()
    assert [hub.objects("contacts").get(f"u{n}@example.org") for n in (4, 5, 6)] == [
        {"email": "u4@example.org"}, None, model(lab, "id = 6")["u6@example.org"]]
    vendors.assert_clean()
