"""Amplitude: /batch, /2/httpapi, /identify (a form).

From: amplitude.com/docs apis/analytics batch-event-upload, http-v2, identify. Events are kept under insert_id, users' properties
under user_id. One bad event refuses the whole request.
"""
import json

from .http import Reply
from .vendor import Vendor, route
from .windows import Limit


class Amplitude(Vendor):
    NAME = "amplitude"
    SETTINGS = {"token": "amp-key", "most_batch_bytes": 20 * 1024 * 1024, "most_http_bytes": 1024 * 1024}

    def documented_limits(self):
        return [Limit("http_second", 100, 1.0, ops={"http"})]

    def credential(self, call):
        """In the body of every request."""
        try:
            return (call.form if call.op == "identify" else call.doc).get("api_key")
        except (ValueError, AttributeError):
            return None

    @staticmethod
    def error(code, text, **more):
        return Reply(code, {"code": code, "error": text, **more})

    def unauthorized(self, call, why):
        if call.op == "identify":
            return Reply(400, "missing_api_key" if why == "missing" else "invalid_api_key")
        if why == "missing":
            return self.error(400, "Request missing required field", missing_field="api_key")
        return self.error(400, "Invalid API key")

    def throttled(self, _call, _kind=None, events=()):
        users = {f"user-{index}": 1001 for index in events}
        return self.error(429, "Too many requests for some devices and users", eps_threshold=1000, throttled_devices={},
                          throttled_users=users, throttled_events=list(events))

    def bad_request(self, _call, text):
        return self.error(400, text)

    def too_large(self, _call, _text):
        return self.error(413, "Payload too large")

    def silent(self, _call):
        return Reply(200, b"")

    @route("POST", "/batch", "batch")
    def batch(self, call):
        return self.events(call, self.set.most_batch_bytes)

    @route("POST", "/2/httpapi", "http")
    def http_api(self, call):
        return self.events(call, self.set.most_http_bytes)

    def events(self, call, most_bytes):
        doc = self.json_body(call, most_bytes=most_bytes)
        events = doc.get("events")
        self.need(call, isinstance(events, list) and events, "events is missing or empty")
        if len(events) > 2000:
            self.oversized(call, f"{len(events)} events in one request, at most 2000")
        self.admit(call, "events", [event.get("insert_id") for event in events], unique=False)
        wrong = self.wrong(events, doc.get("options", {}).get("min_id_length", 5))
        if wrong:
            return wrong
        for event in events:
            self.kept["events"].setdefault(event.get("insert_id") or len(self.kept["events"]) + 1, event)
            if event.get("user_properties"):
                self.store("users", event["user_id"], self.properties(event["user_properties"], self.kept["users"].get(event["user_id"], {})))
        return Reply(200, {"code": 200, "events_ingested": len(events), "payload_size_bytes": len(call.raw),
                           "server_upload_time": int(call.wall * 1000)})

    def wrong(self, events, shortest):
        """The answer that refuses all for some, with their indexes by field."""
        missing, invalid, short, silenced, throttled = {}, {}, {}, [], []
        for index, event in enumerate(events):
            if not event.get("event_type"):
                missing.setdefault("event_type", []).append(index)
            if not event.get("user_id") and not event.get("device_id"):
                missing.setdefault("user_id", []).append(index)
            for name in ("user_id", "device_id"):
                if event.get(name) is not None and len(str(event[name])) < shortest:
                    short.setdefault(name, []).append(index)
            if not isinstance(event.get("user_id", ""), str):
                invalid.setdefault("user_id", []).append(index)
            if not isinstance(event.get("time", 0), int):
                invalid.setdefault("time", []).append(index)
            refusal = self.refusal(event.get("insert_id")) or self.refusal(event.get("user_id"))
            if refusal and refusal[0] == "throttled":
                throttled.append(index)
            elif refusal and refusal[0] == "silenced":
                silenced.append(index)
            elif refusal:
                invalid.setdefault(refusal[0] or "event_properties", []).append(index)
        if missing or invalid or short or silenced:
            return self.error(400, "Invalid events", events_with_missing_fields=missing, events_with_invalid_fields=invalid,
                              events_with_invalid_id_lengths=short, silenced_events=silenced, silenced_devices=[])
        return self.throttled(None, events=throttled) if throttled else None

    @staticmethod
    def properties(given, held):
        """Plain properties are set; $set, $setOnce, $unset, $postInsert are operations. What is inserted is added at the end of the list,
        unless it is there; what is no list becomes one."""
        if not any(name.startswith("$") for name in given):
            return given
        once = {name: value for name, value in given.get("$setOnce", {}).items() if name not in held}
        inserted = {}
        for name, value in given.get("$postInsert", {}).items():
            before = held.get(name, [])
            before = before if isinstance(before, list) else [before]
            values = value if isinstance(value, list) else [value]
            inserted[name] = list(dict.fromkeys([*before, *values]))
        return {**inserted, **once, **given.get("$set", {}), **{name: None for name in given.get("$unset", {})}}

    @route("POST", "/identify", "identify")
    def identify(self, call):
        self.need(call, call.content_type == "application/x-www-form-urlencoded", "/identify takes a form")
        try:
            found = json.loads(call.form.get("identification", ""))
        except ValueError:
            self.malformed(call, "identification is not JSON", Reply(400, "invalid_identification"))
        found = found if isinstance(found, list) else [found]
        self.need(call, all(one.get("user_id") or one.get("device_id") for one in found), "an identification without user_id")
        self.admit(call, "users", [one.get("user_id") for one in found], unique=False)
        if any(self.refusal(one.get("user_id")) for one in found):
            return Reply(400, "invalid_user_properties")
        for one in found:
            user = one.get("user_id") or one["device_id"]
            self.store("users", user, self.properties(one.get("user_properties", {}), self.kept["users"].get(user, {})))
        return Reply(200, "success")
