"""TikTok: segment streaming (audience, mapping). HTTP 200 always, the code in the body tells.

From: business-api.tiktok.com v1.3 segment/audience, segment/mapping, dmp/custom_audience/list, rate limits, return codes. Members
are kept under kind audience:ID.
"""
import json

from .audience import Audiences, refused
from .http import Reply
from .vendor import Vendor, route
from .windows import Limit

SCHEMA = ("EMAIL_SHA256", "PHONE_SHA256", "IDFA_SHA256", "AAID_SHA256", "IDFA_MD5", "AAID_MD5")
OPEN = "/open_api/v1.3"
CODES = {"qps": 40100, "qpm": 40100, "day": 40100, "streaming": 40100, "advertiser": 40133}


class TikTok(Vendor):
    NAME = "tiktok"
    SETTINGS = {"token": "tt-token", "advertiser": "77", "audiences": ("500",), "most_rows": 10_000}

    def start(self):
        self.members = Audiences(self, SCHEMA)
        for number in self.set.audiences:
            self.kept["audiences"][number] = {"name": f"audience {number}"}

    def documented_limits(self):
        """Basic level. The streaming endpoint has a row of its own."""
        general = {"create", "list"}
        return [Limit("qps", 10, 1.0, "aligned", ops=general), Limit("qpm", 600, 60.0, "aligned", ops=general),
                Limit("day", 864_000, 86_400.0, "aligned", ops=general),
                Limit("streaming", 10_000, 1.0, "aligned", ops={"mapping"})]

    @staticmethod
    def coded(code, message, data=None):
        return Reply(200, {"code": code, "message": message, "request_id": "r1", "data": data or {}})

    def credential(self, call):
        return call.headers.get("access-token")

    def unauthorized(self, _call, why):
        return self.coded(40104 if why == "missing" else 40105, "Access token is incorrect or has been revoked.")

    def throttled(self, _call, kind=None):
        return self.coded(CODES[kind or "qps"], "Too many requests. Please retry in some time.")

    def bad_request(self, _call, text):
        return self.coded(40002, text)

    def body_error(self, _call, code):
        return self.coded(code or 50000, "Internal service timed out. Please retry.")

    def silent(self, _call):
        return Reply(200, b"")

    def advertisers(self, call, named):
        self.need(call, named and all(isinstance(one, str) for one in named), "advertiser ids are texts")
        return all(one == self.set.advertiser for one in named)

    @route("POST", OPEN + "/segment/audience/", "create")
    def create(self, call):
        doc = self.json_body(call)
        if not self.advertisers(call, [doc.get("advertiser_id")]):
            return self.coded(40001, "no permission for this advertiser")
        self.need(call, doc.get("action") in ("create", "delete"), f"action {doc.get('action')!r}")
        if doc["action"] == "delete":
            self.kept["audiences"].pop(doc.get("audience_id"), None)
            return self.coded(0, "OK")
        self.need(call, doc.get("custom_audience_name") and doc.get("id_type") in SCHEMA,
                  "custom_audience_name and id_type are needed")
        number = str(5000 + len(self.kept["audiences"]))
        self.kept["audiences"][number] = {"name": doc["custom_audience_name"], "id_type": doc["id_type"]}
        return self.coded(0, "OK", {"audience_id": number})

    @route("GET", OPEN + "/dmp/custom_audience/list/", "list")
    def list_audiences(self, call):
        if not self.advertisers(call, [call.query.get("advertiser_id")]):
            return self.coded(40001, "no permission for this advertiser")
        size, page = int(call.query.get("page_size", 10)), int(call.query.get("page", 1))
        wanted = json.loads(call.query.get("custom_audience_ids", "null"))
        found = [{"audience_id": n, **a} for n, a in self.kept["audiences"].items() if wanted is None or n in wanted]
        info = {"page": page, "page_size": size, "total_number": len(found), "total_page": -(-len(found) // size)}
        return self.coded(0, "OK", {"list": found[(page - 1) * size:page * size], "page_info": info})

    @route("POST", OPEN + "/segment/mapping/", "mapping")
    def mapping(self, call):
        doc = self.json_body(call)
        if not self.advertisers(call, doc.get("advertiser_ids")):
            return self.coded(40001, "no permission for this advertiser")
        self.need(call, doc.get("action") in ("add", "delete"), f"action {doc.get('action')!r}")
        schema = doc.get("id_schema")
        self.need(call, isinstance(schema, list) and schema and all(name in SCHEMA for name in schema), f"id_schema {schema!r}")
        rows, changes, lost = self.array(call, doc, "batch_data", self.set.most_rows), [], 0
        for row in rows:
            self.need(call, isinstance(row, list) and len(row) == len(schema),
                      f"a row of {len(row)} cells under {len(schema)} schema fields")
            member, audiences = self.member(call, schema, row)
            for number in audiences:
                if number not in self.kept["audiences"]:
                    return self.coded(40002, f"audience {number} does not exist")
            if refused(self, member.values()):
                lost += 1
            else:
                changes.append((member, audiences))
        self.admit(call, "audience", [self.members.key(member) for member, _ in changes], unique=False)
        for member, audiences in changes:
            for number in audiences:
                (self.members.add if doc["action"] == "add" else self.members.remove)(f"audience:{number}", member)
        return self.coded(20001, "Partial success") if lost else self.coded(0, "OK")

    def member(self, call, schema, row):
        member, audiences = {}, []
        for name, cell in zip(schema, row):
            self.need(call, isinstance(cell, dict), "a cell that is no object")
            if not cell:
                continue
            self.need(call, cell.keys() == {"id", "audience_ids"} and cell["id"], f"a cell with {sorted(cell)}")
            self.need(call, isinstance(cell["audience_ids"], list), "audience_ids is not an array")
            if name.endswith("SHA256"):
                self.need(call, self.check_hash(call, name, cell["id"]), f"{name} is not hashed")
            member[name] = cell["id"]
            audiences += [number for number in cell["audience_ids"] if number not in audiences]
        self.need(call, member, "a row without any id")
        return member, audiences
