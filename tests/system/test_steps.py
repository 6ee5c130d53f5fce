"""Batches that take several requests: tokens, things to be ensured, lookups, jobs that are polled."""
import http.server
import json
import os
import signal
import threading

import pytest

from harness.sink import wait_until

CONNECTOR = {
    "options": {
        "base_url": {"default": "http://127.0.0.1"},
        "id": {"required": True}, "secret": {"secret": True, "required": True},
    },
    "auth": {
        "headers": {"Authorization": "Bearer {{auth.token}}"},
        "token": {
            "grant": "client_credentials", "url": "{{options.base_url}}/token",
            "form": {"grant_type": "client_credentials", "client_id": "{{options.id}}", "client_secret": "{{options.secret}}"},
            "capture": {"token": {"json": "/access_token"}, "expires": {"json": "/expires_in"}},
        },
    },
    "objects": {
        "counted": {
            "keys": {"email": {}}, "fields": {"*": {}}, "modes": ["upsert"], "repeat": "safe", "max_records": 100,
            "requests": {"upsert": {
                "url": "{{options.base_url}}/counted", "body": {"json": {"$records": "{{key}}"}},
                "verdicts": {"counts": {"failed": "/odd", "reasons": "/why", "then": "accept"}}}},
        },
        "list/*": {
            "keys": {"email": {}}, "fields": {"*": {}}, "modes": ["upsert", "mirror"], "remove": ["delete"],
            "repeat": "safe", "max_records": 100,
            "ensure": [
                {"name": "find", "method": "GET", "url": "{{options.base_url}}/lists", "query": {"name": "{{object}}"},
                 "capture": {"list": {"json": "/found/0/id"}}},
                {"name": "make", "unless": "vars.list", "url": "{{options.base_url}}/lists",
                 "body": {"json": {"name": "{{object}}"}}, "capture": {"list": {"json": "/id"}}},
            ],
            "requests": {
                "upsert": {"steps": [
                    {"name": "put", "url": "{{options.base_url}}/lists/{{vars.list}}/jobs",
                     "body": {"json": {"people": {"$records": {"email": "{{key}}", "name": "{{fields.name}}"}}}},
                     "capture": {"job": {"json": "/job"}}, "opens": True},
                    {"name": "ask", "method": "GET", "url": "{{options.base_url}}/jobs/{{vars.job}}",
                     "wait": {"first": "20ms", "every": "20ms", "deadline": "30s"},
                     "answers": [
                         {"status": 200, "json": {"at": "/state", "equals": "running"}, "do": "pending"},
                         {"status": 200, "do": "ok"}],
                     "verdicts": {"at": "/refused", "key": "/email", "message": "/why"}},
                ]},
                "delete": {"max_records": 1, "steps": [
                    {"name": "look", "method": "GET", "url": "{{options.base_url}}/lists/{{vars.list}}/people",
                     "query": {"email": "{{key}}"},
                     "lookup": {"entries": "/people", "key": "/email", "id": "/id", "missing": "ok"}},
                    {"name": "remove", "method": "DELETE", "url": "{{options.base_url}}/lists/{{vars.list}}/people/{{found}}"},
                ]},
            },
        },
    },
}


class Desk(http.server.ThreadingHTTPServer):
    """A made-up vendor: tokens that end after so many uses, lists, and jobs that take two looks."""
    daemon_threads = True

    def __init__(self, uses=10 ** 9):
        self.lock = threading.RLock()
        self.uses, self.left, self.token, self.tokens = uses, 0, None, 0
        self.lists, self.people, self.jobs, self.log = {}, {}, {}, []
        self.lists_made = 0
        self.behave = lambda method, path: None  # a status instead of the answer
        super().__init__(("127.0.0.1", 0), DeskHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_args):
        """A worker that is gone leaves its connections behind."""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def names(self, kind):
        return [entry for entry in self.log if entry[0] == kind]


class DeskHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args):
        pass

    def do_GET(self):
        self.serve()

    do_POST = do_DELETE = do_GET

    def reply(self, status, doc):
        body = json.dumps(doc).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path, _, query = self.path.partition("?")
        parts = path.strip("/").split("/")
        with self.server.lock:
            status, doc = self.answer(parts, query, body)
        self.reply(status, doc)

    def answer(self, parts, query, body):
        desk = self.server
        desk.log.append((self.command, *parts))
        odd = desk.behave(self.command, parts)
        if odd:
            return odd, {"message": "odd"}
        if parts == ["token"]:
            desk.tokens += 1
            desk.token, desk.left = f"token-{desk.tokens}-xyz", desk.uses
            return 200, {"access_token": desk.token, "expires_in": 3600}
        if self.headers.get("Authorization") != f"Bearer {desk.token}" or not desk.left:
            return 401, {"message": "expired"}
        desk.left -= 1
        return self.served(parts, query, json.loads(body) if body else None)

    def served(self, parts, query, doc):
        desk = self.server
        if parts == ["counted"]:
            return 200, {"odd": 1, "why": ["too short"]}
        value = query.partition("=")[2].replace("%40", "@")
        if parts == ["lists"] and self.command == "GET":
            found = desk.lists.get(value)
            return 200, {"found": [{"id": found}] if found else []}
        if parts == ["lists"]:
            desk.lists_made += 1
            desk.lists[doc["name"]] = f"L{desk.lists_made}"
            desk.people[f"L{desk.lists_made}"] = {}
            return 201, {"id": f"L{desk.lists_made}"}
        if parts[0] == "lists" and parts[2] == "jobs":
            job = f"j{len(desk.jobs) + 1}"
            desk.jobs[job] = {"list": parts[1], "people": doc["people"], "looks": 0}
            return 202, {"job": job}
        if parts[0] == "jobs":
            return 200, self.look(desk.jobs[parts[1]])
        people = desk.people[parts[1]]
        if self.command == "GET":
            return 200, {"people": [{"id": f"p-{value}", "email": value}] if value in people else []}
        people.pop(parts[3][2:].replace("%40", "@"), None)
        return 200, {}

    def look(self, job):
        job["looks"] += 1
        if job["looks"] < 3:
            return {"state": "running"}
        refused = [p for p in job["people"] if p["name"] == "bad"]
        for person in job["people"]:
            if person["name"] != "bad":
                self.server.people[job["list"]][person["email"]] = person["name"]
        return {"state": "done", "refused": [{"email": p["email"], "why": "no such person"} for p in refused]}


@pytest.fixture
def desk():
    server = Desk()
    yield server
    server.shutdown()
    server.server_close()


def project(lab, desk, settings=None, sync=None, **destination):
    lab.write(json.dumps({
        "settings": {"state_dir": str(lab.state_dir), "seal_key": "0123456789abcdef" * 4, **(settings or {})},
        "sources": {"warehouse": {"type": "postgres", "url": lab.warehouse_url}},
        "models": {"m": {"source": "warehouse", "primary_key": "id", "sql": "select id, email, name from c"}},
        "connectors": {"desk": CONNECTOR},
        "destinations": {"d": {"type": "desk", "base_url": desk.url, "id": "me", "secret": "s3cret-words", "batch_size": 10,
                               **destination}},
        "syncs": {"s": {"model": "m", "destination": "d", "object": "list/vips", "mode": "mirror", "identify_by": "email",
                        "mappings": ["email", "name"], **(sync or {})}},
    }))


def table(lab):
    return {r["email"]: r["name"] for r in lab.model_rows("select id, email, name from c").values()}


