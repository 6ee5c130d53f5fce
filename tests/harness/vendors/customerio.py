"""Customer.io Track API v2: POST /api/v2/batch.

From: the vendor's OpenAPI of the Track API (v2/batch, 207 with batch_index) and its fair-use page. People are kept under their
identifier (id, else email, else cio_id), objects under "type/id", events under running numbers.
"""
import json
import re

from .auth import basic
from .http import Reply
from .vendor import Vendor, route
from .windows import Limit

ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")
PERSON = ("identify", "delete", "event", "screen", "page", "add_relationships", "delete_relationships", "add_device",
          "delete_device", "merge", "suppress", "unsuppress")
OBJECT = ("identify", "identify_anonymous", "delete", "add_relationships", "delete_relationships")


class CustomerIo(Vendor):
    NAME = "customerio"
    RESULTS = ("errors",)
    SETTINGS = {"token": "site:key", "most_items": None}

    def start(self):
        self.seen = set()  # ids of events

    def documented_limits(self):
        return [Limit("second", 100, 1.0)]

    def credential(self, call):
        pair = basic(call)
        return pair and ":".join(pair)

    def unauthorized(self, _call, _why):
        return Reply(401, {"meta": {"error": "Unauthorized request"}})

    def throttled(self, _call, _kind=None):
        return Reply(429, {"meta": {"error": "Too many requests"}})

    def bad_request(self, _call, text):
        return Reply(400, {"errors": [{"reason": "invalid", "field": "batch", "message": text}]})

    def too_large(self, _call, text):
        return Reply(413, {"errors": [{"reason": "too_large", "field": "batch", "message": text}]})

    def silent(self, _call):
        return Reply(200, {})

    @route("POST", "/api/v2/batch", "batch")
    def batch(self, call):
        doc = self.json_body(call, most_bytes=500 * 1024)
        items = self.array(call, doc, "batch", self.set.most_items or float("inf"))
        for item in items:
            self.need(call, isinstance(item, dict), "an item that is no object")
            if len(json.dumps(item, ensure_ascii=False).encode()) > 32 * 1024:
                self.oversized(call, "an item over 32 KB")
        self.admit(call, "people", [self.name_of(item) for item in items if item.get("action") in ("identify", "delete")],
                   unique=False)
        errors = []
        for index, item in enumerate(items):
            flaw = self.flaw(call, item)
            if flaw:
                errors.append({"batch_index": index, "reason": flaw[0], "field": flaw[1], "message": flaw[2]})
            else:
                self.apply(item)
        if errors and len(errors) == len(items) == 1 and errors[0]["reason"] == "malformed":
            return Reply(400, {"errors": errors})
        return Reply(207, {"errors": errors}) if errors else Reply(200, {})

    @staticmethod
    def name_of(item):
        ids = item.get("identifiers") or {}
        if item.get("type") == "object":
            return f"{ids.get('object_type_id')}/{ids.get('object_id')}"
        return str(next((ids[name] for name in ("id", "email", "cio_id") if ids.get(name)), None))

    def flaw(self, call, item):
        actions = {"person": PERSON, "object": OBJECT}.get(item.get("type"), ())
        if item.get("action") not in actions:
            self.violate(call, "malformed", f"action {item.get('action')!r} of type {item.get('type')!r}")
            return "invalid", "action", "unknown type or action"
        ids = item.get("identifiers")
        named = isinstance(ids, dict) and [value for value in ids.values() if value not in (None, "")]
        if not named or item["type"] == "person" and len(ids) != 1:
            self.violate(call, "malformed", "identifiers has to hold exactly one of id, email, cio_id")
            return "required", "identifiers", "exactly one identifier is required"
        if not isinstance(ids.get("id", ""), str):
            self.violate(call, "malformed", "identifiers.id is not a text")
            return "invalid", "identifiers.id", "must be a string"
        if "email" in ids and "@" not in str(ids["email"]):
            return "invalid", "identifiers.email", "must be a valid email address"
        if item["action"] == "event" and not item.get("name"):
            return "required", "name", "must not be empty"
        if item["action"] == "event" and item.get("id") and not ULID.match(str(item["id"])):
            self.violate(call, "malformed", f"the event id {item['id']!r} is no ULID")
            return "invalid", "id", "must be a ULID"
        refusal = self.refusal(self.name_of(item))
        return refusal and (refusal[0] or "invalid", "attributes", "the attributes are invalid")

    def apply(self, item):
        key, action, kind = self.name_of(item), item["action"], "people" if item["type"] == "person" else "objects"
        if action == "identify":
            self.store(kind, key, item.get("attributes", {}))
        elif action == "delete":
            self.drop(kind, key)
        elif action in ("event", "page", "screen"):
            kept = {name: item[name] for name in ("name", "id", "timestamp", "attributes") if name in item}
            if item.get("id") not in self.seen:
                self.append("events", {"person": key, **kept})
            self.seen.update([item["id"]] if item.get("id") else [])
        elif action in ("add_relationships", "delete_relationships"):
            for relation in item.get("cio_relationships", []):
                other = relation["identifiers"]
                named = f"{other.get('object_type_id')}/{other['object_id']}" if "object_id" in other else str(*other.values())
                pair = (key, named)
                if action == "add_relationships":
                    self.kept["relationships"][pair] = relation.get("relationship_attributes", {})
                else:
                    self.kept["relationships"].pop(pair, None)
