"""Salesforce: token endpoint, sObject collections, SOQL look-ups, deletes.  The Bulk API 2.0 is in salesforce_bulk.py.

From: api_rest resources_composite_sobjects_collections (upsert, create, update, delete), resources_query, the OAuth help pages,
the limits cheat sheet. Objects are kept per sObject under the value of the external id field.
"""
import re

from . import auth
from .http import Reply
from .salesforce_bulk import Bulk
from .vendor import Vendor, route
from .windows import Limit

DATA = "/services/data/{version}"
QUERY = re.compile(r"SELECT\s+([\w\s,]+?)\s+FROM\s+(\w+)\s+WHERE\s+(\w+)\s*(?:IN\s*\((.*)\)|=\s*('.*'))"
                   r"\s*(?:LIMIT\s+\d+)?\s*\Z", re.I | re.S)
LITERAL = re.compile(r"'((?:[^'\\]|\\.)*)'|(-?\d+(?:\.\d+)?)")
MOST_URI_BYTES = 16384


class Salesforce(Bulk, Vendor):
    NAME = "salesforce"
    GZIP = True
    RESULTS = ()
    TOKEN_PATH = "/services/oauth2/token"
    SETTINGS = {
        "token": "00D-session", "client_id": "client", "client_secret": "secret", "refresh_token": "refresh-0", "rotate": False,
        "public_key": None,       # PEM text for JWT bearer
        "user": "admin@example.org", "audience": None,  # expected sub and aud; aud None: login.salesforce.com, test. or this server
        "external_id": "Ext__c",  # the field that names records when they were made without one in the path
        "email_fields": (),       # of type e-mail: kept in lower case, compared without it
        "required": (),           # fields without which a new record is refused
        **Bulk.BULK_SETTINGS,
    }

    def start(self):
        self.tokens = auth.Tokens(self.set.token, self.set.refresh_token, self.set.token_life_s, self.set.token_requests,
                                  self.set.rotate)
        self.start_bulk()

    def documented_limits(self):
        """The day is a rolling one. Of calls at once only those over 20 s count in truth; here all do."""
        return [Limit("day", 100_000, 86_400.0), Limit("concurrency", 25, shape="concurrent")]

    @property
    def instance_url(self):
        """Another host name than the token endpoint's, so that it has to be taken from the token's answer."""
        return f"http://localhost:{self.port}"

    def credential(self, call):
        token = auth.bearer(call)
        if token and token != self.set.token and not call.headers.get("host", "").startswith("localhost:"):
            self.violate(call, "auth", "a call not to the instance_url of the token's answer")
        if len(call.path) + sum(len(name) + len(value) + 2 for name, value in call.query_pairs) > MOST_URI_BYTES:
            self.violate(call, "size", "the URI is over 16 KB")
        return token

    @staticmethod
    def error(status, code, text, **more):
        return Reply(status, [{"message": text, "errorCode": code, **more}])

    def unauthorized(self, _call, _why):
        return self.error(401, "INVALID_SESSION_ID", "Session expired or invalid")

    def throttled(self, _call, kind=None):
        which = "ConcurrentRequests (Concurrent API Requests)" if kind == "concurrency" else "TotalRequests"
        return self.error(403, "REQUEST_LIMIT_EXCEEDED", f"{which} Limit exceeded.")

    def bad_request(self, _call, text):
        return self.error(400, "JSON_PARSER_ERROR", text)

    def not_found(self, _call):
        return self.error(404, "NOT_FOUND", "The requested resource does not exist")

    def headers(self, call):
        day = self.limit("day")
        return {"Sforce-Limit-Info": f"api-usage={day.used(call)}/{day.amount}"} if day else {}

    def make_id(self, kind, number):
        return f"{ {'Account': '001', 'Contact': '003', 'Lead': '00Q'}.get(kind, 'a00')}xx{number:010d}AAA"

    # ---- tokens ----

    @route("POST", TOKEN_PATH, "token", auth=False, counted=False)
    def give_token(self, call):
        self.need(call, call.content_type == "application/x-www-form-urlencoded", "the token endpoint takes a form")
        form, why = call.form, None
        grant = form.get("grant_type")
        if grant == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            why = self.wrong_assertion(call, form.get("assertion", ""))
        elif form.get("client_id") != self.set.client_id or form.get("client_secret") not in (None, self.set.client_secret):
            return Reply(400, {"error": "invalid_client_id", "error_description": "client identifier invalid"})
        elif grant == "refresh_token":
            state = self.tokens.redeem(form.get("refresh_token"))
            if state == "used":
                self.violate(call, "auth", "a refresh token was used again after it was replaced")
            why = None if state == "ok" else "expired access/refresh token"
        elif grant != "client_credentials":
            return Reply(400, {"error": "unsupported_grant_type", "error_description": "grant type not supported"})
        if why:
            return Reply(400, {"error": "invalid_grant", "error_description": why})
        doc = {"access_token": self.tokens.issue(), "instance_url": self.instance_url, "token_type": "Bearer",
               "id": f"{self.url}/id/00D/005", "issued_at": str(int(call.wall * 1000)), "signature": "s", "scope": "api"}
        if grant == "refresh_token" and self.set.rotate:
            doc["refresh_token"] = self.tokens.refresh
        return Reply(200, doc)

    def wrong_assertion(self, call, text):
        audience = self.set.audience or ("https://login.salesforce.com", "https://test.salesforce.com", self.url, self.token_url)
        try:
            claims = auth.read_assertion(text, self.set.public_key)
            auth.check_claims(claims, {"iss": self.set.client_id, "sub": self.set.user, "aud": audience}, 300)
        except ValueError as error:
            self.violate(call, "auth", f"assertion: {error}")
            return "invalid assertion"
        return None

    # ---- collections ----

    def records(self, call):
        return self.array(call, self.json_body(call), "records", 200)

    def flaw(self, key, fields, new):
        """The per-record error as Salesforce lists it, or None."""
        for name, value in fields.items():
            if name == "Email" and value and "@" not in str(value):
                return {"statusCode": "INVALID_EMAIL_ADDRESS", "message": f"Email: invalid email address: {value}",
                        "fields": ["Email"]}
        missing = [name for name in self.set.required if new and fields.get(name) in (None, "")]
        if missing:
            return {"statusCode": "REQUIRED_FIELD_MISSING", "message": f"Required fields are missing: {missing}", "fields": missing}
        refusal = self.refusal(key)
        return refusal and {"statusCode": refusal[0] or "FIELD_CUSTOM_VALIDATION_EXCEPTION", "message": "refused", "fields": []}

    def written(self, call, judged):
        """judged: (flaw or None, write() -> (id, created)). allOrNone undoes all for one flaw."""
        if call.doc.get("allOrNone", False) and any(flaw for flaw, _ in judged):
            undone = {"statusCode": "ALL_OR_NONE_OPERATION_ROLLED_BACK", "message": "rolled back", "fields": []}
            return Reply(200, [{"success": False, "errors": [flaw or undone]} for flaw, _ in judged])
        results = []
        for flaw, write in judged:
            if flaw:
                results.append({"success": False, "errors": [flaw]})
                continue
            number, created = write()
            results.append({"id": number, "success": True, "errors": [], **({} if created is None else {"created": created})})
        return Reply(200, results)

    def fields_of(self, call, record, kind=None):
        self.need(call, isinstance(record.get("attributes"), dict) and record["attributes"].get("type"),
                  "a record without attributes.type")
        self.need(call, kind is None or record["attributes"]["type"] == kind, "attributes.type is not the object of the path")
        return {name: value.lower() if name in self.set.email_fields and isinstance(value, str) else value
                for name, value in record.items() if name != "attributes"}

    @route("PATCH", DATA + "/composite/sobjects/{object}/{field}", "upsert")
    def upsert(self, call):
        kind, field, records = call.args["object"], call.args["field"], self.records(call)
        rows = [self.fields_of(call, record, kind) for record in records]
        for row in rows:
            self.need(call, "Id" not in row and "id" not in row, "an upsert by external id with an Id field")
            self.need(call, row.get(field) not in (None, ""), f"a record without {field}")
        keys = [str(row[field]) for row in rows]
        self.admit(call, kind, keys, unique=False)

        def judge(key, row):
            if keys.count(key) > 1:
                self.violate(call, "malformed", f"the external id {key!r} stands twice in one request")
                return {"statusCode": "DUPLICATE_VALUE", "message": f"Duplicate external id specified: {key}", "fields": [field]}
            return self.flaw(key, row, key not in self.kept[kind])

        return self.written(call, [(judge(key, row), self.writer(kind, key, row)) for key, row in zip(keys, rows)])

    def typed_rows(self, call):
        rows = [(record, self.fields_of(call, record)) for record in self.records(call)]
        return [(record["attributes"]["type"], fields) for record, fields in rows]

    @route("POST", DATA + "/composite/sobjects", "create")
    def create(self, call):
        rows = self.typed_rows(call)
        self.admit(call, "", [row.get(self.set.external_id) for _, row in rows], unique=False)
        judged = []
        for number, (kind, row) in enumerate(rows, 1):
            key = str(row.get(self.set.external_id) or f"record-{len(self.kept[kind]) + number}")
            flaw = self.flaw(key, row, True)
            if key in self.kept[kind]:
                flaw = {"statusCode": "DUPLICATE_VALUE", "message": f"duplicate value found: {self.set.external_id}", "fields": []}
            judged.append((flaw, self.writer(kind, key, row, says_created=False)))
        return self.written(call, judged)

    @route("PATCH", DATA + "/composite/sobjects", "update")
    def update(self, call):
        judged, keys = [], []
        for kind, row in self.typed_rows(call):
            number = row.pop("Id", row.pop("id", None))
            self.need(call, number, "an update without id")
            key = self.key_with_id(kind, number)
            keys.append(key)
            judged.append((self.absent() if key is None else self.flaw(key, row, False),
                           self.writer(kind, key, row, says_created=False)))
        self.admit(call, "", keys, unique=False)
        return self.written(call, judged)

    def writer(self, kind, key, row, says_created=True):
        def write():
            _, new = self.store(kind, key, row)
            return self.id_of(kind, key), new if says_created else None
        return write

    @staticmethod
    def absent():
        return {"statusCode": "ENTITY_IS_DELETED", "message": "entity is deleted", "fields": []}

    @route("DELETE", DATA + "/composite/sobjects", "delete")
    def delete(self, call):
        numbers = call.query.get("ids", "").split(",")
        self.need(call, numbers != [""], "no ids")
        if len(numbers) > 200:
            self.oversized(call, f"{len(numbers)} ids in one request, at most 200")
        places = [next(((kind, key) for kind in self.kept if (key := self.key_with_id(kind, number)) is not None), None)
                  for number in numbers]
        self.admit(call, "", [place[1] for place in places if place])
        results = []
        for number, place in zip(numbers, places):
            flaw = self.flaw(place[1], {}, False) if place else self.absent()
            if not flaw:
                self.drop(*place)
            results.append({"id": number, "success": not flaw, "errors": [flaw] if flaw else []})
        return Reply(200, results)

    @route("GET", DATA + "/sobjects/{object}/{field}/{value}", "show_one")
    def show_one(self, call):
        kind, key = call.args["object"], call.args["value"]
        if key not in self.kept[kind]:
            return self.not_found(call)
        return Reply(200, {"attributes": {"type": kind}, "Id": self.id_of(kind, key), **self.kept[kind][key]})

    @route("DELETE", DATA + "/sobjects/{object}/{field}/{value}", "delete_one")
    def delete_one(self, call):
        return Reply(204) if self.drop(call.args["object"], call.args["value"]) else self.not_found(call)

    @route("GET", DATA + "/query", "query")
    def query(self, call):
        """SELECT Id, Field FROM Object WHERE Field IN ('…') or = '…'."""
        match = QUERY.match(call.query.get("q", "").strip())
        if not match:
            self.malformed(call, f"SOQL not understood: {call.query.get('q')}",
                           self.error(400, "MALFORMED_QUERY", "unexpected token"))
        names, kind, field = [name.strip() for name in match[1].split(",")], match[2], match[3]
        wanted = [number or re.sub(r"\\(.)", r"\1", text) for text, number in LITERAL.findall(match[4] or match[5])]
        keys = self.keys_with(kind, field, [one.lower() for one in wanted] if field in self.set.email_fields else wanted)
        if field == "Id":
            keys = [key for key in (self.key_with_id(kind, one) for one in wanted) if key is not None]
        found = []
        for key in keys:
            full = {"Id": self.id_of(kind, key), **self.kept[kind][key]}
            found.append({"attributes": {"type": kind, "url": f"/services/data/v62.0/sobjects/{kind}/{full['Id']}"},
                          **{name: full.get(name) for name in names}})
        return Reply(200, {"totalSize": len(found), "done": True, "records": found})