def test_a_job_is_sent_polled_and_read_to_its_verdicts(lab, desk):
    lab.customers(95)
    lab.sql("update c set name = 'bad' where id in (3, 77)")
    project(lab, desk)
    done = lab.run()
    assert done.rc == 1 and done.counts("planned", "succeeded", "rejected", "failed") == (95, 93, 2, 0), done
    expected = {e: n for e, n in ((f"u{i}@example.org", f"Name {i}") for i in range(1, 96)) if n not in ("Name 3", "Name 77")}
    assert desk.people["L1"] == expected
    assert desk.lists_made == 1 and desk.tokens == 1
    assert len(desk.jobs) == 10 and all(job["looks"] == 3 for job in desk.jobs.values())


def test_removed_rows_are_looked_up_and_taken_out(lab, desk):
    lab.customers(12)
    project(lab, desk)
    lab.good_run()
    lab.sql("delete from c where id <= 2")
    desk.people["L1"].pop("u2@example.org")  # already gone: nothing to remove
    done = lab.good_run()
    assert done.counts("removed", "succeeded") == (2, 2)
    assert set(desk.people["L1"]) == {f"u{i}@example.org" for i in range(3, 13)}
    assert len(desk.names("DELETE")) == 1
    assert desk.lists_made == 1


def test_a_token_that_ends_is_renewed_once_and_no_attempt_is_lost(lab, desk):
    lab.customers(60)
    desk.uses = 5
    project(lab, desk, concurrency=1)
    done = lab.good_run()
    assert done.counts("succeeded", "failed") == (60, 0)
    assert len(desk.people["L1"]) == 60 and desk.tokens > 3 and desk.lists_made == 1


def test_tokens_that_are_used_up_at_once_stop_nothing(lab, desk):
    lab.customers(100)
    desk.uses = 1
    project(lab, desk, concurrency=8)
    done = lab.good_run()
    assert done.counts("succeeded", "failed") == (100, 0)
    assert len(desk.people["L1"]) == 100 and desk.tokens >= 40 and desk.lists_made == 1


def test_credentials_that_are_always_refused_end_the_run(lab, desk):
    lab.customers(5)
    desk.uses = 0
    project(lab, desk)
    done = lab.run()
    assert done.rc == 2 and done.last["status"] == "failed" and done.counts("cancelled") == (5,), done
    assert "s3cret-words" not in done.text


def test_two_workers_make_one_list(lab, desk):
    lab.customers(300)
    project(lab, desk, concurrency=16)
    lab.good_run("--workers", "3") if "--workers" in lab.command("run", "--help").text else lab.good_run()
    assert desk.lists_made == 1 and len(desk.people["L1"]) == 300


def test_a_worker_that_dies_between_the_steps_loses_nothing(lab, desk):
    lab.customers(200)
    project(lab, desk, concurrency=4, timeout="1s")
    running = lab.start_run()
    wait_until(lambda: len(desk.jobs) >= 5, what="some jobs")
    for pid in running.workers():
        os.kill(pid, signal.SIGKILL)
    done = running.wait()
    assert done.rc == 0 and done.counts("succeeded", "failed") == (200, 0), done
    assert len(desk.people["L1"]) == 200 and desk.lists_made == 1


def test_what_was_accepted_with_a_warning_says_so(lab, desk):
    lab.customers(20)
    project(lab, desk, sync={"object": "counted", "mode": "upsert"})
    done = lab.good_run()
    assert done.counts("succeeded", "rejected", "warnings") == (20, 0, 2)
    assert "too short" in done.last["warning"]
    status = lab.command("status").text
    assert "warned 2 times" in status and "too short" in status
    assert "too short" in lab.command("runs").text


def test_credentials_stay_out_of_redis_and_of_what_is_printed(lab, desk, redis_servers):
    redis = redis_servers()
    lab.customers(30)
    project(lab, desk, settings={"redis": redis.url})
    done = lab.good_run()
    assert desk.token and desk.token not in done.text and "s3cret-words" not in done.text
    kept = str(redis.everything())
    assert desk.token not in kept and "s3cret-words" not in kept
    assert "L1" in kept  # what is no secret is shared as it is
