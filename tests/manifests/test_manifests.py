"""The manifests of deploy/kubernetes: right by the schemas, closed, and fitting together. A broken one is found."""
import copy
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from manifests.manifests import FOLDER, against_schemas, kustomize, problems, put_together

ROOT = pathlib.Path(__file__).resolve().parents[2]
OVERLAYS = sorted(p.parent for p in FOLDER.glob("overlays/*/kustomization.yaml"))
COMPONENTS = sorted(p.parent for p in FOLDER.glob("components/*/kustomization.yaml"))
OUTSIDE = ("sluice-project", "sluice-secrets", "sluice-warehouse", "sluice-git")  # what the base and a component leave to their user


@pytest.fixture(scope="module")
def dev(kubectl):
    return kustomize(kubectl, FOLDER / "overlays" / "dev")


def get(manifests, kind, name):
    (found,) = [m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name]
    return found


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda p: p.name)
def test_an_overlay_is_right(kubectl, schemas, overlay):
    manifests = kustomize(kubectl, overlay)
    assert {"Deployment", "StatefulSet", "NetworkPolicy", "PodDisruptionBudget", "ConfigMap"} <= {m["kind"] for m in manifests}
    assert against_schemas(schemas, manifests) == []
    assert problems(manifests, outside=OUTSIDE[1:]) == []


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda p: p.name)
def test_a_component_is_right(kubectl, schemas, component, tmp_path):
    manifests = put_together(kubectl, tmp_path, [component.relative_to(FOLDER)])
    assert against_schemas(schemas, manifests) == []
    assert problems(manifests, outside=OUTSIDE) == []


def test_the_pod_that_restores_is_right(kubectl, schemas, dev):
    pod = yaml.safe_load((FOLDER / "restore.yaml").read_text())
    assert against_schemas(schemas, [pod]) == []
    scheduler = get(dev, "StatefulSet", "sluice-scheduler")["spec"]["template"]["spec"]
    assert pod["spec"]["securityContext"].items() <= scheduler["securityContext"].items()
    (mine,), (its,) = pod["spec"]["containers"], scheduler["containers"]
    assert mine["securityContext"] == its["securityContext"] and mine["image"] == its["image"] and mine["volumeMounts"] == its["volumeMounts"]
    claim = pod["spec"]["volumes"].pop()
    assert pod["spec"]["volumes"] == yaml.safe_load(yaml.safe_dump(scheduler["volumes"]))
    assert claim == {"name": "state", "persistentVolumeClaim": {"claimName": "state-sluice-scheduler-0"}}


def production_scaled_by(kubectl, component, folder):
    """The production overlay with another component in the place of fixed-workers, as its user writes it."""
    copied = folder / "overlays" / "production"
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    text = (copied / "kustomization.yaml").read_text()
    assert "components/fixed-workers" in text
    (copied / "kustomization.yaml").write_text(text.replace("components/fixed-workers", f"components/{component}"))
    return kustomize(kubectl, copied)


@pytest.mark.parametrize("component", ["keda-prometheus", "hpa"])
def test_production_can_be_scaled(kubectl, schemas, component, tmp_path):
    manifests = production_scaled_by(kubectl, component, tmp_path)
    assert against_schemas(schemas, manifests) == []
    assert problems(manifests, outside=OUTSIDE[1:]) == []


def test_of_several_schedulers_all_are_asked(kubectl, schemas, tmp_path):
    """components/keda asks one; with a trigger for each and their sum, as AUTOSCALING.md has it, it asks all."""
    manifests = production_scaled_by(kubectl, "keda", tmp_path)
    assert problems(manifests, outside=OUTSIDE[1:]) == ["ScaledObject/sluice-worker: asks 1 of 2 schedulers"]
    page = (FOLDER / "AUTOSCALING.md").read_text()
    said = yaml.safe_load(page[page.index("```yaml\n") + 8:page.index("```\n", page.index("```yaml"))].replace(", …", ""))
    spec = get(manifests, "ScaledObject", "sluice-worker")["spec"]
    for trigger in said["triggers"]:
        trigger["metadata"] = {**spec["triggers"][0]["metadata"], **trigger["metadata"]}
    spec["triggers"] = said["triggers"]
    assert problems(manifests, outside=OUTSIDE[1:]) == ["ScaledObject/sluice-worker: does not add up what it is told"]
    spec["advanced"].update(said["advanced"])
    assert problems(manifests, outside=OUTSIDE[1:]) == [] and against_schemas(schemas, manifests) == []


