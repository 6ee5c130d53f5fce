"""The fake vendors themselves: success, partial failure, throttling, credentials, and the objects they keep."""
import gzip
import pathlib
import time
import urllib.error
import urllib.parse

import pytest

from harness import vendors as v
from harness.vendors.client import Client, signed
from harness.vendors.windows import Limit

pytestmark = pytest.mark.vendors


def kinds(hub):
    return [violation.kind for violation in hub.violations]


# ---- HubSpot ----

def contact(n, **properties):
    return {"id": f"u{n}@example.org", "idProperty": "email", "objectWriteTraceId": f"t{n}", "properties": properties}


UPSERT = "/crm/v3/objects/contacts/batch/upsert"


@pytest.fixture
def hubspot(vendors):
    vendor = vendors.add("hubspot")
    return vendor, Client(vendor.url, Authorization="Bearer pat-test")


def test_hubspot_upserts_and_archives(vendors, hubspot):
    vendor, client = hubspot
    status, doc, headers = client.post(UPSERT, {"inputs": [contact(1, firstname="A"), contact(2, firstname="B")]})
    assert status == 200 and [r["new"] for r in doc["results"]] == [True, True] and headers["X-HubSpot-RateLimit-Max"] == "190"
    client.post(UPSERT, {"inputs": [contact(1, firstname="", lastname="C")]})
    assert vendors.objects("hubspot", "contacts") == {"u1@example.org": {"email": "u1@example.org", "lastname": "C"},
                                                      "u2@example.org": {"email": "u2@example.org", "firstname": "B"}}
    wanted = {"propertyName": "email", "operator": "EQ", "value": "u2@example.org"}
    found = client.post("/crm/v3/objects/contacts/search", {"filterGroups": [{"filters": [wanted]}]})[1]
    assert found["total"] == 1
    status, _, _ = client.post("/crm/v3/objects/contacts/batch/archive", {"inputs": [{"id": found["results"][0]["id"]}]})
    assert status == 204 and list(vendor.objects("contacts")) == ["u1@example.org"]
    vendors.assert_clean()


def test_hubspot_names_refused_inputs_by_trace_id(vendors, hubspot):
    vendor, client = hubspot
    vendor.refuse("u2@example.org", "no such option")
    status, doc, _ = client.post(UPSERT, {"inputs": [contact(1), contact(2), contact(3)]})
    assert status == 207 and doc["numErrors"] == 1 and doc["errors"][0]["context"] == {"objectWriteTraceId": ["t2"]}
    assert len(vendor.objects("contacts")) == 2 and vendors.violations == []
    blind = {**contact(2)}
    del blind["objectWriteTraceId"]
    assert client.post(UPSERT, {"inputs": [blind]})[0] == 400


def test_hubspot_limits(vendors):
    vendor = vendors.add("hubspot", limits={"ten_seconds": (2, 10.0)})
    client = Client(vendor.url, Authorization="Bearer pat-test")
    answers = [client.post(UPSERT, {"inputs": [contact(n)]}) for n in range(3)]
    assert [a[0] for a in answers] == [200, 200, 429] and answers[2][1]["policyName"] == "TEN_SECONDLY_ROLLING"
    assert kinds(vendors) == ["limit"] and len(vendor.objects("contacts")) == 2


def test_hubspot_form_is_checked(vendors, hubspot):
    _, client = hubspot
    assert client.post(UPSERT, {"inputs": [contact(1), contact(1)]})[0] == 400
    assert client.post(UPSERT, {"inputs": [contact(n) for n in range(101)]})[0] == 400
    assert client.post(UPSERT, {"inputs": [contact(1, age=5)]})[0] == 400
    assert client.post("/crm/v3/objects/contacts/upsert", {"inputs": []})[0] == 404
    assert kinds(vendors) == ["malformed", "size", "malformed", "malformed"]


def test_hubspot_tokens_end_and_are_renewed(vendors):
    vendor = vendors.add("hubspot", token=None, token_requests=2)
    form = {"grant_type": "refresh_token", "client_id": "client", "client_secret": "secret", "refresh_token": "refresh-0"}
    assert Client(vendor.url).post(UPSERT, {"inputs": [contact(1)]})[0] == 401
    status, doc, _ = Client(vendor.token_url).form("", **form)
    client = Client(vendor.url, Authorization="Bearer " + doc["access_token"])
    assert status == 200 and doc["expires_in"] == 1800
    assert [client.post(UPSERT, {"inputs": [contact(n)]})[0] for n in range(3)] == [200, 200, 401]
    assert Client(vendor.token_url).form("", **{**form, "refresh_token": "x"})[0] == 400


