"""Warehouse to Google's Data Manager: lists equal the model once Google has processed them."""
import hashlib
import subprocess

import pytest

from harness.vendors import Cut, NotFound, Throttle, html

pytestmark = pytest.mark.vendors

ACCOUNT = {"account": "123", "client_id": "client", "client_secret": "secret", "refresh_token": "refresh-0", "confirm_first": "50ms",
           "retry": {"base": "20ms", "max": "100ms", "attempts": 8}, "rate_limits": [{"requests": 120, "per": "1s"}]}
MAPPINGS = [{"from": "email", "to": "email"}, {"from": "phone", "to": "phone"}, {"from": "name", "to": "given_name"},
            {"from": "family", "to": "family_name"}, {"value": "de", "to": "region_code"}, {"from": "postal", "to": "postal_code"}]
SOON = (("[{header: Retry-After}, 1m]", "[{header: Retry-After}, 200ms]"), ("every: 10m", "every: 100ms"), ("{until: pacific_midnight}", "200ms"))


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def members(lab, where="true"):
    """The model as Google keeps it: dots of gmail.com removed, an address only where all of its parts are known."""
    found = {}
    for email, phone, name, family, postal in lab.sql(f"select email, phone, lower(name), lower(family), postal from c where {where}"):
        key = sha(email.replace(".", "", 1) if email.endswith("@gmail.com") else email)
        address = {"givenName": sha(name), "familyName": family and sha(family), "regionCode": "DE", "postalCode": postal}
        found[key] = {"emailAddress": key, **({"phoneNumber": sha(phone)} if phone else {}), **({"address": address} if all(address.values()) else {})}
    return found


def people(lab, count):
    lab.customers(count)
    lab.sql("alter table c add phone text, add family text, add postal text")
    lab.sql("update c set phone = '+4930' || 1000000 + id where id % 3 > 0; update c set family = 'Müller', postal = '10115' where id % 2 = 0")
    lab.sql("update c set postal = null where id % 4 = 0; update c set email = 'jane.doe' || id || '@gmail.com' where id = 5")


def project(lab, ads, kind="google", destination=None, **sync):
    lab.project({"m": {"sql": "select id, email, phone, name, family, postal from c"}},
                {"ads": {"type": kind, "base_url": ads.url, "token_url": ads.token_url, **ACCOUNT, **(destination or {})}},
                {"s": {"model": "m", "destination": "ads", "object": "audience/456", "identify_by": "email", "batch_size": 20, "mode": "mirror",
                       "mappings": MAPPINGS, **sync}})


@pytest.fixture
def ads(vendors):
    return vendors.add("google", lists=("456",), accounts=("123",), process_s=0.2, limits={"write_minute": (120, 1.0), "read_minute": (120, 1.0)})


def test_a_list_equals_the_model_through_trouble(lab, vendors, ads):
    people(lab, 120)
    project(lab, ads, lab.hurried("google", *SOON))
    for fault in (Throttle(kind="write_minute"), html(502), Cut(applied=True), Throttle(kind="write_day"), html(500, applied=True)):
        ads.fail(fault, op="ingest")
    for fault in (NotFound(), Throttle(kind="read_minute"), html(503), Cut()):
        ads.fail(fault, op="status")
    ads.expect_hashes("emailAddress", [f"u{n}@example.org" for n in range(1, 300)] + ["janedoe5@gmail.com"])
    ads.poison(sha("u50@example.org"))
    first = lab.run()
    assert first.rc == 1 and first.counts("planned", "succeeded", "rejected", "failed") == (120, 119, 1, 0)
    assert ads.objects("audience:456") == members(lab, "id != 50")

    lab.sql("update c set phone = null where id <= 12")
    lab.sql("update c set email = 'u299@example.org' where id = 15")
    lab.sql("delete from c where id between 90 and 110")
    for fault in (Throttle(kind="write_minute"), Cut(applied=True)):
        ads.fail(fault, op="remove")
    second = lab.good_run()
    assert second.counts("changed", "removed", "rejected") == (8 + 1, 21 + 1, 0)
    assert ads.objects("audience:456") == members(lab, "id != 50")
    assert lab.good_run().counts("planned", "quarantined") == (0, 1)
    vendors.assert_clean()


