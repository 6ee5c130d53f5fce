"""Warehouse to Mailchimp: an audience equals the model, and nobody who unsubscribed is subscribed again unasked."""
import pytest

from harness.vendors import Cut, Slow, Throttle, html

pytestmark = pytest.mark.vendors

QUICK = {"retry": {"base": "20ms", "max": "100ms"}, "concurrency": 6}
MAPPINGS = [{"from": "email", "to": "email_address"}, {"from": "name", "to": "merge_fields.FNAME"}, {"from": "amount", "to": "merge_fields.LTV"}]
STATUS = [{"value": "subscribed", "to": "status"}]


@pytest.fixture
def mailchimp(vendors):
    return vendors.add("mailchimp", token="key-us6")


def project(lab, mailchimp, token="key-us6", **sync):
    lab.project({"m": {"sql": "select id, upper(email) as email, name, amount from c"}},
                {"mc": {"type": "mailchimp", "token": token, "base_url": mailchimp.url, **QUICK}},
                {"s": {"model": "m", "destination": "mc", "object": "list/abc", "identify_by": "email_address",
                       "mappings": MAPPINGS + STATUS, **sync}})


def merged(held):
    return {key: member.get("merge_fields") for key, member in held.items()}


def model(lab, where="true"):
    return {email: {k: v for k, v in (("FNAME", name), ("LTV", amount)) if v is not None}
            for email, name, amount in lab.sql(f"select email, name, amount::float from c where {where}")}


def test_the_audience_equals_the_model_through_trouble(lab, vendors, mailchimp):
    lab.customers(1200)
    lab.sql("update c set name = 'Zoë \"Z\"' where id = 3; update c set email = 'no address' where id = 9; update c set amount = null where id = 4")
    project(lab, mailchimp)
    for fault in (Throttle(retry_after=0), Throttle(kind="html", retry_after=0), html(502), Cut(applied=True), Cut(applied=False)):
        mailchimp.fail(fault, op="members")
    mailchimp.refuse("u7@example.org")
    done = lab.run()
    assert done.rc == 1 and done.counts("succeeded", "rejected") == (1198, 2), done
    assert merged(mailchimp.objects("list:abc")) == model(lab, "id not in (7, 9)")
    mailchimp.pardon()
    lab.sql("update c set name = null where id = 3; delete from c where id between 100 and 150; delete from c where id in (7, 9)")
    mailchimp.fail(Cut(applied=True), op="archive")
    mailchimp.fail(html(500), op="archive")
    assert lab.good_run().counts("changed", "removed") == (1, 51)
    assert merged(mailchimp.objects("list:abc")) == model(lab)
    assert set(mailchimp.objects("archived:abc")) == {f"u{n}@example.org" for n in range(100, 151)}
    vendors.assert_clean()


def test_an_answer_that_comes_too_late_is_asked_for_again(lab, vendors, mailchimp):
    lab.customers(600)
    lab.project({"m": {"sql": "select id, email, name, amount from c"}},
                {"mc": {"type": "mailchimp", "token": "key-us6", "base_url": mailchimp.url, **QUICK, "timeout": "2s"}},
                {"s": {"model": "m", "destination": "mc", "object": "list/abc", "identify_by": "email_address", "mappings": MAPPINGS + STATUS}})
    mailchimp.fail(Slow(4), op="members")
    assert lab.good_run().counts("planned", "succeeded") == (600, 600)
    assert len(mailchimp.calls("members")) == 3, "two batches, of which one was sent again"
    assert merged(mailchimp.objects("list:abc")) == model(lab)
    vendors.assert_clean()


def test_one_by_one_the_unsubscribed_stay_so(lab, vendors, mailchimp):
    lab.customers(25)
    mailchimp.put("list:abc", "u3@example.org", {"email_address": "u3@example.org", "status": "unsubscribed"})
    project(lab, mailchimp, object="member/abc", mode="upsert", mappings=MAPPINGS)
    mailchimp.fail(Throttle(retry_after=0), times=2, op="put")
    lab.good_run()
    held = mailchimp.objects("list:abc")
    assert merged(held) == model(lab)
    assert {key for key, member in held.items() if member["status"] != "subscribed"} == {"u3@example.org"}
    vendors.assert_clean()


def test_a_wrong_key_ends_the_run_and_loses_nothing(lab, vendors, mailchimp):
    lab.customers(10)
    project(lab, mailchimp, token="another-us6")
    done = lab.run()
    assert done.rc == 2 and done.counts("cancelled", "succeeded") == (10, 0)
    project(lab, mailchimp)
    lab.good_run()
    assert merged(mailchimp.objects("list:abc")) == model(lab)
