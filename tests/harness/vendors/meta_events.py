"""Meta Conversions API: all or nothing, one bad event fails its request. A mix-in of Meta.

From: conversions-api/using-the-api and customer-information-parameters. Events are kept under name/event_id (which deduplicates).
"""
import time

from .http import Reply
from .vendor import HEX64, route

HASHED = ("em", "ph", "fn", "ln", "ge", "db", "ct", "st", "zp", "country")
UNHASHED = ("client_ip_address", "client_user_agent", "fbc", "fbp")
SOURCES = ("email", "website", "app", "phone_call", "chat", "physical_store", "system_generated", "business_messaging", "other")


class Events:
    @route("POST", "/{version}/{pixel}/events", "events")
    def send_events(self, call):
        self.check_version(call)
        if call.args["pixel"] not in self.set.pixels:
            return self.not_found(call)
        doc = self.params(call)
        events = self.array(call, doc, "data", 1000)
        names = [f"{event.get('event_name')}/{event['event_id']}" if event.get("event_id") else None for event in events]
        self.admit(call, "events", names, unique=False)
        for event, name in zip(events, names):
            wrong = self.wrong_event(call, event, name)
            if wrong:
                return wrong
        if not doc.get("test_event_code"):
            for event, name in zip(events, names):
                self.kept["events"].setdefault(name or len(self.kept["events"]) + 1, event)
        return Reply(200, {"events_received": len(events), "messages": [], "fbtrace_id": "A1"})

    def wrong_event(self, call, event, name):
        """The answer that refuses the whole request for this event, or None."""
        for field in ("event_name", "event_time", "user_data"):
            self.need(call, event.get(field), f"an event without {field}")
        self.need(call, isinstance(event["event_time"], int), "event_time is not an integer")
        self.need(call, event.get("action_source") in SOURCES, f"action_source {event.get('action_source')!r}")
        user = event["user_data"]
        for field in HASHED:
            values = user.get(field, [])
            for value in values if isinstance(values, list) else [values]:
                self.need(call, self.check_hash(call, field, value), f"user_data.{field} is not hashed")
        for field in UNHASHED:
            self.need(call, not HEX64.match(str(user.get(field, ""))), f"user_data.{field} is hashed")
        value = event.get("custom_data", {}).get("value")
        self.need(call, value is None or isinstance(value, (int, float)), "custom_data.value is not a number")
        days = 62 if event["action_source"] == "physical_store" else 7
        if event["event_time"] < time.time() - days * 86_400:
            return self.error(100, "Event Timestamp Too Old", 2804003)
        refusal = name and (self.refusal(name) or self.refusal(event["event_id"]))
        return self.error(100, "Invalid parameter", refusal[0] or 2804050) if refusal else None
