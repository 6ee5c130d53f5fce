"""The fake e-mail, support and analytics vendors: success, partial failure, throttling, credentials, the objects kept."""
import hashlib
import json
import time
import urllib.parse

import pytest

from harness import vendors as v
from harness.sink import wait_until
from harness.vendors.client import Client

pytestmark = pytest.mark.vendors


def kinds(hub):
    return [violation.kind for violation in hub.violations]


# ---- Klaviyo ----

def profile(n, **more):
    return {"type": "profile", "attributes": {"email": f"u{n}@example.org", **more}}


def import_job(profiles, lists=()):
    data = {"type": "profile-bulk-import-job", "attributes": {"profiles": {"data": profiles}}}
    if lists:
        data["relationships"] = {"lists": {"data": [{"type": "list", "id": one} for one in lists]}}
    return {"data": data}


@pytest.fixture
def klaviyo(vendors):
    vendor = vendors.add("klaviyo", bulk_seconds=(0.05, 0.05), page_size=1,
                         limits={"bulk_poll_burst": None, "bulk_poll_steady": None})
    return vendor, Client(vendor.url, Authorization="Klaviyo-API-Key pk_test", revision="2026-07-15",
                          Content_Type="application/vnd.api+json")


def test_klaviyo_bulk_import(vendors, klaviyo):
    vendor, client = klaviyo
    vendor.refuse("u2@example.org")
    vendor.refuse("u3@example.org", "duplicate")
    status, doc, headers = client.post("/api/profile-bulk-import-jobs",
                                       import_job([profile(n, external_id=str(n)) for n in range(5)], ["L1"]))
    job = f"/api/profile-bulk-import-jobs/{doc['data']['id']}"
    assert status == 202 and headers["RateLimit-Limit"] == "150" and doc["data"]["attributes"]["status"] == "queued"
    done = wait_until(lambda: (a := client.get(job)[1]["data"]["attributes"])["status"] == "complete" and a)
    assert (done["completed_count"], done["failed_count"]) == (3, 2)
    first = client.get(job + "/import-errors")[1]
    second = client.get(first["links"]["next"])[1]
    assert [e["attributes"]["original_payload"]["external_id"] for e in first["data"] + second["data"]] == ["2", "3"]
    assert second["links"]["next"] is None and set(vendor.objects("list:L1")) == {f"u{n}@example.org" for n in (0, 1, 4)}
    assert vendors.violations == []


def test_klaviyo_names_bad_rows_at_once(vendors, klaviyo):
    vendor, client = klaviyo
    bad = {"type": "profile", "attributes": {"email": "nobody"}}
    status, doc, _ = client.post("/api/profile-bulk-import-jobs", import_job([profile(0), bad, profile(1)]))
    assert status == 400 and doc["errors"][0]["source"]["pointer"] == "/data/attributes/profiles/data/1/attributes/email"
    vendor.poison("u1@example.org")
    doc = client.post("/api/profile-bulk-import-jobs", import_job([profile(0), profile(1)]))[1]
    assert doc["errors"][0]["source"]["pointer"].startswith("/data/attributes/profiles/data/1/") and vendors.violations == []


def test_klaviyo_single_profiles_lists_and_events(vendors, klaviyo):
    vendor, client = klaviyo
    assert client.post("/api/profile-import", {"data": profile(1, properties={"plan": "a", "old": 1})})[0] == 201
    status, doc, _ = client.post("/api/profile-import", {"data": profile(1, properties={"old": None}, first_name="A")})
    assert status == 200
    held = vendor.objects("profiles")["u1@example.org"]
    assert held == {"email": "u1@example.org", "properties": {"plan": "a"}, "first_name": "A"}
    query = urllib.parse.quote('any(email,["u1@example.org","u9@example.org"])')
    found = client.get(f"/api/profiles?filter={query}")[1]["data"]
    assert [p["id"] for p in found] == [doc["data"]["id"]]
    member = {"data": [{"type": "profile", "id": doc["data"]["id"]}]}
    assert client.post("/api/lists/L1/relationships/profiles", member)[0] == 204 and "u1@example.org" in vendor.objects("list:L1")
    assert client.send("DELETE", "/api/lists/L1/relationships/profiles", member)[0] == 204 and vendor.objects("list:L1") == {}
    event = {"type": "event",
             "attributes": {"metric": {"data": {"type": "metric", "attributes": {"name": "paid"}}}, "unique_id": "e1"}}
    group = {"type": "event-bulk-create", "attributes": {"profile": {"data": profile(1)}, "events": {"data": [event]}}}
    bulk = {"data": {"type": "event-bulk-create-job", "attributes": {"events-bulk-create": {"data": [group]}}}}
    assert client.post("/api/event-bulk-create-jobs", bulk)[0] == 202 and vendor.objects("events")["e1"]["metric"] == "paid"
    gone = {"data": {"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": profile(1)}}}}
    assert client.post("/api/data-privacy-deletion-jobs", gone)[0] == 202
    assert vendor.objects("profiles") == {} and vendors.violations == []


