"""Several Redis servers, and what goes wrong: servers and workers that die, freeze or come back empty, destinations that ask for a pause."""
import os
import signal

import pytest

from harness.lab import assert_clean
from harness.primaries import OFF, assert_all_same, left_at, of_server, quotas_at, rewrite_redis, spread
from harness.service import Service
from harness.sink import most_in_window, refuse, wait_until

LIMIT = {"rate_limits": [{"requests": 10, "per": "1s"}]}


def begin(lab, receivers, workers=1):
    """All syncs under way, with a request of each behind them: the service, the workers, the runs."""
    service = Service(lab)
    started = [lab.start(program="sluice-worker") for _ in range(workers)]
    runs = {name: service.post(f"/api/v1/syncs/to_{name}/run")["run"] for name in receivers}
    wait_until(lambda: all(len(r.log) >= 2 for r in receivers.values()), 60, "the first requests")
    return service, started, runs


def assert_all_arrive(lab, service, receivers, runs, rows):
    for run in runs.values():
        ended = service.wait_run(run, lambda r: r["status"] not in ("reading", "planned"))
        assert ended["status"] == "success" and ended["counts"]["succeeded"] == rows, ended
    for receiver in receivers.values():
        lab.assert_same(receiver.state)
        assert most_in_window([(q.t, 1) for q in receiver.log], 1.0) <= 10


@pytest.mark.long
def test_a_server_that_comes_back_empty_in_the_middle_of_a_sync_loses_nothing(lab, sinks, redis_servers):
    servers = {name: redis_servers() for name in "ab"}
    lab.customers(600)
    receivers = spread(lab, sinks, servers, count=4, settings=OFF, destination=LIMIT)
    service, _, runs = begin(lab, receivers)
    struck = quotas_at(servers["a"])
    assert struck and struck != set(receivers)
    servers["a"].kill()
    servers["a"].start()
    assert not quotas_at(servers["a"]), "it kept nothing"
    assert_all_arrive(lab, service, receivers, runs, 600)
    for name in set(receivers) - struck:
        assert_clean(receivers[name])
        assert len(receivers[name].log) == 30, "nothing of the other server was sent twice"


@pytest.mark.long
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_dies_or_freezes_while_its_destinations_move_holds_nothing_up(lab, sinks, redis_servers, blow):
    servers = {name: redis_servers() for name in "ab"}
    lab.customers(400)
    receivers = spread(lab, sinks, servers, count=4, settings=OFF, destination=LIMIT)
    service, (worker,), runs = begin(lab, receivers)
    assert quotas_at(servers["a"])
    for receiver in receivers.values():
        receiver.hold()
    wait_until(lambda: all(r.count_held() for r in receivers.values()), 60, "a request that hangs at each receiver")
    rewrite_redis(lab, servers, leaving="a")
    service.post("/api/v1/reload")
    os.kill(worker.pid, blow)
    lab.start(program="sluice-worker")
    for receiver in receivers.values():
        receiver.release()
    assert_all_arrive(lab, service, receivers, runs, 400)
    service.wait(lambda: (of_server(service, "a")["quotas"], of_server(service, "a")["left_of"]) == (0, 0), "nothing is left at a")
    assert not left_at(servers["a"])
    if blow == signal.SIGSTOP:
        os.kill(worker.pid, signal.SIGCONT)
        lab.sql("delete from c where id <= 5")
        assert service.run("to_d0")["counts"]["removed"] == 5
        assert worker.process.poll() is None, "it goes on"
        lab.assert_same(receivers["d0"].state)