# ---- windows ----

class At:
    """An arrival, as far as a limit looks at one."""

    def __init__(self, t, channel=None):
        self.t = self.wall = t
        self.op, self.channel = "x", channel


def accepted(limit, *times):
    return [limit.charge(At(t)) for t in times]


def test_a_sliding_window_is_judged_by_its_tolerance_shorter():
    assert accepted(Limit("n", 2, 1.0), 0.0, 0.5, 0.97) == [True, True, False]
    assert accepted(Limit("n", 2, 1.0), 0.0, 0.5, 0.985) == [True, True, True]
    assert accepted(Limit("n", 2, 1.0), 0.0, 0.5, 1.1, 1.4) == [True, True, True, False], "refused arrivals count, old ones do not"


def test_an_aligned_window_begins_at_its_turn():
    assert accepted(Limit("n", 2, 3.0, "aligned"), 2.7, 2.8, 2.9, 3.5, 3.6) == [True, True, False, True, True]
    assert accepted(Limit("n", 2, 3.0, "aligned"), 2.7, 3.01, 3.1, 3.2) == [True] * 4, "the second was sent before the turn"
    assert accepted(Limit("n", 2, 3.0, "aligned"), 2.7, 3.05, 3.1, 3.2) == [True, True, True, False]


def test_a_limit_has_scopes_costs_and_calls_at_once():
    by_channel = Limit("n", 1, 1.0, scope=lambda call: call.channel)
    assert [by_channel.charge(At(0.0, channel)) for channel in "aba"] == [True, True, False]
    assert accepted(Limit("n", 5, 1.0, cost=lambda call: 3), 0.0, 0.1) == [True, False]
    at_once = Limit("n", 1, shape="concurrent")
    assert accepted(at_once, 0.0, 0.1) == [True, False]
    at_once.release(At(0.2))
    at_once.release(At(0.2))
    assert accepted(at_once, 0.3) == [True]


# ---- faults, which all vendors share ----

def test_faults_are_met_in_order_and_used_up(vendors, hubspot):
    vendor, client = hubspot
    for fault in (v.Throttle(retry_after=7), v.Throttle(retry_after=7, as_date=True), v.Throttle(retry_after=None), v.html(502),
                  v.Silent(), v.Unauthorized(), v.NotFound(), v.Answer(403, "<html>slow down</html>")):
        vendor.fail(fault)
    answers = [client.post(UPSERT, {"inputs": [contact(1)]}) for _ in range(9)]
    assert [a[0] for a in answers] == [429, 429, 429, 502, 200, 401, 404, 403, 200]
    waits = [answer[2]["Retry-After"] for answer in answers]
    assert waits[0] == "7" and waits[1].endswith("GMT") and waits[2] is None
    assert answers[4][1]["results"] == [] and answers[7][1].startswith("<html>")
    assert len(vendor.objects("contacts")) == 1 and vendors.violations == []


def test_a_cut_after_the_work_leaves_it_done(vendors, hubspot):
    vendor, client = hubspot
    for applied in (False, True):
        vendor.fail(v.Cut(applied=applied), op="upsert")
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            client.post(UPSERT, {"inputs": [contact(1)]})
        assert len(vendor.objects("contacts")) == (1 if applied else 0)


def test_results_can_be_short_or_shuffled_and_answers_slow(vendors, hubspot):
    vendor, client = hubspot
    inputs = {"inputs": [contact(1), contact(2)]}
    vendor.fail(v.Short())
    assert len(client.post(UPSERT, inputs)[1]["results"]) == 1
    vendor.fail(v.Shuffled())
    assert [r["objectWriteTraceId"] for r in client.post(UPSERT, inputs)[1]["results"]] == ["t2", "t1"]
    vendor.fail(v.Slow(0.2))
    began = time.monotonic()
    assert client.post(UPSERT, inputs)[0] == 200 and time.monotonic() - began >= 0.2