def test_what_google_could_not_process_is_found_again(lab, vendors, ads):
    people(lab, 60)
    project(lab, ads, lab.hurried("google", *SOON))
    ads.fail_requests(1)
    first = lab.run()
    assert first.rc == 1 and first.counts("succeeded", "failed", "rejected") == (40, 20, 0)
    second = lab.good_run()
    assert second.counts("planned", "succeeded") == (20, 20)
    assert ads.objects("audience:456") == members(lab)
    vendors.assert_clean()


def test_tokens_end_while_requests_are_processed(lab, vendors):
    ads = vendors.add("google", token_requests=5, process_s=0.1)
    people(lab, 100)
    project(lab, ads, lab.hurried("google", *SOON))
    done = lab.good_run()
    assert len(ads.calls("token")) >= 2 and done.counts("succeeded", "rejected", "failed") == (100, 0, 0)
    assert ads.objects("audience:456") == members(lab)
    assert not vendors.violations_of("limit", "malformed", "hash", "size")


def test_a_service_account_signs_for_its_tokens(lab, vendors):
    key = subprocess.run(["openssl", "genrsa", "2048"], capture_output=True, check=True, text=True).stdout
    public = subprocess.run(["openssl", "rsa", "-pubout"], input=key, capture_output=True, check=True, text=True).stdout
    ads = vendors.add("google", public_key=public, token_requests=40)
    people(lab, 40)
    own = {"service_account": "svc@project.iam.gserviceaccount.com", "private_key": key}
    mail = {name: value for name, value in ACCOUNT.items() if not name.startswith(("client", "refresh"))}
    lab.project({"m": {"sql": "select id, email from c"}},
                {"ads": {"type": lab.hurried("google", *SOON), "base_url": ads.url, "token_url": ads.token_url, **mail, **own}},
                {"s": {"model": "m", "destination": "ads", "object": "audience/456", "identify_by": "email", "mode": "mirror",
                       "mappings": [{"from": "email", "to": "email"}]}})
    lab.good_run("--workers", "1")
    assert len(ads.calls("token")) == 1 and len(ads.objects("audience:456")) == 40
    vendors.assert_clean()


def test_an_account_without_permission_blames_no_record(lab, vendors, ads):
    people(lab, 30)
    project(lab, ads, destination={"account": "999"})
    done = lab.run()
    assert done.rc == 2 and done.counts("rejected", "cancelled") == (0, 30) and "permission" in done.text


def test_conversions_arrive_once(lab, vendors, ads):
    lab.sql("create table o (id bigint primary key, at timestamptz, email text, amount numeric)")
    lab.sql("insert into o select g, timestamptz '2026-01-15 12:00+00' + g * interval '1 s', 'u' || g || '@example.org', g * 1.25 from generate_series(1, 50) g")
    fields = {"transactionId": "id", "eventTimestamp": "at", "email": "email", "conversionValue": "amount"}
    lab.project({"m": {"sql": "select * from o"}}, {"ads": {"type": "google", "base_url": ads.url, "token_url": ads.token_url, **ACCOUNT}},
                {"s": {"model": "m", "destination": "ads", "object": "events/456", "mode": "append", "identify_by": "transactionId", "first_run": "send",
                       "batch_size": 10, "mappings": [{"from": column, "to": field} for field, column in fields.items()]}})
    ads.set.process_s = 0.0
    ads.fail(html(502), op="events")
    lab.good_run()
    held = {key: (event["eventTimestamp"], event["conversionValue"]) for key, event in ads.objects("events").items()}
    assert held == {f"{n}": (f"2026-01-15T12:00:{n:02d}Z", n * 1.25) for n in range(1, 51)}
    vendors.assert_clean()
