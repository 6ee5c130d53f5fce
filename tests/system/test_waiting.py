"""Workers that wait: one of them asks again for each destination, and whoever is killed while he is the one is replaced."""
import time

from harness.lab import assert_clean
from harness.metrics import Metrics, fetch, listening
from harness.processes import kill_hard
from harness.service import Service
from harness.sink import most_in_window, wait_until

DESTINATIONS, WORKERS, LOOKED_S = 20, 3, 3
ASKED_PER_S = 1  # of one that nobody calls, at most
OFF = {"listen": "127.0.0.1:0"}


def claims(url):
    now = Metrics(fetch(url + "/metrics")[2])
    return sum(now.get("sluice_worker_claims_total", answer=a) for a in ("got", "nothing", "refused", "mismatch", "failed"))


def looks_get_rare(client):
    """The scheduler's looks for results, where none can come: at most five a second for each destination."""
    seen = []

    def rare():
        seen.append((time.monotonic(), client.info("commandstats")["cmdstat_xread"]["calls"]))
        before = [s for s in seen if seen[-1][0] - s[0] >= 1]
        return before and (seen[-1][1] - before[-1][1]) / (seen[-1][0] - before[-1][0]) <= 5 * DESTINATIONS
    wait_until(rare, 60, "a scheduler that looks rarely")


def test_idle_workers_ask_few_of_their_destinations(lab, sink, redis_servers):
    redis = redis_servers()
    lab.customers(1)
    names = [f"d{i}" for i in range(DESTINATIONS)]
    lab.project({"m": {"sql": "select * from c"}}, {name: {"url": sink.url} for name in names},
                {f"to_{name}": {"model": "m", "destination": name} for name in names},
                {"redis": redis.url, "worker_listen": "127.0.0.1:0", **OFF})
    service = Service(lab)
    started = [lab.start(program="sluice-worker") for _ in range(WORKERS)]
    urls = [listening(worker.err) for worker in started]
    service.run("to_d0")
    before, at = sum(map(claims, urls)), time.monotonic()
    wait_until(lambda: time.monotonic() >= at + LOOKED_S, 60, "some seconds of waiting")
    asked, passed = sum(map(claims, urls)) - before, time.monotonic() - at
    assert asked <= WORKERS * ASKED_PER_S * (passed + 1), f"{asked} questions in {passed:.1f} s"
    for name in names[1:]:  # and whoever is called comes
        service.run(f"to_{name}")
    assert len(sink.log) == DESTINATIONS
    looks_get_rare(redis.client())


def test_the_worker_that_waits_for_a_limit_dies_and_another_one_asks(lab, sink, redis_servers):
    redis = redis_servers()
    lab.customers(40)
    lab.simple(sink, batch_size=1, destination={"timeout": "1s", "rate_limits": [{"requests": 10, "per": "2s"}]},
               settings={"redis": redis.url, **OFF})
    service = Service(lab)
    workers = {worker.process.pid: worker for worker in [lab.start(program="sluice-worker") for _ in range(WORKERS)]}
    run = service.post("/api/v1/syncs/s/run")["run"]

    def watching():
        name = (redis.client().hget("sluice:{hook}:meta", "wt") or b"").decode().partition(" ")[2]
        return next((pid for pid in workers if f"-{pid}-" in f"{name}-"), None)
    for _ in range(WORKERS - 1):
        pid = wait_until(watching, 60, "a worker that waits for tokens")
        workers.pop(pid)
        kill_hard([pid])
    assert service.wait_run(run, lambda r: r["status"] not in ("reading", "planned"))["status"] == "success"
    assert most_in_window([(q.t, 1) for q in sink.log], 2.0) <= 10
    lab.assert_same(sink.state)
    assert_clean(sink)