@pytest.mark.long
def test_a_run_gives_up_on_a_server_that_is_away_and_finishes_the_rest(lab, sinks, redis_servers):
    servers = {name: redis_servers() for name in "ab"}
    lab.customers(100)
    receivers = spread(lab, sinks, servers)
    lab.good_run()
    away = quotas_at(servers["b"])
    assert away and away != set(receivers)
    lab.sql("update c set name = 'new' where id <= 10")
    servers["b"].kill()
    done = lab.run()
    assert done.rc == 69 and "redis server b: not reached within 10 s" in done.err, done
    assert {r["sync"] for r in done.runs} == {f"to_{name}" for name in set(receivers) - away}
    assert all(r["status"] == "success" and r["changed"] == 10 for r in done.runs)
    servers["b"].start()
    done = lab.good_run()
    assert {r["sync"]: r["changed"] for r in done.runs} == {f"to_{name}": 10 if name in away else 0 for name in receivers}
    assert_all_same(lab, receivers)


@pytest.mark.long
def test_a_first_run_waits_for_every_server_and_says_for_which(lab, sinks, redis_servers):
    servers = {name: redis_servers() for name in "ab"}
    lab.customers(100)
    receivers = spread(lab, sinks, servers)
    servers["b"].kill()
    done = lab.run()
    assert done.rc == 69 and "redis server b: not reached within 10 s" in done.err and not done.runs, done
    assert not any(r.log for r in receivers.values())
    servers["b"].start()
    lab.good_run()
    assert_all_same(lab, receivers)


@pytest.mark.long
def test_limits_hold_while_destinations_go_back_and_forth(lab, sinks, redis_servers):
    servers = {name: redis_servers() for name in "ab"}
    lab.customers(1200)
    limit = {"rate_limits": [{"requests": 15, "per": "5s"}]}
    receivers = spread(lab, sinks, servers, count=2, settings=OFF, destination=limit)
    service, _, runs = begin(lab, receivers)
    for leaving, stays in ("ab", "ba") * 4:
        rewrite_redis(lab, servers, leaving=leaving)
        service.post("/api/v1/reload")
        service.wait(lambda: of_server(service, leaving)["quotas"] == 0, f"nothing is at {leaving}")
        sent = {name: len(r.log) for name, r in receivers.items()}
        wait_until(lambda: all(len(r.log) > min(sent[name], 59) for name, r in receivers.items()), 60, f"requests by way of {stays}")
    for run in runs.values():
        assert service.wait_run(run, lambda r: r["status"] not in ("reading", "planned"))["counts"]["succeeded"] == 1200
    assert_all_same(lab, receivers)
    for receiver in receivers.values():
        assert most_in_window([(q.t, 1) for q in receiver.log], 5.0) <= 15
        assert len(receiver.log) == 60, "nothing was sent twice"


@pytest.mark.long
def test_a_destination_that_asked_for_a_pause_has_it_whatever_server_it_moves_to(lab, sinks, redis_servers):
    servers = {name: redis_servers() for name in "ab"}
    lab.customers(100)
    receivers = spread(lab, sinks, servers, count=2, settings=OFF, destination={"concurrency": 1})
    answers = {"d0": [], "d1": []}
    for name, receiver in receivers.items():
        receiver.behave = lambda q, told=answers[name]: told.append(q) or (refuse(429, "later", Retry_After="12") if len(told) == 1 else None)
    service = Service(lab)
    lab.start(program="sluice-worker")
    runs = {name: service.post(f"/api/v1/syncs/to_{name}/run", full=True)["run"] for name in receivers}
    wait_until(lambda: all(answers.values()), 60, "the answers that ask for a pause")
    for leaving in "aba":
        rewrite_redis(lab, servers, leaving=leaving)
        service.post("/api/v1/reload")
        service.wait(lambda: of_server(service, leaving)["quotas"] == 0, f"nothing is at {leaving}")
    for run in runs.values():
        assert service.wait_run(run, lambda r: r["status"] not in ("reading", "planned"))["status"] == "success"
    for name, receiver in receivers.items():
        first = answers[name][0].t
        rest = [q.t for q in receiver.log if q.t > first]
        assert min(rest) - first >= 12, "asked again too early"
        lab.assert_same(receiver.state)
