"""The HorizontalPodAutoscaler that is shipped, carried out by Kubernetes' own controller: its API server, its controllers, a real scheduler's
metric, real workers in the place of pods. Only what brings the metric into the cluster, prometheus-adapter, has a stand-in, and the node.

All times of the manifest are divided, so that minutes are seconds here.
"""
import dataclasses
import urllib.request

import pytest
import yaml

from harness import control_plane
from harness.autoscaler import SYNC_PERIOD_S, from_hpa
from harness.control_plane import ControlPlane
from harness.external_metrics import ExternalMetrics
from harness.fleet import Stage
from harness.metrics import Metrics
from harness.sink import most_in_window, wait_until
from manifests.manifests import FOLDER, put_together
from manifests.tools import kubectl

pytestmark = [pytest.mark.long, pytest.mark.skipif(bool(control_plane.why_not()), reason=str(control_plane.why_not()))]
FASTER = 15  # 5 minutes in 20 seconds; no time of a manifest is below 15 s, and none may become less than one
CONTROLLERS = ("horizontalpodautoscaling", "deployment", "replicaset", "serviceaccount")
NAMESPACE = "sluice"
DEADLINE_S = 120


def hurried(hpa):
    """The same with shorter times."""
    behavior = {name: {**side, "stabilizationWindowSeconds": side["stabilizationWindowSeconds"] // FASTER,
                       "policies": [{**p, "periodSeconds": p["periodSeconds"] // FASTER} for p in side["policies"]]}
                for name, side in hpa["spec"]["behavior"].items()}
    return {**hpa, "spec": {**hpa["spec"], "behavior": behavior}}


@dataclasses.dataclass
class Sample:
    """A scrape of a metric that a test makes up."""
    samples: dict


class Cluster:
    """What deploy/kubernetes has of the workers, in a real API server, with the HPA of its component; no node."""

    def __init__(self, folder, read):
        wanted = ("Namespace", "ServiceAccount", "Deployment", "HorizontalPodAutoscaler")
        everything = put_together(kubectl(), folder, ["components/hpa"])
        self.manifests = {m["kind"]: m for m in everything if m["kind"] in wanted and m["metadata"]["name"] in (NAMESPACE, "sluice-worker")}
        assert set(self.manifests) == set(wanted)
        self.hpa = self.manifests["HorizontalPodAutoscaler"]
        rules = yaml.safe_load((FOLDER / "components" / "hpa" / "adapter-rules.yaml").read_text(encoding="utf-8"))
        for name in ("plane", "metrics"):
            (folder / name).mkdir()
        self.metrics = ExternalMetrics(rules, NAMESPACE, folder / "metrics", read)
        self.plane = ControlPlane(folder / "plane", control_plane.programs())

    def start(self):
        self.plane.start_servers(self.plane.folder / "etcd", "--bind-address=127.0.0.1", "--endpoint-reconciler-type=none")
        self.plane.start_controllers(f"--controllers={','.join(CONTROLLERS)}", f"--horizontal-pod-autoscaler-sync-period={SYNC_PERIOD_S / FASTER}s")
        self.plane.apply(self.manifests["Namespace"], self.manifests["ServiceAccount"], *self.metrics.manifests())
        wait_until(self.has_metric, DEADLINE_S, "an API server that asks for the metric", 0.2)
        self.plane.apply(self.manifests["Deployment"], hurried(self.hpa))

    def has_metric(self):
        name = self.hpa["spec"]["metrics"][0]["external"]["metric"]["name"]
        path = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{NAMESPACE}/{name}"
        return self.plane.kubectl("get", "--raw", path, check=False).returncode == 0

    def replicas(self):
        """As the controller has set them."""
        return self.plane.get("-n", NAMESPACE, "deployment", "sluice-worker")["spec"]["replicas"]

    def pods(self):
        """How many there are to stay."""
        found = self.plane.get("-n", NAMESPACE, "pods", "-l", "app.kubernetes.io/component=worker")["items"]
        return sum("deletionTimestamp" not in pod["metadata"] for pod in found)

    def scales(self):
        """True while the controller has a metric to go by."""
        status = self.plane.get("-n", NAMESPACE, "horizontalpodautoscalers.v2beta2.autoscaling", "sluice-worker").get("status", {})
        return any(c["type"] == "ScalingActive" and c["status"] == "True" for c in status.get("conditions") or [])

    def close(self):
        self.plane.close()
        self.metrics.close()


@pytest.fixture
def clusters(tmp_path):
    made = []

    def make(read):
        made.append(Cluster(tmp_path, read))
        made[-1].start()
        return made[-1]
    yield make
    for one in made:
        one.close()


# ---- the stand-in of the other tests, beside the controller itself ----


def test_the_stand_in_does_as_the_controller_does(clusters):
    """The same values at the same moments: both go through the same numbers, up, within the tolerance, and down again."""
    value = {"now": 0.3}
    cluster = clusters(lambda: [Sample({("sluice_worker_load", ()): value["now"]})])
    shadow, beside, real, seen = from_hpa(hurried(cluster.hpa), 1), [1], [1], 0

    def look():
        nonlocal seen
        now = cluster.replicas()
        if now != real[-1]:
            real.append(now)
        asked = cluster.metrics.asked
        while seen < len(asked):
            wanted = shadow.step(asked[seen][0], beside[-1], asked[seen][1])
            if wanted != beside[-1]:
                beside.append(wanted)
            seen += 1
        return now
    wait_until(cluster.scales, DEADLINE_S, "a controller that has the metric", 0.2)
    most = cluster.hpa["spec"]["maxReplicas"]
    for load, replicas in ((0.3, 1), (1.05, 1), (2.5, 3), (3.2, 3), (9.5, 10), (1000, most), (4, 4), (0, 1)):
        value["now"] = load
        wait_until(lambda replicas=replicas: look() == replicas and cluster.pods() == replicas, DEADLINE_S, f"{replicas} replicas for {load}", 0.05)
        rounds = len(cluster.metrics.asked) + 3
        wait_until(lambda rounds=rounds: look() and len(cluster.metrics.asked) >= rounds, DEADLINE_S, "three more looks of the controller", 0.05)
    assert real == beside, cluster.metrics.asked
    assert real[:2] == [1, 3] and real[-1] == 1


# ---- a real scheduler, real workers ----


class Scaled(Stage):
    """A stage whose workers are as many as the pods of the cluster's Deployment."""

    def __init__(self, clusters, *args, **how):
        super().__init__(*args, **how)
        self.cluster, self.most = clusters(self.scrape), 0

    def scrape(self):
        request = urllib.request.Request(self.service.url + "/metrics", headers={"Authorization": "Bearer viewer-token"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return [Metrics(answer.read().decode())]

    def follow(self, condition, what):
        """Makes workers of pods and ends them with them, until the condition holds."""
        def turn():
            self.cluster.plane.must_run()
            self.fleet.scale(self.cluster.pods())
            self.most = max(self.most, self.fleet.count())
            return condition()
        return wait_until(turn, DEADLINE_S, what, 0.1)

    def loads(self):
        return [value for _, value in self.cluster.metrics.asked]


@pytest.fixture
def scaled(clusters, lab, sinks, redis_servers):
    return lambda rows, batch, **how: Scaled(clusters, lab, sinks, redis_servers, rows, batch, **how)


def test_a_backlog_behind_a_limit_adds_no_workers(scaled):
    """150 requests a second, 100 ms each: what one worker carries, whatever the backlog. The controller looks every second."""
    s = scaled(5400, 10, settings={"drain_within": "1s"}, rate_limits=[{"requests": 150, "per": "1s"}], concurrency=500)
    s.follow(lambda: s.cluster.scales() and s.fleet.count() == 1, "one worker, and a controller that has the metric")
    run, before = s.begin(), len(s.loads())
    s.follow(lambda: s.ended(run), "the run's end")
    assert s.most == 1 and s.cluster.replicas() == 1
    assert len(s.loads()) - before >= 3 and max(s.loads()[before:]) > 0, "the controller looked while there was a backlog"
    assert most_in_window([(q.t, 1) for q in s.sink.log], 1.0) <= 150
    s.check_delivered(run)


def test_a_backlog_without_a_limit_adds_workers_and_they_go_again(scaled):
    """2,000 batches of 300 ms in a second would want 600 slots; by the concurrency of 96, three workers, and one again afterwards."""
    s = scaled(20000, 10, settings={"drain_within": "1s"}, answer_s=0.3, concurrency=96)
    s.follow(lambda: s.cluster.scales() and s.fleet.count() == 1, "one worker, and a controller that has the metric")
    run = s.begin()
    s.follow(lambda: s.ended(run), "the run's end")
    assert s.most == 3 and 64 < s.sink.most_in_flight <= 96, (s.most, s.sink.most_in_flight, s.loads())
    s.follow(lambda: s.fleet.count() == s.cluster.hpa["spec"]["minReplicas"] and s.fleet.ended(), "as many as there are at least")
    s.check_delivered(run)
