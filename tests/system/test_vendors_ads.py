"""The fake advertising vendors: audiences with their forms, sessions and jobs."""
import hashlib
import json
import time
import urllib.parse

import pytest

from harness import vendors as v
from harness.sink import wait_until
from harness.vendors.client import Client, signed

pytestmark = pytest.mark.vendors


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def kinds(hub):
    return [violation.kind for violation in hub.violations]


# ---- Meta ----

USERS = "/v25.0/900/users"


def people(*emails, schema=("EMAIL",), rows=None, session=None):
    doc = {"payload": {"schema": list(schema), "data": rows or [[sha(email)] for email in emails]}}
    return {**doc, "session": session} if session else doc


@pytest.fixture
def meta(vendors):
    vendor = vendors.add("meta")
    return vendor, Client(vendor.url, Authorization="Bearer EAA-token")


def test_meta_adds_and_removes(vendors, meta):
    vendor, client = meta
    vendor.expect_hashes("EMAIL", ["a@b.c", "d@e.f", "x@y.z"])
    vendor.refuse("x@y.z")
    rows = [[sha("a@b.c"), sha("al")], [sha("d@e.f"), ""], [sha("x@y.z"), ""]]
    status, doc, headers = client.post(USERS, people(schema=("EMAIL", "FN"), rows=rows))
    assert status == 200 and doc["num_received"] == 3 and doc["num_invalid_entries"] == 1 and len(doc["invalid_entry_samples"]) == 1
    assert json.loads(headers["X-Business-Use-Case-Usage"])["111"][0]["type"] == "custom_audience"
    assert vendor.objects("audience:900") == {sha("a@b.c"): {"EMAIL": sha("a@b.c"), "FN": sha("al")},
                                              sha("d@e.f"): {"EMAIL": sha("d@e.f")}}
    client.send("DELETE", USERS, people("a@b.c"))
    client.post(USERS, {**people("d@e.f"), "method": "DELETE"})
    assert vendor.objects("audience:900") == {} and vendors.violations == []
    assert client.post(USERS, people("no@body.x"))[0] == 200
    assert client.post(USERS, people(rows=[["a@b.c"]]))[1]["num_invalid_entries"] == 1
    assert client.post(USERS, people(rows=[[sha("")]]))[1]["num_invalid_entries"] == 1
    assert client.post(USERS, people(schema=("EMAIL", "FN"), rows=[[sha("a@b.c")]]))[1]["error"]["code"] == 100
    assert kinds(vendors) == ["hash", "hash", "hash", "malformed"]


def test_meta_throttles_and_wants_a_token(vendors):
    vendor = vendors.add("meta", limits={"audience_hour": (2, 3600.0)}, app_secret="s3")
    proof = "20d7a1"
    assert Client(vendor.url, Authorization="Bearer EAA-token").post(USERS + f"?appsecret_proof={proof}", people("a@b.c"))[0] == 400
    import hmac
    proof = hmac.new(b"s3", b"EAA-token", "sha256").hexdigest()
    path = f"{USERS}?appsecret_proof={proof}&access_token=EAA-token"
    assert Client(vendor.url).post(path, people("a@b.c"))[0] == 200
    status, doc, headers = Client(vendor.url).post(path, people("a@b.c"))
    assert status == 400 and doc["error"]["code"] == 80003
    usage = json.loads(headers["X-Business-Use-Case-Usage"])["111"][0]
    assert usage["call_count"] == 100 and usage["estimated_time_to_regain_access"] == 60 and headers["Retry-After"] is None
    assert kinds(vendors) == ["malformed", "limit"]
    other = vendors.add("meta", "other")
    assert Client(other.url).post(USERS, people("a@b.c"))[:2][0] == 401
    assert Client(other.url, Authorization="Bearer x").post(USERS, people("a@b.c"))[1]["error"]["code"] == 190


def test_meta_replaces_in_a_session(vendors, meta):
    vendor, client = meta
    client.post(USERS, people("old@b.c"))

    def part(sequence, last, *emails, schema=("EMAIL",), number=7):
        named = {"session_id": number, "batch_seq": sequence, "last_batch_flag": last, "estimated_num_total": 3}
        return client.post("/v25.0/900/usersreplace", people(*emails, schema=schema, session=named))
    assert part(2, False, "b@b.c")[1]["error"]["error_subcode"] == 1870147
    assert part(1, False, "a@b.c")[0] == 200
    assert part(1, False, "a@b.c", number=8)[1]["error"]["error_subcode"] == 1870145
    assert part(2, False, "b@b.c")[1]["num_received"] == 2
    assert part(2, False, "b@b.c")[0] == 200 and len(vendor.objects("audience:900")) == 1
    assert vendors.violations == []
    assert part(3, True, "c@b.c", schema=("PHONE",))[0] == 400
    assert part(3, True, "c@b.c")[0] == 200
    assert set(vendor.objects("audience:900")) == {sha(e) for e in ("a@b.c", "b@b.c", "c@b.c")}
    assert part(4, True, "d@b.c")[1]["error"]["error_subcode"] == 1870159
    assert kinds(vendors) == ["order"]
    assert part(1, False, "a@b.c", number=9)[0] == 200
    assert client.post(USERS, people("z@b.c"))[1]["error"]["error_subcode"] == 1870145
    assert part(1, False, "a@b.c", number=9)[0] == 400 and kinds(vendors) == ["order"] * 2


