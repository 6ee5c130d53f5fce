"""HubSpot CRM objects, v3 batch endpoints and their dated form.

From: HubSpot's published OpenAPI of CRM objects; developers.hubspot.com error-handling, usage-guidelines and
increasing-our-api-limits. Objects are kept per type under the value of the first idProperty they were written with.
"""
from .auth import Tokens, bearer
from .http import Reply
from .vendor import Vendor, route
from .windows import Limit

TIMES = {"startedAt": "2026-01-01T00:00:00Z", "completedAt": "2026-01-01T00:00:01Z"}
INPUT = {"id", "idProperty", "objectWriteTraceId", "properties", "associations", "from", "to", "types"}
BATCH = ("/crm/v3/objects/{type}/batch/", "/crm/objects/2026-03/{type}/batch/")


def batch_route(verb, op):
    def mark(function):
        for prefix in BATCH:
            function = route("POST", prefix + verb, op)(function)
        return function
    return mark


class HubSpot(Vendor):
    NAME = "hubspot"
    RESULTS = ("results",)
    TOKEN_PATH = "/oauth/v1/token"
    SETTINGS = {
        "token": "pat-test", "client_id": "client", "client_secret": "secret", "refresh_token": "refresh-0",
        "token_life_s": 1800.0,
        "properties": None,      # names that exist; None: any
        "partial": True,         # False: one bad input fails the whole batch, as without trace ids
        "oauth": False,          # True: a public app: no daily headers
    }

    def start(self):
        self.tokens = Tokens(self.set.token, self.set.refresh_token, self.set.token_life_s, self.set.token_requests)

    def documented_limits(self):
        search = {"search"}
        writes = {"upsert", "create", "update", "archive", "read", "associate"}
        return [Limit("ten_seconds", 190, 10.0, ops=writes), Limit("day", 650_000, 86_400.0, "aligned", ops=writes | search),
                Limit("search", 5, 1.0, ops=search)]

    def credential(self, call):
        return bearer(call)

    def error(self, status, category, message, **more):
        return Reply(status, {"status": "error", "message": message, "correlationId": "c-1", "category": category, **more})

    def unauthorized(self, _call, why):
        category = "EXPIRED_AUTHENTICATION" if why == "expired" else "INVALID_AUTHENTICATION"
        return self.error(401, category, f"Authentication credentials not found or not valid ({why})")

    def throttled(self, _call, kind=None):
        policy = {"day": "DAILY", "search": "SECONDLY"}.get(kind, "TEN_SECONDLY_ROLLING")
        return Reply(429, {"status": "error", "message": "You have reached your limit.", "errorType": "RATE_LIMIT",
                           "correlationId": "c-1", "policyName": policy, "category": "RATE_LIMITS"})

    def bad_request(self, _call, text):
        return self.error(400, "VALIDATION_ERROR", text)

    def not_found(self, _call):
        return self.error(404, "OBJECT_NOT_FOUND", "resource not found")

    def silent(self, _call):
        return Reply(200, {"status": "COMPLETE", "results": [], **TIMES})

    def headers(self, call):
        limit, day, found = self.limit("ten_seconds"), self.limit("day"), {}
        if call.op == "search":
            return found
        if limit:
            found = {"X-HubSpot-RateLimit-Max": limit.amount, "X-HubSpot-RateLimit-Remaining": limit.remaining(call),
                     "X-HubSpot-RateLimit-Interval-Milliseconds": int(limit.window_s * 1000)}
        if day and not self.set.oauth:
            found.update({"X-HubSpot-RateLimit-Daily": day.amount, "X-HubSpot-RateLimit-Daily-Remaining": day.remaining(call)})
        return found

    @route("POST", "/oauth/v1/token", "token", auth=False, counted=False)
    def give_token(self, call):
        form = call.form
        if form.get("client_id") != self.set.client_id or form.get("client_secret") != self.set.client_secret:
            return Reply(400, {"status": "BAD_CLIENT_ID", "message": "missing or unknown client id or secret"})
        if form.get("grant_type") != "refresh_token" or self.tokens.redeem(form.get("refresh_token")) != "ok":
            return Reply(400, {"status": "BAD_REFRESH_TOKEN", "message": "missing or invalid refresh token"})
        return Reply(200, {"access_token": self.tokens.issue(), "refresh_token": self.tokens.refresh, "token_type": "bearer",
                           "expires_in": int(self.set.token_life_s)})

    # ---- batches ----

    def inputs(self, call):
        inputs = self.array(call, self.json_body(call), "inputs", 100)
        for entry in inputs:
            self.only(call, entry, INPUT, "an input")
        return inputs

    def wrong(self, call, entry, needs_id):
        """Why an input is refused as a record, or None; what is wrong with its form ends the request."""
        properties = entry.get("properties")
        self.need(call, isinstance(properties, dict), "an input without properties")
        self.need(call, not needs_id or isinstance(entry.get("id"), str) and entry["id"], "an input without id")
        for name, value in properties.items():
            self.need(call, isinstance(value, str), f"the value of property {name} is not a string")
            if self.set.properties is not None and name not in self.set.properties:
                return f'Property "{name}" does not exist'
        email = properties.get("email") or (entry.get("id") if entry.get("idProperty") == "email" else None)
        if email and "@" not in email:
            return f"Email address {email} is invalid"
        refusal = self.refusal(entry.get("id") or email)
        return refusal and (refusal[0] or "Property values were not valid")

    def answer(self, call, inputs, write, needs_id=True):
        """Writes each input; answers 200, or 207 with the errors under their trace ids. write gives a result or a
        (category, text) that refuses the input."""
        bad = []
        for entry in inputs:
            text = self.wrong(call, entry, needs_id)
            if text:
                bad.append((entry, ("VALIDATION_ERROR", text)))
        if bad and (not self.set.partial or not all(entry.get("objectWriteTraceId") for entry, _ in bad)):
            return self.error(400, *bad[0][1], errors=[{"message": text} for _, (_, text) in bad])
        refused, results = {id(entry) for entry, _ in bad}, []
        for entry in inputs:
            result = None if id(entry) in refused else write(entry)
            if isinstance(result, tuple):
                bad.append((entry, result))
            elif result:
                results.append(result)
        doc = {"status": "COMPLETE", "results": results, **TIMES}
        if bad:
            doc.update(numErrors=len(bad), errors=[self.entry_error(entry, *why) for entry, why in bad])
        return Reply(207 if bad else 200, doc)

    def entry_error(self, entry, category, text):
        return {"status": "error", "category": category, "message": text, "errors": [{"message": text, "code": "INVALID"}],
                "context": {"objectWriteTraceId": [entry["objectWriteTraceId"]]} if entry.get("objectWriteTraceId") else {}}

    def result(self, entry, kind, key, new=None):
        number = self.id_of(kind, key)
        doc = {"id": number, "properties": {**self.kept[kind][key], "hs_object_id": number}, "archived": False}
        if new is not None:
            doc["new"] = new
        if entry.get("objectWriteTraceId"):
            doc["objectWriteTraceId"] = entry["objectWriteTraceId"]
        return doc

    def store(self, kind, key, fields):
        """An empty text clears a property."""
        return super().store(kind, key, {name: value or None for name, value in fields.items()})

    def key_of(self, kind, entry):
        """The stored key an input names, or None."""
        if entry.get("idProperty") and entry["idProperty"] != "hs_object_id":
            return entry["id"] if entry["id"] in self.kept[kind] else None
        return self.key_with_id(kind, entry["id"])

    @batch_route("upsert", "upsert")
    def upsert(self, call):
        inputs, kind = self.inputs(call), call.args["type"]
        self.admit(call, kind, [entry.get("id") for entry in inputs])

        def write(entry):
            name = entry.get("idProperty")
            self.need(call, name, "an upsert without idProperty")
            _, new = self.store(kind, entry["id"], {name: entry["id"], **entry["properties"]})
            return self.result(entry, kind, entry["id"], new)
        return self.answer(call, inputs, write)

    @batch_route("create", "create")
    def create(self, call):
        inputs, kind = self.inputs(call), call.args["type"]
        self.admit(call, kind, [entry.get("properties", {}).get("email", id(entry)) for entry in inputs])

        def write(entry):
            key = entry["properties"].get("email") or f"record-{len(self.kept[kind]) + 1}"
            if key in self.kept[kind]:
                return "CONFLICT", f"Contact already exists. Existing ID: {self.id_of(kind, key)}"
            self.store(kind, key, entry["properties"])
            return self.result(entry, kind, key)
        reply = self.answer(call, inputs, write, needs_id=False)
        reply.status = 201 if reply.status == 200 else reply.status
        return reply

    @batch_route("update", "update")
    def update(self, call):
        inputs, kind = self.inputs(call), call.args["type"]
        self.admit(call, kind, [entry.get("id") for entry in inputs])

        def write(entry):
            key = self.key_of(kind, entry)
            if key is None:
                return "OBJECT_NOT_FOUND", "Object not found"
            self.store(kind, key, entry["properties"])
            return self.result(entry, kind, key)
        return self.answer(call, inputs, write)

    @batch_route("archive", "archive")
    def archive(self, call):
        """Always 204; an id that names nothing is passed over."""
        inputs, kind = self.inputs(call), call.args["type"]
        self.admit(call, kind, [entry.get("id") for entry in inputs])
        for entry in inputs:
            self.need(call, str(entry.get("id", "")).isdigit(), "archive takes record ids")
            self.drop(kind, self.key_with_id(kind, entry["id"]))
        return Reply(204)

    @batch_route("read", "read")
    def read(self, call):
        inputs, kind = self.inputs(call), call.args["type"]
        name = call.doc.get("idProperty")
        found = [(entry, self.key_of(kind, {**entry, "idProperty": name})) for entry in inputs]
        doc = {"status": "COMPLETE", "results": [self.result(entry, kind, key) for entry, key in found if key is not None]}
        lost = [entry["id"] for entry, key in found if key is None]
        if lost:
            doc.update(numErrors=1, errors=[{"status": "error", "category": "OBJECT_NOT_FOUND", "context": {"ids": lost},
                                             "message": "Could not get some objects"}])
        return Reply(207 if lost else 200, doc)

    @route("POST", "/crm/v3/objects/{type}/search", "search")
    def search(self, call):
        """Equality and IN filters of one group, as far as a lookup by key needs them."""
        doc, kind = self.json_body(call), call.args["type"]
        groups = self.array(call, doc, "filterGroups", 5)
        self.need(call, doc.get("limit", 10) <= 200, "limit above 200")

        found = {}
        for group in groups:
            parts = [self.keys_with(kind, one["propertyName"], one.get("values") or [one.get("value")]) for one in group["filters"]]
            found.update(dict.fromkeys(key for key in parts[0] if all(key in part for part in parts)))
        begin, size = int(doc.get("after", 0)), doc.get("limit", 10)
        paging = {"paging": {"next": {"after": str(begin + size)}}} if begin + size < len(found) else {}
        page = list(found)[begin:begin + size]
        return Reply(200, {"total": len(found), "results": [self.result({}, kind, key) for key in page], **paging})

    @route("POST", "/crm/v4/associations/{from}/{to}/batch/create", "associate")
    def associate(self, call):
        inputs = self.inputs(call)
        for entry in inputs:
            pair = (str(entry["from"]["id"]), str(entry["to"]["id"]))
            self.kept[f"{call.args['from']}-{call.args['to']}"][pair] = {"types": entry.get("types", [])}
        return Reply(201, {"status": "COMPLETE", "results": [{"from": e["from"], "to": e["to"]} for e in inputs]})
