"""Several Redis servers: destinations are spread over them, one that is away holds up its own only, and they move without loss."""
import pytest

from harness.primaries import OFF, assert_all_same, left_at, of_destination, of_server, quotas_at, rewrite_redis, scripts_run, spread
from harness.redis import certificates
from harness.service import Service
from harness.sink import most_in_window, wait_until


@pytest.mark.core
def test_destinations_are_spread_over_servers(lab, sinks, redis_servers):
    servers = {name: redis_servers() for name in "abc"}
    lab.customers(200)
    receivers = spread(lab, sinks, servers)
    done = lab.good_run()
    assert len(done.runs) == 6
    assert_all_same(lab, receivers)
    homes = [quotas_at(server) for server in servers.values()]
    assert set().union(*homes) == set(receivers) and sum(map(len, homes)) == 6, homes
    assert sum(bool(home) for home in homes) >= 2, homes
    assert lab.good_run().counts("planned", "unchanged") == (0, 200)


def test_each_server_by_tls_with_its_own_password(lab, sinks, redis_servers, tmp_path):
    shared = certificates(tmp_path)
    servers = {name: redis_servers("tls", f"of-{name}", certificate=shared) for name in "ab"}
    stranger = redis_servers("tls", "of-b")
    lab.customers(100)
    receivers = spread(lab, sinks, {"a": servers["a"]}, settings={"redis_ca": str(shared[0])})
    lab.good_run()
    assert quotas_at(servers["a"]) == set(receivers)
    lab.sql("update c set amount = amount + 1")
    rewrite_redis(lab, {"a": servers["a"], "b": stranger})
    done = lab.command("run")
    assert done.rc == 69 and "ertificate" in done.text and "of-b" not in done.text, done
    rewrite_redis(lab, servers)
    lab.good_run("--full")
    assert_all_same(lab, receivers)
    assert quotas_at(servers["a"]) and quotas_at(servers["b"])


def test_a_server_that_is_away_holds_up_its_own_destinations_only(lab, sinks, redis_servers):
    servers = {name: redis_servers() for name in "ab"}
    lab.customers(400)
    receivers = spread(lab, sinks, servers, settings=OFF)
    service = Service(lab)
    lab.start(program="sluice-worker")
    service.run("to_d0")
    for receiver in receivers.values():
        receiver.hold()
    runs = {name: service.post(f"/api/v1/syncs/to_{name}/run", full=True)["run"] for name in receivers}
    wait_until(lambda: all(r.count_held() for r in receivers.values()), 60, "a request that hangs at each receiver")
    lost = quotas_at(servers["b"])
    assert lost and lost != set(receivers)
    servers["b"].kill()
    for receiver in receivers.values():
        receiver.release()
    for name in set(receivers) - lost:
        assert service.wait_run(runs[name], lambda r: r["status"] not in ("reading", "planned"))["status"] == "success"
    for name in lost:
        assert service.find_run(runs[name])["status"] in ("reading", "planned")
        assert "b is not reached" in of_destination(service, name)["waits_for"]
    ready = service.get("/readyz")
    assert ready["ready"] and "Redis server b" in ready["why"] and "server a" not in ready["why"]
    assert "Redis server b is not reached" in lab.command("status").out
    gone = of_server(service, "b")
    assert not gone["connected"] and gone["error"] and of_server(service, "a")["connected"]


def test_a_server_is_added_while_runs_are_under_way_and_limits_hold(lab, sinks, redis_servers):
    servers = {name: redis_servers() for name in "ab"}
    lab.customers(600)
    limit = {"rate_limits": [{"requests": 8, "per": "1s"}]}
    receivers = spread(lab, sinks, {"a": servers["a"]}, settings=OFF, destination=limit)
    service = Service(lab)
    lab.start(program="sluice-worker")
    runs = {name: service.post(f"/api/v1/syncs/to_{name}/run")["run"] for name in receivers}
    wait_until(lambda: all(len(r.log) >= 4 for r in receivers.values()), 60, "the first requests")
    rewrite_redis(lab, servers)
    service.post("/api/v1/reload")
    for run in runs.values():
        ended = service.wait_run(run, lambda r: r["status"] not in ("reading", "planned"))
        assert ended["status"] == "success" and ended["counts"]["succeeded"] == 600
    assert quotas_at(servers["b"]), "some destinations belong to the new server"
    assert quotas_at(servers["a"]) | quotas_at(servers["b"]) == set(receivers)
    assert not quotas_at(servers["a"]) & quotas_at(servers["b"])
    assert_all_same(lab, receivers)
    for receiver in receivers.values():
        assert most_in_window([(q.t, 1) for q in receiver.log], 1.0) <= 8
        assert len(receiver.log) == 30, "nothing was sent twice"