def test_klaviyo_throttles(vendors):
    vendor = vendors.add("klaviyo", limits={"import_steady": (1, 360_000.0)})
    client = Client(vendor.url, Authorization="Klaviyo-API-Key pk_test", revision="2026-07-15")
    answers = [client.post("/api/profile-import", {"data": profile(n)}) for n in range(2)]
    assert [a[0] for a in answers] == [201, 429]
    assert int(answers[1][2]["Retry-After"]) > 0 and answers[1][2]["RateLimit-Limit"] is None
    assert Client(vendor.url, revision="2026-07-15").get("/api/profiles?filter=equals(email,%22a%22)")[0] == 401
    assert Client(vendor.url, Authorization="Klaviyo-API-Key pk_test").get("/api/profiles")[0] == 400
    assert kinds(vendors) == ["limit", "auth", "malformed"]


# ---- Iterable, Mailchimp ----

def test_iterable(vendors):
    vendor = vendors.add("iterable")
    client = Client(vendor.url, Api_Key="it-key")
    vendor.refuse("f@b.c", "forgotten")
    users = [{"email": e, "dataFields": {"plan": "a"}} for e in ("a@b.c", "bad", "f@b.c")]
    users.append({"userId": "7", "preferUserId": True, "dataFields": {}})
    status, doc, _ = client.post("/api/users/bulkUpdate", {"users": users})
    assert status == 200 and (doc["successCount"], doc["failCount"]) == (2, 2)
    assert doc["invalidEmails"] == ["bad"] and doc["failedUpdates"]["forgottenEmails"] == ["f@b.c"]
    assert vendor.objects("users") == {"a@b.c": {"plan": "a"}, "7": {}}
    client.post("/api/lists/subscribe", {"listId": 10, "subscribers": [{"email": "a@b.c"}, {"userId": "7"}]})
    client.post("/api/lists/unsubscribe", {"listId": 10, "subscribers": [{"userId": "7"}]})
    client.post("/api/events/trackBulk", {"events": [{"email": "a@b.c", "eventName": "paid", "id": "e1", "createdAt": 1}]})
    assert set(vendor.objects("list:10")) == {"a@b.c"} and set(vendor.objects("events")) == {"e1"}
    assert client.send("DELETE", "/api/users/byUserId/7")[0] == 200 and set(vendor.objects("users")) == {"a@b.c"}
    assert client.post("/api/users/bulkUpdate", {"users": users}, Api_Key="no")[0] == 401 and vendors.violations == []
    assert client.post("/api/users/bulkUpdate", {"users": [{"email": f"{n}@b.c"} for n in range(1001)]})[0] == 413
    assert kinds(vendors) == ["size"]


def test_iterable_limits(vendors):
    vendor = vendors.add("iterable", limits={"bulk_update": (1, 60.0)})
    client = Client(vendor.url, Api_Key="it-key")
    answers = [client.post("/api/users/bulkUpdate", {"users": [{"userId": "1"}]})[0] for _ in range(2)]
    assert answers == [200, 429] and kinds(vendors) == ["limit"]


