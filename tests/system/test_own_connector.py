"""The README's connector of one's own, against a help desk that speaks as it says; and the same words within a destination."""
import http.server
import json
import pathlib
import re
import threading
import urllib.parse

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Desk(http.server.ThreadingHTTPServer):
    """People by e-mail address; the first request is told to come again, row 'bad' is refused."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.people, self.trouble, self.lock = {}, ["throttle", "busy"], threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/api"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, doc, **headers):
        body = json.dumps(doc).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_POST(self):
        doc, desk = json.loads(self.body()), self.server
        with desk.lock:
            if self.headers["Authorization"] != "Bearer d-1":
                return self.answer(401, {"why": "who are you"})
            assert self.path == "/api/people/bulk" and len(doc["people"]) <= 50
            trouble = desk.trouble.pop(0) if desk.trouble else None
            if trouble == "throttle":
                return self.answer(429, {}, Retry_After="0")
            if trouble == "busy":
                return self.answer(200, {"busy": True, "why": "later"})
            refused = [{"row": i, "why": "no name"} for i, p in enumerate(doc["people"]) if p["name"] == "bad"]
            for i, person in enumerate(doc["people"]):
                if i not in {r["row"] for r in refused}:
                    desk.people[person["email"]] = person
            return self.answer(200, {"refused": refused})

    def do_DELETE(self):
        self.body()
        with self.server.lock:
            gone = self.server.people.pop(urllib.parse.unquote(self.path.rsplit("/", 1)[1]), None)
        return self.answer(200 if gone else 404, {})


@pytest.fixture
def desk():
    server = Desk()
    yield server
    server.shutdown()
    server.server_close()


def readme_block():
    text = (ROOT / "README.md").read_text()
    block = re.search(r"```yaml\n(connectors:\n  helpdesk:.*?)```", text, re.S)[1]
    assert block.count("\n") <= 45
    return block


def people(lab, count=120):
    lab.sql(f"create table c (id bigint primary key, email text, name text, plan text); insert into c select g, "
            f"'U' || g || '+x@Example.org', 'N' || g, 'p' || g % 3 from generate_series(1, {count}) g")


def project(lab, extra):
    lab.project({"m": {"sql": "select * from c"}}, {}, {"s": {"model": "m", "destination": "desk", "object": "people",
                                                              "identify_by": "email", "mappings": ["email", "name", "plan"]}})
    lab.write(extra, "desk.yaml")


def held(desk):
    return {email: (p["name"], p["plan"]) for email, p in desk.people.items()}


def model(lab, where="true"):
    return {row[0]: (row[1], row[2]) for row in lab.sql(f"select lower(email), name, plan from c where {where}")}


def check_syncs(lab, desk, env):
    lab.sql("update c set name = 'bad' where id = 77")
    done = lab.run(env=env)
    assert done.rc == 1 and done.counts("planned", "succeeded", "rejected") == (120, 119, 1), done
    assert held(desk) == model(lab, "id <> 77")
    lab.sql("delete from c where id > 100; update c set plan = 'gold' where id < 10; update c set name = 'good' where id = 77")
    del desk.people["u101+x@example.org"]
    assert lab.good_run(env=env).counts("removed", "changed", "added") == (20, 9, 1)
    assert held(desk) == model(lab)


def test_the_readmes_connector_syncs_changes_refusals_and_removals(lab, desk):
    people(lab)
    project(lab, readme_block())
    env = {"DESK_TOKEN": "d-1", "DESK_URL": desk.url}
    shown = lab.command("connectors", "show", "helpdesk", env=env)
    assert shown.rc == 0 and "Our help desk" in shown.text
    check_syncs(lab, desk, env)


def test_wrong_credentials_end_the_run(lab, desk):
    people(lab, 10)
    project(lab, readme_block())
    done = lab.run(env={"DESK_TOKEN": "wrong", "DESK_URL": desk.url})
    assert done.rc == 2 and done.counts("cancelled") == (10,) and "who are you" in done.text


def test_the_same_words_within_a_destination(lab, desk):
    people(lab)
    block = readme_block()
    words = block[block.index("    auth:"):block.index("\ndestinations:")]
    words = words.replace("{{options.token}}", "${DESK_TOKEN}").replace("{{options.base_url}}", "${DESK_URL}")
    project(lab, "destinations:\n  desk:\n    type: http\n" + words.replace("    limits:", "    rate_limits:"))
    check_syncs(lab, desk, {"DESK_TOKEN": "d-1", "DESK_URL": desk.url})


def test_a_mistake_in_it_is_named_with_its_place(lab):
    project(lab, readme_block().replace("do: halt", "do: stop").replace("{{key}}\", $fields", "{{keey}}\", $fields"))
    done = lab.command("check", env={"DESK_TOKEN": "x", "DESK_URL": "http://127.0.0.1:1"})
    assert done.rc == 78
    assert re.search(r"desk\.yaml:13:\d+: .*stop", done.text) and re.search(r"desk\.yaml:\d+:\d+: .*keey", done.text), done.text
