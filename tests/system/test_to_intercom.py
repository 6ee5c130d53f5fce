"""Warehouse to Intercom: contacts and companies equal the model; each contact is searched for, then updated or created."""
import pytest

from harness.vendors import Cut, Throttle, html

pytestmark = pytest.mark.vendors

MODEL = "select id, 'u-' || id as code, email, name, amount, vip from c"
QUICK = {"retry": {"base": "20ms", "max": "200ms"}, "rate_limits": [{"requests": 150, "per": "1s"}]}
MAPPINGS = [{"from": "code", "to": "external_id"}, {"from": "email", "to": "email"}, {"from": "name", "to": "name"},
            {"from": "amount", "to": "custom_attributes.amount"}, {"from": "vip", "to": "custom_attributes.vip"}]


def model(lab, where="true"):
    rows = lab.sql("select 'u-' || id, json_build_object('role', 'user', 'external_id', 'u-' || id, 'email', email, 'name', name, "
                   f"'custom_attributes', json_strip_nulls(json_build_object('amount', amount, 'vip', vip))) from c where {where}")
    return dict(rows)


def project(lab, vendor, destination=None, **sync):
    lab.project({"people": {"sql": MODEL}},
                {"tool": {"type": "intercom", "base_url": vendor.url, "token": "ic-1", **QUICK, **(destination or {})}},
                {"s": {"model": "people", "destination": "tool", "object": "contacts", "identify_by": "external_id", "mappings": MAPPINGS,
                       **sync}})


@pytest.fixture
def intercom(vendors):
    return vendors.add("intercom", token="ic-1", limits={"app": (150, 1.0)})


def test_contacts_equal_the_model_through_trouble(lab, vendors, intercom):
    lab.customers(80)
    lab.sql("update c set name = 'Zoë \"Z\" O''Neil 🚀', amount = 9007199254740993 where id = 3")
    lab.sql("update c set amount = null where id = 4")
    intercom.put("contacts", "u-5", {"role": "user", "external_id": "u-5", "email": "old@example.org"})
    project(lab, intercom)
    for fault in (Throttle(), html(502), Cut(applied=True), html(503)):
        intercom.fail(fault, op="create")
    intercom.fail(html(502), op="search")
    intercom.refuse("u-7")
    first = lab.run()
    assert first.rc == 1 and first.counts("planned", "succeeded", "rejected", "failed") == (80, 79, 1, 0)
    assert intercom.objects("contacts") == model(lab, "id <> 7")

    intercom.pardon()
    lab.sql("update c set name = 'changed' where id % 10 = 0")
    lab.sql("update c set amount = null where id = 3")
    lab.sql("delete from c where id between 51 and 60")
    for fault in (Throttle(), Cut(applied=True), html(502)):
        intercom.fail(fault, op="archive")
    intercom.fail(Cut(applied=True), op="update")
    second = lab.good_run()
    assert second.counts("changed", "removed", "rejected", "quarantined") == (7 + 1, 10, 0, 1)
    assert intercom.objects("contacts") == model(lab, "id <> 7") and len(intercom.objects("archived")) == 10
    assert lab.good_run().counts("planned") == (0,)
    vendors.assert_clean()


def test_a_contact_that_the_search_does_not_know_yet(lab, vendors):
    intercom = vendors.add("intercom", token="ic-1", search_lag_s=0.3)
    lab.customers(5)
    project(lab, intercom, destination={"retry": {"base": "300ms", "max": "1s"}})
    for _ in range(2):
        intercom.fail(Cut(applied=True), op="create")
    assert lab.good_run().counts("succeeded") == (5,)
    assert intercom.objects("contacts") == model(lab)
    vendors.assert_clean()


def test_deleting_for_good_and_coming_back(lab, vendors, intercom):
    lab.customers(12)
    project(lab, intercom, destination={"delete_contacts": True}, guard="off")
    lab.good_run()
    lab.sql("create table away as select * from c where id <= 3; delete from c where id <= 3")
    intercom.fail(Cut(applied=True), op="delete")
    lab.good_run()
    assert intercom.objects("contacts") == model(lab) and not intercom.objects("archived")
    lab.sql("insert into c select * from away")
    lab.good_run()
    assert intercom.objects("contacts") == model(lab)
    vendors.assert_clean()


def test_updates_never_create(lab, vendors, intercom):
    lab.customers(10)
    for n in (1, 2, 3):
        intercom.put("contacts", f"u-{n}", {"role": "user", "external_id": f"u-{n}", "email": f"u{n}@example.org"})
    project(lab, intercom, mode="update", on_removed="ignore")
    assert lab.run().counts("succeeded", "rejected") == (3, 7)
    assert intercom.objects("contacts") == model(lab, "id <= 3")
    vendors.assert_clean()


def test_companies(lab, vendors, intercom):
    lab.customers(20)
    project(lab, intercom, object="companies", identify_by="company_id", mode="upsert",
            mappings=[{"from": "code", "to": "company_id"}, {"from": "name", "to": "name"}, {"from": "vip", "to": "custom_attributes.vip"}])
    intercom.fail(Cut(applied=True), op="company")
    lab.good_run()
    lab.sql("update c set name = 'changed' where id = 2")
    assert lab.good_run().counts("changed") == (1,)
    rows = lab.sql("select 'u-' || id, json_build_object('company_id', 'u-' || id, 'name', name, 'custom_attributes', "
                   "json_build_object('vip', vip)) from c")
    assert intercom.objects("companies") == dict(rows)
    vendors.assert_clean()


def test_a_token_that_is_refused_ends_the_run_and_loses_nothing(lab, intercom):
    lab.customers(10)
    project(lab, intercom, destination={"token": "ic-old"})
    done = lab.run()
    assert done.rc == 2 and done.counts("succeeded", "cancelled", "rejected") == (0, 10, 0)
    project(lab, intercom)
    lab.good_run()
    assert intercom.objects("contacts") == model(lab)
