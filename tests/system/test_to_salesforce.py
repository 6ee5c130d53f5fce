"""Warehouse to Salesforce: records equal the model, by collections and by bulk jobs, through throttling, failures, locks and tokens that end."""
import pytest

from harness.vendors import Cut, Short, Throttle, html, make_key

pytestmark = pytest.mark.vendors

QUICK = {"retry": {"base": "20ms", "max": "100ms"}, "rate_limits": [{"requests": 40, "per": "1s"}], "timeout": "20s"}
MODEL = "select id, 'k' || id || '''q' as ext, email, name, amount, vip from c"
NAMES = {"ext": "Ext__c", "email": "Email", "name": "LastName", "amount": "Amount__c", "vip": "Vip__c"}


def model(lab, where="true", cast=""):
    """The model as Salesforce keeps it, without what is null. cast: as CSV holds it."""
    columns = "ext, email, name, amount{0} as amount, vip{0} as vip".format(cast)
    rows = lab.sql(f"select json_strip_nulls(row_to_json(t)) from (select {columns} from ({MODEL} where {where}) m) t")
    return {row["ext"]: {NAMES[name]: value for name, value in row.items()} for (row,) in rows}


def project(lab, sf, destination=None, **sync):
    mappings = [{"from": column, "to": field} for column, field in NAMES.items()]
    there = {"type": "salesforce", "login_url": sf.url, "client_id": "app", "client_secret": "s3c", "poll_first": "100ms", **QUICK,
             **(destination or {})}
    lab.project({"people": {"sql": MODEL}}, {"sf": {name: value for name, value in there.items() if value is not None}},
                {"s": {"model": "people", "destination": "sf", "object": "Contact", "identify_by": "Ext__c", "mappings": mappings, **sync}})


@pytest.fixture
def sf(vendors):
    return vendors.add("salesforce", client_id="app", client_secret="s3c", token_requests=20, bulk_seconds=(0.02, 0.02))


def key(number):
    return f"k{number}'q"


def change(lab):
    lab.sql("update c set name = 'changed' where id % 10 = 0")
    lab.sql("update c set amount = null where id = 3")


def odd_values(lab):
    lab.sql("update c set name = 'Zoë \"Z\", O''Neil 🚀', amount = 9007199254740993 where id = 3")
    lab.sql("update c set amount = null where id = 4")


def test_records_equal_the_model_through_trouble(lab, vendors, sf):
    lab.customers(400)
    odd_values(lab)
    project(lab, sf, destination={"concurrency": 2}, batch_size=40)
    for fault in (Throttle(retry_after=1), html(502), Cut(applied=True), html(500, applied=True)):
        sf.fail(fault, op="upsert")
    sf.refuse(key(5), "UNABLE_TO_LOCK_ROW", times=1)
    sf.refuse(key(7), "FIELD_CUSTOM_VALIDATION_EXCEPTION")
    sf.poison(key(50))
    first = lab.run()
    assert first.rc == 1 and first.counts("planned", "succeeded", "rejected", "failed") == (400, 398, 2, 0)
    assert vendors.objects("salesforce", "Contact") == model(lab, "id not in (7, 50)")
    assert len(sf.calls("token")) >= 2

    sf.pardon()
    change(lab)
    lab.sql("delete from c where id between 101 and 220")
    for fault in (Throttle(retry_after=1), Cut(applied=True), html(503)):
        sf.fail(fault, op="delete")
    sf.fail(html(502), op="query")
    second = lab.good_run()
    assert second.counts("added", "changed", "removed", "rejected") == (1, 28, 120, 0)
    assert vendors.objects("salesforce", "Contact") == model(lab, "id != 7")
    assert lab.good_run().counts("planned") == (0,)
    vendors.assert_clean()


