"""A cluster's end of a pod: SIGTERM, and the time that deploy/kubernetes gives until SIGKILL. Nothing is lost, and nothing is sent twice."""
import re
import signal
import urllib.error
import urllib.request

import pytest
import yaml

from harness.lab import ROOT, assert_clean
from harness.service import Service
from harness.sink import wait_until

BASE = ROOT / "deploy" / "kubernetes" / "base"
ANSWER_S = 2


def grace_s(file, kind):
    (found,) = [m for m in yaml.safe_load_all((BASE / file).read_text(encoding="utf-8")) if m["kind"] == kind]
    return found["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]


@pytest.fixture
def fleet(lab, sink, redis_servers):
    """(scheduler, worker): five requests of ten at a time, each answered after a while; all ten have to be made for the run to end."""
    def make(**destination):
        lab.customers(100)
        lab.simple(sink, batch_size=10, destination={"concurrency": 5, **destination}, settings={"redis": redis_servers().url, "listen": "127.0.0.1:0"})
        return Service(lab), lab.start("--listen", "127.0.0.1:0", program="sluice-worker")
    sink.delay_s = ANSWER_S
    return make


def readiness(worker):
    told = re.search(r"listens\b.*\burl=(http://\S+)", worker.err())
    try:
        return urllib.request.urlopen(told[1] + "/readyz", timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


def end(running, within_s):
    """SIGTERM; its exit status."""
    running.process.send_signal(signal.SIGTERM)
    return running.wait(within_s).rc


def test_a_worker_ends_what_it_has_in_flight_and_takes_nothing_more(lab, sink, fleet):
    service, worker = fleet()
    run = service.post("/api/v1/syncs/s/run")["run"]
    wait_until(lambda: sink.in_flight == 5, 60, "five requests")
    assert readiness(worker) == 200
    worker.process.send_signal(signal.SIGTERM)
    wait_until(lambda: readiness(worker) == 503, 30, "no readiness, while requests are under way")
    assert worker.wait(grace_s("worker.yaml", "Deployment")).rc == 0
    assert len(sink.log) == 5
    lab.start(program="sluice-worker")
    ended = service.wait_run(run, lambda r: r["status"] not in ("reading", "planned"))
    assert ended["status"] == "success" and ended["counts"]["succeeded"] == 100
    assert len(sink.log) == 10 and sum(len(q.ids) for q in sink.log) == 100
    lab.assert_same(sink.state)
    assert_clean(sink)


def test_a_worker_does_not_wait_longer_than_a_request_may_take(lab, sink, fleet):
    """The grace period is the longest timeout and 30 s."""
    service, worker = fleet(timeout="2s")
    sink.delay_s = 60
    service.post("/api/v1/syncs/s/run")
    wait_until(lambda: sink.in_flight == 5, 60, "five requests")
    assert end(worker, 2 + 30) == 0


def test_a_scheduler_keeps_what_it_has_planned_for_its_next_start(lab, sink, fleet):
    service, _ = fleet()
    run = service.post("/api/v1/syncs/s/run")["run"]
    wait_until(lambda: sink.in_flight == 5, 60, "five requests")
    assert end(service.running, grace_s("scheduler.yaml", "StatefulSet")) == 0
    service.start()
    ended = service.wait_run(run, lambda r: r["status"] not in ("reading", "planned"))
    assert ended["counts"]["succeeded"] + ended["counts"]["cancelled"] == 100, ended
    assert service.run("s")["status"] == "success"
    assert sum(len(q.ids) for q in sink.log) == 100
    lab.assert_same(sink.state)
    assert_clean(sink)
