"""Warehouse to TikTok: audiences equal the model, though every answer is a 200."""
import hashlib

import pytest

from harness.vendors import BodyError, Cut, Silent, Throttle, Unauthorized, html

pytestmark = pytest.mark.vendors

QUICK = {"access_token": "tt-token", "advertiser_id": "77", "retry": {"base": "20ms", "max": "100ms", "attempts": 8},
         "rate_limits": [{"requests": 60, "per": "1s"}]}


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def members(lab, where="true"):
    """The model as TikTok keeps it: hashes alone, a missing cell is no identifier."""
    found = {}
    for email, phone in lab.sql(f"select email, phone from c where {where}"):
        found[sha(email)] = {"EMAIL_SHA256": sha(email), **({"PHONE_SHA256": sha(phone)} if phone else {})}
    return found


def people(lab, count):
    lab.customers(count)
    lab.sql("alter table c add phone text")
    lab.sql("update c set phone = '+4930' || 1000000 + id where id % 3 > 0")


def project(lab, ads, kind="tiktok", **sync):
    lab.project({"m": {"sql": "select id, email, phone from c"}}, {"ads": {"type": kind, "base_url": ads.url, **QUICK}},
                {"s": {"model": "m", "destination": "ads", "identify_by": "EMAIL_SHA256", "batch_size": 20, "mode": "mirror",
                       "mappings": [{"from": "email", "to": "EMAIL_SHA256"}, {"from": "phone", "to": "PHONE_SHA256"}], **sync}})


@pytest.fixture
def ads(vendors):
    return vendors.add("tiktok", limits={"streaming": (60, 1.0), "qps": (60, 1.0)})


def test_an_audience_equals_the_model_through_trouble(lab, vendors, ads):
    people(lab, 200)
    kind = lab.hurried("tiktok", ("5m", "200ms"))
    project(lab, ads, kind, object="audience_id/500")
    for fault in (Throttle(), BodyError(50002), Cut(applied=True), Throttle(kind="advertiser"), html(502), Silent(), html(500, applied=True)):
        ads.fail(fault, op="mapping")
    ads.expect_hashes("EMAIL_SHA256", [f"u{n}@example.org" for n in range(1, 300)])
    ads.expect_hashes("PHONE_SHA256", [f"+4930{1000000 + n}" for n in range(1, 300)])
    ads.poison(sha("u50@example.org"))
    first = lab.run()
    assert first.rc == 1 and first.counts("planned", "succeeded", "rejected", "failed") == (200, 199, 1, 0)
    assert ads.objects("audience:500") == members(lab, "id != 50")

    lab.sql("update c set phone = null where id <= 12")
    lab.sql("update c set email = 'u299@example.org' where id = 15")
    lab.sql("delete from c where id between 100 and 130")
    for fault in (Throttle(), Cut(applied=True), BodyError(40202)):
        ads.fail(fault, op="mapping", when=lambda call: call.doc["action"] == "delete")
    second = lab.good_run()
    assert second.counts("changed", "removed", "rejected") == (8 + 1, 31 + 1, 0)
    assert ads.objects("audience:500") == members(lab, "id != 50")
    assert lab.good_run().counts("planned", "quarantined") == (0, 1)
    vendors.assert_clean()


def test_a_named_audience_is_made_once(lab, vendors, ads):
    people(lab, 30)
    project(lab, ads, object="audience/Früh-Bucher")
    ads.fail(BodyError(50000), op="list")
    ads.fail(Cut(applied=True), op="create")  # it is there, though nobody said so
    lab.good_run()
    lab.sql("delete from c where id < 5")
    lab.good_run()
    made = [number for number, described in ads.objects("audiences").items() if described["name"] == "Früh-Bucher"]
    assert len(made) == 1 and ads.objects(f"audience:{made[0]}") == members(lab)
    vendors.assert_clean()


def test_an_audience_is_found_among_hundreds(lab, vendors, ads):
    people(lab, 20)
    for n in range(1, 250):
        ads.kept["audiences"][f"{10000 + n}"] = {"name": f"other {n}"}
    ads.kept["audiences"]["20000"] = {"name": "Buyers"}
    for n in range(250, 400):
        ads.kept["audiences"][f"{10000 + n}"] = {"name": f"other {n}"}
    ads.fail(html(502), op="list", when=lambda call: call.query.get("page") == "2")
    project(lab, ads, object="audience/Buyers")
    lab.good_run()
    assert ads.objects("audience:20000") == members(lab) and not ads.calls("create")
    assert len(ads.calls("list")) == 2 + 3  # looked for anew after the failure, and not beyond the page that has it
    vendors.assert_clean()


def test_a_revoked_token_ends_the_run_and_loses_nothing(lab, vendors, ads):
    people(lab, 40)
    project(lab, ads, object="audience_id/500")
    ads.fail(Unauthorized(), times=100, op="mapping")
    done = lab.run()
    assert done.rc == 2 and done.counts("succeeded", "cancelled", "rejected") == (0, 40, 0)
    ads.faults.clear()
    lab.good_run()
    assert ads.objects("audience:500") == members(lab)


def test_an_advertiser_of_somebody_else_blames_no_record(lab, vendors, ads):
    people(lab, 40)
    project(lab, ads, object="audience_id/500")
    ads.set.advertiser = "78"
    done = lab.run()
    assert done.rc == 2 and done.counts("rejected", "cancelled") == (0, 40) and "no permission" in done.text