def test_bulk_jobs_equal_the_model_through_trouble(lab, vendors, sf):
    lab.customers(600)
    odd_values(lab)
    project(lab, sf, object="bulk/Contact", mode="upsert", batch_size=200, destination={"retry": {"base": "20ms", "max": "100ms", "attempts": 8}})
    for fault, op in ((Throttle(retry_after=1), "bulk_create"), (Cut(applied=True), "bulk_upload"), (html(502, applied=True), "bulk_close"),
                      (Cut(applied=False), "bulk_poll"), (html(500), "bulk_failures"), (Cut(), "bulk_unprocessed")):
        sf.fail(fault, op=op)
    sf.fail_jobs(1)
    sf.leave_unprocessed(3)
    sf.refuse(key(5), "UNABLE_TO_LOCK_ROW", times=1)
    sf.refuse(key(7), "FIELD_CUSTOM_VALIDATION_EXCEPTION")
    first = lab.run()
    assert first.rc == 1 and first.counts("planned", "succeeded", "rejected", "failed") == (600, 599, 1, 0)
    assert vendors.objects("salesforce", "Contact") == model(lab, "id != 7", "::text")
    change(lab)
    second = lab.good_run()
    assert second.counts("changed", "rejected") == (61, 0)
    assert vendors.objects("salesforce", "Contact") == model(lab, "id != 7", "::text")
    vendors.assert_clean()


def test_updates_never_create_and_clearing_empties(lab, vendors, sf):
    lab.customers(40)
    for number in range(1, 31):
        sf.put("Contact", key(number), {"Ext__c": key(number), "Kept__c": "yes"})
    project(lab, sf, mode="update", on_removed="clear", guard="off", destination={"concurrency": 2})
    done = lab.run()
    assert done.counts("succeeded", "rejected") == (30, 10)
    assert sf.objects("Contact") == {ext: {"Kept__c": "yes", **row} for ext, row in model(lab, "id <= 30").items()}
    lab.sql("delete from c where id <= 5")
    sf.drop("Contact", key(5))
    lab.run()
    assert [sf.objects("Contact").get(key(n)) for n in (4, 5)] == [{"Ext__c": key(4), "Kept__c": "yes"}, None]
    vendors.assert_clean()


@pytest.mark.parametrize("way", ["refresh token", "JWT"])
def test_other_ways_to_a_token(lab, vendors, way):
    private, public = make_key(lab.root)
    sf = vendors.add("salesforce", client_id="app", client_secret="s3c", refresh_token="r/1+", public_key=public.read_text(), user="bot@example.org", token_requests=12)
    lab.customers(100)
    credentials = {"refresh token": {"refresh_token": "r/1+"},
                   "JWT": {"client_secret": None, "username": "bot@example.org", "private_key": private.read_text()}}[way]
    project(lab, sf, destination={"concurrency": 1, **credentials}, batch_size=3)
    lab.good_run()
    assert sf.objects("Contact") == model(lab) and len(sf.calls("token")) >= 3
    vendors.assert_clean()


def test_a_record_named_by_its_address_is_found_again_whatever_its_case(lab, vendors):
    sf = vendors.add("salesforce", client_id="app", client_secret="s3c", email_fields=("Email",))
    lab.customers(30)
    lab.sql("update c set email = initcap(email) where id % 2 = 0")
    project(lab, sf, mode="mirror", identify_by="Email", mappings=[{"from": "email", "to": "Email"}, {"from": "name", "to": "LastName"}])
    lab.good_run()
    lab.sql("delete from c where id between 10 and 19")
    assert lab.good_run().counts("removed", "succeeded") == (10, 10)
    assert set(vendors.objects("salesforce", "Contact")) == {f"u{n}@example.org" for n in range(1, 31) if not 10 <= n <= 19}
    vendors.assert_clean()


def test_a_short_answer_is_no_answer(lab, vendors, sf):
    lab.customers(20)
    project(lab, sf)
    sf.fail(Short(), op="upsert")
    lab.good_run()
    assert sf.objects("Contact") == model(lab)
    vendors.assert_clean()