def test_a_server_that_leaves_is_empty_when_it_says_so(lab, sinks, redis_servers):
    servers = {name: redis_servers() for name in "ab"}
    lab.customers(300)
    receivers = spread(lab, sinks, servers, settings=OFF, destination={"rate_limits": [{"requests": 10, "per": "1s"}]})
    service = Service(lab)
    lab.start(program="sluice-worker")
    runs = {name: service.post(f"/api/v1/syncs/to_{name}/run")["run"] for name in receivers}
    wait_until(lambda: all(len(r.log) >= 3 for r in receivers.values()), 60, "the first requests")
    assert quotas_at(servers["a"])
    rewrite_redis(lab, servers, leaving="a")
    service.post("/api/v1/reload")
    service.wait(lambda: (of_server(service, "a")["quotas"], of_server(service, "a")["left_of"]) == (0, 0), "nothing is left at a")
    assert of_server(service, "a")["leaving"] and not left_at(servers["a"])
    for run in runs.values():
        assert service.wait_run(run, lambda r: r["status"] not in ("reading", "planned"))["counts"]["succeeded"] == 300
    assert not left_at(servers["a"])
    servers["a"].kill()
    assert_all_same(lab, receivers)
    for receiver in receivers.values():
        assert most_in_window([(q.t, 1) for q in receiver.log], 1.0) <= 10
    rewrite_redis(lab, {"b": servers["b"]})
    service.post("/api/v1/reload")
    service.wait(lambda: [s["server"] for s in service.get("/api/v1/status")["redis"]] == ["b"], "a is forgotten")


def kill_in_a_move(lab, sinks, redis_servers, steps):
    """The scheduler is killed after so many scripts that ran since the list changed, and started again."""
    servers = {name: redis_servers() for name in "ab"}
    lab.customers(400)
    receivers = spread(lab, sinks, servers, count=4, settings=OFF, destination={"rate_limits": [{"requests": 10, "per": "1s"}]})
    service = Service(lab)
    lab.start(program="sluice-worker")
    runs = {name: service.post(f"/api/v1/syncs/to_{name}/run")["run"] for name in receivers}
    wait_until(lambda: all(len(r.log) >= 3 for r in receivers.values()), 60, "the first requests")
    assert quotas_at(servers["a"]), "something has to move"
    before = scripts_run(servers)
    rewrite_redis(lab, servers, leaving="a")
    service.post("/api/v1/reload")
    wait_until(lambda: scripts_run(servers) >= before + steps, 60, f"{steps} scripts", pause_s=0)
    service.running.kill_everything()
    service.start()
    for run in runs.values():
        ended = service.wait_run(run, lambda r: r["status"] not in ("reading", "planned"))
        assert ended["status"] == "success" and ended["counts"]["succeeded"] == 400, ended
    service.wait(lambda: (of_server(service, "a")["quotas"], of_server(service, "a")["left_of"]) == (0, 0), "nothing is left at a")
    assert not left_at(servers["a"]) and quotas_at(servers["b"]) == set(receivers)
    assert_all_same(lab, receivers)
    for receiver in receivers.values():
        assert most_in_window([(q.t, 1) for q in receiver.log], 1.0) <= 10


@pytest.mark.long
@pytest.mark.parametrize("steps", [*range(0, 30), 40, 60, 100])
def test_a_scheduler_killed_at_any_step_of_a_move_loses_nothing(lab, sinks, redis_servers, steps):
    kill_in_a_move(lab, sinks, redis_servers, steps)


def test_a_scheduler_killed_while_destinations_move_loses_nothing(lab, sinks, redis_servers):
    kill_in_a_move(lab, sinks, redis_servers, 8)


@pytest.mark.long
def test_a_server_that_dies_and_is_taken_out_of_the_list_loses_nothing(lab, sinks, redis_servers):
    servers = {name: redis_servers() for name in "ab"}
    lab.customers(400)
    receivers = spread(lab, sinks, servers, count=4, settings=OFF, destination={"rate_limits": [{"requests": 10, "per": "1s"}]})
    service = Service(lab)
    lab.start(program="sluice-worker")
    runs = {name: service.post(f"/api/v1/syncs/to_{name}/run")["run"] for name in receivers}
    wait_until(lambda: all(len(r.log) >= 3 for r in receivers.values()), 60, "the first requests")
    assert quotas_at(servers["a"])
    servers["a"].kill()
    rewrite_redis(lab, {"b": servers["b"]})
    service.post("/api/v1/reload")
    for run in runs.values():
        ended = service.wait_run(run, lambda r: r["status"] not in ("reading", "planned"))
        assert ended["status"] == "success" and ended["counts"]["succeeded"] == 400, ended
    assert_all_same(lab, receivers)
    for receiver in receivers.values():
        assert most_in_window([(q.t, 1) for q in receiver.log], 1.0) <= 10