def test_mailchimp(vendors):
    vendor = vendors.add("mailchimp")
    client = Client(vendor.url, Authorization="Basic eDprZXktdXMx")
    rows = [{"email_address": e, "status": "subscribed", "merge_fields": {"FNAME": "A"}} for e in ("A@b.c", "bad", "d@b.c")]
    vendor.refuse("d@b.c")
    status, doc, _ = client.post("/3.0/lists/abc?skip_merge_validation=true", {"members": rows, "update_existing": True})
    assert status == 200 and doc["error_count"] == 2 and [e["email_address"] for e in doc["errors"]] == ["bad", "d@b.c"]
    assert doc["new_members"][0]["id"] == hashlib.md5(b"a@b.c").hexdigest()
    client.post("/3.0/lists/abc", {"members": [{**rows[0], "merge_fields": {"FNAME": "", "LNAME": "B"}}], "update_existing": True})
    assert vendor.objects("list:abc") == {"a@b.c": {"email_address": "A@b.c", "status": "subscribed",
                                                    "merge_fields": {"LNAME": "B"}}}
    assert client.post("/3.0/lists/abc", {"members": rows[:1]})[1]["errors"][0]["error_code"] == "ERROR_CONTACT_EXISTS"
    member = f"/3.0/lists/abc/members/{hashlib.md5(b'a@b.c').hexdigest()}"
    assert client.send("PUT", member, {"email_address": "a@b.c", "status_if_new": "subscribed"})[0] == 200
    assert client.send("DELETE", member)[0] == 204 and client.send("DELETE", member)[0] == 404 and vendor.objects("list:abc") == {}
    vendor.fail(v.Throttle(kind="html"))
    status, text, _ = client.post("/3.0/lists/abc", {"members": rows})
    assert status == 403 and text.startswith("<html>")
    assert client.post("/3.0/lists/abc", {"members": rows}, Authorization="Basic eDpubw==")[0] == 401 and vendors.violations == []


def test_mailchimp_counts_calls_at_once(vendors):
    import concurrent.futures
    vendor = vendors.add("mailchimp", limits={"concurrency": 2}, latency_s=1.0)
    client = Client(vendor.url, Authorization="Basic eDprZXktdXMx")
    doc = {"members": [{"email_address": "a@b.c", "status": "subscribed"}], "update_existing": True}
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        statuses = sorted(pool.map(lambda _: client.post("/3.0/lists/abc", doc)[0], range(3)))
    assert statuses == [200, 200, 429] and kinds(vendors) == ["limit"] and vendor.overlaps
    assert client.post("/3.0/lists/abc", doc)[0] == 200


# ---- Marketo ----

def test_marketo(vendors):
    vendor = vendors.add("marketo", token_requests=7)
    identity = f"{vendor.token_url}?grant_type=client_credentials&client_id=client&client_secret="
    assert Client(identity).get("no")[0] == 401
    token = Client(identity).get("secret")[1]["access_token"]
    assert Client(identity).get("secret")[1]["access_token"] == token
    client = Client(vendor.url, Authorization="Bearer " + token)
    vendor.refuse("x@b.c", "1008")
    doc = client.post("/rest/v1/leads.json",
                      {"action": "createOrUpdate", "lookupField": "email", "input": [{"email": "a@b.c"}, {"email": "x@b.c"}]})[1]
    assert doc["success"] and [r["status"] for r in doc["result"]] == ["created", "skipped"]
    assert doc["result"][1]["reasons"][0]["code"] == "1008"
    found = client.get("/rest/v1/leads.json?filterType=email&filterValues=a@b.c,q@b.c&fields=id,email")[1]["result"]
    assert [f["email"] for f in found] == ["a@b.c"]
    assert client.post(f"/rest/v1/lists/7/leads.json?id={found[0]['id']}")[1]["result"][0]["status"] == "added"
    assert set(vendor.objects("list:7")) == {"a@b.c"}
    vendor.fail(v.Throttle(kind="concurrency"))
    status, doc, _ = client.get("/rest/v1/leads.json?filterType=email&filterValues=a")
    assert status == 200 and not doc["success"] and doc["errors"][0]["code"] == "615"
    doc = client.post("/rest/v1/leads/delete.json", {"input": [{"id": found[0]["id"]}, {"id": 1}]})[1]
    assert [r["status"] for r in doc["result"]] == ["deleted", "skipped"] and vendor.objects("leads") == {}
    for _ in range(3):
        last = client.get("/rest/v1/leads.json?filterType=email&filterValues=a")[1]
    assert last["success"] and client.get("/rest/v1/leads.json?filterType=email&filterValues=a")[1]["errors"][0]["code"] == "602"
    assert Client(identity).get("secret")[1]["access_token"] != token and vendors.violations == []