def test_scalers_name_a_metric_that_there_is():
    """One that the scheduler's page lists, which other tests hold against what it serves."""
    listed = set(re.findall(r"^\| `(sluice_\w+)`", (ROOT / "scheduler" / "report" / "README.md").read_text(), re.M))
    folder = FOLDER / "components"
    named = {re.findall(r"sluice_\w+", yaml.safe_load((folder / "hpa" / "adapter-rules.yaml").read_text())["rules"]["external"][0]["seriesQuery"])[0],
             yaml.safe_load((folder / "hpa" / "hpa.yaml").read_text())["spec"]["metrics"][0]["external"]["metric"]["name"],
             *re.findall(r"sluice_\w+", yaml.safe_load((folder / "keda-prometheus" / "scaler.yaml").read_text())["spec"]["triggers"][0]["metadata"]["query"])}
    assert named == {"sluice_worker_load"} and named <= listed


def test_production_holds_no_secret(kubectl):
    manifests = kustomize(kubectl, FOLDER / "overlays" / "production")
    assert not [m for m in manifests if m["kind"] == "Secret"]
    assert "localhost/" not in str([m for m in manifests if m["kind"] != "ConfigMap"])


def test_the_rules_are_those_of_monitoring(tmp_path):
    subprocess.run([FOLDER / "rules", tmp_path / "rules.yaml"], check=True)
    made = (tmp_path / "rules.yaml").read_text()
    assert (FOLDER / "components" / "monitoring" / "rules.yaml").read_text() == made, "run deploy/kubernetes/rules"
    there = yaml.safe_load((ROOT / "deploy" / "monitoring" / "sluice.rules.yaml").read_text())
    assert yaml.safe_load(made)["spec"] == there and there["groups"][0]["rules"]


def test_a_drain_has_the_time_that_a_request_may_take(dev):
    timeouts = [int(t) for p in (ROOT / "worker" / "connectors").glob("*.yaml") for t in re.findall(r"^\s+timeout: (\d+)s$", p.read_text(), re.M)]
    grace = get(dev, "Deployment", "sluice-worker")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert max(timeouts) >= 30 and grace >= max(timeouts) + 30
    leave = int(re.search(r"LEAVE_MS = (\d+)", (ROOT / "scheduler" / "run" / "engine_leave.c").read_text())[1]) / 1000
    assert get(dev, "StatefulSet", "sluice-scheduler")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= leave + 20


def test_compose_is_of_one_mind_with_the_manifests(dev):
    services = yaml.safe_load((ROOT / "deploy" / "container" / "compose.yaml").read_text())["services"]
    for service, kind in (("worker", "Deployment"), ("scheduler", "StatefulSet")):
        grace = get(dev, kind, f"sluice-{service}")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        assert services[service]["stop_grace_period"] == f"{grace}s"
        assert services[service]["image"] == f"${{SLUICE_IMAGE:-{container(dev, kind, f'sluice-{service}')['image']}}}"
    redis = container(dev, "Deployment", "redis")
    assert services["redis"]["command"] == redis["command"] + redis["args"]
    assert services["redis"]["image"] == f"${{REDIS_IMAGE:-{redis['image']}}}"


