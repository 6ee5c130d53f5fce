"""A Redis cluster: each quota at the node that has its slot, followed when a slot moves or a node dies; nothing is lost or doubled."""
import pytest

from harness.acl import make_user
from harness.lab import assert_clean
from harness.primaries import quotas_at
from harness.service import Service
from harness.sink import most_in_window, never_within, wait_until

SHORT = {"timeout": "1s"}  # a lease is the timeout and ten seconds
OFF = {"listen": "127.0.0.1:0"}
SLOW = {**SHORT, "rate_limits": [{"requests": 20, "per": "1s"}]}


def scripts_run(server):
    """How many scripts were carried out there for clients; what was refused, or copied from a primary, is none."""
    stats = server.client().info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "evalsha"))


def spread(lab, sinks, settings, count=6, destination=None, **sync):
    """One model to so many destinations d0, d1, …, each with a receiver of its own."""
    receivers = {f"d{i}": sinks() for i in range(count)}
    lab.project({"m": {"sql": "select * from c"}},
                {name: {"url": r.url, **SHORT, **(destination or {})} for name, r in receivers.items()},
                {f"to_{name}": {"model": "m", "destination": name, "batch_size": 20, **sync} for name in receivers}, settings)
    return receivers


@pytest.mark.parametrize("kind", ["tcp", "tls"])
def test_quotas_are_at_the_nodes_that_have_their_slots(lab, sinks, clusters, kind):
    cluster = clusters(kind, password="pa55-word")
    lab.customers(200)
    receivers = spread(lab, sinks, cluster.settings())
    done = lab.good_run()
    assert len(done.runs) == 6
    for name, receiver in receivers.items():
        lab.assert_same(receiver.state)
        assert_clean(receiver)
        assert name in quotas_at(cluster.owner(name))
    homes = [quotas_at(node) for node in cluster.nodes]
    assert sum(map(len, homes)) == 6 and sum(bool(home) for home in homes) >= 2, homes
    assert lab.good_run().counts("planned", "unchanged") == (0, 200)
    said = lab.command("check", "--connect")
    assert said.rc == 0 and "a cluster of 3 primaries" in said.out and "pa55-word" not in said.text + done.text, said


def test_users_with_least_rights_do_in_a_cluster(lab, sinks, clusters):
    cluster = clusters()
    for node in cluster.nodes:
        for program in ("scheduler", "worker"):
            make_user(node.client(), program, "pa55-word", more=["+cluster|info", "+cluster|slots", "+ping"])
    lab.customers(100)
    url = {program: cluster.url().replace("://", f"://sluice-{program}:pa55-word@") for program in ("scheduler", "worker")}
    receivers = spread(lab, sinks, {"redis": url["scheduler"], **OFF})
    service = Service(lab)
    lab.start("--redis", url["worker"], program="sluice-worker")
    for name in receivers:
        assert service.run(f"to_{name}")["status"] == "success"
    refused = {entry["object"] for node in cluster.nodes for entry in node.client().acl_log()}
    assert refused <= {"config|get"}, "INFO tells the policy, too"


def serve(lab, sink, cluster, count=1000):
    """A service, a worker and a run of 50 requests or more, 20 a second, that has begun."""
    lab.customers(count)
    lab.simple(sink, settings={**cluster.settings(), **OFF}, destination=SLOW, batch_size=10)
    service = Service(lab)
    lab.start(program="sluice-worker")
    run = service.post("/api/v1/syncs/s/run")["run"]
    sink.wait_requests(20)
    return service, run


def assert_ends_well(lab, sink, service, run, count=1000):
    ended = service.wait_run(run, lambda r: r["status"] not in ("reading", "planned"))
    assert ended["status"] == "success" and ended["counts"]["succeeded"] == count, ended
    lab.assert_same(sink.state)
    assert_clean(sink)
    assert most_in_window([(q.t, 1) for q in sink.log], 1.0) <= 20


@pytest.mark.long
def test_a_slot_that_moves_in_the_middle_of_a_run_takes_everything_along(lab, sink, clusters):
    """Its keys lie at both nodes for a while: no script runs at either of them then."""
    cluster = clusters()
    service, run = serve(lab, sink, cluster)
    source, slot = cluster.owner("hook"), cluster.slot("hook")
    target = next(node for node in cluster.nodes if node is not source)
    cluster.begin_move(slot, source, target)
    assert cluster.move_keys(slot, source, target, most=3) == 3
    at_source, at_target = scripts_run(source), scripts_run(target)
    assert never_within(lambda: (scripts_run(source), scripts_run(target)) != (at_source, at_target), 3)
    cluster.move_keys(slot, source, target)
    cluster.end_move(slot, source, target)
    assert_ends_well(lab, sink, service, run)
    assert len(sink.log) == 100, "nothing was sent twice"
    assert cluster.owner("hook") is target and "hook" in quotas_at(target) and "hook" not in quotas_at(source)
    places = {s["server"]: s["quotas"] for s in service.get("/api/v1/status")["redis"]}
    assert places[f"127.0.0.1:{target.port}"] == 1 and sum(places.values()) == 1


@pytest.mark.long
def test_a_move_that_is_given_up_costs_a_rest_and_nothing_else(lab, sink, clusters):
    cluster = clusters()
    service, run = serve(lab, sink, cluster)
    source, slot = cluster.owner("hook"), cluster.slot("hook")
    target = next(node for node in cluster.nodes if node is not source)
    cluster.begin_move(slot, source, target)
    at_source = scripts_run(source)
    assert never_within(lambda: scripts_run(source) != at_source, 2)
    cluster.give_up_move(slot, source, target)
    assert_ends_well(lab, sink, service, run)
    assert len(sink.log) == 100, "nothing was sent twice"