def test_marketo_limits(vendors):
    vendor = vendors.add("marketo", token="t", limits={"rate": (1, 20.0)})
    client = Client(vendor.url, Authorization="Bearer t")
    answers = [client.post("/rest/v1/leads.json", {"input": [{"email": "a@b.c"}]}) for _ in range(2)]
    assert [a[0] for a in answers] == [200, 200] and answers[1][1]["errors"][0]["code"] == "606" and kinds(vendors) == ["limit"]


# ---- Intercom, Zendesk ----

def test_intercom(vendors):
    vendor = vendors.add("intercom", limits={"app": (10, 360_000.0)})
    client = Client(vendor.url, Authorization="Bearer ic-token", Intercom_Version="2.14")
    assert client.get("/contacts/find_by_external_id/1")[0] == 404
    status, doc, headers = client.post("/contacts",
                                       {"external_id": "1", "email": "a@b.c", "custom_attributes": {"plan": "a", "old": 1}})
    assert status == 200 and headers["X-RateLimit-Remaining"] == "8" and int(headers["X-RateLimit-Reset"]) > time.time()
    assert client.post("/contacts", {"external_id": "1"})[0] == 409
    assert client.send("PUT", f"/contacts/{doc['id']}", {"name": "A", "custom_attributes": {"old": None}})[0] == 200
    assert vendor.objects("contacts") == {"1": {"external_id": "1", "email": "a@b.c", "name": "A",
                                                "custom_attributes": {"plan": "a"}}}
    found = client.post("/contacts/search", {"query": {"field": "external_id", "operator": "IN", "value": ["1", "2"]}})[1]
    assert found["total_count"] == 1 and found["data"][0]["id"] == doc["id"]
    vendor.refuse("1", times=1)
    assert client.send("PUT", f"/contacts/{doc['id']}", {"name": "B"})[0] == 422
    assert client.post("/companies", {"company_id": "c", "name": "C"})[0] == 200
    assert client.send("DELETE", f"/contacts/{doc['id']}")[1]["deleted"] and vendor.objects("contacts") == {}
    assert client.send("DELETE", f"/contacts/{doc['id']}", Authorization="Bearer no")[0] == 401 and vendors.violations == []
    assert client.get("/contacts/find_by_external_id/1", Intercom_Version="")[0] == 400
    assert vendor.calls("find")[-1].status == 400
    assert client.get("/contacts/find_by_external_id/1")[1]["errors"][0]["code"] == "rate_limit_exceeded"
    assert kinds(vendors) == ["malformed", "limit"]


def zendesk_user(n, **more):
    return {"external_id": str(n), "email": f"u{n}@b.c", "name": f"N{n}", **more}


@pytest.fixture
def zendesk(vendors):
    vendor = vendors.add("zendesk", job_seconds=(0.1, 0.0), job_keep_s=1.5, most_jobs=1)
    return vendor, Client(vendor.url, Authorization="Basic YWdlbnRAZXhhbXBsZS5vcmcvdG9rZW46emQta2V5")


def test_zendesk_jobs(vendors, zendesk):
    vendor, client = zendesk

    def ended(answer):
        assert answer[0] == 200 and answer[1]["job_status"]["status"] == "queued"
        url = answer[1]["job_status"]["url"]
        return url, wait_until(lambda: (job := client.get(url)[1]["job_status"])["status"] not in ("queued", "working") and job)
    upsert, destroy = "/api/v2/users/create_or_update_many.json", "/api/v2/users/destroy_many.json"
    _, job = ended(client.post(upsert, {"users": [zendesk_user(1), zendesk_user(2, email="no"), zendesk_user(3)]}))
    assert [r["status"] for r in job["results"]] == ["Created", "Failed", "Created"] and job["results"][1]["id"] == 1
    assert set(vendor.objects("users")) == {"1", "3"}
    url, job = ended(client.send("DELETE", f"{destroy}?external_ids=3,9"))
    assert [r["status"] for r in job["results"]] == ["Deleted", "Failed"] and set(vendor.objects("users")) == {"1"}
    wait_until(lambda: client.get(url)[0] == 404)
    vendor.end_jobs("killed")
    assert ended(client.post(upsert, {"users": [zendesk_user(4)]}))[1]["status"] == "killed" and vendors.violations == []


