"""Klaviyo: profiles (import, look-up, deletion), lists, events. Bulk import jobs are in klaviyo_bulk.py.

From: Klaviyo's OpenAPI (revision 2026-07-15) and its rate-limit page. Profiles are kept under email, else external_id, else
phone_number; list:ID holds its members; events stand under running numbers.
"""
import json
import re

from .auth import bearer
from .http import Reply
from .klaviyo_bulk import Bulk
from .vendor import Vendor, route
from .windows import Limit

TYPE = "application/vnd.api+json"
IDENTIFIERS = ("email", "external_id", "phone_number")
ATTRIBUTES = {*IDENTIFIERS, "anonymous_id", "_kx", "first_name", "last_name", "organization", "locale", "title", "image",
              "location", "properties"}
FILTER = re.compile(r"(?:any\((\w+),(\[.*\])\)|equals\((\w+),(\".*\"|'.*')\))\Z", re.S)
TIERS = {"XS": (1, 15), "S": (3, 60), "M": (10, 150), "L": (75, 700), "XL": (350, 3500)}
TIER_OF = {"import": "L", "bulk": "M", "bulk_poll": "M", "bulk_errors": "M", "profiles": "L", "list_add": "M", "list_remove": "M",
           "events": "M", "delete": "S"}


class Klaviyo(Bulk, Vendor):
    NAME = "klaviyo"
    RESULTS = ("data",)
    SETTINGS = {"token": "pk_test", "lists": ("L1",), "page_size": 20, **Bulk.BULK_SETTINGS}

    def start(self):
        self.start_bulk()

    def documented_limits(self):
        """Each endpoint has a burst and a steady window of its own, both fixed; named like bulk_burst, bulk_steady."""
        found = []
        for op, tier in TIER_OF.items():
            burst, steady = TIERS[tier]
            found += [Limit(f"{op}_burst", burst, 1.0, "aligned", ops={op}),
                      Limit(f"{op}_steady", steady, 60.0, "aligned", ops={op})]
        return found

    def credential(self, call):
        self.need(call, re.fullmatch(r"\d{4}-\d\d-\d\d", call.headers.get("revision", "")),
                  f"revision {call.headers.get('revision')!r}")
        return bearer(call, "Klaviyo-API-Key") or bearer(call)

    @staticmethod
    def error(status, code, title, detail, pointer="/data/", **headers):
        errors = [{"id": "e1", "status": status, "code": code, "title": title, "detail": detail, "source": {"pointer": pointer},
                   "meta": {}}]
        return Reply(status, {"errors": errors}, headers)

    def unauthorized(self, _call, _why):
        return self.error(401, "authentication_failed", "Authentication credentials are not valid.",
                          "Missing or invalid private key.")

    def throttled(self, call, _kind=None):
        waits = [limit.reset_s(call) for limit in self.limits if limit.covers(call) and limit.remaining(call) <= 0]
        reply = self.error(429, "throttled", "Request was throttled.", "Expected available later.")
        reply.headers["Retry-After"] = str(int(max(waits, default=0)) + 1)
        return reply

    def bad_request(self, _call, text, pointer="/data/"):
        return self.error(400, "invalid", "Invalid input.", text, pointer)

    def not_found(self, _call):
        return self.error(404, "not_found", "Not found.", "The resource does not exist.")

    def headers(self, call):
        steady = next((limit for limit in self.limits if limit.covers(call) and limit.name.endswith("_steady")), None)
        return {"RateLimit-Limit": steady.amount, "RateLimit-Remaining": steady.remaining(call),
                "RateLimit-Reset": int(steady.reset_s(call)) + 1} if steady else {}

    def data(self, call, kind, most_bytes=None):
        data = self.json_body(call, TYPE, "application/json", most_bytes=most_bytes).get("data")
        self.need(call, isinstance(data, dict) and data.get("type") == kind, f"data.type is not {kind}")
        return data

    # ---- profiles ----

    @staticmethod
    def key_of(attributes):
        return next((attributes[name] for name in IDENTIFIERS if attributes.get(name)), None)

    def check_attributes(self, call, attributes):
        self.only(call, attributes, ATTRIBUTES, "a profile")
        for name in IDENTIFIERS:
            self.need(call, isinstance(attributes.get(name, ""), str), f"{name} is not a text")

    def flaw(self, attributes):
        """(detail, field) for a profile that cannot be, or None."""
        if self.key_of(attributes) is None:
            return "One of email, phone_number or external_id is required.", ""
        if attributes.get("email") and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", str(attributes["email"])):
            return f"Invalid email address: {attributes['email']}", "email"
        if attributes.get("phone_number") and not re.fullmatch(r"\+\d{7,15}", str(attributes["phone_number"])):
            return "Invalid phone number format (Example of a valid format: +12345678901).", "phone_number"
        return None

    def write(self, attributes):
        """Null clears a field, and each of the properties by itself."""
        key = self.key_of(attributes)
        properties = attributes.get("properties")
        fields = {name: value for name, value in attributes.items() if name != "properties"}
        if properties is not None:
            merged = {**self.kept["profiles"].get(key, {}).get("properties", {}), **properties}
            fields["properties"] = {name: value for name, value in merged.items() if value is not None} or None
        return key, self.store("profiles", key, fields)[1]

    def make_id(self, _kind, number):
        return f"01PROFILE{number:08d}"

    def resource(self, key):
        return {"type": "profile", "id": self.id_of("profiles", key), "attributes": dict(self.kept["profiles"][key])}

    @route("POST", "/api/profile-import", "import")
    def import_profile(self, call):
        attributes = self.data(call, "profile").get("attributes", {})
        self.check_attributes(call, attributes)
        self.admit(call, "profiles", [self.key_of(attributes)])
        flaw = self.flaw(attributes)
        if flaw:
            return self.bad_request(call, flaw[0], f"/data/attributes/{flaw[1]}")
        refusal = self.refusal(self.key_of(attributes))
        if refusal:
            return self.error(400, refusal[0] or "invalid", "Invalid input.", "refused", "/data/attributes/properties")
        key, new = self.write(attributes)
        return Reply(201 if new else 200, {"data": self.resource(key)})

    @route("GET", "/api/profiles", "profiles")
    def find_profiles(self, call):
        match = FILTER.match(call.query.get("filter", ""))
        self.need(call, match, f"filter {call.query.get('filter')!r}")
        field, size = match[1] or match[3], int(call.query.get("page[size]", 20))
        self.need(call, field in ("id", *IDENTIFIERS), f"filter on {field}")
        self.need(call, 1 <= size <= 100, f"page[size] {size}")
        wanted = json.loads(match[2]) if match[1] else [match[4][1:-1]]
        found = self.keys_with("profiles", field, wanted)
        if field == "id":
            found = [self.key_with_id("profiles", one) for one in wanted]
        found = [key for key in found if key is not None]
        begin = int(call.query.get("page[cursor]", 0))
        return Reply(200, {"data": [self.resource(key) for key in found[begin:begin + size]],
                           "links": {"next": self.next_page(call, begin, size, len(found))}})

    def next_page(self, call, begin, size, total):
        """The full address of the next page, or None."""
        if begin + size >= total:
            return None
        query = {**call.query, "page[cursor]": str(begin + size), "page[size]": str(size)}
        return f"{self.url}{call.path}?{'&'.join(f'{quoted(n)}={quoted(v)}' for n, v in query.items())}"

    @route("POST", "/api/data-privacy-deletion-jobs", "delete")
    def delete(self, call):
        profile = self.data(call, "data-privacy-deletion-job").get("attributes", {}).get("profile", {}).get("data", {})
        named = {**profile.get("attributes", {}), **({"id": profile["id"]} if profile.get("id") else {})}
        self.need(call, len(named) == 1, "exactly one of id, email, phone_number names the profile")
        (field, value), = named.items()
        key = self.key_with_id("profiles", value) if field == "id" else next(iter(self.keys_with("profiles", field, [value])), None)
        self.admit(call, "profiles", [key or value])
        self.drop("profiles", key)
        return Reply(202, b"")

    # ---- lists, events ----

    def listed(self, call):
        """The keys of the profiles named; None where the list or one of them is unknown."""
        data = self.array(call, self.json_body(call, TYPE, "application/json"), "data", 1000)
        self.need(call, all(one.get("type") == "profile" and one.get("id") for one in data), "data holds type and id of profiles")
        keys = [self.key_with_id("profiles", one["id"]) for one in data]
        self.admit(call, f"list:{call.args['list']}", keys, unique=False)
        return keys if call.args["list"] in self.set.lists and None not in keys else None

    @route("POST", "/api/lists/{list}/relationships/profiles", "list_add")
    def list_add(self, call):
        keys = self.listed(call)
        if keys is None:
            return self.not_found(call)
        self.kept[f"list:{call.args['list']}"].update({key: {} for key in keys})
        return Reply(204)

    @route("DELETE", "/api/lists/{list}/relationships/profiles", "list_remove")
    def list_remove(self, call):
        keys = self.listed(call)
        if keys is None:
            return self.not_found(call)
        for key in keys:
            self.kept[f"list:{call.args['list']}"].pop(key, None)
        return Reply(204)

    @route("POST", "/api/event-bulk-create-jobs", "events")
    def events(self, call):
        data = self.data(call, "event-bulk-create-job", 5 * 1024 * 1024)
        groups = self.array(call, data.get("attributes", {}).get("events-bulk-create", {}), "data", 1000)
        events = []
        for group in groups:
            profile = group["attributes"]["profile"]["data"]["attributes"]
            self.need(call, self.key_of(profile), "an event without a profile")
            for event in self.array(call, group["attributes"]["events"], "data", 1000):
                name = event["attributes"].get("metric", {}).get("data", {}).get("attributes", {}).get("name")
                self.need(call, name, "an event without a metric")
                events.append((event["attributes"].get("unique_id"),
                               {"profile": self.key_of(profile), **event["attributes"], "metric": name}))
        if len(events) > 1000:
            self.oversized(call, f"{len(events)} events in one request, at most 1000")
        self.admit(call, "events", [number for number, _ in events], unique=False)
        for number, event in events:
            self.kept["events"].setdefault(number or len(self.kept["events"]) + 1, event)
        return Reply(202, b"")


def quoted(text):
    from urllib.parse import quote
    return quote(text, safe="")
