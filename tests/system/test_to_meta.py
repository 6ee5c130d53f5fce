"""Warehouse to Meta: custom audiences and conversions equal the model, through throttling, failures and refusals."""
import hashlib
import time

import pytest

from harness.vendors import Cut, Throttle, Unauthorized, html

pytestmark = pytest.mark.vendors

QUICK = {"access_token": "EAA-token", "ad_account": "111", "retry": {"base": "20ms", "max": "100ms", "attempts": 8},
         "rate_limits": [{"requests": 60, "per": "1s"}]}
MEMBERS = [{"from": "email", "to": "EMAIL"}, {"from": "name", "to": "FN"}, {"from": "id", "to": "EXTERN_ID"}]


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def members(lab, where="true"):
    """The model as Meta keeps it: hashes, letters alone in names, an empty cell is no cell."""
    rows = lab.sql(f"select id::text, email, lower(regexp_replace(name, '[^[:alpha:]]', '', 'g')) from c where {where}")
    return {number: {name: value for name, value in (("EMAIL", email and sha(email)), ("FN", first and sha(first)), ("EXTERN_ID", number)) if value}
            for number, email, first in rows}


def project(lab, meta, kind="meta", **sync):
    lab.project({"m": {"sql": "select id, email, name, amount from c"}}, {"ads": {"type": kind, "base_url": meta.url, **QUICK}},
                {"s": {"model": "m", "destination": "ads", "identify_by": "EMAIL", "mappings": MEMBERS, "batch_size": 20, **sync}})


@pytest.fixture
def meta(vendors):
    return vendors.add("meta", limits={"audience_hour": (60, 1.0)})


def test_an_audience_equals_the_model_through_trouble(lab, vendors, meta):
    lab.customers(200)
    lab.sql("update c set name = 'Zoë O''Neil 🚀' where id = 3")
    lab.sql("update c set name = null where id = 4")
    kind = lab.hurried("meta", ("5m", "300ms"), ("1m", "300ms"), ("as: minutes", "as: ms"))
    project(lab, meta, kind, object="audience_id/900", mode="mirror")
    for fault in (Throttle(kind="account"), html(502), Cut(applied=True), Throttle(kind="audience_hour"), html(500, applied=True)):
        meta.fail(fault, op="add")
    meta.expect_hashes("EMAIL", [f"u{n}@example.org" for n in range(1, 300)])
    meta.refuse("u7@example.org")
    meta.poison("50")
    first = lab.run()
    assert first.rc == 1 and first.counts("planned", "succeeded", "rejected", "failed") == (200, 198, 2, 0)
    assert meta.objects("audience:900") == members(lab, "id not in (7, 50)")

    lab.sql("update c set name = 'Changed' where id % 10 = 0 and id != 50")
    lab.sql("update c set email = 'u299@example.org' where id = 11")
    lab.sql("delete from c where id between 100 and 130")
    for fault in (Throttle(kind="user"), Cut(applied=True), html(503, applied=True)):
        meta.fail(fault, op="remove")
    second = lab.good_run()
    assert second.counts("changed", "removed", "rejected") == (20 - 1 - 4 + 1, 31 + 1, 0)
    assert meta.objects("audience:900") == members(lab, "id not in (7, 50)")
    assert lab.good_run().counts("planned", "quarantined") == (0, 2)
    vendors.assert_clean()


def test_a_named_audience_is_made_once(lab, vendors, meta):
    lab.customers(30)
    project(lab, meta, object='audience/Gäste "A"', mode="upsert")
    meta.fail(html(502), op="find")
    meta.fail(Cut(applied=True), op="create")  # it is there, though nobody said so
    lab.good_run()
    lab.sql("update c set name = 'Other'")
    lab.good_run()
    made = [number for number, described in meta.objects("audiences").items() if described["name"] == 'Gäste "A"']
    assert len(made) == 1 and meta.objects(f"audience:{made[0]}") == members(lab)
    vendors.assert_clean()


