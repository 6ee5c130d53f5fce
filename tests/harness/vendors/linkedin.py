"""LinkedIn DMP segments: find, create (with settling), users; OAuth with refresh tokens that are replaced.

From: learn.microsoft.com linkedin matched-audiences (create-and-manage-segments, -segment-users), versioning, programmatic refresh
tokens. Members are kept under kind segment:ID, descriptions under segments.
"""
import time

from . import auth
from .audience import Audiences, refused
from .http import Reply
from .vendor import Vendor, route
from .windows import Limit

ID_TYPES = ("SHA256_EMAIL", "SHA512_EMAIL", "GOOGLE_AID", "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID", "ACXIOM_ID", "ORACLE_MOAT_ID")
LENGTHS = {"firstName": 35, "lastName": 35, "title": 50, "company": 50}


class LinkedIn(Vendor):
    NAME = "linkedin"
    RESULTS = ("elements",)
    TOKEN_PATH = "/oauth/v2/accessToken"
    SETTINGS = {
        "token": "li-token", "client_id": "client", "client_secret": "secret", "refresh_token": "refresh-0", "rotate": True,
        "token_life_s": 5_184_000.0, "account": "55", "segments": ("300",), "settle_s": 0.0,
        "oldest_version": 202511, "most_elements": 5000,
    }

    def start(self):
        self.tokens = auth.Tokens(self.set.token, self.set.refresh_token, self.set.token_life_s, self.set.token_requests,
                                  self.set.rotate)
        self.members = Audiences(self, ID_TYPES)
        self.born = {number: float("-inf") for number in self.set.segments}
        for number in self.set.segments:
            self.kept["segments"][number] = {"name": f"segment {number}", "account": f"urn:li:sponsoredAccount:{self.set.account}"}

    def documented_limits(self):
        return [Limit("users_minute", 600, 60.0, ops={"users"})]

    def credential(self, call):
        version = call.headers.get("linkedin-version", "")
        if not version.isdigit() or len(version) != 6:
            self.malformed(call, f"LinkedIn-Version {version!r}", self.error(400, "VERSION_MISSING", "A version must be present."))
        if int(version) < self.set.oldest_version:
            self.malformed(call, f"version {version} has ended",
                           self.error(426, "NONEXISTENT_VERSION", f"Requested version {version} is not active"))
        self.need(call, call.headers.get("x-restli-protocol-version") == "2.0.0", "X-Restli-Protocol-Version is not 2.0.0")
        return auth.bearer(call)

    @staticmethod
    def error(status, code, message):
        return Reply(status, {"status": status, "code": code, "message": message})

    def unauthorized(self, _call, why):
        return self.error(401, "EXPIRED_ACCESS_TOKEN" if why == "expired" else "INVALID_ACCESS_TOKEN", f"The token is {why}")

    def throttled(self, _call, _kind=None):
        return self.error(429, "TOO_MANY_REQUESTS", "Resource level throttle limit for calls to this resource is reached.")

    def bad_request(self, _call, text):
        return self.error(400, "ILLEGAL_ARGUMENT", text)

    def not_found(self, _call):
        return self.error(404, "NOT_FOUND", "Could not find entity")

    @route("POST", TOKEN_PATH, "token", auth=False, counted=False)
    def give_token(self, call):
        self.need(call, call.content_type == "application/x-www-form-urlencoded", "the token endpoint takes a form")
        form = call.form
        if form.get("client_id") != self.set.client_id or form.get("client_secret") != self.set.client_secret:
            return Reply(401, {"error": "invalid_client", "error_description": "Client authentication failed"})
        state = self.tokens.redeem(form.get("refresh_token"))
        if state == "used":
            self.violate(call, "auth", "a refresh token was used again after it was replaced")
        if form.get("grant_type") != "refresh_token" or state != "ok":
            return Reply(400, {"error": "invalid_grant", "error_description": "The refresh token is invalid or was replaced"})
        return Reply(200, {"access_token": self.tokens.issue(), "expires_in": int(self.set.token_life_s),
                           "refresh_token": self.tokens.refresh,
                           "refresh_token_expires_in": 31_536_000})

    # ---- segments ----

    @route("GET", "/rest/dmpSegments", "find")
    def find(self, call):
        account = call.query.get("account", "")
        self.need(call, call.query.get("q") == "account" and account.startswith("urn:li:sponsoredAccount:"), f"account {account!r}")
        wanted = {name: call.query[name] for name in ("account", "sourceSegmentId", "sourcePlatform") if call.query.get(name)}
        found = [{"id": number, **segment} for number, segment in self.kept["segments"].items()
                 if wanted.items() <= segment.items()]
        return Reply(200, {"elements": found, "paging": {"start": 0, "count": 10, "total": len(found), "links": []}})

    @route("POST", "/rest/dmpSegments", "create")
    def create(self, call):
        doc = self.json_body(call)
        for name in ("name", "account", "destinations", "sourcePlatform", "type"):
            self.need(call, doc.get(name), f"a segment without {name}")
        if doc["account"] != f"urn:li:sponsoredAccount:{self.set.account}":
            return self.error(403, "ACCESS_DENIED", "Not enough permissions to access this account")
        number = str(3000 + len(self.kept["segments"]))
        self.kept["segments"][number], self.born[number] = dict(doc), time.monotonic()
        return Reply(201, b"", {"x-linkedin-id": number, "x-restli-id": number})

    @route("POST", "/rest/dmpSegments/{segment}/users", "users")
    def users(self, call):
        number = call.args["segment"]
        if number not in self.born or time.monotonic() - self.born[number] < self.set.settle_s:
            return self.not_found(call)
        self.need(call, call.headers.get("x-restli-method", "").upper() == "BATCH_CREATE", "X-RestLi-Method is not BATCH_CREATE")
        elements = self.array(call, self.json_body(call), "elements", self.set.most_elements)
        results, kind = [], f"segment:{number}"
        members = [self.member(element) for element in elements]
        self.admit(call, kind, [self.members.key(member) for member in members], unique=False)
        for element, member in zip(elements, members):
            flaw = self.flaw(call, element, member)
            if flaw:
                results.append({"status": flaw[0], "error": {"message": flaw[1], "status": flaw[0]}})
                continue
            (self.members.add if element["action"] == "ADD" else self.members.remove)(kind, member)
            results.append({"status": 201})
        return Reply(200, {"elements": results})

    @staticmethod
    def member(element):
        ids = element.get("userIds")
        ids = ids if isinstance(ids, list) else []
        return {**{one.get("idType"): one.get("idValue") for one in ids},
                **{name: element[name] for name in (*LENGTHS, "country") if name in element}}

    def flaw(self, call, element, member):
        self.only(call, element, {"action", "userIds", "country", *LENGTHS}, "an element")
        self.need(call, element.get("action") in ("ADD", "REMOVE"), f"action {element.get('action')!r}")
        for one in element.get("userIds", []):
            self.need(call, one.get("idType") in ID_TYPES, f"idType {one.get('idType')!r}")
            if one["idType"] == "SHA256_EMAIL" and not self.check_hash(call, "SHA256_EMAIL", one.get("idValue")):
                return 400, "idValue is not a valid SHA256 hash"
        for name, most in LENGTHS.items():
            if len(str(element.get(name, ""))) > most:
                return 400, f"{name} is longer than {most}"
        if not element.get("userIds") and not (element.get("firstName") and element.get("lastName")):
            return 400, "userIds or firstName and lastName are needed"
        plan = refused(self, [member[name] for name in ID_TYPES if member.get(name)])
        if plan:
            return (plan[0], "refused") if isinstance(plan[0], int) else (400, plan[0] or "the user is invalid")
        return None
