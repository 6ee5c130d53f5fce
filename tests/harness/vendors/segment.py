"""Segment HTTP API: batch. Answers 200 to all but what is too large or no JSON, a wrong write key included.

From: segment.com/docs connections/sources/catalog/libraries/server/http-api. Users, groups (traits merged) and events
(by messageId) are kept; what the write key does not fit is lost silently, as in truth, and recorded as a violation.
"""
import json

from .auth import basic
from .http import Reply
from .vendor import Vendor, route
from .windows import Limit

TYPES = {"identify": "traits", "group": "traits", "track": "properties", "page": "properties", "screen": "properties",
         "alias": None}


class Segment(Vendor):
    NAME = "segment"
    SETTINGS = {"token": "write-key"}

    def documented_limits(self):
        return [Limit("second", 1000, 1.0)]

    def start(self):
        self.seen = set()  # messageIds

    def credential(self, call):
        pair = basic(call)
        return pair and pair[0]

    def unauthorized(self, call, why):
        if why == "unknown":
            self.violate(call, "auth", "an unknown write key; the events are lost")
        return Reply(200, {"success": True})

    def throttled(self, _call, _kind=None):
        return Reply(429, {"success": False, "message": "too many requests"})

    def bad_request(self, _call, text):
        return Reply(400, {"success": False, "message": text})

    @route("POST", "/v1/batch", "batch")
    def batch(self, call):
        doc = self.json_body(call, most_bytes=500 * 1024)
        events = self.array(call, doc, "batch", 2500)
        for event in events:
            if len(json.dumps(event, ensure_ascii=False).encode()) > 32 * 1024:
                self.oversized(call, "an event over 32 KB")
        self.admit(call, "users", [event.get("userId") for event in events if event.get("type") == "identify"], unique=False)
        for event in events:
            self.take(call, event)
        return Reply(200, {"success": True})

    def take(self, call, event):
        kind, user = event.get("type"), event.get("userId") or event.get("anonymousId")
        lacks = kind == "track" and not event.get("event") or kind == "group" and not event.get("groupId")
        if kind not in TYPES or not user or lacks or not isinstance(user, str):
            self.violate(call, "malformed", f"an event of type {kind!r} lacks what it needs, and is lost")
            return
        if event.get("messageId"):
            if event["messageId"] in self.seen:
                return
            self.seen.add(event["messageId"])
        if kind == "identify":
            self.store("users", user, event.get("traits", {}))
        elif kind == "group":
            self.store("groups", event["groupId"], event.get("traits", {}))
            self.kept["memberships"][(user, event["groupId"])] = {}
        else:
            self.kept["events"][event.get("messageId") or len(self.kept["events"]) + 1] = event