@pytest.mark.long
def test_a_target_that_is_lost_with_some_of_the_keys_is_mended_by_removing_the_others(lab, sink, clusters):
    cluster = clusters()
    service, run = serve(lab, sink, cluster)
    source, slot = cluster.owner("hook"), cluster.slot("hook")
    target = next(node for node in cluster.nodes if node is not source)
    cluster.begin_move(slot, source, target)
    assert cluster.move_keys(slot, source, target, most=10) == 10
    target.client().flushall()
    cluster.give_up_move(slot, source, target)
    client = source.client()
    for key in list(client.scan_iter("sluice:{hook}:*", 1000)):
        client.unlink(key)
    assert_ends_well(lab, sink, service, run)


@pytest.mark.long
def test_a_primary_that_is_killed_is_replaced_by_its_replica(lab, sink, clusters):
    cluster = clusters(replicated=True)
    service, run = serve(lab, sink, cluster)
    old = cluster.owner("hook")
    old.kill()
    assert_ends_well(lab, sink, service, run)
    new = cluster.owner("hook")
    assert new in cluster.replicas and "hook" in quotas_at(new)
    listed = [s["server"] for s in service.get("/api/v1/status")["redis"]]
    assert f"127.0.0.1:{new.port}" in listed and f"127.0.0.1:{old.port}" not in listed
    assert lab.command("status").rc == 0


@pytest.mark.long
def test_a_primary_that_freezes_is_left_and_not_used_when_it_wakes(lab, sink, clusters):
    cluster = clusters(replicated=True)
    service, run = serve(lab, sink, cluster)
    old = cluster.owner("hook")
    old.freeze()
    wait_until(lambda: cluster.owner("hook"), 60, "a new primary")
    new = cluster.owner("hook")
    mark = len(sink.log)
    sink.wait_requests(mark + 5)
    old.thaw()
    wait_until(lambda: old.role() == "slave", 60, "the old primary as a replica")
    before = scripts_run(old)
    assert_ends_well(lab, sink, service, run)
    assert scripts_run(old) == before and scripts_run(new) > 0


@pytest.mark.long
def test_a_node_without_a_replica_that_dies_holds_up_everything_until_it_is_back(lab, sink, clusters):
    """Redis closes a cluster that lacks slots; it says so, and goes on when they are back."""
    cluster = clusters()
    service, run = serve(lab, sink, cluster)
    old = cluster.owner("hook")
    old.kill()
    service.wait(lambda: "the cluster is down" in (service.get("/api/v1/status").get("why") or ""), "it is told that the cluster is down")
    assert f"Redis server 127.0.0.1:{old.port} is not reached" in lab.command("status").out
    old.start()
    cluster.wait_ok()
    assert_ends_well(lab, sink, service, run)


def test_what_is_no_cluster_and_what_is_one_unasked_are_told(lab, sink, clusters, redis_servers):
    cluster, single = clusters(), redis_servers("tcp")
    lab.customers(10)
    owner = cluster.owner("hook")
    other = next(node for node in cluster.nodes if node is not owner)
    cases = ((single.url.replace("redis://", "redis+cluster://"), "it is no node of a cluster"),
             (other.url, "it is a node of a cluster"))
    for url, why in cases:
        lab.simple(sink, settings={"redis": url})
        done = lab.command("run")
        assert done.rc in (2, 69, 78) and why in done.text and not sink.log, done
    lab.simple(sink, settings={"redis": cases[0][0]})
    said = lab.command("check", "--connect")
    assert said.rc == 78 and "it is no node of a cluster" in said.text, said


@pytest.mark.long
def test_a_cluster_that_is_not_reached_or_refuses_is_told(lab, sink, clusters, redis_servers):
    cluster, other = clusters("tls", password="right-word", names="DNS:elsewhere.example"), redis_servers("tls")
    lab.customers(10)
    cases = (({"redis": cluster.url(), "redis_ca": str(other.ca)}, "certificate is refused"),
             ({"redis": cluster.url(), "redis_ca": str(cluster.ca)}, "IP address mismatch"),
             ({"redis": "redis+cluster://127.0.0.1:1,127.0.0.1:2"}, "no node tells who has which slot"))
    for settings, why in cases:
        lab.simple(sink, settings=settings)
        done = lab.command("run")
        assert done.rc == 69 and why in done.text and "right-word" not in done.text and not sink.log, done


@pytest.mark.long
def test_a_wrong_password_of_a_cluster_is_told_without_showing_it(lab, sink, clusters):
    cluster = clusters(password="right-word")
    lab.customers(10)
    lab.simple(sink, settings={"redis": cluster.url().replace("right-word", "hunter2")})
    done = lab.command("run")
    assert done.rc == 69 and "WRONGPASS" in done.text and "hunter2" not in done.text and not sink.log, done


@pytest.mark.long
def test_the_way_to_a_cluster_and_back_loses_nothing(lab, sink, clusters, redis_servers):
    """Killed in the middle of a run at one, and gone on with at the other, whose quotas were at a server that the list names no more."""
    cluster, single = clusters(), redis_servers("tcp")
    lab.customers(1000)
    for settings, killed in (({"redis": single.url}, True), (cluster.settings(), True), ({"redis": single.url}, False)):
        lab.simple(sink, settings=settings, destination=SLOW, batch_size=10)
        mark = len(sink.log)
        running = lab.start_run()
        sink.wait_requests(mark + 10)
        if killed:
            running.kill_everything()
        else:
            done = running.wait()
            assert done.rc == 0 and sum(run["planned"] for run in done.runs) >= 1000, done
    lab.assert_same(sink.state)
    assert lab.good_run().counts("planned", "unchanged") == (0, 1000)