def test_zendesk_refuses(vendors, zendesk):
    vendor, client = zendesk
    vendor.jobs.hang = 1
    upsert = "/api/v2/users/create_or_update_many.json"
    assert client.post(upsert, {"users": [zendesk_user(1)]})[0] == 200
    status, doc, headers = client.post(upsert, {"users": [zendesk_user(2)]})
    assert status == 429 and doc["error"] == "TooManyJobs" and headers["X-Rate-Limit"] == "700"
    assert client.post(upsert, {"users": [zendesk_user(n) for n in range(101)]})[0] == 400
    assert client.post(upsert, {"users": [zendesk_user(1)]}, Authorization="Basic eDp5")[0] == 401
    vendor.fail(v.Throttle())
    assert client.post(upsert, {"users": [zendesk_user(1)]})[2]["Retry-After"] and kinds(vendors) == ["limit", "size"]


# ---- Segment, Mixpanel, Amplitude ----

def test_segment(vendors):
    vendor = vendors.add("segment", limits={"second": (3, 60.0)})
    client = Client(vendor.url, Authorization="Basic d3JpdGUta2V5Og==")
    events = [{"type": "identify", "userId": "1", "traits": {"plan": "a"}, "messageId": "m1"},
              {"type": "track", "userId": "1", "event": "paid", "messageId": "m2"}]
    assert client.post("/v1/batch", {"batch": events})[:2] == (200, {"success": True})
    client.post("/v1/batch", {"batch": [{**events[0], "traits": {"plan": "b"}}]})
    assert vendor.objects("users") == {"1": {"plan": "a"}} and set(vendor.objects("events")) == {"m2"} and vendors.violations == []
    assert client.post("/v1/batch", {"batch": events}, Authorization="Basic eDo=")[0] == 200
    assert client.post("/v1/batch", {"batch": events})[0] == 429
    assert client.send("POST", "/v1/batch", raw=b"{", Content_Type="application/json")[0] == 429
    assert kinds(vendors) == ["auth", "limit", "limit"]
    other = Client(vendors.add("segment", "other").url, Authorization="Basic d3JpdGUta2V5Og==")
    assert other.send("POST", "/v1/batch", raw=b"{", Content_Type="application/json")[0] == 400
    assert other.post("/v1/batch", {"batch": [{"type": "identify", "userId": "1", "traits": {"x": "y" * 33_000}}]})[0] == 400


def mixpanel_event(n, **more):
    return {"event": "paid", "properties": {"time": int(time.time()), "distinct_id": "1", "$insert_id": f"i{n}", **more}}


def test_mixpanel(vendors):
    import gzip
    vendor = vendors.add("mixpanel", limits={"events_minute": (6, 60.0)})
    client = Client(vendor.url, Authorization="Basic c2VydmljZTpzZWNyZXQ=")
    status, doc, _ = client.post("/import?strict=1&project_id=1", [mixpanel_event(1), mixpanel_event(2, time=5), mixpanel_event(3)])
    assert status == 400 and doc["num_records_imported"] == 2 and [f["index"] for f in doc["failed_records"]] == [1]
    lines = gzip.compress("\n".join(json.dumps(mixpanel_event(n)) for n in (3, 4)).encode())
    status, doc, _ = client.send("POST", "/import?strict=1&project_id=1", raw=lines, Content_Type="application/x-ndjson",
                                 Content_Encoding="gzip")
    assert status == 200 and doc["num_records_imported"] == 2 and set(vendor.objects("events")) == {"i1", "i3", "i4"}
    change = [{"$token": "mp-token", "$distinct_id": "1", "$set": {"plan": "a"}},
              {"$token": "mp-token", "$distinct_id": "2", "$set": {}}]
    assert Client(vendor.url).post("/engage?verbose=1", change)[1] == {"error": None, "status": 1}
    assert Client(vendor.url).post("/engage", [{"$token": "mp-token", "$distinct_id": "2", "$delete": ""}])[1] == 1
    assert vendor.objects("profiles") == {"1": {"plan": "a"}}
    assert Client(vendor.url).post("/engage?verbose=1", [{**change[0], "$token": "x"}])[1]["status"] == 0
    assert vendors.violations == []
    assert client.post("/import?strict=1&project_id=1", [mixpanel_event(5)], Authorization="Basic eDp5")[0] == 401
    assert client.post("/import?strict=1&project_id=1", [mixpanel_event(5)])[0] == 429 and kinds(vendors) == ["limit"]


