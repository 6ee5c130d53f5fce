"""Braze: /users/track and /users/delete.

From: braze.com/docs api_limits, user_data/post_user_track and post_user_delete. Users are kept under external_id,
events and purchases under running numbers.
"""
import json
import re

from .auth import bearer
from .http import Reply
from .vendor import Vendor, route
from .windows import Limit

ARRAYS = ("attributes", "events", "purchases")
NEEDED = {"attributes": (), "events": ("name", "time"), "purchases": ("product_id", "currency", "price", "time")}
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?\Z")


class Braze(Vendor):
    NAME = "braze"
    RESULTS = ("errors",)
    SETTINGS = {"token": "braze-key", "most_objects": 75}

    def documented_limits(self):
        """Windows are aligned to the clock, not rolling."""
        return [Limit("track", 3000, 3.0, "aligned", ops={"track"}), Limit("delete", 20_000, 60.0, "aligned", ops={"delete"})]

    def credential(self, call):
        return bearer(call)

    def unauthorized(self, _call, _why):
        return Reply(401, {"message": "Invalid API Key"})

    def throttled(self, call, _kind=None):
        return Reply(429, {"message": "You have exceeded the rate limit"}, self.headers(call))

    def bad_request(self, _call, text):
        return Reply(400, {"message": text})

    def headers(self, call):
        limit = self.limit(call.op)
        return {"X-RateLimit-Limit": limit.amount, "X-RateLimit-Remaining": limit.remaining(call),
                "X-RateLimit-Reset": int(call.wall + limit.reset_s(call)) + 1} if limit else {}

    def silent(self, _call):
        return Reply(201, {"message": "success"})

    @route("POST", "/users/track", "track")
    def track(self, call):
        doc = self.json_body(call, most_bytes=4 * 1024 * 1024)
        arrays = {name: doc.get(name, []) for name in ARRAYS}
        for name, entries in arrays.items():
            self.need(call, isinstance(entries, list), f"{name} is not an array")
        entries = [(name, index, entry) for name in ARRAYS for index, entry in enumerate(arrays[name])]
        self.need(call, entries, "Valid data must be provided in the 'attributes', 'events', or 'purchases' fields.")
        if len(entries) > self.set.most_objects:
            self.oversized(call, f"{len(entries)} objects in one request, at most {self.set.most_objects}")
        for _, _, entry in entries:
            if len(json.dumps(entry, ensure_ascii=False).encode()) > 100 * 1024:
                self.oversized(call, "an object over 100 KB")
        self.admit(call, "users", [self.name_of(entry) for entry in arrays["attributes"]], unique=False)
        errors = []
        for name, index, entry in entries:
            flaw = self.flaw(call, name, entry)
            if flaw:
                errors.append({"type": flaw, "input_array": name, "index": index})
            else:
                self.apply(name, entry)
        if len(errors) == len(entries):
            return Reply(400, {"message": errors[0]["type"], "errors": errors})
        counts = {f"{name}_processed": len(found) - sum(error["input_array"] == name for error in errors)
                  for name, found in arrays.items() if found}
        return Reply(201, {"message": "success", **counts, **({"errors": errors} if errors else {})})

    @staticmethod
    def name_of(entry):
        return str(entry.get("external_id") or entry.get("braze_id") or entry.get("email") or entry.get("user_alias"))

    def flaw(self, call, name, entry):
        if not any(entry.get(key) for key in ("external_id", "braze_id", "user_alias", "email", "phone")):
            self.violate(call, "malformed", f"an object in {name} names no user")
            return "'external_id' or 'braze_id' or 'user_alias' is required"
        if not isinstance(entry.get("external_id", ""), str):
            self.violate(call, "malformed", "external_id is not a text")
            return "'external_id' must be a string"
        for key in NEEDED[name]:
            if entry.get(key) in (None, ""):
                return f"'{key}' is required"
        if name != "attributes" and not TIME.match(str(entry["time"])):
            return "'time' is not a valid ISO 8601 time"
        if name == "attributes" and any(self.is_bad_change(value) for value in entry.values()):
            return "an array is changed by lists of texts and numbers"
        if entry.get("email") and "@" not in str(entry["email"]):
            return "'email' is not a valid email address"
        refusal = self.refusal(self.name_of(entry))
        return refusal and (refusal[0] or "the data of this user is invalid")

    @staticmethod
    def is_change(value):
        """An array attribute is changed by {"add": [..]} and {"remove": [..]} (user_attributes_object)."""
        return isinstance(value, dict) and bool(value) and value.keys() <= {"add", "remove"}

    @classmethod
    def is_bad_change(cls, value):
        return cls.is_change(value) and not all(isinstance(items, list) and not any(isinstance(v, (dict, list)) or v is None for v in items)
                                                for items in value.values())

    def apply(self, name, entry):
        if name != "attributes":
            self.append(name, dict(entry))
            return
        key = self.name_of(entry)
        if entry.get("_update_existing_only") and key not in self.kept["users"]:
            return
        held, fields = self.kept["users"].get(key, {}), {}
        for field, value in entry.items():
            if field in ("external_id", "_update_existing_only"):
                continue
            if self.is_change(value):
                now = [v for v in held.get(field, []) if v not in value.get("remove", [])]
                value = list(dict.fromkeys([*now, *value.get("add", [])]))
            fields[field] = value
        self.store("users", key, fields)

    @route("POST", "/users/delete", "delete")
    def delete(self, call):
        doc = self.json_body(call)
        named = [key for key in ("external_ids", "user_aliases", "braze_ids", "email_addresses", "phone_numbers") if key in doc]
        self.need(call, len(named) == 1, "exactly one kind of identifier is required")
        keys = self.array(call, doc, named[0], 50)
        self.need(call, all(isinstance(key, str) for key in keys), "identifiers are strings")
        self.admit(call, "users", keys, unique=False)
        return Reply(201, {"message": "success", "deleted": sum(self.drop("users", key) for key in keys)})
