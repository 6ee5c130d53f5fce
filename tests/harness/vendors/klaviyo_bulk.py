"""Klaviyo bulk profile import: submit, poll, page through the errors. A mix-in of Klaviyo.

From: the profile-bulk-import-jobs endpoints of Klaviyo's OpenAPI. A profile that cannot be read refuses the whole request with
a pointer to it; what turns out later is an import error of the job.
"""
import json

from .http import Reply
from .jobs import Jobs
from .vendor import Refused, route

MOST_BODY_BYTES, MOST_PROFILE_BYTES = 5 * 1024 * 1024, 100 * 1024
PROFILES = "/data/attributes/profiles/data/"


class Bulk:
    BULK_SETTINGS = {"bulk_seconds": (0.0, 0.0), "bulk_keep_s": 1e9}  # queued, processing

    def start_bulk(self):
        self.bulk = Jobs(self.set.bulk_keep_s)
        self.cancelling = 0

    def cancel_jobs(self, count):
        """The next jobs to finish end cancelled, with nothing imported."""
        self.cancelling = count

    def advance(self):
        self.bulk.advance()

    def poisoned_reply(self, call, key):
        """Names the row, as the vendor does."""
        index = next((i for i, (_, k) in enumerate(call.keys) if k == key), 0)
        return self.bad_request(call, "Invalid input.",
                                f"{PROFILES}{index}/attributes/properties" if call.op == "bulk" else "/data/attributes")

    @route("POST", "/api/profile-bulk-import-jobs", "bulk")
    def bulk_import(self, call):
        data = self.data(call, "profile-bulk-import-job", MOST_BODY_BYTES)
        profiles = self.array(call, data.get("attributes", {}).get("profiles", {}), "data", 10_000)
        lists = [one.get("id") for one in data.get("relationships", {}).get("lists", {}).get("data", [])]
        self.need(call, all(one in self.set.lists for one in lists), f"lists {lists}")
        errors = []
        for index, profile in enumerate(profiles):
            self.need(call, profile.get("type") == "profile", "a profile without its type")
            if len(json.dumps(profile, ensure_ascii=False).encode()) > MOST_PROFILE_BYTES:
                self.oversized(call, "a profile over 100 KB")
            self.check_attributes(call, profile.get("attributes"))
            flaw = self.flaw(profile["attributes"])
            if flaw:
                errors.append({"id": f"e{index}", "status": 400, "code": "invalid", "title": "Invalid input.", "detail": flaw[0],
                               "source": {"pointer": f"{PROFILES}{index}/attributes/{flaw[1]}"}})
        self.admit(call, "profiles", [self.key_of(profile["attributes"]) for profile in profiles], unique=False)
        if errors:
            raise Refused(Reply(400, {"errors": errors}))
        number = f"job-{len(self.bulk.by_number) + 1}"
        job = self.bulk.start(list(zip(("queued", "processing"), self.set.bulk_seconds)), "complete", self.finish, number,
                              profiles=profiles, lists=lists, errors=[])
        return Reply(202, {"data": self.described(job)})

    def finish(self, job):
        if self.cancelling:
            self.cancelling -= 1
            return "cancelled"
        for index, profile in enumerate(job.info["profiles"]):
            refusal = self.refusal(self.key_of(profile["attributes"]))
            if refusal:
                job.info["errors"].append({"type": "import-error", "id": f"{job.number}-{index}", "attributes": {
                    "code": refusal[0] or "invalid", "title": "Invalid input.", "detail": "the profile was refused",
                    "source": {"pointer": f"{PROFILES}{index}/attributes"}, "original_payload": profile["attributes"]}})
                continue
            key, _ = self.write(profile["attributes"])
            for one in job.info["lists"]:
                self.kept[f"list:{one}"][key] = {}
        return "complete"

    def described(self, job):
        total, failed = len(job.info["profiles"]), len(job.info["errors"])
        done = total - failed if job.state() == "complete" else 0
        return {"type": "profile-bulk-import-job", "id": job.number, "attributes": {
            "status": job.state(), "total_count": total, "completed_count": done, "failed_count": failed if job.done else 0,
            "created_at": "2026-01-01T00:00:00+00:00"}}

    @route("GET", "/api/profile-bulk-import-jobs/{job}", "bulk_poll")
    def bulk_poll(self, call):
        job = self.bulk.find(call.args["job"])
        return Reply(200, {"data": self.described(job)}) if job else self.not_found(call)

    @route("GET", "/api/profile-bulk-import-jobs/{job}/import-errors", "bulk_errors")
    def bulk_errors(self, call):
        job = self.bulk.find(call.args["job"])
        if not job:
            return self.not_found(call)
        begin, errors = int(call.query.get("page[cursor]", 0)), job.info["errors"]
        size = int(call.query.get("page[size]", self.set.page_size))
        self.need(call, size <= 100, f"page[size] {size}")
        return Reply(200, {"data": errors[begin:begin + size], "links": {"next": self.next_page(call, begin, size, len(errors))}})