def test_a_poisoned_record_fails_its_whole_batch(vendors, hubspot):
    vendor, client = hubspot
    vendor.poison("u2@example.org")
    assert client.post(UPSERT, {"inputs": [contact(1), contact(2)]})[0] == 400
    assert client.post(UPSERT, {"inputs": [contact(1)]})[0] == 200
    assert list(vendor.objects("contacts")) == ["u1@example.org"] and vendors.violations == []


# ---- Salesforce ----

SOBJECTS = "/services/data/v62.0/composite/sobjects"


def lead(key, **fields):
    return {"attributes": {"type": "Contact"}, "Ext__c": key, **fields}


@pytest.fixture
def salesforce(vendors):
    vendor = vendors.add("salesforce")
    return vendor, Client(vendor.url, Authorization="Bearer 00D-session")


def test_salesforce_upserts_looks_up_and_deletes(vendors, salesforce):
    vendor, client = salesforce
    status, doc, headers = client.send("PATCH", SOBJECTS + "/Contact/Ext__c",
                                       {"allOrNone": False, "records": [lead("k1", Email="a@b.c"),
                                                                                                          lead("k'2", Email="x")]})
    assert status == 200 and [r["success"] for r in doc] == [True, False] and headers["Sforce-Limit-Info"] == "api-usage=1/100000"
    assert doc[1]["errors"][0]["statusCode"] == "INVALID_EMAIL_ADDRESS"
    client.send("PATCH", SOBJECTS + "/Contact/Ext__c", {"records": [lead("k'2", Email="x@y.z")]})
    assert vendor.objects("Contact") == {"k1": {"Ext__c": "k1", "Email": "a@b.c"}, "k'2": {"Ext__c": "k'2", "Email": "x@y.z"}}
    query = urllib.parse.quote("SELECT Id, Ext__c FROM Contact WHERE Ext__c IN ('k1','k\\'2','k3')")
    found = client.get(f"/services/data/v62.0/query?q={query}")[1]
    assert found["totalSize"] == 2 and found["records"][1]["Ext__c"] == "k'2"
    ids = ",".join(r["Id"] for r in found["records"])
    status, doc, _ = client.send("DELETE", f"{SOBJECTS}?ids={ids}&allOrNone=false")
    assert status == 200 and [r["success"] for r in doc] == [True, True] and vendor.objects("Contact") == {}
    assert client.send("DELETE", f"{SOBJECTS}?ids={ids}")[1][0]["errors"][0]["statusCode"] == "ENTITY_IS_DELETED"
    vendors.assert_clean()


def test_salesforce_throttles_with_403(vendors):
    vendor = vendors.add("salesforce", limits={"day": (1, 60.0)})
    client = Client(vendor.url, Authorization="Bearer 00D-session")
    answers = [client.send("PATCH", SOBJECTS + "/Contact/Ext__c", {"records": [lead("k")]}) for _ in range(2)]
    assert [a[0] for a in answers] == [200, 403] and answers[1][1][0]["errorCode"] == "REQUEST_LIMIT_EXCEEDED"
    assert kinds(vendors) == ["limit"]


def test_salesforce_refuses_doubled_keys(vendors, salesforce):
    _, client = salesforce
    doc = client.send("PATCH", SOBJECTS + "/Contact/Ext__c", {"records": [lead("k"), lead("k"), lead("l")]})[1]
    assert [r["success"] for r in doc] == [False, False, True] and set(kinds(vendors)) == {"malformed"}


def test_salesforce_tokens_name_the_instance(vendors, tmp_path):
    private, public = v.make_key(tmp_path)
    vendor = vendors.add("salesforce", token=None, rotate=True, public_key=public.read_text())
    token = Client(vendor.token_url)
    refresh = {"grant_type": "refresh_token", "client_id": "client", "client_secret": "secret", "refresh_token": "refresh-0"}
    doc = token.form("", **refresh)[1]
    assert doc["instance_url"] == vendor.instance_url and doc["refresh_token"] == "refresh-1" and "expires_in" not in doc
    client = Client(doc["instance_url"], Authorization="Bearer " + doc["access_token"])
    assert client.send("PATCH", SOBJECTS + "/Contact/Ext__c", {"records": [lead("k")]})[0] == 200
    vendor.expire_tokens()
    status, doc, _ = client.send("PATCH", SOBJECTS + "/Contact/Ext__c", {"records": [lead("k")]})
    assert status == 401 and doc[0]["errorCode"] == "INVALID_SESSION_ID" and vendors.violations == []
    assertion = signed(private, {"iss": "client", "sub": "admin@example.org", "aud": "https://login.salesforce.com",
                                 "exp": time.time() + 180})
    grant = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}
    assert token.form("", assertion=assertion, **grant)[0] == 200 and vendors.violations == []
    head, claims, signature = assertion.split(".")
    assert token.form("", assertion=f"{head}.{claims}.{signature[::-1]}", **grant)[0] == 400
    assert token.form("", **refresh)[1]["error"] == "invalid_grant"
    assert kinds(vendors) == ["auth", "auth"]