def test_meta_finds_creates_and_derives_audiences(vendors):
    vendor = vendors.add("meta", settle_s=1.0)
    client = Client(vendor.url, Authorization="Bearer EAA-token")
    where = "/v25.0/act_111/customaudiences"
    number = client.post(where, {"name": "spenders", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY",
                                 "is_value_based": True})[1]["id"]
    query = urllib.parse.urlencode({"fields": "id,name",
                                    "filtering": json.dumps([{"field": "name", "operator": "EQUAL", "value": "spenders"}])})
    assert client.get(f"{where}?{query}")[1]["data"] == [{"id": number, "name": "spenders"}]
    rows = people(schema=("EMAIL", "LOOKALIKE_VALUE"), rows=[[sha("a@b.c"), 44.5]])
    assert client.post(f"/v25.0/{number}/users", rows)[1]["error"]["error_subcode"] == 33
    wait_until(lambda: client.post(f"/v25.0/{number}/users", rows)[0] == 200)
    assert vendor.objects(f"audience:{number}")[sha("a@b.c")]["LOOKALIKE_VALUE"] == 44.5
    like = client.form(where, name="like", subtype="LOOKALIKE", origin_audience_id=number,
                       lookalike_spec='{"country":"US","ratio":0.01}')
    assert like[0] == 200 and vendor.objects("audiences")[like[1]["id"]]["origin_audience_id"] == number
    assert vendors.violations == []
    assert client.post(USERS, rows)[0] == 400 and client.post(where, {"name": "x", "subtype": "CUSTOM"})[0] == 400
    assert client.post("/v20.0/900/users", people("a@b.c"))[1]["error"]["code"] == 2635
    assert kinds(vendors) == ["malformed"] * 3


def test_meta_conversions_fail_as_a_whole(vendors, meta):
    vendor, client = meta

    def event(number, **more):
        return {"event_name": "Purchase", "event_time": int(time.time()), "event_id": number, "action_source": "website",
                "user_data": {"em": [sha("a@b.c")]}, "custom_data": {"currency": "EUR", "value": 1.5}, **more}
    assert client.post("/v25.0/700/events", {"data": [event("1"), event("2")]})[1]["events_received"] == 2
    assert client.post("/v25.0/700/events", {"data": [event("2")]})[0] == 200
    assert client.post("/v25.0/700/events",
                       {"data": [event("3"), event("4", event_time=1)]})[1]["error"]["error_subcode"] == 2804003
    vendor.refuse("5")
    assert client.post("/v25.0/700/events", {"data": [event("5"), event("6")]})[0] == 400
    assert set(vendor.objects("events")) == {"Purchase/1", "Purchase/2"} and vendors.violations == []
    assert client.post("/v25.0/700/events", {"data": [event("7", user_data={"em": "a@b.c"})]})[0] == 400
    assert kinds(vendors) == ["hash", "malformed"]


# ---- Google ----

def members(*emails, identifiers=None, **more):
    listed = identifiers or [[{"emailAddress": sha(email)}] for email in emails]
    return {"destinations": [{"operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": "123"}, "productDestinationId": "L"}],
            "audienceMembers": [{"userData": {"userIdentifiers": one}} for one in listed], "encoding": "HEX",
            "termsOfService": {"customerMatchTermsOfServiceStatus": "ACCEPTED"}, "consent": {"adUserData": "CONSENT_GRANTED"},
            **more}


INGEST, REMOVE = "/v1/audienceMembers:ingest", "/v1/audienceMembers:remove"


