"""Mixpanel: /import (strict), /engage, /groups.

From: Mixpanel's OpenAPI of the ingestion API. Events are kept under $insert_id, profiles under $distinct_id, groups under
key/id.
"""
import json
import re
import time

from .auth import basic
from .http import Reply
from .vendor import Vendor, route
from .windows import Limit

INSERT_ID = re.compile(r"[A-Za-z0-9-]{1,36}\Z")
OPERATIONS = ("$delete", "$set", "$set_once", "$unset", "$add", "$union", "$append", "$remove")
MOST_BYTES = 10 * 1024 * 1024


def count_records(call):
    return max(1, call.raw.count(b'"event"'))


class Mixpanel(Vendor):
    NAME = "mixpanel"
    GZIP = True
    SETTINGS = {"token": "service:secret", "project_id": "1", "project_token": "mp-token", "most_bytes": MOST_BYTES}

    def documented_limits(self):
        return [Limit("events_minute", 1_800_000, 60.0, ops={"import"}, cost=count_records)]

    def credential(self, call):
        pair = basic(call)
        return pair and ":".join(pair)

    def unauthorized(self, _call, _why):
        return Reply(401, {"code": 401, "error": "Invalid credentials", "status": "Unauthorized"})

    def throttled(self, _call, _kind=None):
        text = "Project exceeded rate limits. Please retry the request with exponential backoff."
        return Reply(429, {"code": 429, "error": text, "status": "Too Many Requests"})

    def bad_request(self, _call, text):
        return Reply(400, {"code": 400, "error": text, "status": "Bad Request", "num_records_imported": 0, "failed_records": []})

    def too_large(self, _call, text):
        return Reply(413, {"code": 413, "error": text, "status": "Request Entity Too Large"})

    def silent(self, _call):
        return Reply(200, b"")

    def records(self, call, most):
        if len(call.raw) > self.set.most_bytes:
            self.oversized(call, f"{len(call.raw)} bytes in one request, at most {self.set.most_bytes}")
        try:
            if call.content_type == "application/x-ndjson":
                records = [json.loads(line) for line in call.raw.splitlines() if line.strip()]
            else:
                self.need(call, call.content_type == "application/json", f"content type {call.content_type!r}")
                records = call.doc
        except ValueError as error:
            self.malformed(call, f"the body is not JSON: {error}")
        self.need(call, isinstance(records, list) and records, "the body is no array of records")
        if len(records) > most:
            self.oversized(call, f"{len(records)} records in one request, at most {most}")
        return records

    @route("POST", "/import", "import")
    def import_events(self, call):
        self.need(call, call.query.get("project_id") == self.set.project_id, f"project_id {call.query.get('project_id')!r}")
        events = self.records(call, 2000)
        strict, failed, good = call.query.get("strict") == "1", [], 0
        self.admit(call, "events", [e.get("properties", {}).get("$insert_id") for e in events if isinstance(e, dict)], unique=False)
        for index, event in enumerate(events):
            flaw = self.flaw(event)
            if flaw:
                failed.append({"index": index, "insert_id": event.get("properties", {}).get("$insert_id"), "field": flaw[0],
                               "message": flaw[1]})
            else:
                self.kept["events"].setdefault(event["properties"]["$insert_id"], event)
                good += 1
        if failed and strict:
            return Reply(400, {"code": 400, "error": "some data points in the request failed validation", "failed_records": failed,
                               "num_records_imported": good, "status": "Bad Request"})
        return Reply(200, {"code": 200, "num_records_imported": good, "status": "OK"})

    def flaw(self, event):
        properties = event.get("properties")
        if len(json.dumps(event, ensure_ascii=False)) > 1024 * 1024:
            return "event", "the event is over 1 MB"
        if not isinstance(event.get("event"), str) or not event["event"] or not isinstance(properties, dict):
            return "event", "'event' must be a non-empty text"
        when = properties.get("time")
        seconds = when / 1000 if isinstance(when, (int, float)) and when > 1e11 else when
        if not isinstance(seconds, (int, float)) or not time.time() - 5 * 366 * 86_400 < seconds < time.time() + 3600:
            return "properties.time", "'properties.time' is invalid: must be within the last 5 years"
        if "distinct_id" not in properties or not isinstance(properties["distinct_id"], str):
            return "properties.distinct_id", "'properties.distinct_id' is missing or no text"
        if not INSERT_ID.match(str(properties.get("$insert_id"))):
            return "properties.$insert_id", "'properties.$insert_id' is missing or invalid"
        refusal = self.refusal(properties["$insert_id"]) or self.refusal(properties["distinct_id"])
        return refusal and ("properties", refusal[0] or "refused")

    # ---- profiles: no credentials but the project's token in every record ----

    def answer(self, call, error):
        if call.query.get("verbose") == "1":
            return Reply(200, {"error": error, "status": 0 if error else 1})
        return Reply(200, 0 if error else 1)

    def change(self, call, kind, most, key_of):
        records = self.records(call, most)
        keys = [key_of(record) for record in records]
        self.need(call, all(keys), "a record names nobody")
        self.admit(call, kind, keys, unique=False)
        for record, key in zip(records, keys):
            if record.get("$token") != self.set.project_token:
                return self.answer(call, "invalid token")
            if self.refusal(key):
                return self.answer(call, "a record was refused")
            if not all(isinstance(values, list) for values in record.get("$union", {}).values()):
                return self.answer(call, "$union takes lists")
            if sum(name in record for name in OPERATIONS) != 1:
                return self.answer(call, "a record holds one operation")
        for record, key in zip(records, keys):
            self.apply(call, kind, key, record)
        return self.answer(call, None)

    def apply(self, call, kind, key, record):
        held = self.kept[kind].get(key, {})
        if "$delete" in record:
            self.drop(kind, key)
        elif "$set" in record:
            self.store(kind, key, record["$set"])
        elif "$set_once" in record:
            self.store(kind, key, {name: value for name, value in record["$set_once"].items() if name not in held})
        elif "$unset" in record:
            self.store(kind, key, {name: None for name in record["$unset"]})
        elif "$add" in record:
            self.store(kind, key, {name: held.get(name, 0) + value for name, value in record["$add"].items()})
        elif "$union" in record:
            self.store(kind, key,
                       {name: list(dict.fromkeys([*held.get(name, []), *values])) for name, values in record["$union"].items()})
        else:
            self.malformed(call, f"no operation known among {sorted(record)}")

    @route("POST", "/engage", "engage", auth=False)
    def engage(self, call):
        return self.change(call, "profiles", 2000, lambda record: record.get("$distinct_id"))

    @route("POST", "/groups", "groups", auth=False)
    def groups(self, call):
        return self.change(call, "groups", 200,
                           lambda record: record.get("$group_key") and f"{record['$group_key']}/{record.get('$group_id')}")
