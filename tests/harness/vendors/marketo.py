"""Marketo: token, leads createOrUpdate, delete, look-up, list membership. HTTP 200 nearly always, the codes in the body tell.

From: experienceleague.adobe.com marketo-developer rest (authentication, leads, error-codes, integration best practices).
Leads are kept under their lookupField's value, lists as list:ID.
"""
from .auth import Tokens, bearer
from .http import Reply
from .vendor import Vendor, route
from .windows import Limit

ACTIONS = ("createOrUpdate", "createOnly", "updateOnly", "createDuplicate")
THROTTLES = {"rate": ("606", "Max rate limit '100' exceeded with in '20' secs"), "day": ("607", "Daily quota reached"),
             "concurrency": ("615", "Concurrent access limit reached")}


class Marketo(Vendor):
    NAME = "marketo"
    RESULTS = ("result",)
    TOKEN_PATH = "/identity/oauth/token"
    SETTINGS = {"client_id": "client", "client_secret": "secret", "fields": None, "lists": ("7",)}  # fields that exist; None: any

    def start(self):
        self.tokens = Tokens(self.set.token, None, self.set.token_life_s, self.set.token_requests)

    def documented_limits(self):
        """The day begins at midnight in Chicago in truth; here an aligned window in UTC."""
        return [Limit("rate", 100, 20.0), Limit("day", 50_000, 86_400.0, "aligned"), Limit("concurrency", 10, shape="concurrent")]

    def credential(self, call):
        self.need(call, "access_token" not in call.query, "the token stands in the query")
        return bearer(call)

    @staticmethod
    def failed(code, message):
        return Reply(200, {"requestId": "r#1", "success": False, "errors": [{"code": code, "message": message}]})

    def unauthorized(self, _call, why):
        return self.failed("602", "Access token expired") if why == "expired" else self.failed("601", "Access token invalid")

    def throttled(self, _call, kind=None):
        return self.failed(*THROTTLES[kind or "rate"])

    def bad_request(self, _call, text):
        return self.failed("1003", text)

    def too_large(self, _call, _text):
        return Reply(413, "<html><body>413 Request Entity Too Large</body></html>")

    def not_found(self, _call):
        return self.failed("610", "Requested resource not found")

    def body_error(self, _call, code):
        return self.failed(str(code or 611), "System error")

    def silent(self, _call):
        return Reply(200, b"")

    @route("GET", TOKEN_PATH, "token", auth=False, counted=False)
    @route("POST", TOKEN_PATH, "token", auth=False, counted=False)
    def give_token(self, call):
        """The same token until it ends."""
        asked = {**call.query, **(call.form if call.method == "POST" else {})}
        if asked.get("grant_type") != "client_credentials" or asked.get("client_id") != self.set.client_id or \
                asked.get("client_secret") != self.set.client_secret:
            return Reply(401, {"error": "invalid_client", "error_description": "Bad client credentials"})
        token, left = self.tokens.newest() or (self.tokens.issue(), self.set.token_life_s)
        return Reply(200, {"access_token": token, "token_type": "bearer", "expires_in": int(left), "scope": "api@example.org"})

    def success(self, result):
        return Reply(200, {"requestId": "r#1", "success": True, "result": result})

    @staticmethod
    def skipped(code, message, **more):
        return {"status": "skipped", "reasons": [{"code": str(code), "message": message}], **more}

    # ---- leads ----

    def make_id(self, _kind, number):
        return 100_000 + number

    @route("POST", "/rest/v1/leads.json", "leads")
    def leads(self, call):
        if call.query.get("_method") == "GET":
            call.op = "lookup"
            return self.look_up(call, {**call.query, **call.form})
        doc = self.json_body(call, most_bytes=1024 * 1024)
        leads = self.array(call, doc, "input", 300)
        action, field = doc.get("action", "createOrUpdate"), doc.get("lookupField", "email")
        self.need(call, action in ACTIONS, f"action {action!r}")
        self.admit(call, "leads", [lead.get(field) for lead in leads], unique=False)
        return self.success([self.written(lead, action, field) for lead in leads])

    def written(self, lead, action, field):
        key = self.key_with_id("leads", lead.get("id")) if field == "id" else lead.get(field)
        if key in (None, ""):
            return self.skipped(1003, f"{field} is missing") if field != "id" else self.skipped(1004, "Lead not found")
        unknown = [name for name in lead if self.set.fields is not None and name not in self.set.fields]
        if unknown:
            return self.skipped(1006, f"Field '{unknown[0]}' not found")
        refusal = self.refusal(key)
        if refusal:
            return self.skipped(refusal[0] or 1007, "Multiple lead match lookup criteria")
        known = key in self.kept["leads"]
        if known and action == "createOnly":
            return self.skipped(1005, "Lead already exists", id=self.id_of("leads", key))
        if not known and action == "updateOnly":
            return self.skipped(1004, "Lead not found")
        self.store("leads", key, {name: value for name, value in lead.items() if name != "id"})
        return {"id": self.id_of("leads", key), "status": "updated" if known else "created"}

    @route("GET", "/rest/v1/leads.json", "lookup")
    def lookup(self, call):
        return self.look_up(call, call.query)

    def look_up(self, call, asked):
        field, values = asked.get("filterType"), asked.get("filterValues", "").split(",")
        self.need(call, field and values != [""], "filterType and filterValues are needed")
        if len(values) > 300:
            self.oversized(call, f"{len(values)} filterValues, at most 300")
        names = asked.get("fields", "id,email,firstName,lastName").split(",")
        keys = [self.key_with_id("leads", int(one)) for one in values] if field == "id" else self.keys_with("leads", field, values)
        found = []
        for key in keys:
            if key is not None:
                full = {"id": self.id_of("leads", key), **self.kept["leads"][key]}
                found.append({name: full.get(name) for name in dict.fromkeys(["id", *names])})
        return self.success(found)

    def numbers(self, call):
        """The lead ids in the query or the body."""
        if "id" in call.query:
            numbers = [int(number) for number in call.query["id"].split(",")]
        else:
            numbers = [lead.get("id") for lead in self.array(call, self.json_body(call), "input", 300)]
        if len(numbers) > 300:
            self.oversized(call, f"{len(numbers)} ids in one request, at most 300")
        self.need(call, all(isinstance(number, int) for number in numbers), "ids are integers")
        kind = f"list:{call.args['list']}" if "list" in call.args else "leads"
        self.admit(call, kind, [self.key_with_id("leads", number) for number in numbers], unique=False)
        return numbers

    @route("POST", "/rest/v1/leads/delete.json", "delete")
    @route("DELETE", "/rest/v1/leads.json", "delete")
    def delete(self, call):
        return self.success([{"id": number, "status": "deleted"} if self.drop("leads", self.key_with_id("leads", number))
                             else self.skipped(1004, "Lead not found", id=number) for number in self.numbers(call)])

    @route("POST", "/rest/v1/lists/{list}/leads.json", "list_add")
    def list_add(self, call):
        return self.change_list(call, "added", lambda table, key: table.setdefault(key, {}) is not None)

    @route("DELETE", "/rest/v1/lists/{list}/leads.json", "list_remove")
    def list_remove(self, call):
        return self.change_list(call, "removed", lambda table, key: table.pop(key, None) is not None)

    def change_list(self, call, done, apply):
        if call.args["list"] not in self.set.lists:
            return self.failed("1013", "List not found")
        result = []
        for number in self.numbers(call):
            key = self.key_with_id("leads", number)
            if key is None:
                result.append(self.skipped(1004, "Lead not found", id=number))
                continue
            if apply(self.kept[f"list:{call.args['list']}"], key):
                result.append({"id": number, "status": done})
            else:
                result.append(self.skipped(1015, "Lead not in list", id=number))
        return self.success(result)