def test_google_ingests_and_removes(vendors):
    vendor = vendors.add("google", process_s=0.7)
    client = Client(vendor.url, Authorization="Bearer ya29-token")
    vendor.expect_hashes("emailAddress", ["a@b.c", "d@e.f"])
    vendor.refuse("d@e.f")
    number = client.post(INGEST, members("a@b.c", "d@e.f"))[1]["requestId"]

    def state():
        return client.get(f"/v1/requestStatus:retrieve?requestId={number}")[1]["requestStatusPerDestination"][0]
    assert state()["requestStatus"] == "PROCESSING" and vendor.objects("audience:L") == {}
    done = wait_until(lambda: state()["requestStatus"] != "PROCESSING" and state())
    assert done["requestStatus"] == "PARTIAL_SUCCESS" and done["errorInfo"]["errorCounts"][0]["recordCount"] == "1"
    assert vendor.objects("audience:L") == {sha("a@b.c"): {"emailAddress": sha("a@b.c")}}
    client.post(INGEST, members("a@b.c", validateOnly=True))
    number = client.post(REMOVE, members("a@b.c"))[1]["requestId"]
    wait_until(lambda: state()["requestStatus"] == "SUCCESS")
    assert vendor.objects("audience:L") == {} and vendors.violations == []


def test_google_refuses(vendors):
    vendor = vendors.add("google", limits={"write_minute": (7, 60.0)})
    client = Client(vendor.url, Authorization="Bearer ya29-token")
    status, doc, _ = client.post(INGEST, members(identifiers=[[{"emailAddress": sha("a@b.c")}], [{"emailAddress": "a@b.c"}]]))
    assert status == 400 and doc["error"]["details"][1]["fieldViolations"][0]["field"].startswith("audience_members[1].user_data")
    assert client.post(INGEST, members(identifiers=[[{"emailAddress": sha("a@b.c")}] * 11]))[0] == 400
    assert client.post(INGEST, members("a@b.c", encoding=None))[0] == 400
    assert client.post(INGEST, members("a@b.c", termsOfService={}))[0] == 400
    address = {"givenName": sha("a"), "familyName": sha("b"), "regionCode": "us", "postalCode": "1"}
    assert client.post(INGEST, members(identifiers=[[{"address": address}]]))[0] == 400
    assert client.post(INGEST, members("a@b.c"), Authorization="Bearer no")[0] == 401
    assert client.post("/v1/events:ingest", {**members("x@y.z"), "events": [{"eventTimestamp": "yesterday"}]})[0] == 400
    doc = client.post(INGEST, members("a@b.c"))[1]
    assert doc["error"]["details"][0]["metadata"]["quota_limit"] == "IngestionMutateRequestsPerMinutePerProject"
    assert kinds(vendors) == ["hash", "malformed", "size", "malformed", "malformed", "malformed", "malformed", "limit"]


def test_google_tokens(vendors, tmp_path):
    private, public = v.make_key(tmp_path)
    vendor = vendors.add("google", token=None, public_key=public.read_text())
    token = Client(vendor.token_url)
    claims = {"iss": "svc@project.iam.gserviceaccount.com", "aud": vendor.token_url,
              "scope": "https://www.googleapis.com/auth/datamanager",
              "iat": time.time(), "exp": time.time() + 3600}
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    doc = token.form("", grant_type=grant, assertion=signed(private, claims))[1]
    assert Client(vendor.url, Authorization="Bearer " + doc["access_token"]).post(INGEST, members("a@b.c"))[0] == 200
    assert token.form("", grant_type="refresh_token", client_id="client", client_secret="secret",
                      refresh_token="refresh-0")[0] == 200
    assert vendors.violations == []
    assert token.form("", grant_type=grant, assertion=signed(private, {**claims, "scope": "x"}))[1]["error"] == "invalid_grant"
    assert kinds(vendors) == ["auth"]


# ---- TikTok ----

def mapping(action, *rows, schema=("EMAIL_SHA256", "PHONE_SHA256")):
    cells = [[{"id": sha(cell), "audience_ids": ["500"]} if cell else {} for cell in row] for row in rows]
    return {"advertiser_ids": ["77"], "action": action, "id_schema": list(schema), "batch_data": cells}


def test_tiktok(vendors):
    vendor = vendors.add("tiktok")
    client = Client(vendor.url, Access_Token="tt-token")
    path = "/open_api/v1.3/segment/mapping/"
    assert client.post(path, mapping("add", ("a@b.c", "+1"), ("d@e.f", ""), ("", "+2")))[1]["code"] == 0
    assert client.post(path, mapping("delete", ("a@b.c", "")))[1]["code"] == 0
    assert set(vendor.objects("audience:500")) == {sha("d@e.f"), sha("+2")}
    vendor.fail(v.Throttle())
    vendor.fail(v.BodyError(50002))
    assert client.post(path, mapping("add", ("x", "")))[:2][1]["code"] == 40100
    assert client.post(path, mapping("add", ("x", "")))[:2][1]["code"] == 50002
    assert client.post(path, mapping("add", ("x", "")), Access_Token="no")[1]["code"] == 40105
    new = client.post("/open_api/v1.3/segment/audience/",
                      {"advertiser_id": "77", "custom_audience_name": "n", "action": "create", "id_type": "EMAIL_SHA256"})
    listed = client.get("/open_api/v1.3/dmp/custom_audience/list/?advertiser_id=77")[1]["data"]["list"]
    assert {"audience_id": new[1]["data"]["audience_id"], "name": "n", "id_type": "EMAIL_SHA256"} in listed
    assert vendors.violations == []
    assert client.post(path, mapping("add", ("x",)))[1]["code"] == 40002
    wrong = mapping("add", ("x", ""))
    wrong["batch_data"][0][0]["id"] = "X" * 64
    assert client.post(path, wrong)[1]["code"] == 40002 and kinds(vendors) == ["malformed", "hash", "malformed"]


