"""Workers as many as find work: a real scheduler's load, stand-ins for KEDA and the HPA made from the manifests, real workers.

All times of the manifests are divided, so that minutes are seconds here.
"""
import dataclasses
import pathlib
import time
import types
import urllib.error

import pytest
import yaml

from harness import prometheus
from harness.autoscaler import (Autoscaler, Behavior, Direction, Hpa, Keda, Policy, behavior_of, deployment, from_hpa, from_scaled_object, load_of,
                                load_of_all)
from harness.fleet import TOKENS, Fleet, Stage
from harness.lab import ROOT
from harness.service import Service
from harness.sink import most_in_window, never_within, wait_until

FASTER = 100  # 5 minutes in 3 seconds
COMPONENTS = pathlib.Path(ROOT) / "deploy" / "kubernetes" / "components"


def manifest(path, kind):
    (found,) = [m for m in yaml.safe_load_all((COMPONENTS / path).read_text(encoding="utf-8")) if m["kind"] == kind]
    return found


def keda(faster=FASTER):
    return from_scaled_object(manifest("keda/scaler.yaml", "ScaledObject"), faster)


def hpa(faster=FASTER):
    return from_hpa(manifest("hpa/hpa.yaml", "HorizontalPodAutoscaler"), faster)


# ---- the stand-ins, against what the controllers' documentation says of them ----


def plain(most=1000, behavior=None):
    return Hpa(1, 1, most, behavior or Behavior(Direction(0, [Policy("Percent", 10000, 15)]), Direction(0, [Policy("Percent", 100, 15)])))


@pytest.mark.parametrize("replicas, value, target, wanted", [
    (4, 800, 100, 8),   # twice the target for each: doubled
    (4, 200, 100, 2),   # half of it: halved
    (10, 10.9, 1, 10),  # within a tenth of the target: as it is
    (10, 11.1, 1, 12),
    (10, 9.1, 1, 10),
    (10, 8.8, 1, 9),
    (1, 0.3, 1, 1),
])
def test_the_hpa_takes_the_ratio_and_its_tolerance(replicas, value, target, wanted):
    controller = plain()
    controller.target = target
    assert controller.step(0, replicas, value) == wanted


def test_the_hpa_goes_down_as_its_policies_say():
    """The example of two policies: ten percent or four pods a minute, whichever takes more; 80 to 10."""
    down = Direction(0, [Policy("Pods", 4, 60), Policy("Percent", 10, 60)])
    controller, replicas, seen = plain(behavior=Behavior(Direction(0, []), down)), 80, []
    for minute in range(1, 20):
        replicas = controller.step(60 * minute, replicas, 10)
        seen.append(replicas)
    assert seen[:2] == [72, 64], "eight, and 7.2 rounded up to eight"
    assert [a - b for a, b in zip(seen, seen[1:]) if a <= 40 and b > 10] == [4] * len([a for a, b in zip(seen, seen[1:]) if a <= 40 and b > 10])
    assert seen[-1] == 10
    down.select = "Min"
    controller, replicas = plain(behavior=Behavior(Direction(0, []), down)), 80
    assert controller.step(60, replicas, 10) == 76, "the policy that takes less"
    down.select = "Disabled"
    assert plain(behavior=Behavior(Direction(0, []), down)).step(60, 80, 10) == 80


def test_the_hpa_goes_up_by_default_doubled_or_by_four():
    controller, replicas, seen = Hpa(1, 1, 1000, behavior_of(None)), 1, []
    for i in range(7):
        replicas = controller.step(15 * (i + 1), replicas, 100)
        seen.append(replicas)
    assert seen == [5, 10, 20, 40, 80, 100, 100]
    assert controller.step(200, 100, 5) == 100, "five minutes at the most that was wanted"
    assert controller.step(500, 100, 5) == 5


def test_the_hpa_within_its_bounds_and_without_a_metric():
    controller = plain(most=7)
    assert controller.step(0, 3, 100) == 7 and controller.step(15, 20, 1) == 7
    assert controller.step(30, 5, None) == 5 and controller.step(45, 0, 100) == 0


def test_keda_activates_apart_from_its_target():
    """threshold 10, activationThreshold 50: 40 messages do not wake it, though the HPA would want four."""
    controller = Keda(Hpa(10, 1, 100, behavior_of(None)), activation=50, least=0, polling_s=30, cooldown_s=300)
    assert controller.step(0, 0, 40) == 0
    assert controller.step(30, 0, 51) == 1, "the first by KEDA itself"
    assert controller.step(45, 1, 51) == 5 and controller.step(60, 5, 60) == 6


def test_keda_goes_to_none_after_its_cooldown():
    controller, seen = Keda(Hpa(1, 1, 100, behavior_of(None)), activation=0, least=0, polling_s=30, cooldown_s=300), []
    assert controller.step(0, 0, 2) == 1
    for t in range(30, 400, 30):
        seen.append((t, controller.step(t, 1, 0)))
    assert [t for t, n in seen if n == 0][0] == 330, "not before 300 s after it was active"
    assert controller.step(900, 3, None) == 3, "in error nothing changes"


