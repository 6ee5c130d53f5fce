"""Who reaches whom under the network policies of an installation: what is needed, and nothing else."""
import pytest

from manifests.manifests import FOLDER, kustomize, put_together
from manifests.network import End, pod_elsewhere, pods, reachable

DNS = pod_elsewhere("kube-system", **{"k8s-app": "kube-dns"})
INGRESS = pod_elsewhere("ingress-nginx", {"sluice-api": "allowed"}, app="nginx")
OTHERS = pod_elsewhere("default", app="anything")
PROMETHEUS = pod_elsewhere("monitoring", app="prometheus")
KEDA = pod_elsewhere("keda", app="keda-operator")
WORLD, METADATA, INSIDE = End(address="93.184.216.34"), End(address="169.254.169.254"), End(address="10.1.2.3")
STRANGER = End(True, {"app": "a job of somebody's"}, {"kubernetes.io/metadata.name": "sluice"})
WORLD_6, INSIDE_6 = End(address="2606:2800:220:1::1"), End(address="fd00::1")
SCHEDULER, WORKER, REDIS = "sluice-scheduler", "sluice-worker", "redis"


def flows(manifests, wanted):
    """Those of the list that are not as it says: (source, target, port, protocol, let through)."""
    there = pods(manifests)

    def end(name):
        return there[name] if isinstance(name, str) else name
    return [(s, t, port, protocol) for s, t, port, protocol, through in wanted if reachable(manifests, end(s), end(t), port, protocol) != through]


COMMON = [
    (SCHEDULER, DNS, 53, "UDP", True), (WORKER, DNS, 53, "UDP", True), (WORKER, DNS, 53, "TCP", True),
    (INGRESS, SCHEDULER, 8470, "TCP", True), (INGRESS, WORKER, 9470, "TCP", False), (INGRESS, SCHEDULER, 22, "TCP", False),
    (OTHERS, SCHEDULER, 8470, "TCP", False), (OTHERS, WORKER, 9470, "TCP", False),
    (WORKER, SCHEDULER, 8470, "TCP", False), (SCHEDULER, WORKER, 9470, "TCP", False),
]


def test_production_lets_through_what_it_needs_and_nothing_else(kubectl):
    manifests = kustomize(kubectl, FOLDER / "overlays" / "production")
    assert flows(manifests, [
        *COMMON,
        (SCHEDULER, WORLD, 443, "TCP", True), (WORKER, WORLD, 443, "TCP", True), (WORKER, WORLD_6, 443, "TCP", True),
        (WORKER, WORLD, 80, "TCP", False), (WORKER, WORLD, 443, "UDP", False), (WORKER, OTHERS, 53, "UDP", False),
        (WORKER, METADATA, 443, "TCP", False), (WORKER, METADATA, 80, "TCP", False), (WORKER, INSIDE, 443, "TCP", False), (WORKER, INSIDE_6, 443, "TCP", False),
        (SCHEDULER, INSIDE, 5432, "TCP", True), (WORKER, INSIDE, 5432, "TCP", False), (WORKER, WORLD, 5432, "TCP", False),
        (SCHEDULER, INSIDE, 6379, "TCP", True), (WORKER, INSIDE, 6380, "TCP", True), (WORKER, INSIDE, 26379, "TCP", False),
        (PROMETHEUS, SCHEDULER, 8470, "TCP", True), (PROMETHEUS, WORKER, 9470, "TCP", True), (PROMETHEUS, WORKER, 443, "TCP", False),
        (KEDA, SCHEDULER, 8470, "TCP", False),
    ]) == []


def test_dev_is_open_where_things_are_tried_and_no_wider(kubectl):
    manifests = kustomize(kubectl, FOLDER / "overlays" / "dev")
    assert flows(manifests, [
        *COMMON,
        (SCHEDULER, REDIS, 6379, "TCP", True), (WORKER, REDIS, 6379, "TCP", True), (OTHERS, REDIS, 6379, "TCP", False), (WORKER, REDIS, 22, "TCP", False),
        (REDIS, WORLD, 443, "TCP", False), (REDIS, SCHEDULER, 8470, "TCP", False), (REDIS, DNS, 53, "UDP", False),
        (SCHEDULER, OTHERS, 5432, "TCP", True), (WORKER, OTHERS, 8080, "TCP", True), (WORKER, WORLD, 80, "TCP", True),
        (PROMETHEUS, WORKER, 9470, "TCP", False),
    ]) == []


def test_keda_reaches_the_scheduler_where_it_scales(kubectl, tmp_path):
    manifests = put_together(kubectl, tmp_path, ["components/keda"])
    assert flows(manifests, [*COMMON, (KEDA, SCHEDULER, 8470, "TCP", True), (KEDA, WORKER, 9470, "TCP", False)]) == []


@pytest.mark.parametrize("change, flow", [
    (lambda p: p["default-deny"].update(policyTypes=["Ingress"]), (STRANGER, WORLD, 443, "TCP", False)),
    (lambda p: p["destinations"]["egress"][0]["to"][0]["ipBlock"].pop("except"), (WORKER, METADATA, 443, "TCP", False)),
    (lambda p: p["warehouse"]["podSelector"]["matchLabels"].pop("app.kubernetes.io/component"), (WORKER, INSIDE, 5432, "TCP", False)),
    (lambda p: p["api"]["ingress"][0].pop("from"), (OTHERS, SCHEDULER, 8470, "TCP", False)),
    (lambda p: p["dns"]["egress"][0]["ports"].pop(0), (WORKER, DNS, 53, "UDP", True)),
], ids=["egress is not denied", "no exceptions", "all read warehouses", "everybody asks the API", "DNS by TCP only"])
def test_a_hole_is_found(kubectl, change, flow, tmp_path):
    manifests = put_together(kubectl, tmp_path, [])
    assert flows(manifests, [flow]) == []
    change({m["metadata"]["name"]: m["spec"] for m in manifests if m["kind"] == "NetworkPolicy"})
    assert flows(manifests, [flow]) == [flow[:4]]