def test_amplitude(vendors):
    vendor = vendors.add("amplitude")
    client = Client(vendor.url)

    def batch(*events, key="amp-key"):
        sent = [{"user_id": "user1", "event_type": "paid", "insert_id": f"i{n}", **event} for n, event in enumerate(events)]
        return client.post("/batch", {"api_key": key, "events": sent})
    assert batch({}, {})[1]["events_ingested"] == 2 and set(vendor.objects("events")) == {"i0", "i1"}
    status, doc, _ = batch({}, {"event_type": ""}, {"user_id": "abc", "insert_id": "n"}, {"time": "x"})
    assert status == 400 and doc["events_with_missing_fields"] == {"event_type": [1]}
    assert doc["events_with_invalid_fields"] == {"time": [3]}
    assert doc["events_with_invalid_id_lengths"] == {"user_id": [2]} and "n" not in vendor.objects("events")
    vendor.refuse("i1", "throttled", times=1)
    status, doc, _ = batch({}, {})
    assert status == 429 and doc["throttled_events"] == [1]
    assert batch({}, key="no")[0] == 400 and vendors.violations == []
    answer = client.form("/identify", api_key="amp-key",
                         identification=json.dumps([{"user_id": "user1", "user_properties": {"$set": {"plan": "a"}}}]))
    assert answer[:2] == (200, "success") and vendor.objects("users") == {"user1": {"plan": "a"}}
    assert client.form("/identify", api_key="no", identification="[]")[0] == 400
    assert batch(*[{}] * 2001)[0] == 413 and kinds(vendors) == ["size"]


# ---- Slack, Airtable ----

def test_slack(vendors):
    vendor = vendors.add("slack", channels=("C1", "C2"), limits={"channel": (1, 60.0)})
    client = Client(vendor.url, Authorization="Bearer xoxb-token")

    def post(channel, text="hi", **headers):
        return client.post("/api/chat.postMessage", {"channel": channel, "text": text}, **headers)
    assert post("C1")[1]["ok"] and post("C2")[1]["ok"] and vendor.objects("messages:C1")[1]["text"] == "hi"
    assert post("C9")[:2] == (200, {"ok": False, "error": "channel_not_found"})
    assert post("C8", Authorization="Bearer no")[1]["error"] == "invalid_auth" and vendors.violations == []
    status, _, headers = post("C1")
    assert status == 429 and int(headers["Retry-After"]) > 0 and kinds(vendors) == ["limit"]
    vendor.fail(v.BodyError("channel_is_archived"))
    assert post("C7")[1]["error"] == "channel_is_archived"


def test_airtable(vendors):
    vendor = vendors.add("airtable", limits={"base": (10, 60.0)})
    client = Client(vendor.url, Authorization="Bearer pat-token")

    def upsert(*keys, **more):
        records = [{"fields": {"Key": key, "Name": "N", **more}} for key in keys]
        return client.send("PATCH", "/v0/app1/Table",
                           {"performUpsert": {"fieldsToMergeOn": ["Key"]}, "typecast": True, "records": records})
    assert len(upsert("1", "it's")[1]["createdRecords"]) == 2
    doc = upsert("1", "3", Name=None)[1]
    assert len(doc["createdRecords"]) == len(doc["updatedRecords"]) == 1 and vendor.objects("app1/Table")["1"] == {"Key": "1"}
    query = urllib.parse.urlencode({"filterByFormula": "OR({Key}='it\\'s',{Key}='3',{Key}='9')", "fields[]": "Key", "pageSize": 1})
    first = client.get(f"/v0/app1/Table?{query}")[1]
    second = client.get(f"/v0/app1/Table?{query}&offset={first['offset']}")[1]
    ids = [r["id"] for r in first["records"] + second["records"]]
    assert len(ids) == 2 and "offset" not in second
    status, doc, _ = client.send("DELETE", "/v0/app1/Table?" + "&".join(f"records[]={i}" for i in ids))
    assert status == 200 and all(r["deleted"] for r in doc["records"]) and set(vendor.objects("app1/Table")) == {"1"}
    vendor.poison("5")
    assert upsert("4", "5")[0] == 422 and "4" not in vendor.objects("app1/Table") and vendors.violations == []
    assert upsert("6", "6")[0] == 422 and upsert(*map(str, range(11)))[0] == 422
    assert client.get("/v0/app1/Table", Authorization="Bearer no")[0] == 401
    assert upsert("7")[0] == 200 and upsert("8")[0] == 429 and kinds(vendors) == ["malformed", "size", "limit"]