def test_the_image_is_of_this_version():
    """Wherever deploy/ names one."""
    version = re.search(r"project\(sluice VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text())[1]
    named = {}
    for path in (ROOT / "deploy").rglob("*"):
        if path.suffix in (".yaml", ".md", "") and path.is_file():
            for found in re.findall(r"(?:sluice(?:-git)?:|newTag: |ARG VERSION=|sluice-)(\d+\.\d+\.\d+)", path.read_text(encoding="utf-8")):
                named.setdefault(found, set()).add(str(path.relative_to(ROOT)))
    assert set(named) == {version}, named
    assert {f"deploy/{p}" for p in ("kubernetes/base/worker.yaml", "kubernetes/base/scheduler.yaml", "kubernetes/restore.yaml", "container/Containerfile",
                                    "container/compose.yaml", "kubernetes/overlays/production/kustomization.yaml")} <= named[version]


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda p: p.name)
def test_there_is_a_scheduler_for_every_shard(kubectl, overlay):
    manifests = kustomize(kubectl, overlay)
    project = yaml.safe_load(get(manifests, "ConfigMap", "sluice-project")["data"]["sluice.yaml"])
    scheduler = get(manifests, "StatefulSet", "sluice-scheduler")
    assert scheduler["spec"]["replicas"] == project["settings"].get("shards", 1)
    assert {"name": "SLUICE_SHARD", "value": "hostname"} in container(manifests, "StatefulSet", "sluice-scheduler")["env"]


def container(manifests, kind="Deployment", name="sluice-worker"):
    return get(manifests, kind, name)["spec"]["template"]["spec"]["containers"][0]


def pod(manifests, kind="Deployment", name="sluice-worker"):
    return get(manifests, kind, name)["spec"]["template"]["spec"]


def policy(manifests, name):
    return get(manifests, "NetworkPolicy", name)["spec"]


BROKEN_SCHEMA = {
    "a misspelt field": (lambda m: container(m)["securityContext"].update(runAsNonRoott=True), "unknown field runAsNonRoott"),
    "a misspelt field of a pod": (lambda m: pod(m).update(terminationGracePeriod=5), "unknown field terminationGracePeriod"),
    "a misspelt field of the metadata": (lambda m: get(m, "Service", "redis")["metadata"].update(label={}), "unknown field label"),
    "a field at the wrong level": (lambda m: get(m, "Deployment", "sluice-worker").update(replicas=3), "unknown field replicas"),
    "text for a number": (lambda m: get(m, "StatefulSet", "sluice-scheduler")["spec"].update(replicas="1"), "replicas"),
    "a number for text": (lambda m: container(m).update(args=[1]), "args"),
    "a word that does not exist": (lambda m: container(m).update(imagePullPolicy="Sometimes"), "imagePullPolicy"),
    "no selector": (lambda m: get(m, "Deployment", "sluice-worker")["spec"].pop("selector"), "selector"),
    "no such kind": (lambda m: get(m, "PodDisruptionBudget", "sluice-worker").update(apiVersion="policy/v2"), "there is no PodDisruptionBudget"),
    "a rule without its expression": (lambda m: m.append(
        {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": {"name": "x"},
         "spec": {"groups": [{"name": "x", "rules": [{"alert": "x"}]}]}}), "expr"),
    "a scaler with a misspelt field": (lambda m: m.append(
        {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "x"},
         "spec": {"scaleTargetRef": {"name": "w"}, "maxReplicas": 3, "triggers": [{"type": "cron", "metadata": {"a": "b"}}]}}),
        "unknown field maxReplicas"),
    "a scaler with text for a number": (lambda m: m.append(
        {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "x"},
         "spec": {"scaleTargetRef": {"name": "w"}, "maxReplicaCount": "x", "triggers": [{"type": "cron", "metadata": {"a": "b"}}]}}),
        "maxReplicaCount"),
    "a monitor with a misspelt field": (lambda m: m.append(
        {"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {"name": "x"},
         "spec": {"selector": {"matchLabels": {"a": "b"}}, "endpoints": [{"port": "http", "intervall": "5s"}]}}), "unknown field intervall"),
}


