"""Intercom: contacts (look up, create, update, delete, archive), companies, events; one record per request.

From: Intercom's OpenAPI (2.14) and developers.intercom.com rate-limiting. Contacts are kept under external_id, else email;
companies under company_id; events under running numbers.
"""
import time

from .auth import bearer
from .http import Reply
from .vendor import Vendor, route
from .windows import Limit

CONTACT = {"role", "external_id", "email", "phone", "name", "avatar", "signed_up_at", "last_seen_at", "owner_id",
           "unsubscribed_from_emails", "language_override", "custom_attributes"}


class Intercom(Vendor):
    NAME = "intercom"
    SETTINGS = {"token": "ic-token", "oldest_version": 2.0, "search_lag_s": 0.0}  # a new contact is not found for so long

    def start(self):
        self.born = {}

    def documented_limits(self):
        """10,000 a minute for an app and 25,000 for a workspace, handed out in windows of 10 s."""
        return [Limit("app", 1667, 10.0, "aligned"), Limit("workspace", 4167, 10.0, "aligned")]

    def credential(self, call):
        try:
            version = float(call.headers.get("intercom-version", ""))
        except ValueError:
            version = 0.0
        self.need(call, version >= self.set.oldest_version, f"Intercom-Version {call.headers.get('intercom-version')!r}")
        return bearer(call)

    @staticmethod
    def error(status, code, message):
        return Reply(status, {"type": "error.list", "request_id": "r1", "errors": [{"code": code, "message": message}]})

    def unauthorized(self, _call, _why):
        return self.error(401, "unauthorized", "Access Token Invalid")

    def throttled(self, call, _kind=None):
        reply = self.error(429, "rate_limit_exceeded", "Exceeded rate limit")
        reply.headers.update(self.headers(call))
        return reply

    def bad_request(self, _call, text):
        return self.error(400, "parameter_invalid", text)

    def not_found(self, _call):
        return self.error(404, "not_found", "User Not Found")

    def headers(self, call):
        limit = self.limit("app")
        return {"X-RateLimit-Limit": limit.amount, "X-RateLimit-Remaining": limit.remaining(call),
                "X-RateLimit-Reset": int(call.wall + limit.reset_s(call)) + 1} if limit else {}

    # ---- contacts ----

    def contact(self, call):
        fields = self.json_body(call)
        self.only(call, fields, CONTACT, "a contact")
        self.need(call, isinstance(fields.get("external_id", ""), str), "external_id is not a text")
        return fields

    def make_id(self, _kind, number):
        return f"{number:024x}"

    def resource(self, key):
        return {"type": "contact", "id": self.id_of("contacts", key), **self.kept["contacts"][key]}

    def visible(self, key):
        return time.monotonic() - self.born.get(key, float("-inf")) >= self.set.search_lag_s

    def flaw(self, key, fields):
        if fields.get("email") and "@" not in fields["email"]:
            return self.error(400, "parameter_invalid", f"email {fields['email']} is invalid")
        refusal = self.refusal(key)
        return refusal and self.error(422, refusal[0] or "parameter_invalid", "the contact was refused")

    def write(self, key, fields):
        """Null clears a field, and each of the custom attributes by itself."""
        custom = {**self.kept["contacts"].get(key, {}).get("custom_attributes", {}), **fields.get("custom_attributes", {})}
        kept = {name: value for name, value in custom.items() if value is not None}
        self.store("contacts", key, {**fields, "custom_attributes": kept or None})

    @route("POST", "/contacts", "create")
    def create(self, call):
        fields = self.contact(call)
        key = fields.get("external_id") or fields.get("email")
        self.need(call, key, "a contact without external_id and email")
        self.admit(call, "contacts", [key])
        same = key if key in self.kept["contacts"] else \
            next(iter(self.keys_with("contacts", "email", [fields["email"]])), None) if fields.get("email") else None
        if same is not None:
            return self.error(409, "conflict",
                              f"A contact matching those details already exists with id={self.id_of('contacts', same)}")
        if key in self.kept["archived"]:
            return self.error(409, "conflict", "An archived contact matching those details already exists with id=0")
        flaw = self.flaw(key, fields)
        if flaw:
            return flaw
        self.write(key, fields)
        self.born[key] = time.monotonic()
        return Reply(200, self.resource(key))

    def named(self, call):
        return self.key_with_id("contacts", call.args["id"])

    @route("PUT", "/contacts/{id}", "update")
    def update(self, call):
        fields, key = self.contact(call), self.named(call)
        if key is None:
            return self.not_found(call)
        self.admit(call, "contacts", [key])
        flaw = self.flaw(key, fields)
        if flaw:
            return flaw
        self.write(key, fields)
        return Reply(200, self.resource(key))

    @route("GET", "/contacts/find_by_external_id/{key}", "find")
    def find(self, call):
        key = call.args["key"]
        return Reply(200, self.resource(key)) if key in self.kept["contacts"] and self.visible(key) else self.not_found(call)

    @route("POST", "/contacts/search", "search")
    def search(self, call):
        doc = self.json_body(call)
        self.need(call, isinstance(doc.get("query"), dict), "no query")
        paging = doc.get("pagination", {})
        begin, size = int(paging.get("starting_after") or 0), paging.get("per_page", 50)
        self.need(call, 1 <= size <= 150, f"per_page {size}")
        found = [key for key in self.searched(call, doc["query"]) if self.visible(key)]
        pages = {"type": "pages", "page": begin // size + 1, "per_page": size, "total_pages": -(-len(found) // size)}
        if begin + size < len(found):
            pages["next"] = {"page": begin // size + 2, "starting_after": str(begin + size)}
        page = [self.resource(key) for key in found[begin:begin + size]]
        return Reply(200, {"type": "list", "data": page, "total_count": len(found), "pages": pages})

    def searched(self, call, query):
        """The keys a query finds: = and IN, combined by AND and OR."""
        field, operator, value = query.get("field"), query.get("operator"), query.get("value")
        if operator in ("AND", "OR"):
            if len(value) > 15:
                self.oversized(call, "more than 15 filters in one query")
            parts = [self.searched(call, one) for one in value]
            keys = dict.fromkeys(key for part in parts for key in part)
            return [key for key in keys if operator == "OR" or all(key in part for part in parts)]
        self.need(call, operator in ("=", "IN"), f"operator {operator!r}")
        values = value if operator == "IN" else [value]
        if field == "id":
            return [key for key in (self.key_with_id("contacts", one) for one in values) if key is not None]
        return self.keys_with("contacts", field, values)

    @route("DELETE", "/contacts/{id}", "delete")
    def delete(self, call):
        key = self.named(call)
        if key is None:
            return self.not_found(call)
        self.admit(call, "contacts", [key])
        self.drop("contacts", key)
        return Reply(200, {"type": "contact", "id": call.args["id"], "external_id": key, "deleted": True})

    @route("POST", "/contacts/{id}/archive", "archive")
    def archive(self, call):
        key = self.named(call)
        if key is None:
            return self.not_found(call)
        self.admit(call, "contacts", [key])
        self.kept["archived"][key] = self.kept["contacts"][key]
        self.drop("contacts", key)
        return Reply(200, {"type": "contact", "id": call.args["id"], "external_id": key, "archived": True})

    # ---- companies, events ----

    @route("POST", "/companies", "company")
    def company(self, call):
        fields = self.json_body(call)
        self.need(call, fields.get("company_id"), "a company without company_id")
        self.admit(call, "companies", [fields["company_id"]])
        custom = {**self.kept["companies"].get(fields["company_id"], {}).get("custom_attributes", {}),
                  **fields.get("custom_attributes", {})}
        self.store("companies", fields["company_id"], {**fields, "custom_attributes": custom or None})
        number = self.id_of("companies", fields["company_id"])
        return Reply(200, {"type": "company", "id": number, "company_id": fields["company_id"]})

    @route("POST", "/events", "event")
    def event(self, call):
        event = self.json_body(call)
        self.need(call, event.get("event_name") and isinstance(event.get("created_at"), int),
                  "event_name and created_at are needed")
        self.need(call, event.get("user_id") or event.get("email") or event.get("id"), "an event without a contact")
        self.append("events", event)
        return Reply(202, b"")
