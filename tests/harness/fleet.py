"""A scheduler with work and without workers, and as many workers as somebody says: what an autoscaler has before it."""
import hashlib
import signal

from .lab import assert_clean
from .service import Service
from .sink import wait_until

TOKENS = [{"name": role, "role": role, "sha256": hashlib.sha256(f"{role}-token".encode()).hexdigest()} for role in ("viewer", "admin")]


class Fleet:
    """Workers as a Deployment would have them; the youngest goes first, as it is told to: SIGTERM, and it ends well."""

    def __init__(self, lab):
        self.lab, self.alive, self.gone = lab, [], []

    def count(self):
        return len(self.alive)

    def scale(self, n):
        while len(self.alive) < n:
            self.alive.append(self.lab.start(program="sluice-worker"))
        while len(self.alive) > n:
            worker = self.alive.pop()
            worker.process.send_signal(signal.SIGTERM)
            self.gone.append(worker)

    def ended(self):
        """Those that were told to go have gone, none of them badly."""
        codes = [w.process.poll() for w in self.gone]
        assert all(c in (None, 0) for c in codes), codes
        return None not in codes


class Stage:
    """A project whose one destination takes answer_s for a request, and its scheduler. destination: its settings."""

    def __init__(self, lab, sinks, redis_servers, rows, batch, settings=None, answer_s=0.1, **destination):
        self.lab, self.sink, self.rows = lab, sinks(delay_s=answer_s), rows
        lab.customers(rows)
        lab.simple(self.sink, batch_size=batch, destination=destination,
                   settings={"listen": "127.0.0.1:0", "redis": redis_servers().url, "tokens": TOKENS, **(settings or {})})
        self.service, self.fleet = Service(lab, "admin-token"), Fleet(lab)

    def desired(self):
        return self.service.get("/api/v1/workers/desired")

    def begin(self):
        return self.service.post("/api/v1/syncs/s/run")["run"]

    def ended(self, run):
        found = self.service.find_run(run)
        return found if found and found["status"] not in ("reading", "planned") else None

    def check_delivered(self, run):
        """Nothing lost, nothing twice: workers came and went."""
        record = self.service.get(f"/api/v1/runs/{run}")
        assert record["status"] == "success" and record["counts"]["succeeded"] == self.rows, record
        self.lab.assert_same(self.sink.state)
        assert_clean(self.sink)
        assert sum(len(q.ids) for q in self.sink.log) == self.rows
        wait_until(self.fleet.ended, 30, "workers that were told to end")