@pytest.mark.parametrize("what", BROKEN_SCHEMA)
def test_the_schemas_find(dev, schemas, what):
    broken = copy.deepcopy(dev)
    BROKEN_SCHEMA[what][0](broken)
    found = against_schemas(schemas, broken)
    assert found and all(BROKEN_SCHEMA[what][1] in text for text in found), found


BROKEN = {
    "an image of no version": (lambda m: container(m).update(image="localhost/sluice:latest"), "is of no version"),
    "an image without a tag": (lambda m: container(m).update(image="localhost:5000/sluice"), "is of no version"),
    "root": (lambda m: pod(m)["securityContext"].update(runAsUser=0), "not root"),
    "no seccomp profile": (lambda m: pod(m)["securityContext"].pop("seccompProfile"), "seccomp"),
    "privileges": (lambda m: container(m)["securityContext"].pop("allowPrivilegeEscalation"), "may gain privileges"),
    "a root that can be written": (lambda m: container(m)["securityContext"].update(readOnlyRootFilesystem=False), "may write its root"),
    "a capability": (lambda m: container(m)["securityContext"]["capabilities"].update(add=["NET_RAW"]), "keeps capabilities"),
    "the node's network": (lambda m: pod(m).update(hostNetwork=True), "uses the node's"),
    "a path of the node": (lambda m: pod(m)["volumes"].append({"name": "x", "hostPath": {"path": "/"}}), "not restricted"),
    "a token of the cluster": (lambda m: pod(m).pop("automountServiceAccountToken"), "mounts a token"),
    "no request": (lambda m: container(m)["resources"]["requests"].pop("cpu"), "requests no cpu"),
    "no limit": (lambda m: container(m)["resources"].pop("limits"), "no limit of memory"),
    "no probe": (lambda m: container(m).pop("livenessProbe"), "has no livenessProbe"),
    "a probe of another port": (lambda m: container(m)["readinessProbe"]["httpGet"].update(port="http"), "asks the port http"),
    "a selector of others": (lambda m: get(m, "Deployment", "sluice-worker")["spec"]["selector"]["matchLabels"].update(x="y"), "does not select its own"),
    "a service of nobody": (lambda m: get(m, "Service", "redis")["spec"].update(selector={"a": "b"}), "selects no pod"),
    "a service's wrong port": (lambda m: get(m, "Service", "redis")["spec"]["ports"][0].update(targetPort=6380), "names the port 6380"),
    "a budget of nobody": (lambda m: get(m, "PodDisruptionBudget", "sluice-worker")["spec"]["selector"]["matchLabels"].update(x="y"), "selects no pod"),
    "a way to a wrong port": (lambda m: policy(m, "api")["ingress"][0]["ports"][0].update(port=9470), "names the port 9470"),
    "a way out to a wrong port": (lambda m: policy(m, "to-redis")["egress"][0]["ports"][0].update(port=6380), "names the port 6380"),
    "no denial": (lambda m: m.remove(get(m, "NetworkPolicy", "default-deny")), "denies by default"),
    "no project": (lambda m: m.remove(get(m, "ConfigMap", "sluice-project")), "there is no ConfigMap sluice-project"),
    "no account": (lambda m: m.remove(get(m, "ServiceAccount", "sluice-worker")), "there is no ServiceAccount"),
    "a mount of nothing": (lambda m: container(m)["volumeMounts"].append({"name": "x", "mountPath": "/x"}), "is no volume"),
    "two that scale": (lambda m: (get(m, "Deployment", "sluice-worker")["spec"].update(replicas=2), m.append(
        {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "x", "namespace": "sluice"},
         "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "sluice-worker"}}})), "more than one thing"),
    "another namespace": (lambda m: get(m, "Service", "redis")["metadata"].update(namespace="default"), "wrong one"),
    "a namespace that is open": (lambda m: get(m, "Namespace", "sluice")["metadata"].pop("labels"), "not restricted"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_the_checks_find(dev, what):
    broken = copy.deepcopy(dev)
    BROKEN[what][0](broken)
    found = problems(broken)
    assert found and all(BROKEN[what][1] in text for text in found), found
