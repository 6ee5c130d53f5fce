"""Salesforce Bulk API 2.0: create, one upload, close, poll, three CSV results.

From: api_asynch bulk_api_2 (how_requests_are_processed, bulk_api_2_limits, prepare CSV). A mix-in of Salesforce.
"""
import csv
import io

from .http import Reply
from .jobs import Jobs
from .vendor import route

INGEST = "/services/data/{version}/jobs/ingest"
MOST_JOB_BYTES = 150 * 1024 * 1024


class Bulk:
    BULK_SETTINGS = {"bulk_seconds": (0.0, 0.0), "bulk_keep_s": 604_800.0, "bulk_open_jobs": None}  # UploadComplete, InProgress

    def start_bulk(self):
        self.bulk = Jobs(self.set.bulk_keep_s, self.set.bulk_open_jobs)
        self.bulk_opened = {}        # job number -> its description while it is Open
        self.unprocessed_rows = 0    # of the next job to finish
        self.failing_jobs = 0

    def leave_unprocessed(self, rows):
        """The next job to finish fails and leaves that many of its last rows unprocessed."""
        self.unprocessed_rows = rows

    def fail_jobs(self, count):
        """The next jobs to finish fail, with every row unprocessed."""
        self.failing_jobs = count

    def advance(self):
        self.bulk.advance()

    def info(self, number, doc, state, **more):
        return {"id": number, "operation": doc["operation"], "object": doc["object"], "state": state, "contentType": "CSV",
                "externalIdFieldName": doc.get("externalIdFieldName"), "apiVersion": 62.0,
                "lineEnding": doc.get("lineEnding", "LF"),
                "columnDelimiter": doc.get("columnDelimiter", "COMMA"), "concurrencyMode": "Parallel", "jobType": "V2Ingest",
                "contentUrl": f"services/data/v62.0/jobs/ingest/{number}/batches", **more}

    @route("POST", INGEST, "bulk_create")
    def bulk_create(self, call):
        doc = self.json_body(call)
        self.need(call, doc.get("object") and doc.get("operation") in ("insert", "update", "upsert", "delete"),
                  "object or operation missing")
        self.need(call, doc["operation"] != "upsert" or doc.get("externalIdFieldName"), "an upsert without externalIdFieldName")
        if self.bulk.full():
            return self.error(400, "EXCEEDED_QUOTA", "too many open jobs")
        number = f"750xx{len(self.bulk_opened) + 1:010d}"
        self.bulk_opened[number] = {"doc": doc, "rows": None, "state": "Open"}
        return Reply(200, self.info(number, doc, "Open"))

    def opened(self, call):
        return self.bulk_opened.get(call.args["job"])

    @route("PUT", INGEST + "/{job}/batches", "bulk_upload")
    def bulk_upload(self, call):
        job = self.opened(call)
        if not job:
            return self.not_found(call)
        self.need(call, job["state"] == "Open", f"an upload to a job that is {job['state']}")
        self.need(call, job["rows"] is None, "a second upload to one job")
        self.need(call, call.content_type == "text/csv", f"content type {call.content_type!r}")
        if len(call.raw) > MOST_JOB_BYTES:
            self.oversized(call, f"{len(call.raw)} bytes in one job, at most {MOST_JOB_BYTES}")
        if b"\r\n" in call.raw and job["doc"].get("lineEnding", "LF") == "LF":
            self.malformed(call, "CRLF in a job with lineEnding LF")
        csv.field_size_limit(1 << 24)
        rows = list(csv.reader(io.StringIO(call.raw.decode("utf-8"), newline="")))
        self.need(call, len(rows) > 1, "a CSV without rows")
        self.need(call, all(len(row) == len(rows[0]) for row in rows), "rows of different length")
        self.need(call, all(len(cell) <= 32_000 for row in rows for cell in row), "a field over 32,000 characters")
        key = "Id" if job["doc"]["operation"] in ("update", "delete") else job["doc"].get("externalIdFieldName")
        self.need(call, key is None or key in rows[0], f"no column {key}")
        job["rows"] = rows
        place = rows[0].index(key) if key else None
        self.admit(call, job["doc"]["object"], [row[place] for row in rows[1:]] if key else [], unique=False)
        return Reply(201, b"")

    @route("PATCH", INGEST + "/{job}", "bulk_close")
    def bulk_close(self, call):
        number, job, state = call.args["job"], self.opened(call), self.json_body(call).get("state")
        if not job:
            return self.not_found(call)
        self.need(call, state in ("UploadComplete", "Aborted"), f"state {state!r}")
        if job["state"] == state:
            return self.error(400, "INVALIDJOBSTATE", f"the job is {state} already")
        self.need(call, job["state"] == "Open", f"a job that is {job['state']} is closed")
        job["state"] = state
        if state == "UploadComplete":
            self.need(call, job["rows"] is not None, "a job without data is closed")
            waits = zip(("UploadComplete", "InProgress"), self.set.bulk_seconds)
            self.bulk.start(list(waits), "JobComplete", self.process, number, rows=job["rows"], doc=job["doc"])
        return Reply(200, self.info(number, job["doc"], state))

    def process(self, job):
        rows, doc = job.info["rows"], job.info["doc"]
        head, body = rows[0], rows[1:]
        left, self.unprocessed_rows = min(self.unprocessed_rows, len(body)), 0
        if self.failing_jobs:
            left, self.failing_jobs = len(body), self.failing_jobs - 1
        job.info.update(good=[], bad=[], left=body[len(body) - left:])
        for row in body[:len(body) - left]:
            self.process_row(job, doc, head, row)
        return "Failed" if left else "JobComplete"

    def process_row(self, job, doc, head, row):
        """An empty cell leaves a field as it is, #N/A clears it."""
        kind, operation = doc["object"], doc["operation"]
        fields = {name: None if cell == "#N/A" else cell for name, cell in zip(head, row) if cell != ""}
        if operation in ("update", "delete"):
            key = self.key_with_id(kind, fields.pop("Id", None))
        else:
            key = fields.get(doc.get("externalIdFieldName") or self.set.external_id)
        new = key not in self.kept[kind]
        flaw = self.absent() if key is None else self.flaw(key, fields, new and operation != "delete")
        if flaw:
            job.info["bad"].append(["", f"{flaw['statusCode']}:{flaw['message']}:{','.join(flaw['fields']) or '--'}", *row])
            return
        number = self.id_of(kind, key)
        if operation == "delete":
            self.drop(kind, key)
        else:
            self.store(kind, key, fields)
        job.info["good"].append([number, "true" if new else "false", *row])

    @route("GET", INGEST + "/{job}", "bulk_poll")
    def bulk_poll(self, call):
        number, opened, job = call.args["job"], self.opened(call), self.bulk.find(call.args["job"])
        if job is None:
            if opened and opened["state"] != "UploadComplete":
                return Reply(200, self.info(number, opened["doc"], opened["state"]))
            return self.not_found(call)
        counts = {}
        if job.done:
            good, bad, left = (len(job.info[name]) for name in ("good", "bad", "left"))
            counts = {"numberRecordsProcessed": good + bad, "numberRecordsFailed": bad, "retries": 0}
            if left:
                counts["errorMessage"] = "InternalServerError : Unable to process the batch after 10 retries"
        return Reply(200, self.info(number, job.info["doc"], job.state(), **counts))

    @route("GET", INGEST + "/{job}/successfulResults", "bulk_successes")
    def bulk_successes(self, call):
        return self.results(call, "good", ["sf__Id", "sf__Created"])

    @route("GET", INGEST + "/{job}/failedResults", "bulk_failures")
    def bulk_failures(self, call):
        return self.results(call, "bad", ["sf__Id", "sf__Error"])

    @route("GET", INGEST + "/{job}/unprocessedrecords", "bulk_unprocessed")
    def bulk_unprocessed(self, call):
        return self.results(call, "left", [])

    def results(self, call, name, columns):
        job = self.bulk.find(call.args["job"])
        if not job:
            return self.not_found(call)
        if not job.done:
            self.malformed(call, "results of a job that is not done", self.error(400, "INVALIDJOBSTATE", "the job is not complete"))
        text = io.StringIO(newline="")
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow([*columns, *job.info["rows"][0]])
        writer.writerows(job.info[name])
        return Reply(200, text.getvalue().encode())

    @route("DELETE", INGEST + "/{job}", "bulk_delete")
    def bulk_delete(self, call):
        return Reply(204) if self.bulk_opened.pop(call.args["job"], None) else self.not_found(call)
