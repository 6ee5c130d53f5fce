"""The Helm chart: what it renders is what Kustomize gives, and what it does not take it says."""
import json
import pathlib
import subprocess

import pytest
import yaml

from manifests import tools
from manifests.manifests import against_schemas, kustomize, problems, put_together

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECRETS = ("sluice-secrets", "sluice-warehouse")
PRODUCTION = ROOT / "deploy" / "kubernetes" / "overlays" / "production"


class Chart:
    def __init__(self, helm, folder):
        self.helm, self.folder = helm, folder

    def __call__(self, *args):
        return subprocess.run([self.helm, *map(str, args)], capture_output=True, text=True, check=False)

    def render(self, *args, namespace="sluice"):
        """{name: manifest}"""
        done = self("template", "mine", self.folder, "--namespace", namespace, *args)
        assert done.returncode == 0, done.stderr
        return by_name(m for m in yaml.safe_load_all(done.stdout) if m)

    def refuses(self, *args):
        """What it says against these values."""
        done = self("template", "mine", self.folder, "--namespace", "sluice", *args)
        assert done.returncode != 0, done.stdout
        return done.stderr


def by_name(manifests):
    return {f"{m['kind']}/{m['metadata']['name']}": m for m in manifests}


@pytest.fixture(scope="module")
def chart(kubectl, tmp_path_factory):
    try:
        helm = tools.helm()
    except tools.Missing as reason:
        pytest.skip(str(reason))
    folder = tmp_path_factory.mktemp("chart") / "sluice"
    done = subprocess.run([ROOT / "deploy" / "helm" / "build", "--kubectl", kubectl, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout == f"{folder}\n", done.stderr
    return Chart(helm, folder)


def wanted(kubectl, folder, *components):
    """Of Kustomize; the namespace is made by Helm's user, the way to Redis is of the production overlay."""
    manifests = by_name(put_together(kubectl, folder, [f"components/{c}" for c in components]))
    del manifests["Namespace/sluice"]
    way = by_name(kustomize(kubectl, PRODUCTION))["NetworkPolicy/to-redis"]
    return {**manifests, "NetworkPolicy/to-redis": way}


def test_it_is_a_good_chart(chart, tmp_path):
    done = chart("lint", "--strict", chart.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    done = chart("package", chart.folder, "--destination", tmp_path)
    version = yaml.safe_load((chart.folder / "Chart.yaml").read_text())["version"]
    assert done.returncode == 0 and (tmp_path / f"sluice-{version}.tgz").stat().st_size > 0
    said = chart("install", "mine", tmp_path / f"sluice-{version}.tgz", "--dry-run=client", "--namespace", "etl")
    assert said.returncode == 0 and "exec sluice-scheduler-0 -- sluice status" in said.stdout and "kubectl -n etl" in said.stdout, said.stderr


@pytest.mark.parametrize("scaling, components", [
    (None, ["fixed-workers"]), ("keda", ["keda"]), ("keda-prometheus", ["keda-prometheus"]), ("hpa", ["hpa"]), ("none", [])])
def test_by_default_it_renders_what_kustomize_gives(chart, kubectl, tmp_path, scaling, components):
    assert chart.render(*(["--set", f"worker.scaling={scaling}"] if scaling else [])) == wanted(kubectl, tmp_path, *components)


def test_with_the_values_of_production_it_is_production(chart, kubectl, schemas):
    """The project from files, two schedulers, monitoring, another image."""
    production = by_name(kustomize(kubectl, PRODUCTION))
    del production["Namespace/sluice"]
    files = [a for name in ("sluice.yaml", "customers.sql") for a in ("--set-file", f"project.{name.replace('.', chr(92) + '.')}={PRODUCTION / 'project' / name}")]
    rendered = chart.render("--set", "image.repository=registry.example.com/sluice,scheduler.replicas=2,monitoring.enabled=true", *files)
    rendered["ConfigMap/sluice-project"]["metadata"].pop("labels")
    assert rendered == production
    assert problems(list(rendered.values()), outside=SECRETS) == [] and against_schemas(schemas, list(rendered.values())) == []


def test_everything_that_can_be_set_arrives(chart, schemas, tmp_path):
    files = {"sluice.yaml": "syncs: {s: {mappings: [{template: '{{first_name}} <{{email}}> & Ü', to: name}]}}\n", "deep.sql": "select 1\n"}
    values = {
        "project": files,
        "image": {"repository": "r.example.com/s", "tag": "1.2.3@sha256:" + "a" * 64},
        "scheduler": {"storage": {"size": "3Gi", "className": "fast"}, "resources": {"limits": {"memory": "2Gi"}}, "annotations": {"a": "b"},
                      "pod": {"nodeSelector": {"disk": "ssd"}, "imagePullSecrets": [{"name": "pull"}]}},
        "worker": {"scaling": "keda-prometheus", "max": 7, "terminationGracePeriodSeconds": 60, "annotations": {"c": "d"},
                   "pod": {"tolerations": [{"key": "spot", "operator": "Exists"}], "priorityClassName": "low"}},
        "keda": {"min": 1, "prometheus": "http://p:9090"},
        "monitoring": {"enabled": True, "namespace": "watch"},
        "network": {"redis": [{"ports": [{"port": 7000}]}]},
    }
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    rendered = chart.render("--values", tmp_path / "values.yaml")
    assert against_schemas(schemas, list(rendered.values())) == []
    assert problems(list(rendered.values()), outside=SECRETS) == []
    assert rendered["ConfigMap/sluice-project"]["data"] == files
    scheduler, worker = rendered["StatefulSet/sluice-scheduler"]["spec"], rendered["Deployment/sluice-worker"]["spec"]
    pod = scheduler["template"]["spec"]
    assert pod["containers"][0]["image"] == "r.example.com/s:1.2.3@sha256:" + "a" * 64
    assert pod["containers"][0]["resources"] == {"limits": {"memory": "2Gi"}, "requests": {"cpu": "250m", "memory": "256Mi"}}
    assert pod["nodeSelector"] == {"disk": "ssd"} and pod["imagePullSecrets"] == [{"name": "pull"}]
    claim = scheduler["volumeClaimTemplates"][0]["spec"]
    assert claim["storageClassName"] == "fast" and claim["resources"]["requests"]["storage"] == "3Gi"
    assert scheduler["template"]["metadata"]["annotations"] == {"a": "b"} and worker["template"]["metadata"]["annotations"] == {"c": "d"}
    pod = worker["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 60 and pod["priorityClassName"] == "low" and "replicas" not in worker
    scaler = rendered["ScaledObject/sluice-worker"]["spec"]
    assert (scaler["minReplicaCount"], scaler["maxReplicaCount"], scaler["triggers"][0]["metadata"]["serverAddress"]) == (1, 7, "http://p:9090")
    assert rendered["NetworkPolicy/to-redis"]["spec"]["egress"] == [{"ports": [{"port": 7000}]}]
    assert rendered["NetworkPolicy/monitoring"]["spec"]["ingress"][0]["from"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "watch"}


def test_another_namespace_is_meant_everywhere(chart):
    for scaling, inside in (("keda", "http://sluice-scheduler.etl.svc:8470/"), ("keda-prometheus", 'sum(sluice_worker_load{namespace="etl"})')):
        rendered = chart.render("--set", f"worker.scaling={scaling},monitoring.enabled=true", namespace="etl")
        assert {m["metadata"]["namespace"] for m in rendered.values()} == {"etl"}
        assert inside in json.dumps(rendered["ScaledObject/sluice-worker"]).replace('\\"', '"')


def test_without_network_policies_there_is_none(chart):
    """One of KEDA's or Prometheus' alone would deny everybody else."""
    rendered = chart.render("--set", "network.enabled=false,monitoring.enabled=true,worker.scaling=keda")
    assert not [name for name in rendered if name.startswith("NetworkPolicy/")]


@pytest.mark.parametrize("values, says", [
    ("worker.replicas=many", "worker.replicas"),
    ("worker.replicas=-1", "minimum"),
    ("worker.scaling=both", "worker.scaling"),
    ("worker.replica=3", "replica"),
    ("workers.replicas=3", "workers"),
    ("scheduler.pod.nodeselector.a=b", "nodeselector"),
    ("scheduler.replicas=0", "scheduler.replicas"),
    ("scheduler.replicas=2,worker.scaling=keda", "keda asks one scheduler"),
    ("image.tag=", "image.tag"),
])
def test_what_it_does_not_take_it_says(chart, values, says):
    said = chart.refuses("--set", values).replace("/", ".")  # later versions point with slashes
    assert says in said, said
