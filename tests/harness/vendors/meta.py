"""Meta: custom audiences (add, remove, replace session, find, create, lookalikes). Conversions are in meta_events.py.

From: developers.facebook.com custom-audience/users and usersreplace, custom-audiences and value-based-lookalike guides,
overview/rate-limiting, error codes. Members are kept under kind audience:ID, descriptions under audiences.
"""
import hashlib
import hmac
import json
import re
import time

from .audience import Audiences, refused
from .auth import bearer
from .http import Reply
from .meta_events import Events
from .vendor import Vendor, route
from .windows import Limit

HASHED = {"EMAIL", "PHONE", "GEN", "DOBY", "DOBM", "DOBD", "LN", "FN", "FI", "CT", "ST", "ZIP", "COUNTRY", "EMAIL_SHA256",
          "PHONE_SHA256"}
PLAIN = {"MADID", "MOBILE_ADVERTISER_ID", "EXTERN_ID", "PAGEUID", "PAGE_SCOPED_USER_ID"}
PRIVACY = {"DATA_PROCESSING_OPTIONS": list, "DATA_PROCESSING_OPTIONS_COUNTRY": int, "DATA_PROCESSING_OPTIONS_STATE": int}
SOURCES = ("USER_PROVIDED_ONLY", "PARTNER_PROVIDED_ONLY", "BOTH_USER_AND_PARTNER_PROVIDED")
THROTTLES = {"app": (4, None), "user": (17, 2446079), "page": (32, None), "account": (613, 1487742), "audience_hour": (80003, None)}