def test_tiktok_limits(vendors):
    vendor = vendors.add("tiktok", limits={"streaming": (1, 360_000.0)})
    client = Client(vendor.url, Access_Token="tt-token")
    codes = [client.post("/open_api/v1.3/segment/mapping/", mapping("add", ("a", "")))[1]["code"] for _ in range(2)]
    assert codes == [0, 40100] and kinds(vendors) == ["limit"]


# ---- LinkedIn ----

def element(email, action="ADD", **more):
    return {"action": action, "userIds": [{"idType": "SHA256_EMAIL", "idValue": sha(email)}], **more}


@pytest.fixture
def linkedin(vendors):
    vendor = vendors.add("linkedin", settle_s=1.0)
    return vendor, Client(vendor.url, Authorization="Bearer li-token", LinkedIn_Version="202609", X_Restli_Protocol_Version="2.0.0")


def test_linkedin_users_and_segments(vendors, linkedin):
    vendor, client = linkedin
    vendor.set.oldest_version = 202601
    account = "urn:li:sponsoredAccount:55"
    query = "/rest/dmpSegments?" + urllib.parse.urlencode({"q": "account", "account": account, "sourceSegmentId": "s1",
                                                           "sourcePlatform": "sluice"})
    assert client.get(query)[1]["elements"] == []
    status, _, headers = client.post("/rest/dmpSegments",
                                     {"name": "n", "account": account, "destinations": [{"destination": "LINKEDIN"}],
                                                           "sourcePlatform": "sluice", "sourceSegmentId": "s1", "type": "USER"})
    number = headers["x-linkedin-id"]
    assert status == 201 and client.get(query)[1]["elements"][0]["id"] == number
    path, batch = f"/rest/dmpSegments/{number}/users", {"X-RestLi-Method": "BATCH_CREATE"}
    rows = {"elements": [element("a@b.c", firstName="A"), element("d@e.f", lastName="x" * 36), element("g@h.i")]}
    assert client.post(path, rows, **batch)[0] == 404
    wait_until(lambda: client.post(path, rows, **batch)[0] == 200)
    assert [e["status"] for e in client.post(path, rows, **batch)[1]["elements"]] == [201, 400, 201]
    client.post(path, {"elements": [element("g@h.i", "REMOVE"), element("j@k.l")]}, **batch)
    assert set(vendor.objects(f"segment:{number}")) == {sha("a@b.c"), sha("j@k.l")} and vendors.violations == []
    vendor.refuse(sha("busy@b.c"), 423, times=1)
    busy = [client.post(path, {"elements": [element("busy@b.c")]}, **batch)[1]["elements"][0]["status"] for _ in range(2)]
    assert busy == [423, 201]
    assert client.post(path, rows)[0] == 400 and client.post(path, rows, LinkedIn_Version="202512", **batch)[0] == 426
    assert kinds(vendors) == ["malformed"] * 2


def test_linkedin_limits_and_rotated_tokens(vendors):
    vendor = vendors.add("linkedin", token=None, limits={"users_minute": (1, 60.0)}, oldest_version=202601)
    token = {"grant_type": "refresh_token", "client_id": "client", "client_secret": "secret"}
    doc = Client(vendor.token_url).form("", refresh_token="refresh-0", **token)[1]
    client = Client(vendor.url, Authorization="Bearer " + doc["access_token"], LinkedIn_Version="202609",
                    X_Restli_Protocol_Version="2.0.0",
                    X_RestLi_Method="BATCH_CREATE")
    assert [client.post("/rest/dmpSegments/300/users", {"elements": [element("a@b.c")]})[0] for _ in range(2)] == [200, 429]
    assert Client(vendor.token_url).form("", refresh_token="refresh-0", **token)[0] == 400
    assert doc["refresh_token"] == "refresh-1" and Client(vendor.token_url).form("", refresh_token="refresh-1", **token)[0] == 200
    assert kinds(vendors) == ["limit", "auth"]