JOBS = "/services/data/v62.0/jobs/ingest"


def bulk_job(client, csv_text):
    job = client.post(JOBS, {"object": "Contact", "operation": "upsert", "externalIdFieldName": "Ext__c", "contentType": "CSV",
                             "lineEnding": "LF"})[1]
    assert job["state"] == "Open"
    assert client.send("PUT", "/" + job["contentUrl"], raw=csv_text.encode(), Content_Type="text/csv")[0] == 201
    assert client.send("PATCH", f"{JOBS}/{job['id']}", {"state": "UploadComplete"})[0] == 200
    return f"{JOBS}/{job['id']}"


def test_salesforce_bulk_job(vendors):
    vendor = vendors.add("salesforce", bulk_seconds=(0.5, 0.3))
    client = Client(vendor.url, Authorization="Bearer 00D-session")
    vendor.put("Contact", "k2", {"Ext__c": "k2", "Name": "old", "City": "x"})
    job = bulk_job(client, 'Ext__c,Email,Name,City\nk1,a@b.c,"A ""1"", B",\nk2,,#N/A,\nk3,bad,C,\n')
    assert client.get(job)[1]["state"] == "UploadComplete"
    state = [client.get(job)[1]["state"]]
    while state[-1] != "JobComplete":
        state.append(client.get(job)[1]["state"])
    assert "InProgress" in state
    good, bad = client.get(job + "/successfulResults")[1], client.get(job + "/failedResults")[1]
    assert good.splitlines()[0] == '"sf__Id","sf__Created","Ext__c","Email","Name","City"' and len(good.splitlines()) == 3
    assert bad.splitlines()[1].startswith('"","INVALID_EMAIL_ADDRESS:')
    assert vendor.objects("Contact") == {"k2": {"Ext__c": "k2", "City": "x"},
                                         "k1": {"Ext__c": "k1", "Email": "a@b.c", "Name": 'A "1", B'}}
    assert vendors.violations == []


def test_salesforce_bulk_job_with_unprocessed_rows_and_a_stuck_one(vendors, salesforce):
    vendor, client = salesforce
    vendor.leave_unprocessed(1)
    job = bulk_job(client, "Ext__c,Name\nk1,A\nk2,B\n")
    assert client.get(job)[1]["state"] == "Failed"
    assert client.get(job + "/unprocessedrecords")[1].splitlines() == ['"Ext__c","Name"', '"k2","B"']
    vendor.bulk.hang = 1
    assert client.get(bulk_job(client, "Ext__c\nk9\n"))[1]["state"] == "InProgress" and list(vendor.objects("Contact")) == ["k1"]


# ---- Braze ----

@pytest.fixture
def braze(vendors):
    vendor = vendors.add("braze")
    return vendor, Client(vendor.url, Authorization="Bearer braze-key")


def test_braze_tracks_and_deletes(vendors, braze):
    vendor, client = braze
    doc = {"attributes": [{"external_id": "1", "plan": "x", "old": 1}, {"external_id": "2", "email": "no"}],
           "events": [{"external_id": "1", "name": "paid", "time": "2026-01-01T00:00:00Z"}]}
    status, answer, headers = client.post("/users/track", doc)
    assert status == 201 and answer["attributes_processed"] == 1 and answer["events_processed"] == 1
    assert [(e["input_array"], e["index"]) for e in answer["errors"]] == [("attributes", 1)]
    assert 0 < int(headers["X-RateLimit-Reset"]) - time.time() <= 4 and headers["X-RateLimit-Remaining"] == "2999"
    client.post("/users/track", {"attributes": [{"external_id": "1", "old": None}, {"external_id": "3"}]})
    assert vendor.objects("users") == {"1": {"plan": "x"}, "3": {}} and vendor.objects("events")[1]["name"] == "paid"
    assert client.post("/users/delete", {"external_ids": ["1", "9"]})[:2] == (201, {"message": "success", "deleted": 1})
    assert list(vendor.objects("users")) == ["3"] and vendors.violations == []


