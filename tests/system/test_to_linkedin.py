"""Warehouse to LinkedIn: segments equal the model, by results in the order of the elements, with tokens that are replaced."""
import hashlib

import pytest

from harness.vendors import Cut, Short, Throttle, html

pytestmark = pytest.mark.vendors

QUICK = {"ad_account": "55", "retry": {"base": "20ms", "max": "100ms", "attempts": 8}, "rate_limits": [{"requests": 60, "per": "1s"}]}
MAPPINGS = [{"from": "email", "to": "SHA256_EMAIL"}, {"from": "name", "to": "firstName"}, {"from": "title", "to": "title"},
            {"value": "de", "to": "country"}]


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def members(lab, where="true"):
    """The model as LinkedIn keeps it: the address hashed, names cut to what it takes, nothing for null."""
    rows = lab.sql(f"select email, left(name, 35), title from c where {where}")
    return {sha(email): {"SHA256_EMAIL": sha(email), "firstName": name, **({"title": title} if title else {}), "country": "DE"}
            for email, name, title in rows}


def people(lab, count):
    lab.customers(count)
    lab.sql("alter table c add title text")
    lab.sql("update c set title = 'Ingenieurin \"A\"' where id % 2 = 0")
    lab.sql("update c set name = repeat('Zoë ', 12) where id = 3")


def project(lab, ads, kind="linkedin", credentials=None, settings=None, **sync):
    lab.project({"m": {"sql": "select id, email, name, title from c"}},
                {"ads": {"type": kind, "base_url": ads.url, **QUICK, **(credentials or {"access_token": "li-token"})}},
                {"s": {"model": "m", "destination": "ads", "identify_by": "SHA256_EMAIL", "batch_size": 20, "mode": "mirror",
                       "mappings": MAPPINGS, **sync}}, settings)


@pytest.fixture
def ads(vendors):
    return vendors.add("linkedin", limits={"users_minute": (60, 1.0)})


def test_a_segment_equals_the_model_through_trouble(lab, vendors, ads):
    people(lab, 200)
    kind = lab.hurried("linkedin", ("{header: Retry-After}, 1m", "{header: Retry-After}, 200ms"), ("wait: 20s", "wait: 100ms"))
    project(lab, ads, kind, object="segment_id/300")
    for fault in (Throttle(), html(502), Cut(applied=True), Short(1), Throttle(retry_after=1), html(500, applied=True)):
        ads.fail(fault, op="users")
    ads.expect_hashes("SHA256_EMAIL", [f"u{n}@example.org" for n in range(1, 300)])
    ads.refuse("u7@example.org")
    ads.refuse("u8@example.org", 423, times=1)
    ads.poison(sha("u50@example.org"))
    first = lab.run()
    assert first.rc == 1 and first.counts("planned", "succeeded", "rejected", "failed") == (200, 198, 2, 0)
    assert ads.objects("segment:300") == members(lab, "id not in (7, 50)")

    ads.pardon()
    lab.sql("update c set title = null where id % 10 = 0")
    lab.sql("update c set email = 'u299@example.org' where id = 11")
    lab.sql("delete from c where id between 100 and 130")
    for fault in (Throttle(), Cut(applied=True), html(503, applied=True)):
        ads.fail(fault, op="users", when=lambda call: any(one["action"] == "REMOVE" for one in call.doc["elements"]))
    second = lab.good_run()
    assert second.counts("changed", "removed", "rejected") == (15 + 1, 31 + 1, 0)
    assert ads.objects("segment:300") == members(lab, "id != 7")
    assert lab.good_run().counts("planned", "quarantined") == (0, 1)
    vendors.assert_clean()


def test_a_new_segment_is_made_once_and_waited_for(lab, vendors, ads):
    people(lab, 30)
    ads.set.settle_s = 0.5
    kind = lab.hurried("linkedin", ("wait: 20s", "wait: 200ms"))
    project(lab, ads, kind, object="segment/Käufer & Co")
    ads.fail(html(502), op="find")
    ads.fail(Cut(applied=True), op="create")  # it is there, though nobody said so
    done = lab.good_run()
    assert done.counts("succeeded", "rejected") == (30, 0) and 404 in {call.status for call in ads.calls("users")}
    lab.sql("delete from c where id < 5")
    lab.good_run()
    made = [number for number, described in ads.objects("segments").items() if described["name"] == "Käufer & Co"]
    assert len(made) == 1 and ads.objects(f"segment:{made[0]}") == members(lab)
    vendors.assert_clean()


def test_tokens_end_and_refresh_tokens_are_replaced(lab, vendors):
    ads = vendors.add("linkedin", token_requests=6, refresh_token="r-0")
    people(lab, 200)
    project(lab, ads, credentials={"client_id": "client", "client_secret": "secret", "refresh_token": "r-0", "token_url": ads.token_url, "concurrency": 2},
            settings={"seal_key": "k" * 32}, batch_size=10, object="segment_id/300")
    done = lab.good_run()
    assert len(ads.calls("token")) >= 3 and done.counts("rejected", "failed") == (0, 0)
    assert ads.objects("segment:300") == members(lab)
    assert not [v for v in ads.violations if v.kind == "auth"]
