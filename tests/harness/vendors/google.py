"""Google Data Manager: audience members, events, request status; OAuth tokens (refresh token, service account).

From: developers.google.com/data-manager devguides/limits, diagnostics, reference/rest/v1; protocols/oauth2/service-account.
Members are kept under kind audience:LIST, events under their transactionId.
"""
import base64
import binascii
import re

from . import auth
from .audience import Audiences, refused
from .http import Reply
from .jobs import Jobs
from .vendor import Vendor, route
from .windows import Limit

SCOPE = "https://www.googleapis.com/auth/datamanager"
TOKEN_URL = "https://oauth2.googleapis.com/token"
QUOTAS = {"write_minute": "IngestionMutateRequestsPerMinutePerProject", "write_day": "IngestionMutateRequestsPerDayPerProject",
          "read_minute": "IngestionReadRequestsPerMinutePerProject", "read_day": "IngestionReadRequestsPerDayPerProject"}
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)\Z")
REQUEST = {"destinations", "audienceMembers", "events", "consent", "validateOnly", "encoding", "encryptionInfo", "termsOfService"}
CONSENT = ("CONSENT_GRANTED", "CONSENT_DENIED", "CONSENT_STATUS_UNSPECIFIED")


class Google(Vendor):
    NAME = "google"
    GZIP = True
    TOKEN_PATH = "/token"
    SETTINGS = {
        "token": "ya29-token", "client_id": "client", "client_secret": "secret", "refresh_token": "refresh-0",
        "service_account": "svc@project.iam.gserviceaccount.com", "public_key": None,
        "accounts": None,       # operating account ids that exist; None: any
        "lists": None,          # product destination ids that exist; None: any
        "process_s": 0.0,       # how long a request is PROCESSING
        "keep_s": 1e9,
    }

    def start(self):
        self.tokens = auth.Tokens(self.set.token, self.set.refresh_token, self.set.token_life_s, self.set.token_requests)
        self.members = Audiences(self, ("emailAddress", "phoneNumber", "mobileId"))
        self.requests = Jobs(self.set.keep_s)
        self.failing = 0

    def fail_requests(self, count):
        """The next accepted requests end FAILED."""
        self.failing = count

    def documented_limits(self):
        writes, reads = {"ingest", "remove", "events"}, {"status"}
        return [Limit("write_minute", 300, 60.0, ops=writes), Limit("write_day", 100_000, 86_400.0, "aligned", ops=writes),
                Limit("read_minute", 300, 60.0, ops=reads), Limit("read_day", 100_000, 86_400.0, "aligned", ops=reads)]

    def advance(self):
        self.requests.advance()

    def credential(self, call):
        if "developer-token" in call.headers:
            self.violate(call, "malformed", "the Data Manager API takes no developer-token")
        return auth.bearer(call)

    @staticmethod
    def error(code, status, message, details=None):
        more = {"details": details} if details else {}
        return Reply(code, {"error": {"code": code, "message": message, "status": status, **more}})

    def unauthorized(self, _call, _why):
        return self.error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")

    def throttled(self, _call, kind=None):
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED", "domain": "googleapis.com",
                "metadata": {"service": "datamanager.googleapis.com", "quota_limit": QUOTAS.get(kind, QUOTAS["write_minute"])}}
        return self.error(429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric", [info])

    def bad_request(self, _call, text, field=None, reason="INVALID_ARGUMENT"):
        violations = [{"field": field, "description": text, "reason": reason}] if field else []
        details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "datamanager.googleapis.com"},
                   {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}]
        return self.error(400, "INVALID_ARGUMENT", "There was a problem with the request.", details)

    def not_found(self, _call):
        return self.error(404, "NOT_FOUND", "Requested entity was not found.")

    def silent(self, _call):
        return Reply(200, {})

    # ---- tokens ----

    @route("POST", "/token", "token", auth=False, counted=False)
    def give_token(self, call):
        self.need(call, call.content_type == "application/x-www-form-urlencoded", "the token endpoint takes a form")
        form, grant = call.form, call.form.get("grant_type")
        if grant == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            try:
                claims = auth.read_assertion(form.get("assertion", ""), self.set.public_key)
                wanted = {"iss": self.set.service_account, "aud": (TOKEN_URL, self.token_url), "scope": SCOPE}
                auth.check_claims(claims, wanted, 3600)
            except ValueError as error:
                self.violate(call, "auth", f"assertion: {error}")
                return Reply(400, {"error": "invalid_grant", "error_description": "Invalid JWT"})
        elif form.get("client_id") != self.set.client_id or form.get("client_secret") != self.set.client_secret:
            return Reply(401, {"error": "invalid_client", "error_description": "Unauthorized"})
        elif grant != "refresh_token" or self.tokens.redeem(form.get("refresh_token")) != "ok":
            return Reply(400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."})
        return Reply(200, {"access_token": self.tokens.issue(), "expires_in": int(self.set.token_life_s), "scope": SCOPE,
                           "token_type": "Bearer"})

    # ---- members ----

    def destinations(self, call, doc):
        self.only(call, doc, REQUEST, "the request")
        found = self.array(call, doc, "destinations", 10)
        for index, destination in enumerate(found):
            account, target = destination.get("operatingAccount", {}), destination.get("productDestinationId")
            self.need(call, account.get("accountType") or account.get("product"), "operatingAccount.accountType is missing")
            self.need(call, str(account.get("accountId", "")).isdigit(), "operatingAccount.accountId is digits only")
            self.need(call, isinstance(target, str) and target, "productDestinationId is missing")
            if self.set.accounts is not None and account["accountId"] not in self.set.accounts:
                return None, self.error(403, "PERMISSION_DENIED", "The caller does not have permission")
            if self.set.lists is not None and target not in self.set.lists:
                return None, self.bad_request(call, "unknown", f"destinations[{index}].product_destination_id",
                                              "INVALID_DESTINATION")
        return [f"audience:{destination['productDestinationId']}" for destination in found], None

    def check_encoded(self, call, encoding, field, value, place):
        """A hash in the encoding that the request names."""
        text = value
        if encoding == "BASE64":
            try:
                text = base64.b64decode(value, validate=True).hex()
            except (binascii.Error, TypeError, ValueError):
                text = None
        if not self.check_hash(call, field, text):
            self.malformed(call, f"{place} is not a hash", self.bad_request(call, "invalid hash", place, "INVALID_SHA256_FORMAT"))
        return text

    def member(self, call, index, member, encoding):
        """The identifiers of a member, by name."""
        place, found = f"audience_members[{index}]", {}
        self.only(call, member, {"userData", "mobileData", "consent", "destinationReferences"}, place)
        for number in member.get("mobileData", {}).get("mobileIds", []):
            found["mobileId"] = number
        identifiers = self.array(call, member["userData"], "userIdentifiers", 10) if "userData" in member else []
        for which, one in enumerate(identifiers):
            self.need(call, len(one) == 1, f"{place}: an identifier object holds exactly one of emailAddress, phoneNumber, address")
            (name, value), = one.items()
            spot = f"{place}.user_data.user_identifiers[{which}].{'email_address' if name == 'emailAddress' else name}"
            if name in ("emailAddress", "phoneNumber"):
                text = self.check_encoded(call, encoding, name, value, spot)
                found[name if name not in found else f"{name}{which}"] = text
            else:
                self.need(call, name == "address", f"{spot} is unknown")
                self.need(call, value.keys() == {"givenName", "familyName", "regionCode", "postalCode"},
                          f"{spot}: all four fields are needed")
                self.need(call, re.fullmatch(r"[A-Z]{2}", value["regionCode"]), f"{spot}: regionCode is not two upper-case letters")
                for part in ("givenName", "familyName"):
                    self.check_encoded(call, encoding, part, value[part], f"{spot}.{part}")
                found["address"] = dict(value)
        self.need(call, found, f"{place} has no identifiers")
        return found

    def take_members(self, call, apply):
        doc = self.json_body(call)
        kinds, wrong = self.destinations(call, doc)
        if wrong:
            return wrong
        members = self.array(call, doc, "audienceMembers", 10_000)
        self.need(call, doc.get("encoding") in ("HEX", "BASE64") or not any("userData" in m for m in members), "no encoding")
        self.check_consent(call, doc)
        found = [self.member(call, index, member, doc.get("encoding")) for index, member in enumerate(members)]
        self.admit(call, kinds[0], [self.members.key(member) for member in found], unique=False)
        return self.accept(doc, kinds, found, apply,
                           "audienceMembersIngestionStatus" if call.op == "ingest" else "audienceMembersRemovalStatus")

    def check_consent(self, call, doc):
        for name in ("adUserData", "adPersonalization"):
            self.need(call, doc.get("consent", {}).get(name, CONSENT[0]) in CONSENT, f"consent.{name}")

    def accept(self, doc, kinds, found, apply, counted_as):
        number = f"request-{len(self.requests.by_number) + 1}"
        if doc.get("validateOnly"):
            return Reply(200, {"requestId": number})

        def finish(job):
            reasons = job.info["reasons"]
            if self.failing:
                self.failing -= 1
                job.info["failed"] = True
                return None
            for one in found:
                plan = refused(self, [value for value in one.values() if isinstance(value, str)])
                if plan:
                    reason = plan[0] or "PROCESSING_ERROR_REASON_NO_CONSENT"
                    reasons[reason] = reasons.get(reason, 0) + 1
                    continue
                for kind in kinds:
                    apply(kind, one)
            return None
        self.requests.start([("PROCESSING", self.set.process_s)], "SUCCESS", finish, number, reasons={}, failed=False,
                            count=len(found), destinations=doc["destinations"], counted_as=counted_as)
        return Reply(200, {"requestId": number})

    @route("POST", "/v1/audienceMembers:ingest", "ingest")
    def ingest(self, call):
        terms = self.json_body(call).get("termsOfService", {})
        self.need(call, terms.get("customerMatchTermsOfServiceStatus") == "ACCEPTED", "the terms of service are not accepted")
        return self.take_members(call, self.members.add)

    @route("POST", "/v1/audienceMembers:remove", "remove")
    def remove(self, call):
        return self.take_members(call, self.members.remove)

    @route("POST", "/v1/events:ingest", "events")
    def ingest_events(self, call):
        doc = self.json_body(call)
        _, wrong = self.destinations(call, doc)
        if wrong:
            return wrong
        events = self.array(call, doc, "events", 2000)
        self.check_consent(call, doc)
        for index, event in enumerate(events):
            self.need(call, TIMESTAMP.match(str(event.get("eventTimestamp"))), f"events[{index}].event_timestamp is not RFC 3339")
            if "userData" in event:
                self.member(call, index, {"userData": event["userData"]}, doc.get("encoding"))
            value = event.get("conversionValue")
            self.need(call, value is None or isinstance(value, (int, float)), f"events[{index}].conversion_value is not a number")
        names = [event.get("transactionId") for event in events]
        self.admit(call, "events", names, unique=False)

        def keep(_kind, event):
            self.kept["events"].setdefault(event.get("transactionId") or len(self.kept["events"]) + 1, event)
        return self.accept(doc, ["events"], events, keep, "eventsIngestionStatus")

    @route("GET", "/v1/requestStatus:retrieve", "status")
    def status(self, call):
        self.need(call, call.query.get("requestId"), "no requestId")
        job = self.requests.find(call.query["requestId"])
        if job is None:
            return self.not_found(call)
        refused_count = sum(job.info["reasons"].values())
        one = {"requestStatus": "PROCESSING", job.info["counted_as"]: {"recordCount": str(job.info["count"])}}
        if job.done:
            all_lost = job.info["failed"] or refused_count == job.info["count"]
            one["requestStatus"] = "FAILED" if all_lost else "PARTIAL_SUCCESS" if refused_count else "SUCCESS"
            reasons = {"PROCESSING_ERROR_REASON_INTERNAL_ERROR": job.info["count"]} if job.info["failed"] else job.info["reasons"]
            if reasons:
                counts = [{"recordCount": str(count), "reason": reason} for reason, count in reasons.items()]
                one["errorInfo"] = {"errorCounts": counts}
        return Reply(200, {"requestStatusPerDestination": [{"destination": d, **one} for d in job.info["destinations"]]})