def test_replacing_leaves_exactly_the_model(lab, vendors, meta):
    lab.customers(90)
    meta.put("audience:900", "old", {"EXTERN_ID": "old"})
    project(lab, meta, object="replace/900", mode="full")
    meta.fail(html(502), op="replace", when=lambda call: call.doc["session"]["batch_seq"] == 2)
    meta.fail(Cut(applied=True), op="replace", when=lambda call: call.doc["session"]["batch_seq"] == 3)
    lab.good_run()
    assert meta.objects("audience:900") == members(lab)
    lab.sql("delete from c where id > 30")
    lab.good_run()
    assert meta.objects("audience:900") == members(lab)
    vendors.assert_clean()


@pytest.mark.parametrize("records,lost", [(90, (1,)), (90, (1, 3, 5)), (15, (1,))], ids=["the first", "first, middle and last", "the only one"])
def test_a_batch_of_a_replacement_whose_answer_is_lost_makes_no_difference(lab, vendors, meta, records, lost):
    lab.customers(records)
    meta.put("audience:900", "old", {"EXTERN_ID": "old"})
    project(lab, meta, object="replace/900", mode="full")
    for number in lost:
        meta.fail(Cut(applied=True), op="replace", when=lambda call, number=number: call.doc["session"]["batch_seq"] == number)
    done = lab.good_run()
    assert done.counts("succeeded", "failed") == (records, 0)
    assert meta.objects("audience:900") == members(lab)
    assert len(meta.calls("sessions")) == (1 if records > 20 else 0)
    vendors.assert_clean()


def test_a_replacement_that_lacks_a_batch_leaves_the_audience_as_it_was(lab, vendors, meta):
    lab.customers(90)
    meta.put("audience:900", "old", {"EXTERN_ID": "old"})
    project(lab, meta, object="replace/900", mode="full")
    meta.fail(html(500), times=100, op="replace", when=lambda call: call.doc["session"]["batch_seq"] == 3)
    done = lab.run()
    assert done.rc == 2 and done.counts("succeeded", "failed", "cancelled") == (40, 0, 50)
    assert meta.objects("audience:900") == {"old": {"EXTERN_ID": "old"}}
    assert max(call.doc["session"]["batch_seq"] for call in meta.calls("replace")) == 3
    vendors.assert_clean()


def test_conversions_arrive_once(lab, vendors, meta):
    lab.customers(120)
    now = int(time.time())
    names = {"event_id": "id", "event_name": "kind", "event_time": "at", "action_source": "source", "em": "email", "value": "amount"}
    lab.project({"m": {"sql": f"select 'o-' || id as id, 'Purchase' as kind, {now} - id as at, 'website' as source, email, amount from c"}},
                {"ads": {"type": "meta", "base_url": meta.url, **QUICK}},
                {"s": {"model": "m", "destination": "ads", "object": "events/700", "mode": "append", "identify_by": "event_id", "first_run": "send",
                       "batch_size": 30, "mappings": [{"from": column, "to": field} for field, column in names.items()]}})
    for fault in (html(502), Cut(applied=True)):
        meta.fail(fault, op="events")
    meta.refuse("o-9")
    done = lab.run()
    assert done.counts("succeeded", "rejected", "failed") == (119, 1, 0)
    events = meta.objects("events")
    assert set(events) == {f"Purchase/o-{n}" for n in range(1, 121) if n != 9}
    assert events["Purchase/o-10"]["user_data"] == {"em": [sha("u10@example.org")]} and events["Purchase/o-10"]["custom_data"] == {"value": 12.5}
    vendors.assert_clean()


def test_a_token_that_ended_stops_the_run_and_loses_nothing(lab, vendors, meta):
    lab.customers(40)
    project(lab, meta, object="audience_id/900", mode="mirror")
    meta.fail(Unauthorized(), times=100, op="add")
    done = lab.run()
    assert done.rc == 2 and done.counts("succeeded", "cancelled", "rejected") == (0, 40, 0) and "token" in done.text
    meta.faults.clear()
    lab.good_run()
    assert meta.objects("audience:900") == members(lab)
