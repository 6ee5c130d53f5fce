"""What a cluster's probes are told: liveness that the loop turns, readiness that there is a Redis; without a token, under any name."""
import json
import os
import re
import signal
import urllib.error
import urllib.request

import pytest

from harness.sink import wait_until

UNTOLD_S = 2  # how long a program that stands still is listened to


def ask(url, path):
    """(status, text), by the name that a kubelet or a proxy has for it."""
    request = urllib.request.Request(url + path, headers={"Host": "10.9.8.7:1234", "User-Agent": "kube-probe/1.30"})
    try:
        with urllib.request.urlopen(request, timeout=UNTOLD_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def fleet(lab, sink, redis_servers):
    """(Redis, [(running, url)]): a scheduler that other machines reach and that knows tokens, and a worker."""
    server = redis_servers()
    lab.customers(5)
    lab.simple(sink, settings={"redis": server.url, "listen": "0.0.0.0:0", "tokens": [{"name": "a", "role": "viewer", "sha256": "0" * 64}]})
    scheduler = lab.start(program="sluice-scheduler")
    worker = lab.start("--listen", "0.0.0.0:0", program="sluice-worker")

    def url(running):
        told = re.search(r"listens\b.*\burl=http://\S+:(\d+)", running.err())
        return told and f"http://127.0.0.1:{told[1]}"
    programs = [(p, wait_until(lambda p=p: url(p), 60, "its address")) for p in (scheduler, worker)]
    for _, address in programs:
        wait_until(lambda address=address: ask(address, "/readyz")[0] == 200, 60, "readiness")
    return server, programs


def test_a_lost_redis_is_no_reason_to_start_again(fleet):
    server, programs = fleet
    assert ask(programs[0][1], "/api/v1/status")[0] == 401, "only probes need no token"
    server.kill()
    for running, url in programs:
        told = wait_until(lambda url=url: ask(url, "/readyz")[0] == 503 and ask(url, "/readyz"), 60, "no readiness")
        assert "Redis" in told[1]
        assert ask(url, "/healthz") == (200, "ok\n") and running.process.poll() is None
    assert json.loads(ask(programs[0][1], "/readyz")[1])["ready"] is False
    server.start()
    for _, url in programs:
        wait_until(lambda url=url: ask(url, "/readyz")[0] == 200, 60, "readiness again")


def test_a_loop_that_stands_still_is_not_alive(fleet):
    for running, url in fleet[1]:
        os.kill(running.pid, signal.SIGSTOP)
        with pytest.raises((TimeoutError, urllib.error.URLError)):
            ask(url, "/healthz")
        os.kill(running.pid, signal.SIGCONT)
        wait_until(lambda url=url: ask(url, "/healthz")[0] == 200, 60, "life again")
