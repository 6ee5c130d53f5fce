"""Airtable records: upsert, create, list by formula, delete. A request is applied as a whole or not at all.

From: airtable.com/developers/web/api (update multiple records, list, delete, rate limits). Records are kept under kind
BASE/TABLE by the values of the merge fields, joined with |.
"""
import re
import time

from .auth import bearer
from .http import Reply
from .vendor import Refused, Vendor, route
from .windows import Limit

TABLE = "/v0/{base}/{table}"
EQUAL = re.compile(r"\{([^}]+)\}(?:&'')?\s*=\s*(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|(-?\d+(?:\.\d+)?))")
MOST_URL = 16_000


class Airtable(Vendor):
    NAME = "airtable"
    RESULTS = ("records",)
    SETTINGS = {"token": "pat-token", "key_fields": ("Key",), "fields": None, "penalty_s": 30.0}  # fields that exist; None: any

    def start(self):
        self.closed_until = {}  # base -> end of the time after a refusal in which none succeeds

    def documented_limits(self):
        return [Limit("base", 5, 1.0, scope=lambda call: call.args["base"]), Limit("token", 50, 1.0)]

    def credential(self, call):
        """After a refusal nothing succeeds for a while."""
        if time.monotonic() < self.closed_until.get(call.args["base"], 0.0):
            raise Refused(self.throttled(call))
        return bearer(call)

    def throttled(self, call, kind=None):
        if kind in ("base", "token"):
            self.closed_until[call.args["base"]] = time.monotonic() + self.set.penalty_s
        return Reply(429, {"errors": [{"error": "RATE_LIMIT_REACHED", "message": "Rate limit exceeded. Please try again later"}]})

    @staticmethod
    def error(status, kind, message):
        return Reply(status, {"error": {"type": kind, "message": message}})

    def unauthorized(self, _call, _why):
        return self.error(401, "AUTHENTICATION_REQUIRED", "Authentication required")

    def bad_request(self, _call, text):
        return self.error(422, "INVALID_REQUEST_UNKNOWN", text)

    def not_found(self, _call):
        return self.error(404, "NOT_FOUND", "Could not find what you are looking for")

    def make_id(self, _kind, number):
        return f"rec{number:014d}"

    def resource(self, kind, key):
        return {"id": self.id_of(kind, key), "createdTime": "2026-01-01T00:00:00.000Z", "fields": dict(self.kept[kind][key])}

    def flaw(self, key, fields):
        for name, value in fields.items():
            if self.set.fields is not None and name not in self.set.fields:
                return self.error(422, "UNKNOWN_FIELD_NAME", f'Unknown field name: "{name}"')
            if isinstance(value, dict):
                return self.error(422, "INVALID_VALUE_FOR_COLUMN", f'Field "{name}" cannot accept the provided value')
        refusal = self.refusal(key)
        return refusal and self.error(422, refusal[0] or "INVALID_VALUE_FOR_COLUMN", "Field cannot accept the provided value")

    def take(self, call):
        """(kind, records' fields) of a write."""
        doc = self.json_body(call)
        self.only(call, doc, {"performUpsert", "typecast", "records", "returnFieldsByFieldId"}, "the request")
        records = self.array(call, doc, "records", 10)
        for record in records:
            self.only(call, record, {"id", "fields"}, "a record")
        self.need(call, all(isinstance(record.get("fields"), dict) for record in records), "a record without fields")
        return f"{call.args['base']}/{call.args['table']}", records

    @route("PATCH", TABLE, "upsert")
    def upsert(self, call):
        kind, records = self.take(call)
        merge = call.doc.get("performUpsert", {}).get("fieldsToMergeOn")
        if merge is None:
            keys = [self.key_with_id(kind, record.get("id")) for record in records]
            if None in keys:
                return self.error(422, "INVALID_RECORDS", "a record without known id")
        else:
            self.need(call, 1 <= len(merge) <= 3, "fieldsToMergeOn holds one to three fields")
            self.need(call, all(name in record["fields"] for record in records for name in merge), "a record lacks a merge field")
            keys = ["|".join(str(record["fields"][name]) for name in merge) for record in records]
        self.admit(call, kind, keys)
        return self.write(kind, keys, records, merge)

    def write(self, kind, keys, records, merge):
        for key, record in zip(keys, records):
            flaw = self.flaw(key, record["fields"])
            if flaw:
                return flaw
        created = [key for key, record in zip(keys, records) if self.store(kind, key, record["fields"])[1]]
        doc = {"records": [self.resource(kind, key) for key in keys]}
        if merge is not None:
            doc.update(createdRecords=[self.id_of(kind, key) for key in created],
                       updatedRecords=[self.id_of(kind, key) for key in keys if key not in created])
        return Reply(200, doc)

    @route("POST", TABLE, "create")
    def create(self, call):
        kind, records = self.take(call)
        named = ["|".join(str(record["fields"].get(name)) for name in self.set.key_fields) for record in records]
        keys = [f"{key}#{len(self.kept[kind]) + index}" if key in self.kept[kind] else key for index, key in enumerate(named)]
        self.admit(call, kind, named, unique=False)
        return self.write(kind, keys, records, None)

    @route("GET", TABLE, "list")
    def list_records(self, call):
        return self.listed(call, call.query, [v for n, v in call.query_pairs if n in ("fields[]", "fields")])

    @route("POST", TABLE + "/listRecords", "list")
    def list_by_post(self, call):
        doc = self.json_body(call)
        return self.listed(call, doc, doc.get("fields", []))

    def listed(self, call, asked, names):
        if len(call.path) + sum(len(n) + len(v) + 2 for n, v in call.query_pairs) > MOST_URL:
            self.oversized(call, "the URL is over 16,000 characters")
        kind, formula = f"{call.args['base']}/{call.args['table']}", asked.get("filterByFormula")
        size, begin = int(asked.get("pageSize", 100)), int(asked.get("offset") or 0)
        self.need(call, 1 <= size <= 100, f"pageSize {size}")
        wanted = [(field, re.sub(r"\\(.)", r"\1", a or b or c)) for field, a, b, c in EQUAL.findall(formula or "")]
        self.need(call, not formula or wanted, f"formula not understood: {formula}")
        found = list(self.kept[kind])
        if wanted:
            found = list(dict.fromkeys(key for field, value in wanted for key in self.keys_with(kind, field, [value])))
        records = [self.resource(kind, key) for key in found[begin:begin + size]]
        for record in records:
            record["fields"] = {name: value for name, value in record["fields"].items() if not names or name in names}
        return Reply(200, {"records": records, **({"offset": str(begin + size)} if begin + size < len(found) else {})})

    @route("DELETE", TABLE, "delete")
    def delete(self, call):
        kind = f"{call.args['base']}/{call.args['table']}"
        numbers = [value for name, value in call.query_pairs if name in ("records[]", "records")]
        self.need(call, numbers, "no records")
        if len(numbers) > 10:
            self.oversized(call, f"{len(numbers)} records in one request, at most 10")
        keys = [self.key_with_id(kind, number) for number in numbers]
        self.admit(call, kind, keys)
        if None in keys:
            return self.error(403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", "Invalid permissions, or the model was not found.")
        for key in keys:
            self.drop(kind, key)
        return Reply(200, {"records": [{"id": number, "deleted": True} for number in numbers]})
