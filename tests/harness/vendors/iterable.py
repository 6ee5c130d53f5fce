"""Iterable: users bulkUpdate, update, delete; lists subscribe, unsubscribe; events trackBulk.

From: api.iterable.com/api/docs (users, lists, events; rate limits per endpoint). Users are kept under email, else userId; lists as
list:ID; events under their id or running numbers.
"""
import re

from .http import Reply
from .vendor import Vendor, route
from .windows import Limit

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z")
USER = {"email", "userId", "dataFields", "preferUserId", "mergeNestedObjects", "createNewFields"}
FAILURES = ("notFound", "forgotten", "conflict", "invalidData")


class Iterable(Vendor):
    NAME = "iterable"
    SETTINGS = {"token": "it-key", "lists": ("10",), "disallowed_events": ()}

    def documented_limits(self):
        return [Limit("bulk_update", 5, 1.0, ops={"bulk_update"}), Limit("track_bulk", 10, 1.0, ops={"track_bulk"}),
                Limit("update", 500, 1.0, ops={"update"}), Limit("subscribe", 5, 1.0, ops={"subscribe"}),
                Limit("unsubscribe", 5, 1.0, ops={"unsubscribe"}),
                Limit("delete", 100, 1.0, ops={"delete"})]

    def credential(self, call):
        return call.headers.get("api-key")

    @staticmethod
    def coded(status, code, text):
        return Reply(status, {"msg": text, "code": code, "params": None})

    def unauthorized(self, _call, _why):
        return self.coded(401, "BadApiKey", "Invalid API key")

    def throttled(self, _call, _kind=None):
        return self.coded(429, "RateLimitExceeded", "Too many requests")

    def bad_request(self, _call, text):
        return self.coded(400, "BadParams", text)

    def too_large(self, _call, text):
        return self.coded(413, "RequestEntityTooLarge", text)

    def silent(self, _call):
        return Reply(200, {})

    def name_of(self, call, user):
        self.need(call, isinstance(user, dict) and (user.get("email") or user.get("userId")), "a user without email and userId")
        self.need(call, isinstance(user.get("userId", ""), str), "userId is not a text")
        return user.get("email") or user["userId"]

    def sorted_out(self, call, users, kind):
        """(good users with their keys, the answer's parts about the others)."""
        keys = [self.name_of(call, user) for user in users]
        self.admit(call, kind, [one.get("id") for one in users] if kind == "events" else keys, unique=False)
        lists = {f"{failure}{which}": [] for failure in FAILURES for which in ("Emails", "UserIds")}
        answer, good = {"invalidEmails": [], "invalidUserIds": [], "failedUpdates": lists}, []
        for key, user in zip(keys, users):
            refusal = self.refusal(key)
            if user.get("email") and not EMAIL.match(user["email"]):
                answer["invalidEmails"].append(user["email"])
            elif refusal:
                lists[f"{refusal[0] or 'invalidData'}{'Emails' if user.get('email') else 'UserIds'}"].append(key)
            else:
                good.append((key, user))
        return good, {"successCount": len(good), "failCount": len(users) - len(good), "createdFields": [],
                      "filteredOutFields": [], **answer}

    def write(self, key, user):
        fields = dict(user.get("dataFields", {}))
        if user.get("email") and user.get("userId"):
            fields["userId"] = user["userId"]
        if user.get("mergeNestedObjects"):
            held = self.kept["users"].get(key, {})
            fields = {name: {**held[name], **value} if isinstance(value, dict) and isinstance(held.get(name), dict) else value
                      for name, value in fields.items()}
        self.store("users", key, fields)

    @route("POST", "/api/users/bulkUpdate", "bulk_update")
    def bulk_update(self, call):
        users = self.array(call, self.json_body(call, most_bytes=4 * 1024 * 1024), "users", 1000)
        for user in users:
            self.only(call, user, USER, "a user")
        good, answer = self.sorted_out(call, users, "users")
        for key, user in good:
            self.write(key, user)
        return Reply(200, answer)

    @route("POST", "/api/users/update", "update")
    def update(self, call):
        user = self.json_body(call)
        good, answer = self.sorted_out(call, [user], "users")
        if not good:
            return self.coded(400, "InvalidEmailAddressError" if answer["invalidEmails"] else "BadParams", "the user is invalid")
        self.write(*good[0])
        return self.coded(200, "Success", "")

    @route("DELETE", "/api/users/byUserId/{key}", "delete")
    @route("DELETE", "/api/users/{key}", "delete")
    def delete(self, call):
        key = call.args["key"]
        if "byUserId" in call.path:
            key = next(iter(self.keys_with("users", "userId", [key])), key)
        self.admit(call, "users", [key])
        if not self.drop("users", key):
            return self.coded(404, "NotFound", "no such user")
        return self.coded(200, "Success", "")

    @route("POST", "/api/events/trackBulk", "track_bulk")
    def track_bulk(self, call):
        events = self.array(call, self.json_body(call, most_bytes=4 * 1024 * 1024), "events", 1000)
        for event in events:
            self.need(call, event.get("eventName"), "an event without eventName")
            self.need(call, isinstance(event.get("createdAt", 0), int), "createdAt is not in unix seconds")
        good, answer = self.sorted_out(call, events, "events")
        banned = [event["eventName"] for _, event in good if event["eventName"] in self.set.disallowed_events]
        for key, event in good:
            if event["eventName"] not in banned:
                self.kept["events"].setdefault(event.get("id") or len(self.kept["events"]) + 1, {"user": key, **event})
        answer.update(disallowedEventNames=sorted(set(banned)), successCount=answer["successCount"] - len(banned),
                      failCount=answer["failCount"] + len(banned))
        return Reply(200, answer)

    def listed(self, call, doc):
        self.need(call, isinstance(doc.get("listId"), int), "listId is not an integer")
        self.need(call, str(doc["listId"]) in self.set.lists, f"list {doc['listId']} does not exist")
        return self.sorted_out(call, self.array(call, doc, "subscribers", 1000), f"list:{doc['listId']}")

    @route("POST", "/api/lists/subscribe", "subscribe")
    def subscribe(self, call):
        good, answer = self.listed(call, self.json_body(call))
        for key, user in good:
            self.write(key, user)
            self.kept[f"list:{call.doc['listId']}"][key] = {}
        return Reply(200, answer)

    @route("POST", "/api/lists/unsubscribe", "unsubscribe")
    def unsubscribe(self, call):
        good, answer = self.listed(call, self.json_body(call))
        for key, _ in good:
            self.kept[f"list:{call.doc['listId']}"].pop(key, None)
        return Reply(200, answer)