def test_braze_refuses(vendors):
    vendor = vendors.add("braze", limits={"track": (1, 360_000.0)})
    client = Client(vendor.url, Authorization="Bearer braze-key")
    many = [{"external_id": str(n)} for n in range(76)]
    assert client.post("/users/track",
                       {"attributes": many[:70], "events": [{**u, "name": "e", "time": "2026-01-01"} for u in many[:6]]})[0] == 400
    status, _, headers = client.post("/users/track", {"attributes": many[:1]})
    assert status == 429 and headers["Retry-After"] is None and int(headers["X-RateLimit-Reset"]) > time.time()
    assert client.post("/users/track", {"attributes": many[:1]}, Authorization="Bearer no")[0] == 429
    assert kinds(vendors) == ["size", "limit", "limit"]
    assert Client(vendors.add("braze", "other").url).post("/users/track", {})[0] == 401


# ---- Customer.io ----

def person(n, action="identify", **attributes):
    return {"type": "person", "action": action, "identifiers": {"id": str(n)}, **({"attributes": attributes} if attributes else {})}


def test_customerio(vendors):
    vendor = vendors.add("customerio")
    client = Client(vendor.url, Authorization="Basic c2l0ZTprZXk=")
    vendor.refuse("2")
    status, doc, _ = client.post("/api/v2/batch", {"batch": [person(1, plan="a"), person(2, plan="b"), person(3, plan="c")]})
    assert status == 207 and [e["batch_index"] for e in doc["errors"]] == [1]
    assert client.post("/api/v2/batch", {"batch": [person(3, "delete"), {**person(1, "event"), "name": "paid"}]})[:2] == (200, {})
    assert vendor.objects("people") == {"1": {"plan": "a"}} and vendor.objects("events")[1]["person"] == "1"
    vendor.fail(v.Throttle())
    assert client.post("/api/v2/batch", {"batch": [person(1)]})[0] == 429 and vendors.violations == []
    assert client.post("/api/v2/batch", {"batch": [person(1)]}, Authorization="Basic eDp5")[0] == 401 and vendors.violations == []
    assert client.post("/api/v2/batch", {"batch": [person(1, x="y" * 33_000)]})[0] == 413
    assert client.post("/api/v2/batch", {"batch": [person(n, x="y" * 30_000) for n in range(18)]})[0] == 413
    assert kinds(vendors) == ["size", "size"]


def test_what_a_vendor_would_drop_silently_is_a_violation(vendors):
    klaviyo = vendors.add("klaviyo")
    client = Client(klaviyo.url, Authorization="Klaviyo-API-Key pk_test", revision="2026-07-15")
    profile = {"type": "profile", "attributes": {"email": "a@b.c", "plan": "outside of properties"}}
    assert client.post("/api/profile-import", {"data": profile})[0] == 400 and "plan" in vendors.violations[0].text
    hub = vendors.add("hubspot")
    client = Client(hub.url, Authorization="Bearer pat-test", Content_Encoding="gzip", Content_Type="application/json")
    assert client.send("POST", UPSERT, raw=gzip.compress(b'{"inputs":[]}'))[0] == 400 and "compressed" in vendors.violations[1].text
    with pytest.raises(AssertionError):
        vendors.assert_clean()


# ---- the documentation ----

@pytest.mark.parametrize("name", v.NAMES)
def test_every_endpoint_limit_and_setting_is_documented(vendors, name):
    text = (pathlib.Path(v.__file__).parent / "README.md").read_text(encoding="utf-8")
    section = text.split(f"\n### {name}\n")[1].split("\n### ")[0]
    vendor = vendors.add(name)
    words = {op for _, _, op, *_ in vendor.ENDPOINTS if not op.startswith("_")} | vendor.SETTINGS.keys() - vendor.COMMON.keys()
    words |= {limit.name for limit in vendor.limits} if name != "klaviyo" else set()
    assert [word for word in sorted(words) if f"`{word}`" not in section] == []
