"""Manifests as Kustomize puts them together, and what has to hold of all of them."""
import json
import os
import pathlib
import subprocess

import yaml

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
WORKLOADS = ("Deployment", "StatefulSet")
MONITORS = {"ServiceMonitor": "endpoints", "PodMonitor": "podMetricsEndpoints"}


def kustomize(kubectl, folder):
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [m for m in yaml.safe_load_all(done.stdout) if m]


def put_together(kubectl, folder, components, resources=("base",)):
    """What an overlay of these parts of deploy/kubernetes comes to; it is written into the folder."""
    parts = {kind: [os.path.relpath(FOLDER / part, folder) for part in some] for kind, some in (("resources", resources), ("components", components))}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "namespace": "sluice", **parts}), encoding="utf-8")
    return kustomize(kubectl, folder)


def against_schemas(schemas, manifests):
    """What the schemas of Kubernetes, KEDA and the Prometheus operator have against them."""
    done = subprocess.run(["node", "validate.mjs"], cwd=schemas, input=json.dumps(manifests), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def name(manifest):
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def matches(selector, labels):
    """True where a label selector takes these labels; one without conditions takes all."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for rule in selector.get("matchExpressions") or []:
        has, values = rule["key"] in labels, rule.get("values") or []
        holds = {"In": has and labels.get(rule["key"]) in values, "NotIn": not has or labels[rule["key"]] not in values,
                 "Exists": has, "DoesNotExist": not has}[rule["operator"]]
        if not holds:
            return False
    return True


class Look:
    """One look at all manifests of an installation. outside: names of ConfigMaps and Secrets that others make."""

    def __init__(self, manifests, outside=()):
        self.all, self.outside, self.problems = manifests, set(outside), []
        self.workloads = self.of(*WORKLOADS)

    def of(self, *kinds):
        return [m for m in self.all if m["kind"] in kinds]

    def say(self, manifest, text):
        self.problems.append(f"{name(manifest)}: {text}")

    @staticmethod
    def pod(workload):
        return workload["spec"]["template"]["spec"]

    @staticmethod
    def labels(workload):
        return workload["spec"]["template"]["metadata"].get("labels") or {}

    def ports(self, workload):
        """Names and numbers under which ports of its containers are reached."""
        ports = [p for c in self.pod(workload)["containers"] for p in c.get("ports") or []]
        return {p.get("name") for p in ports} | {p["containerPort"] for p in ports}

    def chosen(self, selector):
        return [w for w in self.workloads if matches(selector, self.labels(w))]

    # ---- what a pod may ----

    def restricted(self, workload):
        """As the restricted Pod Security Standard asks, and a read-only root besides."""
        pod = self.pod(workload)
        context = pod.get("securityContext") or {}
        if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
            self.say(workload, "must run as a user that is not root")
        if (context.get("seccompProfile") or {}).get("type") != "RuntimeDefault":
            self.say(workload, "has no seccomp profile")
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.get(key):
                self.say(workload, f"uses the node's {key}")
        if pod.get("automountServiceAccountToken") is not False:
            self.say(workload, "mounts a token of the cluster")
        for volume in pod.get("volumes") or []:
            if not {"configMap", "secret", "emptyDir", "projected", "persistentVolumeClaim"} & volume.keys():
                self.say(workload, f"the volume {volume['name']} is of a kind that is not restricted")
        for container in pod["containers"] + (pod.get("initContainers") or []):
            self.confined(workload, container)

    def confined(self, workload, container):
        context = container.get("securityContext") or {}
        if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
            self.say(workload, f"{container['name']} may gain privileges")
        if context.get("readOnlyRootFilesystem") is not True:
            self.say(workload, f"{container['name']} may write its root file system")
        capabilities = context.get("capabilities") or {}
        if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
            self.say(workload, f"{container['name']} keeps capabilities")

    # ---- what a pod needs ----

    def provided(self, workload):
        for container in self.pod(workload)["containers"]:
            image, resources = container["image"], container.get("resources") or {}
            tag = image.rsplit("/", 1)[-1].partition(":")[2]
            if "@sha256:" not in image and tag in ("", "latest"):
                self.say(workload, f"the image {image} is of no version")
            for need in ("cpu", "memory"):
                if need not in (resources.get("requests") or {}):
                    self.say(workload, f"{container['name']} requests no {need}")
            if "memory" not in (resources.get("limits") or {}):
                self.say(workload, f"{container['name']} has no limit of memory")
            self.probed(workload, container)
        self.references(workload)

    def probed(self, workload, container):
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            if probe not in container:
                if probe != "startupProbe":
                    self.say(workload, f"{container['name']} has no {probe}")
                continue
            action = container[probe].get("httpGet") or container[probe].get("tcpSocket") or {}
            if "port" in action and action["port"] not in self.ports(workload):
                self.say(workload, f"{probe} asks the port {action['port']}, which {container['name']} has not")

    def references(self, workload):
        pod = self.pod(workload)
        there = {(m["kind"], m["metadata"]["name"]) for m in self.all}
        accounts = [("ServiceAccount", pod.get("serviceAccountName", "default"))]
        maps = [("ConfigMap", v["configMap"]["name"]) for v in pod.get("volumes") or [] if "configMap" in v]
        secrets = [("Secret", v["secret"]["secretName"]) for v in pod.get("volumes") or [] if "secret" in v]
        for kind, wanted in accounts + maps + secrets:
            if (kind, wanted) not in there and wanted not in self.outside:
                self.say(workload, f"there is no {kind} {wanted}")
        claims = {c["metadata"]["name"] for c in workload["spec"].get("volumeClaimTemplates") or []}
        volumes = {v["name"] for v in pod.get("volumes") or []} | claims
        for container in pod["containers"]:
            for mount in container.get("volumeMounts") or []:
                if mount["name"] not in volumes:
                    self.say(workload, f"mounts {mount['name']}, which is no volume")

    # ---- what belongs together ----

    def selects(self, manifest, selector, ports=()):
        found = self.chosen(selector)
        if not found:
            self.say(manifest, "selects no pod")
        for port in ports:
            if found and not any(port in self.ports(w) for w in found):
                self.say(manifest, f"names the port {port}, which no pod that it selects has")

    def network_policy(self, policy):
        spec = policy["spec"]
        ports = [p["port"] for rule in spec.get("ingress") or [] for p in rule.get("ports") or []]
        self.selects(policy, spec["podSelector"], ports)
        for rule in spec.get("egress") or []:
            for peer in rule.get("to") or []:
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    self.selects(policy, peer["podSelector"], [p["port"] for p in rule.get("ports") or []])

    def monitor(self, monitor):
        spec = monitor["spec"]
        ports = [e["port"] for e in spec[MONITORS[monitor["kind"]]]]
        if monitor["kind"] == "PodMonitor":
            self.selects(monitor, spec["selector"], ports)
            return
        services = [s for s in self.of("Service") if matches(spec["selector"], s["metadata"].get("labels") or {})]
        if not any(p["name"] in ports for s in services for p in s["spec"]["ports"]):
            self.say(monitor, "selects no service with its port")

    def scaled_once(self):
        """Nobody sets the number of what an autoscaler sets."""
        targets = [m["spec"]["scaleTargetRef"] for m in self.of("HorizontalPodAutoscaler", "ScaledObject")]
        names = [(t.get("kind", "Deployment"), t["name"]) for t in targets]
        for workload in self.workloads:
            times = names.count((workload["kind"], workload["metadata"]["name"]))
            if times + ("replicas" in workload["spec"]) > 1:
                self.say(workload, "more than one thing says how many there are")
        for kind, wanted in names:
            if not any((w["kind"], w["metadata"]["name"]) == (kind, wanted) for w in self.workloads):
                self.problems.append(f"an autoscaler scales {kind}/{wanted}, which is not there")

    def scaled_by_all(self):
        """What scales workers goes by all schedulers: the service's name leads to any one of them, and so to a part of the load."""
        (scheduler,) = [w for w in self.workloads if w["metadata"]["name"] == "sluice-scheduler"] or [None]
        count = scheduler["spec"].get("replicas", 1) if scheduler else 0
        for scaler in self.of("ScaledObject"):
            urls = {t["metadata"].get("url") for t in scaler["spec"]["triggers"] if t["type"] == "metrics-api"}
            if urls and len(urls) != count:
                self.say(scaler, f"asks {len(urls)} of {count} schedulers")
            if len(urls) > 1 and "formula" not in ((scaler["spec"].get("advanced") or {}).get("scalingModifiers") or {}):
                self.say(scaler, "does not add up what it is told")

    def namespaces(self):
        for manifest in self.all:
            if manifest["kind"] not in ("Namespace", "ClusterTriggerAuthentication", "APIService", "ClusterRole", "ClusterRoleBinding") \
                    and manifest["metadata"].get("namespace") != "sluice":
                self.say(manifest, "is in no namespace, or in a wrong one")
        for namespace in self.of("Namespace"):
            if namespace["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
                self.say(namespace, "lets pods in that are not restricted")
        policies = self.of("NetworkPolicy")
        if policies and not any(not p["spec"]["podSelector"] and set(p["spec"]["policyTypes"]) == {"Ingress", "Egress"}
                                and not p["spec"].get("ingress") and not p["spec"].get("egress") for p in policies):
            self.problems.append("no NetworkPolicy denies by default")

    def everything(self):
        for workload in self.workloads:
            self.restricted(workload)
            self.provided(workload)
            if not matches(workload["spec"]["selector"], self.labels(workload)):
                self.say(workload, "does not select its own pods")
        for service in self.of("Service"):
            targets = [p.get("targetPort", p["port"]) for p in service["spec"]["ports"]]
            self.selects(service, {"matchLabels": service["spec"].get("selector") or {}}, targets)
        for budget in self.of("PodDisruptionBudget"):
            self.selects(budget, budget["spec"]["selector"])
        for policy in self.of("NetworkPolicy"):
            self.network_policy(policy)
        for monitor in self.of(*MONITORS):
            self.monitor(monitor)
        self.scaled_once()
        self.scaled_by_all()
        self.namespaces()
        return self.problems


def problems(manifests, outside=()):
    return Look(manifests, outside).everything()