class Meta(Events, Vendor):
    NAME = "meta"
    SETTINGS = {
        "token": "EAA-token", "app_secret": None,  # set: appsecret_proof is required
        "account": "111", "audiences": ("900",),  # of the account, there from the start
        "oldest_version": 23, "session_required": False, "session_life_s": 5400.0,
        "settle_s": 0.0,          # a new audience answers "no such object" for so long
        "most_audiences": 500, "pixels": ("700",),
    }

    def start(self):
        self.members = Audiences(self,
                                 ("EXTERN_ID", "EMAIL", "EMAIL_SHA256", "PHONE", "PHONE_SHA256", "MADID", "MOBILE_ADVERTISER_ID"))
        self.born, self.sessions, self.received = {}, {}, {}
        for number in self.set.audiences:
            self.kept["audiences"][number] = {"name": f"audience {number}", "subtype": "CUSTOM", "is_value_based": False}
            self.born[number] = float("-inf")

    def documented_limits(self):
        return [Limit("audience_hour", 190_000, 3600.0, ops={"add", "remove", "replace", "create", "find", "show", "sessions"})]

    # ---- forms ----

    def credential(self, call):
        token = bearer(call) or call.query.get("access_token") or self.params(call).get("access_token")
        if token and self.set.app_secret:
            message = token + (f"|{call.query['appsecret_time']}" if "appsecret_time" in call.query else "")
            proof = call.query.get("appsecret_proof") or self.params(call).get("appsecret_proof")
            if proof != hmac.new(self.set.app_secret.encode(), message.encode(), hashlib.sha256).hexdigest():
                self.malformed(call, "appsecret_proof is missing or wrong",
                               self.error(100, "Invalid appsecret_proof provided in the API argument"))
        return token

    def params(self, call):
        """The fields of a JSON or form body; in a form the structured ones are JSON texts."""
        if call.content_type == "application/x-www-form-urlencoded":
            return {name: self.parsed(value) for name, value in call.form.items()}
        try:
            return call.doc if call.raw else {}
        except ValueError:
            return {}

    @staticmethod
    def parsed(value):
        try:
            return json.loads(value) if value[:1] in "[{\"" else value
        except ValueError:
            return value

    @staticmethod
    def error(code, message, subcode=None, status=400):
        error = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A1"}
        return Reply(status, {"error": {**error, **({"error_subcode": subcode} if subcode else {})}})

    def unauthorized(self, _call, why):
        return self.error(190, f"Error validating access token ({why})", 463 if why == "expired" else None, 401)

    def throttled(self, call, kind=None):
        code, subcode = THROTTLES[kind or "audience_hour"]
        reply = self.error(code, "There have been too many calls to this ad-account. Wait a bit and try again.", subcode)
        reply.headers.update(self.usage(call, 100))
        return reply

    def bad_request(self, _call, text):
        return self.error(100, f"(#100) {text}")

    def not_found(self, _call):
        return self.error(100, "Unsupported request. Object does not exist", 33)

    def body_error(self, _call, code):
        return self.error(code or 1, "An unknown error occurred")

    def usage(self, call, percent=None):
        limit = self.limit("audience_hour")
        if percent is None:
            percent = min(100, 100 * limit.used(call) // limit.amount) if limit else 0
        wait = -(-int(limit.reset_s(call)) // 60) if limit and percent >= 100 else 0
        usage = {"type": "custom_audience", "call_count": percent, "total_cputime": 1, "total_time": 1,
                 "estimated_time_to_regain_access": wait}
        return {"X-Business-Use-Case-Usage": json.dumps({self.set.account: [usage]})}

    def headers(self, call):
        return self.usage(call)

    def check_version(self, call):
        match = re.match(r"v(\d+)\.0$", call.args["version"])
        self.need(call, match, f"version {call.args['version']}")
        if int(match[1]) < self.set.oldest_version:
            self.malformed(call, f"version {match[0]} is too old",
                           self.error(2635, "You are calling a deprecated version of the Ads API"))

    def audience(self, call):
        self.check_version(call)
        number = call.args["audience"]
        return number if number in self.born and time.monotonic() - self.born[number] >= self.set.settle_s else None

    # ---- members ----

    def rows(self, call, number):
        """(schema, good rows as fields, samples of the invalid ones)."""
        payload = self.params(call).get("payload")
        self.need(call, isinstance(payload, dict), "no payload")
        schema, data = payload.get("schema"), payload.get("data")
        schema = [schema] if isinstance(schema, str) else schema
        self.need(call, isinstance(schema, list) and schema and isinstance(data, list) and data, "schema and data are needed")
        if len(data) > 10_000:
            self.oversized(call, f"{len(data)} rows in one request, at most 10000")
        for name in schema:
            self.need(call, name in HASHED | PLAIN | PRIVACY.keys() | {"LOOKALIKE_VALUE"}, f"column {name!r}")
        self.need(call, len(set(schema)) == len(schema), "a column stands twice in the schema")
        if "LOOKALIKE_VALUE" in schema:
            self.need(call, self.kept["audiences"][number].get("is_value_based"),
                      "LOOKALIKE_VALUE in an audience that is not value-based")
        good, samples = [], {}
        for row in data:
            row = row if isinstance(row, list) else [row]
            self.need(call, len(row) == len(schema), f"a row of {len(row)} cells under a schema of {len(schema)}")
            member = {name: cell for name, cell in zip(schema, row) if cell != ""}
            flaw = self.flaw(call, member)
            if flaw:
                samples[str(row[0])] = flaw
            else:
                good.append(member)
        self.admit(call, f"audience:{number}", [self.members.key(member) for member in good], unique=False)
        return schema, good, samples

    def flaw(self, call, member):
        if not any(name in member for name in HASHED | PLAIN):
            self.violate(call, "malformed", "a row without identifiers")
            return "no identifiers"
        for name, cell in member.items():
            if name in HASHED and not self.check_hash(call, name, cell):
                return f"invalid {name}"
            if name in PRIVACY:
                self.need(call, isinstance(cell, PRIVACY[name]), f"{name} is not of type {PRIVACY[name].__name__}")
            if name == "LOOKALIKE_VALUE":
                self.need(call, isinstance(cell, (int, float)) and not isinstance(cell, bool) and cell >= 0,
                          f"LOOKALIKE_VALUE {cell!r}")
        plan = refused(self, [member[name] for name in self.members.strong if name in member])
        return plan and (plan[0] or "invalid entry")

    def session(self, call, required):
        session = self.params(call).get("session")
        self.need(call, session is not None or not required, "no session")
        if session is None:
            return None
        self.need(call, isinstance(session, dict) and isinstance(session.get("session_id"), int), "session_id is not an integer")
        self.need(call, isinstance(session.get("batch_seq"), int) and session["batch_seq"] >= 1, "batch_seq is not a number from 1")
        self.need(call, isinstance(session.get("last_batch_flag", False), bool), "last_batch_flag is not a boolean")
        return session

    def received_reply(self, number, session, good, samples):
        total = self.received[session] = self.received.get(session, 0) + len(good) + len(samples)
        return Reply(200, {"audience_id": number, "session_id": str(session or 1),
                           "num_received": total if session else len(good) + len(samples),
                           "num_invalid_entries": len(samples), "invalid_entry_samples": dict(list(samples.items())[:100])})

    @route("POST", "/{version}/{audience}/users", "add")
    def add(self, call):
        if (call.query.get("method") or self.params(call).get("method") or "").lower() == "delete":
            call.op = "remove"
            return self.change(call, self.members.remove)
        return self.change(call, self.members.add)

    @route("DELETE", "/{version}/{audience}/users", "remove")
    def remove(self, call):
        return self.change(call, self.members.remove)

    def change(self, call, apply):
        number = self.audience(call)
        if number is None:
            return self.not_found(call)
        if any(s["audience"] == number and not s["finished"] for s in self.sessions.values()):
            self.malformed(call, "users are changed while a replace session runs",
                           self.error(2650, "update in progress", 1870145), "order")
        session = self.session(call, self.set.session_required)
        _, good, samples = self.rows(call, number)
        for member in good:
            apply(f"audience:{number}", member)
        return self.received_reply(number, session and session["session_id"], good, samples)

    @route("DELETE", "/{version}/act_{account}/usersofanyaudience", "remove_everywhere")
    def remove_everywhere(self, call):
        self.check_version(call)
        _, good, samples = self.rows(call, self.set.audiences[0])
        for number in self.kept["audiences"]:
            for member in good:
                self.members.remove(f"audience:{number}", member)
        return self.received_reply("0", None, good, samples)

    @route("POST", "/{version}/{audience}/usersreplace", "replace")
    def replace(self, call):
        number = self.audience(call)
        if number is None:
            return self.not_found(call)
        named = self.session(call, True)
        session, sequence = self.sessions.get(named["session_id"]), named["batch_seq"]
        wrong = self.wrong_in_session(call, session, number, sequence)
        if wrong:
            return wrong
        schema, good, samples = self.rows(call, number)
        if session is None:
            session = {"audience": number, "schema": schema, "parts": {}, "began": time.monotonic(), "finished": False}
            self.sessions[named["session_id"]] = session
        if schema != session["schema"]:
            self.malformed(call, "the schema changes inside a session", kind="order")
        session["parts"][sequence] = good
        if named.get("last_batch_flag"):
            if sorted(session["parts"]) != list(range(1, sequence + 1)):
                self.violate(call, "order", f"last_batch_flag on {sequence}, but only {sorted(session['parts'])} arrived")
            session["finished"] = True
            self.members.replace(f"audience:{number}",
                                 [member for part in sorted(session["parts"]) for member in session["parts"][part]])
        return self.received_reply(number, named["session_id"], good, samples)

    @route("GET", "/{version}/{audience}/sessions", "sessions")
    def list_sessions(self, call):
        number, wanted = self.audience(call), call.query.get("session_id")
        if number is None:
            return self.not_found(call)
        return Reply(200, {"data": [{"session_id": str(session), "stage": "uploading" if not s["finished"] else "done",
                                     "num_received": str(self.received.get(session, 0))}
                                    for session, s in self.sessions.items()
                                    if s["audience"] == number and wanted in (None, str(session))]})

    def wrong_in_session(self, call, session, number, sequence):
        if session is None:
            if sequence != 1:
                return self.error(2650, "the first batch was not seen", 1870147)
            if any(s["audience"] == number and not s["finished"] and self.alive(s) for s in self.sessions.values()):
                return self.error(2650, "another update is in progress", 1870145)
            return None
        if session["finished"]:
            return self.error(2650, "the session has finished", 1870159)
        if not self.alive(session):
            return self.error(2650, "the session timed out", 1870158)
        if sequence == 1:
            return self.error(2650, "update in progress", 1870145)
        return None

    def alive(self, session):
        return time.monotonic() - session["began"] < self.set.session_life_s

    # ---- audiences ----

    @route("POST", "/{version}/act_{account}/customaudiences", "create")
    def create(self, call):
        self.check_version(call)
        self.need(call, call.args["account"] == self.set.account, f"account {call.args['account']}")
        doc = self.params(call)
        self.need(call, doc.get("name"), "no name")
        custom = doc.get("subtype", "CUSTOM") == "CUSTOM"
        described = {"name": doc["name"], "subtype": doc.get("subtype", "CUSTOM"),
                     "is_value_based": doc.get("is_value_based") in (True, 1, "1", "true")}
        if custom:
            self.need(call, doc.get("customer_file_source") in SOURCES, f"customer_file_source {doc.get('customer_file_source')!r}")
            if len(self.kept["audiences"]) >= self.set.most_audiences:
                return self.error(2654, "too many audiences", 1713137)
        else:
            self.need(call, described["subtype"] == "LOOKALIKE", f"subtype {described['subtype']}")
            origin, spec = str(doc.get("origin_audience_id")), doc.get("lookalike_spec")
            self.need(call, origin in self.kept["audiences"], f"origin_audience_id {origin}")
            self.need(call, isinstance(spec, dict) and (spec.get("country") or spec.get("location_spec")),
                      "lookalike_spec without country")
            self.need(call, spec.get("type") or 0 < float(spec.get("ratio", 0)) <= 0.2,
                      "lookalike_spec without ratio in 0.01-0.20 or type")
            described.update(origin_audience_id=origin, lookalike_spec=spec)
        number = str(9000 + len(self.kept["audiences"]))
        self.kept["audiences"][number], self.born[number] = described, time.monotonic()
        return Reply(200, {"id": number})

    @route("GET", "/{version}/act_{account}/customaudiences", "find")
    def find(self, call):
        self.check_version(call)
        wanted = [f for f in self.parsed(call.query.get("filtering", "[]")) if f.get("field") == "name"]

        def fits(name):
            return all(f["value"] in name if f["operator"] == "CONTAIN" else f["value"] == name for f in wanted)
        found = [{"id": number, **audience} for number, audience in self.kept["audiences"].items() if fits(audience["name"])]
        begin, most = int(call.query.get("after", 0)), int(call.query.get("limit", 25))
        page, doc = found[begin:begin + most], {"paging": {"cursors": {"after": str(begin + most)}}}
        names = ("id", *call.query.get("fields", "id").split(","))
        doc["data"] = [{name: audience[name] for name in names if name in audience} for audience in page]
        if begin + most < len(found):
            doc["paging"]["next"] = f"{self.url}{call.path}?limit={most}&after={begin + most}&fields={','.join(names[1:])}"
        return Reply(200, doc)

    @route("GET", "/{version}/{audience}", "show")
    def show(self, call):
        number = self.audience(call)
        if number is None:
            return self.not_found(call)
        busy = any(s["audience"] == number and not s["finished"] for s in self.sessions.values())
        status = {"code": 414, "description": "Updating"} if busy else {"code": 200, "description": "Normal"}
        return Reply(200, {"id": number, **self.kept["audiences"][number], "operation_status": status})
