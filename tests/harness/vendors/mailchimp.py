"""Mailchimp lists: members in bulk, one member, archive, delete for good. The limit is one of calls at once.

From: mailchimp.com/developer marketing API (lists batch subscribe, list-members, fundamentals). Members are kept under kind
list:ID by lower-case e-mail address.
"""
import hashlib

from .auth import basic, bearer
from .http import Reply
from .vendor import Vendor, route
from .windows import Limit

STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional")
MEMBER = {"email_address", "email_type", "status", "status_if_new", "merge_fields", "interests", "language", "vip", "location",
          "marketing_permissions", "ip_signup", "timestamp_signup", "ip_opt", "timestamp_opt", "tags"}
FORBIDDEN = "<html><head><title>403 Forbidden</title></head><body>Forbidden</body></html>"


class Mailchimp(Vendor):
    NAME = "mailchimp"
    RESULTS = ("new_members",)
    SETTINGS = {"token": "key-us1", "lists": ("abc",), "merge_fields": None}  # names that exist; None: any

    def documented_limits(self):
        return [Limit("concurrency", 10, shape="concurrent")]

    def credential(self, call):
        pair = basic(call)
        return pair[1] if pair else bearer(call)

    @staticmethod
    def problem(status, title, detail, **more):
        return Reply(status, {"type": "https://mailchimp.com/developer/marketing/docs/errors/", "title": title, "status": status,
                              "detail": detail, "instance": "i-1", **more}, {"Content-Type": "application/problem+json"})

    def unauthorized(self, _call, _why):
        return self.problem(401, "API Key Invalid", "Your API key may be invalid, or this is the wrong datacenter.")

    def throttled(self, _call, kind=None):
        """kind 'html': the 403 without JSON that stands for throttling at high volume."""
        if kind == "html":
            return Reply(403, FORBIDDEN)
        return self.problem(429, "Too Many Requests", "You have exceeded the limit of 10 simultaneous connections.")

    def bad_request(self, _call, text):
        return self.problem(400, "Invalid Resource", text, errors=[{"field": "", "message": text}])

    def not_found(self, _call):
        return self.problem(404, "Resource Not Found", "The requested resource could not be found.")

    def silent(self, _call):
        return Reply(200, {})

    def flaw(self, member):
        email = str(member.get("email_address", ""))
        if "@" not in email or " " in email:
            return "ERROR_GENERIC", f"{email} looks invalid, please enter a real email address.", "email_address", ""
        for name, value in member.get("merge_fields", {}).items():
            if self.set.merge_fields is not None and name not in self.set.merge_fields:
                return "ERROR_GENERIC", "Your merge fields were invalid.", name, "unknown merge field"
            if value is None:
                return "ERROR_GENERIC", "Your merge fields were invalid.", name, "this value should not be null"
        refusal = self.refusal(email.lower())
        return refusal and (refusal[0] or "ERROR_GENERIC", "the contact was refused", "", "")

    def write(self, kind, member):
        """An empty merge field clears it."""
        key = member["email_address"].lower()
        merged = {**self.kept[kind].get(key, {}).get("merge_fields", {}), **member.get("merge_fields", {})}
        fields = {name: value for name, value in member.items() if name not in ("merge_fields", "status_if_new")}
        fields["merge_fields"] = {name: value for name, value in merged.items() if value != ""} or None
        if "status" not in fields and "status_if_new" in member and key not in self.kept[kind]:
            fields["status"] = member["status_if_new"]
        return self.store(kind, key, fields)

    @staticmethod
    def resource(key, held):
        return {"id": hashlib.md5(key.encode()).hexdigest(), **held}

    @route("POST", "/3.0/lists/{list}", "members")
    def members(self, call):
        if call.args["list"] not in self.set.lists:
            return self.not_found(call)
        doc, kind = self.json_body(call), f"list:{call.args['list']}"
        members = self.array(call, doc, "members", 500)
        for member in members:
            self.only(call, member, MEMBER, "a member")
        keys = [str(member.get("email_address", "")).lower() for member in members]
        self.admit(call, kind, keys, unique=False)
        new, updated, errors, seen = [], [], [], set()
        for key, member in zip(keys, members):
            flaw = self.flaw(member)
            known = key in self.kept[kind]
            if key in seen:
                self.violate(call, "malformed", f"{key} stands twice in one request")
                flaw = "ERROR_GENERIC", "duplicate items found", "email_address", ""
            elif not flaw and known and not doc.get("update_existing"):
                flaw = "ERROR_CONTACT_EXISTS", f"{key} is already a list member, do you want to update?", "", ""
            elif not flaw and not known and member.get("status") not in STATUSES:
                flaw = "ERROR_GENERIC", "status is needed for a new member", "status", ""
            seen.add(key)
            if flaw:
                named = dict(zip(("error_code", "error", "field", "field_message"), flaw))
                errors.append({"email_address": member.get("email_address"), **named})
                continue
            held, is_new = self.write(kind, member)
            (new if is_new else updated).append(self.resource(key, held))
        return Reply(200, {"new_members": new, "updated_members": updated, "errors": errors, "total_created": len(new),
                           "total_updated": len(updated), "error_count": len(errors)})

    def named(self, call):
        """(kind, key or None) of the member whose hash the path holds."""
        kind, digest = f"list:{call.args['list']}", call.args["hash"]
        self.need(call, len(digest) == 32 and digest == digest.lower(), "the member is not named by a lower-case MD5")
        return kind, next((key for key in self.kept[kind] if hashlib.md5(key.encode()).hexdigest() == digest), None)

    @route("PUT", "/3.0/lists/{list}/members/{hash}", "put")
    def put_member(self, call):
        kind, key = self.named(call)
        member = self.json_body(call)
        self.only(call, member, MEMBER, "a member")
        email = str(member.get("email_address", key or "")).lower()
        self.need(call, hashlib.md5(email.encode()).hexdigest() == call.args["hash"], "the path's hash is not of this address")
        self.need(call, key or member.get("status_if_new") in STATUSES, "status_if_new is needed")
        self.admit(call, kind, [email])
        flaw = self.flaw({"email_address": email, **member})
        if flaw:
            return self.bad_request(call, flaw[1])
        return Reply(200, self.resource(email, self.write(kind, {"email_address": email, **member})[0]))

    @route("DELETE", "/3.0/lists/{list}/members/{hash}", "archive")
    def archive(self, call):
        kind, key = self.named(call)
        if key is None:
            return self.not_found(call)
        self.admit(call, kind, [key])
        self.kept[f"archived:{call.args['list']}"][key] = self.kept[kind][key]
        self.drop(kind, key)
        return Reply(204)

    @route("POST", "/3.0/lists/{list}/members/{hash}/actions/delete-permanent", "delete")
    def delete(self, call):
        kind, key = self.named(call)
        if key is None:
            return self.not_found(call)
        self.admit(call, kind, [key])
        self.drop(kind, key)
        return Reply(204)
