"""Warehouse to Airtable: the table equals the model, through throttling, failures, refused values and lost answers."""
import pytest

from harness.vendors import Cut, Throttle, html

pytestmark = pytest.mark.vendors

MODEL = "select id, email as code, name, amount, vip from c"
QUICK = {"retry": {"base": "20ms", "max": "100ms"}, "rate_limits": [{"requests": 40, "per": "1s"}]}
NAMES = {"code": "Code", "name": "Full name", "amount": "Amount", "vip": "VIP"}


def model(lab, where="true", key="email"):
    """The table as Airtable keeps it: a cell that is empty is none."""
    rows = lab.sql(f'select {key}::text, json_strip_nulls(row_to_json(t)) from c, lateral (select email as "Code", name as "Full name", '
                   f'amount as "Amount", vip as "VIP") t where {where}')
    return dict(rows)


def project(lab, vendor, destination=None, **sync):
    lab.project({"people": {"sql": MODEL}},
                {"base": {"type": "airtable", "base_url": vendor.url, "token": "pat-1", "base": "app1", **QUICK, **(destination or {})}},
                {"s": {"model": "people", "destination": "base", "object": "Our people", "identify_by": "Code",
                       "mappings": [{"from": a, "to": b} for a, b in NAMES.items()], **sync}})


@pytest.fixture
def airtable(vendors):
    return vendors.add("airtable", token="pat-1", key_fields=("Code",), limits={"base": (40, 1.0)})


def test_the_table_equals_the_model_through_trouble(lab, vendors, airtable):
    lab.customers(120)
    lab.sql("update c set name = 'Zoë \"Z\" O''Neil 🚀', amount = 9007199254740993 where id = 3")
    lab.sql("update c set email = 'O''Neil \\ {x}', amount = null where id = 4")
    project(lab, airtable)
    for fault in (Throttle(retry_after=1), html(502), Cut(applied=True), html(503)):
        airtable.fail(fault, op="upsert")
    airtable.refuse("u7@example.org")
    first = lab.run()
    assert first.rc == 1 and first.counts("planned", "succeeded", "rejected", "failed") == (120, 119, 1, 0)
    assert airtable.objects("app1/Our people") == model(lab, "id <> 7")

    airtable.pardon()
    lab.sql("update c set name = 'changed' where id % 10 = 0")
    lab.sql("update c set amount = null where id = 3")
    lab.sql("delete from c where id between 4 and 34 and id <> 7")
    for fault in (Throttle(retry_after=1), Cut(applied=True), html(502)):
        airtable.fail(fault, op="delete")
    airtable.fail(html(502), op="list")
    second = lab.good_run()
    assert second.counts("changed", "removed", "rejected", "quarantined") == (9 + 1, 30, 0, 1)
    assert airtable.objects("app1/Our people") == model(lab, "id <> 7")
    assert lab.good_run().counts("planned") == (0,)
    vendors.assert_clean()


def test_records_that_a_number_names(lab, vendors, airtable):
    lab.customers(12)
    project(lab, airtable, identify_by="No", mappings=[{"from": "id", "to": "No"}, {"from": "name", "to": "Name"}])
    lab.good_run()
    lab.sql("delete from c where id > 6")
    assert lab.good_run().counts("removed", "rejected") == (6, 0)
    assert airtable.objects("app1/Our people") == {str(n): {"No": n, "Name": f"Name {n}"} for n in range(1, 7)}
    vendors.assert_clean()


def test_a_token_that_is_refused_ends_the_run_and_loses_nothing(lab, airtable):
    lab.customers(30)
    project(lab, airtable, destination={"token": "pat-old"})
    done = lab.run()
    assert done.rc == 2 and done.counts("succeeded", "cancelled", "rejected") == (0, 30, 0)
    project(lab, airtable)
    lab.good_run()
    assert airtable.objects("app1/Our people") == model(lab)


def test_clearing_empties_and_keeps_the_record(lab, vendors, airtable):
    lab.customers(12)
    project(lab, airtable, mode="upsert", on_removed="clear", guard="off")
    lab.good_run()
    lab.sql("delete from c where id <= 3")
    airtable.drop("app1/Our people", "u3@example.org")
    lab.good_run()
    kept = airtable.objects("app1/Our people")
    assert kept == {**model(lab), **{f"u{n}@example.org": {"Code": f"u{n}@example.org"} for n in (1, 2)}}
    vendors.assert_clean()