def test_what_the_manifests_say_is_what_is_tested():
    ours = keda(1)
    assert (ours.least, ours.hpa.most, ours.polling_s, ours.cooldown_s, ours.activation, ours.hpa.target) == (0, 20, 5, 300, 0, 1)
    plain_one = hpa(1)
    assert dataclasses.asdict(plain_one.behavior) == dataclasses.asdict(ours.hpa.behavior) and (plain_one.least, plain_one.most) == (1, 20)
    prometheus = from_scaled_object(manifest("keda-prometheus/scaler.yaml", "ScaledObject"))
    assert dataclasses.asdict(prometheus.hpa.behavior) == dataclasses.asdict(ours.hpa.behavior) and prometheus.hpa.target == 1
    grace = 150
    assert ours.hpa.behavior.down.stabilization_s >= 2 * grace


# ---- a real scheduler, real workers ----


@pytest.fixture
def stage(lab, sinks, redis_servers):
    def make(rows, batch, **how):
        made = Stage(lab, sinks, redis_servers, rows, batch, **how)
        made.scaler = Autoscaler(keda(), load_of(made.service.url, "viewer-token"), made.fleet.count, made.fleet.scale)
        return made
    return make


def test_a_backlog_behind_a_limit_adds_no_workers(stage):
    """150 requests a second, 100 ms each: 19 slots, whatever the backlog and the tokens of the moment."""
    s = stage(rows=5400, batch=10, settings={"drain_within": "1s"}, rate_limits=[{"requests": 150, "per": "1s"}], concurrency=500)
    run = s.begin()
    s.scaler.until(lambda: s.ended(run), what="the run's end")
    loads = [v for _, v, _ in s.scaler.history if v]
    assert s.scaler.most() == 1, s.scaler.history
    assert max(loads) <= 1 and max(loads[len(loads) // 2:]) < 0.8, "a whole worker only as long as no answer was timed"
    assert most_in_window([(q.t, 1) for q in s.sink.log], 1.0) <= 150
    s.check_delivered(run)
    s.scaler.until(lambda: s.fleet.count() == 0, what="no worker")


def test_a_backlog_without_a_limit_adds_workers_and_they_go_again(stage):
    """A thousand batches in a second of 300 ms each want 300 slots; by the concurrency of 96, three workers and no more."""
    s = stage(rows=10000, batch=10, settings={"drain_within": "1s"}, answer_s=0.3, concurrency=96)
    shadow, beside = hpa(), []
    run = s.begin()

    def done():
        t, value, _ = s.scaler.history[-1]
        if not beside or beside[-1][0] != t:  # the plain HPA, beside, on what KEDA's sees; it has a worker always
            beside.append((t, shadow.step(t, beside[-1][1] if beside else 1, value)))
        return s.ended(run)
    s.scaler.turn()
    s.scaler.until(done, what="the run's end")
    most_at_once = s.sink.most_in_flight
    assert s.scaler.most() == 3 and max(n for _, n in beside) == 3, (s.scaler.history, beside)
    assert 64 < most_at_once <= 96, "more than two workers carry, and no more than the concurrency"
    s.scaler.until(lambda: s.fleet.count() == 0 and s.fleet.ended(), what="no worker")
    s.check_delivered(run)
    assert never_within(lambda: s.desired()["load"] > 0, 0.3)


def test_none_and_awake_again(stage):
    """A run begins, reads and publishes without a worker; the first of its batches wakes one, and what has nothing to send wakes none."""
    s = stage(rows=50, batch=10, answer_s=0.01)
    assert s.desired()["workers"] == 0
    with pytest.raises(urllib.error.HTTPError) as refused:
        load_of(s.service.url, "nobody")()
    assert refused.value.code == 401
    run = s.begin()
    began = time.monotonic()
    wait_until(lambda: s.desired()["load"] > 0, 30, "a load")
    woken = time.monotonic()
    assert s.desired()["workers"] == 1 and not s.sink.log
    wait_until(lambda: s.service.get("/api/v1/destinations")["destinations"][0]["queued"] == 5, 30, "batches in Redis")
    assert "1 worker would find work; the scheduler runs 0 of its own" in s.lab.command("status").out
    started = time.monotonic()
    s.scaler.until(lambda: s.sink.log, what="a request")
    print(f"load after {woken - began:.2f} s, first request {time.monotonic() - started:.2f} s after the first look")
    s.scaler.until(lambda: s.ended(run), what="the run's end")
    s.scaler.until(lambda: s.fleet.count() == 0, what="no worker")
    again = s.begin()  # nothing has changed
    wait_until(lambda: s.ended(again), 60, "the second run's end")
    assert s.desired()["load"] == 0 and s.fleet.count() == 0 and "would find work" not in s.lab.command("status").out
    s.check_delivered(run)


def test_what_is_paused_or_spent_wakes_nobody_until_it_may_run(stage):
    s = stage(rows=60, batch=10, settings={"drain_within": "1s"}, answer_s=0.01, rate_limits=[{"requests": 4, "per": "4s"}])
    s.service.post("/api/v1/destinations/hook/pause")
    run = s.begin()
    s.service.wait(lambda: s.desired()["quotas"][0]["why"] == "paused", "a pause that is known")
    s.service.wait(lambda: (s.service.find_run(run) or {}).get("status") == "planned", "a run that is planned")
    assert never_within(lambda: s.desired()["load"] > 0, 0.7)
    s.service.post("/api/v1/destinations/hook/resume")
    wait_until(lambda: s.desired()["load"] > 0, 30, "a load")
    s.scaler.until(lambda: len(s.sink.log) == 4, what="the first four")
    wait_until(lambda: s.desired()["load"] == 0, 4, "nothing to do for the rest of the window")
    assert s.desired()["quotas"][0]["why"] == "limit" and s.desired()["quotas"][0]["limit"] == "requests per 4s"
    s.scaler.until(lambda: s.ended(run), what="the run's end")
    assert len(s.sink.log) == 6 and most_in_window([(q.t, 1) for q in s.sink.log], 4.0) <= 4
    s.check_delivered(run)


@pytest.fixture
def shards(lab, sinks, redis_servers):
    """Two schedulers that each have a little to do, under way."""
    receivers = [sinks(), sinks()]
    lab.customers(40)
    lab.project({"m": {"sql": "select * from c"}}, {f"d{i}": {"url": r.url, "shard": i} for i, r in enumerate(receivers)},
                {f"s{i}": {"model": "m", "destination": f"d{i}", "batch_size": 10} for i in (0, 1)},
                {"redis": redis_servers().url, "shards": 2, "listen": "127.0.0.1:0", "tokens": TOKENS})
    services = [Service(lab, "admin-token", "--shard", str(i)) for i in (0, 1)]
    runs = [service.post(f"/api/v1/syncs/s{i}/run")["run"] for i, service in enumerate(services)]
    wait_until(lambda: [s.get("/api/v1/workers/desired")["workers"] for s in services] == [1, 1], 30, "a worker wanted by each")

    def done():
        return all((s.find_run(r) or {}).get("status") == "success" for s, r in zip(services, runs))
    return types.SimpleNamespace(services=services, done=done, receivers=receivers, fleet=Fleet(lab))


def test_the_loads_of_several_schedulers_add_up(lab, shards):
    """Each of two says one worker; together it is one, and it serves both."""
    scaler = Autoscaler(keda(), load_of_all([load_of(s.url, "viewer-token") for s in shards.services]), shards.fleet.count, shards.fleet.scale)
    scaler.until(shards.done, what="both runs' end")
    assert scaler.most() == 1
    for receiver in shards.receivers:
        lab.assert_same(receiver.state)


@pytest.mark.long
@pytest.mark.skipif(bool(prometheus.why_not()), reason=str(prometheus.why_not()))
def test_prometheus_adds_them_up_for_keda(lab, shards, tmp_path):
    """The query that is shipped, asked of a real Prometheus. Schedulers that it does not reach are no reason to end workers."""
    shipped = manifest("keda-prometheus/scaler.yaml", "ScaledObject")
    (trigger,) = shipped["spec"]["triggers"]
    assert trigger["metadata"]["ignoreNullValues"] == "false"
    scraping = prometheus.Prometheus(tmp_path, [s.url for s in shards.services], "viewer-token", "sluice")
    try:
        scaler = Autoscaler(from_scaled_object(shipped, 15), lambda: scraping.query(trigger["metadata"]["query"]), shards.fleet.count, shards.fleet.scale)
        scaler.until(shards.done, what="both runs' end")
        assert scaler.most() == 1
        for receiver in shards.receivers:
            lab.assert_same(receiver.state)
        for service in shards.services:
            service.stop()
        wait_until(lambda: scaler.turn() is None, 60, "a Prometheus that has nothing", 0.2)
        assert shards.fleet.count() == 1
        turns = len(scaler.history)
        scaler.until(lambda: len(scaler.history) >= turns + 2 * scaler.controller.cooldown_s / scaler.controller.period_s, what="twice the cooldown")
        assert shards.fleet.count() == 1
    finally:
        scraping.close()


def test_a_deployment_is_scaled_by_kubectl(tmp_path):
    """A program in kubectl's place: what it is asked for, and what its answer is taken as."""
    state, program = tmp_path / "replicas", tmp_path / "kubectl"
    program.write_text(f"""#!/bin/sh
[ "$1 $2 $3" = "--kubeconfig x -n" ] && [ "$4" = here ] && [ "$6" = deployment ] && [ "$7" = sluice-worker ] || exit 3
case "$5" in
get) [ "$8 $9" = "-o jsonpath={{.spec.replicas}}" ] && cat {state} ;;
scale) echo "${{8#--replicas=}}" >{state} ;;
esac
""")
    program.chmod(0o755)
    count, scale = deployment([str(program), "--kubeconfig", "x"], namespace="here")
    scale(3)
    assert state.read_text() == "3\n" and count() == 3
