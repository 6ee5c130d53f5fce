"""Zendesk: users in bulk as jobs, job status, deletion by external ids.

From: developer.zendesk.com users (create_or_update_many, destroy_many, show_many), job_statuses, rate limits; a community sample of
results, where the id of a failed row is its index in the request. Users are kept under external_id, else email.
"""
from .auth import basic, bearer
from .http import Reply
from .jobs import Jobs
from .vendor import Vendor, route
from .windows import Limit

USER = {"external_id", "email", "name", "phone", "role", "tags", "notes", "details", "user_fields", "organization_id",
        "organization", "locale", "locale_id", "time_zone", "alias", "verified", "skip_verify_email", "identities",
        "remote_photo_url", "signature",
        "shared_phone_number", "suspended", "ticket_restriction", "custom_role_id", "default_group_id", "moderator",
        "only_private_comments", "restricted_agent"}


class Zendesk(Vendor):
    NAME = "zendesk"
    RESULTS = ("job_status", "results")
    SETTINGS = {"token": "agent@example.org/token:zd-key", "job_seconds": (0.0, 0.0), "job_keep_s": 3600.0,
                "most_jobs": 30}  # queued, working

    def start(self):
        self.jobs = Jobs(self.set.job_keep_s, self.set.most_jobs)
        self.ending = []

    def end_jobs(self, state, count=1):
        """The next jobs to finish end 'failed' or 'killed', with nothing done."""
        self.ending += [state] * count

    def documented_limits(self):
        return [Limit("minute", 700, 60.0)]

    def advance(self):
        self.jobs.advance()

    def credential(self, call):
        pair = basic(call)
        return ":".join(pair) if pair else bearer(call)

    def unauthorized(self, _call, _why):
        return Reply(401, {"error": "Couldn't authenticate you"})

    def throttled(self, call, _kind=None):
        limit = self.limit("minute")
        wait = int(limit.reset_s(call)) + 1 if limit else 1
        doc = {"error": "APIRateLimitExceeded", "description": "Number of allowed API requests per minute exceeded"}
        return Reply(429, doc, {"Retry-After": str(wait)})

    def bad_request(self, _call, text):
        return Reply(400, {"error": "BadRequest", "description": text})

    def not_found(self, _call):
        return Reply(404, {"error": "RecordNotFound", "description": "Not found"})

    def headers(self, call):
        limit = self.limit("minute")
        return {"X-Rate-Limit": limit.amount, "X-Rate-Limit-Remaining": limit.remaining(call)} if limit else {}

    def make_id(self, _kind, number):
        return 900_000_000 + number

    # ---- users ----

    def start_job(self, call, work, count):
        if self.jobs.full():
            self.violate(call, "limit", f"more than {self.set.most_jobs} jobs queued or running")
            return Reply(429, {"error": "TooManyJobs", "description": "Too many jobs are queued or running"}, {"Retry-After": "1"})

        def finish(job):
            if self.ending:
                return self.ending.pop(0)
            job.info["results"] = work()
            return "completed"
        number = f"{len(self.jobs.by_number) + 1:032x}"
        job = self.jobs.start(list(zip(("queued", "working"), self.set.job_seconds)), "completed", finish, number, results=None,
                              count=count)
        return Reply(200, {"job_status": self.described(job, fresh=True)})

    def described(self, job, fresh=False):
        done = job.done and not fresh
        state = "queued" if fresh else job.state()
        return {"id": job.number, "url": f"{self.url}/api/v2/job_statuses/{job.number}.json", "total": job.info["count"],
                "status": state, "progress": job.info["count"] if done else None,
                "message": "Completed" if done and state == "completed" else None,
                "results": job.info["results"] if done else None}

    @staticmethod
    def key_of(user):
        return user.get("external_id") or str(user.get("email") or "").lower()

    def written(self, index, user):
        key, flaw = self.key_of(user), None
        if user.get("email") and "@" not in user["email"]:
            flaw = f"Email: {user['email']} is not properly formatted"
        elif not user.get("name") and key not in self.kept["users"]:
            flaw = "Name: is too short (minimum one character)"
        refusal = self.refusal(key)
        if flaw or refusal:
            return {"id": index, "error": (refusal and refusal[0]) or "UserUpdateError", "details": flaw or "refused",
                    "status": "Failed"}
        fields = dict(user)
        if "user_fields" in user:
            fields["user_fields"] = {**self.kept["users"].get(key, {}).get("user_fields", {}), **user["user_fields"]}
        _, new = self.store("users", key, fields)
        return {"id": self.id_of("users", key), "external_id": user.get("external_id"), "status": "Created" if new else "Updated"}

    @route("POST", "/api/v2/users/create_or_update_many.json", "upsert")
    @route("POST", "/api/v2/users/create_or_update_many", "upsert")
    def upsert(self, call):
        users = self.array(call, self.json_body(call), "users", 100)
        for user in users:
            self.only(call, user, USER, "a user")
        self.need(call, all(self.key_of(user) for user in users), "a user without external_id and email")
        self.need(call, all(isinstance(user.get("external_id", ""), str) for user in users), "external_id is not a text")
        self.admit(call, "users", [self.key_of(user) for user in users])
        return self.start_job(call, lambda: [self.written(index, user) for index, user in enumerate(users)], len(users))

    @route("DELETE", "/api/v2/users/destroy_many.json", "destroy")
    @route("DELETE", "/api/v2/users/destroy_many", "destroy")
    def destroy(self, call):
        self.need(call, ("ids" in call.query) != ("external_ids" in call.query), "exactly one of ids and external_ids is needed")
        named = (call.query.get("ids") or call.query.get("external_ids")).split(",")
        if len(named) > 100:
            self.oversized(call, f"{len(named)} ids in one request, at most 100")
        keys = [self.key_with_id("users", int(one)) for one in named] if "ids" in call.query else named
        self.admit(call, "users", keys, unique=False)

        def work():
            results = []
            for index, key in enumerate(keys):
                number = self.id_of("users", key) if key in self.kept["users"] else None
                refusal = self.refusal(key)
                if refusal or not self.drop("users", key):
                    results.append({"id": index, "error": (refusal and refusal[0]) or "RecordNotFound", "details": "not found",
                                    "status": "Failed"})
                else:
                    results.append({"id": number, "status": "Deleted", "success": True})
            return results
        return self.start_job(call, work, len(keys))

    @route("GET", "/api/v2/users/show_many.json", "show")
    def show(self, call):
        wanted = call.query.get("external_ids", "").split(",")
        if len(wanted) > 100:
            self.oversized(call, f"{len(wanted)} ids in one request, at most 100")
        users = [{"id": self.id_of("users", key), **self.kept["users"][key]} for key in wanted if key in self.kept["users"]]
        return Reply(200, {"users": users, "count": len(users), "next_page": None})

    @route("GET", "/api/v2/job_statuses/{job}", "poll")
    def poll(self, call):
        job = self.jobs.find(call.args["job"].removesuffix(".json"))
        return Reply(200, {"job_status": self.described(job)}) if job else self.not_found(call)
