"""A running sluice-scheduler, and its HTTP API as a program uses it."""
import json
import re
import urllib.error
import urllib.request

from .lab import RUN_DEADLINE_S
from .sink import wait_until

PAUSE_S = 0.05


class Api:
    """A scheduler's API at a URL."""

    def __init__(self, url, token=None):
        self.url, self.token = url, token

    def wait(self, condition, what):
        """For conditions that ask the scheduler, which answers no more than a hundred requests a second."""
        return wait_until(condition, RUN_DEADLINE_S, what, PAUSE_S)

    def ask(self, method, path, body=None):
        headers = {"X-Sluice": "1", "Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self.url + path, method=method, headers=headers,
                                         data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=RUN_DEADLINE_S) as answer:
            return json.loads(answer.read() or "null")

    def get(self, path):
        return self.ask("GET", path)

    def post(self, path, **body):
        return self.ask("POST", path, body)

    def sync(self, name):
        return self.get(f"/api/v1/syncs/{name}")

    def run(self, name, **how):
        """Runs the sync and waits for its end; gives the run."""
        run = self.post(f"/api/v1/syncs/{name}/run", **how)["run"]
        return self.wait_run(run, lambda r: r["status"] not in ("reading", "planned"))

    def find_run(self, run):
        """None while it waits for its turn."""
        try:
            return self.get(f"/api/v1/runs/{run}")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None

    def wait_run(self, run, condition):
        def look():
            found = self.find_run(run)
            return found if found and condition(found) else None
        return self.wait(look, f"run {run}")


class Service(Api):
    """Starts it in the lab's project, whose settings must say listen: 127.0.0.1:PORT (0: any); ends with the lab."""

    def __init__(self, lab, token=None, *args):
        super().__init__(None, token)
        self.lab, self.args = lab, args
        self.start()

    def start(self, ready=True):
        self.running = self.lab.start(*self.args, program="sluice-scheduler")
        self.url = self.wait(self.listens, "a scheduler that listens")
        if ready:
            self.wait(self.is_ready, "a scheduler that is ready")

    def listens(self):
        self.must_run()
        told = re.search(r"\blistens\b.* url=(http://\S+)", self.running.err())
        return told and told[1]

    def must_run(self):
        assert self.running.process.poll() is None, f"the scheduler ended: {self.running.out()}{self.running.err()}"

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    def stop(self):
        """As a service manager does it; its workers and its Redis end with it."""
        self.running.process.terminate()
        return self.running.wait()

    def is_ready(self):
        self.must_run()
        try:
            return self.get("/readyz")["ready"]
        except urllib.error.HTTPError:
            return False
