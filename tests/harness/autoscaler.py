"""Stand-ins for what scales a Deployment: KEDA's operator and the HorizontalPodAutoscaler's controller.

Both are pure: step(now_s, replicas, value) gives the replicas that the controller would set at that moment. They are made from
the manifests themselves (`from_scaled_object`, `from_hpa`), with all of their times divided by `faster`. An Autoscaler turns one
of them: it reads a metric, asks, and sets. Whoever scales something says how to read, count and set:

    read()      the metric; an OSError: it cannot be had. load_of(url, token) asks a scheduler, load_of_all several
    count()     replicas as they are set now (spec.replicas)
    scale(n)    sets them. deployment(kubectl, name, namespace) gives this and count, by `kubectl scale`
    scaler = Autoscaler(from_scaled_object(manifest, faster=60), load_of("http://…:8470", token), *deployment("kubectl"))
    scaler.until(lambda: …, deadline_s=60)      # turns it until the condition holds; scaler.history has (s, value, replicas)

Sources: kubernetes.io, "Horizontal Pod Autoscaling": Algorithm details, Configurable scaling behavior; the API reference of
HorizontalPodAutoscalerBehavior; keda.sh, "Scaling Deployments, StatefulSets & Custom Resources" (activating and scaling
thresholds) and "ScaledObject specification" (pollingInterval, cooldownPeriod, minReplicaCount, fallback).
"""
import dataclasses
import json
import math
import subprocess
import threading
import time
import urllib.request

SYNC_PERIOD_S = 15  # --horizontal-pod-autoscaler-sync-period
TOLERANCE = 0.1     # --horizontal-pod-autoscaler-tolerance


@dataclasses.dataclass
class Policy:
    kind: str  # Pods, Percent
    value: int
    period_s: float


@dataclasses.dataclass
class Direction:
    stabilization_s: float
    policies: list
    select: str = "Max"  # Max, Min, Disabled


@dataclasses.dataclass
class Behavior:
    up: Direction
    down: Direction


def behavior_of(spec, faster=1):
    """Of `behavior` in a manifest; what is left out is as the API's defaults have it."""
    defaults = {"scaleUp": (0, [{"type": "Percent", "value": 100, "periodSeconds": 15}, {"type": "Pods", "value": 4, "periodSeconds": 15}]),
                "scaleDown": (300, [{"type": "Percent", "value": 100, "periodSeconds": 15}])}

    def direction(name):
        said, (window, policies) = (spec or {}).get(name) or {}, defaults[name]
        return Direction(said.get("stabilizationWindowSeconds", window) / faster,
                         [Policy(p["type"], p["value"], p["periodSeconds"] / faster) for p in said.get("policies", policies)],
                         said.get("selectPolicy", "Max"))
    return Behavior(direction("scaleUp"), direction("scaleDown"))


class Hpa:
    """One external metric with an AverageValue: what was recommended and done within the windows is kept."""

    def __init__(self, target, least, most, behavior, period_s=SYNC_PERIOD_S):
        self.target, self.least, self.most, self.behavior, self.period_s = target, least, most, behavior, period_s
        self.recommended = []  # (s, replicas)
        self.changes = []      # (s, by how many)

    def proposal(self, replicas, value):
        """ceil(value / target), unless the average over the replicas is within the tolerance of the target."""
        if abs(1 - value / (self.target * replicas)) <= TOLERANCE:
            return replicas
        return math.ceil(value / self.target)

    def stabilized(self, now_s, replicas, wanted):
        """Up no further than the least, down no further than the most, of what was recommended within the direction's window."""
        def within(window_s):
            return [n for t, n in self.recommended if now_s - t < window_s] + [wanted]
        up, down = min(within(self.behavior.up.stabilization_s)), max(within(self.behavior.down.stabilization_s))
        self.recommended = [(t, n) for t, n in self.recommended if now_s - t < 2 * self.longest_window()] + [(now_s, wanted)]
        return min(max(replicas, up), down)

    def longest_window(self):
        sides = (self.behavior.up, self.behavior.down)
        return max([s.stabilization_s for s in sides] + [p.period_s for s in sides for p in s.policies])

    def at_start(self, now_s, replicas, period_s):
        """Replicas that there were when the policy's period began."""
        return replicas - sum(by for t, by in self.changes if now_s - t < period_s)

    def limited(self, now_s, replicas, wanted):
        """As far as the policies let it go in one step."""
        up = wanted > replicas
        side, choose = (self.behavior.up, max) if up else (self.behavior.down, min)
        if wanted == replicas or side.select == "Disabled":
            return replicas
        bounds = []
        for policy in side.policies:
            start, sign = self.at_start(now_s, replicas, policy.period_s), 1 if up else -1
            percent = start * (1 + sign * policy.value / 100)
            bounds.append(start + sign * policy.value if policy.kind == "Pods" else math.ceil(percent) if up else int(percent))
        if side.select == "Min":
            choose = min if up else max
        bound = choose(bounds)
        return min(wanted, max(bound, replicas)) if up else max(wanted, min(bound, replicas))

    def step(self, now_s, replicas, value):
        """value None: the metric cannot be had, and nothing is changed."""
        if replicas == 0 or value is None:
            return replicas  # none: scaling is disabled, until somebody else sets one
        if not self.least <= replicas <= self.most:
            wanted = min(max(replicas, self.least), self.most)
        else:
            wanted = self.limited(now_s, replicas, self.stabilized(now_s, replicas, self.proposal(replicas, value)))
            wanted = min(max(wanted, self.least), self.most)
        if wanted != replicas:
            self.changes = [(t, by) for t, by in self.changes if now_s - t < self.longest_window()] + [(now_s, wanted - replicas)]
        return wanted


class Keda:
    """Its own loop decides between none and one; the HPA that it makes does the rest, no lower than one."""

    def __init__(self, hpa, activation, least, polling_s, cooldown_s):
        self.hpa, self.activation, self.least, self.cooldown_s = hpa, activation, least, cooldown_s
        self.polling_s, self.polled_s, self.active_s, self.synced_s = polling_s, None, None, None
        self.period_s = min(polling_s, hpa.period_s)

    def poll(self, now_s, replicas, value):
        self.polled_s = now_s
        if value is None:
            return replicas  # in error, without a fallback: as it is
        if value > self.activation:
            self.active_s = now_s
            return replicas or max(self.least, 1)
        cool = self.active_s is None or self.active_s + self.cooldown_s < now_s
        return 0 if replicas > 0 and self.least == 0 and cool else replicas

    def step(self, now_s, replicas, value):
        if self.polled_s is None or now_s - self.polled_s >= self.polling_s:
            polled = self.poll(now_s, replicas, value)
            if polled != replicas:
                return polled
        if self.synced_s is None or now_s - self.synced_s >= self.hpa.period_s:
            self.synced_s = now_s
            return self.hpa.step(now_s, replicas, value)
        return replicas


def from_hpa(manifest, faster=1):
    spec = manifest["spec"]
    (metric,) = spec["metrics"]
    target = metric["external"]["target"]
    assert target["type"] == "AverageValue", target
    return Hpa(float(target["averageValue"]), spec["minReplicas"], spec["maxReplicas"], behavior_of(spec.get("behavior"), faster), SYNC_PERIOD_S / faster)


def from_scaled_object(manifest, faster=1):
    spec = manifest["spec"]
    (trigger,) = spec["triggers"]
    assert trigger.get("metricType", "AverageValue") == "AverageValue", trigger
    said, least = trigger["metadata"], spec.get("minReplicaCount", 0)
    behavior = behavior_of(spec.get("advanced", {}).get("horizontalPodAutoscalerConfig", {}).get("behavior"), faster)
    hpa = Hpa(float(said.get("targetValue", said.get("threshold"))), max(least, 1), spec.get("maxReplicaCount", 100), behavior, SYNC_PERIOD_S / faster)
    return Keda(hpa, float(said.get("activationTargetValue", said.get("activationThreshold", 0))), least,
                spec.get("pollingInterval", 30) / faster, spec.get("cooldownPeriod", 300) / faster)


class Autoscaler:
    """Turns a controller over a metric and something that can be scaled."""

    def __init__(self, controller, read, count, scale, clock=time.monotonic):
        self.controller, self.read, self.count, self.scale, self.clock = controller, read, count, scale, clock
        self.history = []  # (s, value, replicas set)
        self.began_s = clock()

    def turn(self):
        """Gives what was read."""
        now_s = self.clock() - self.began_s
        try:
            value = self.read()
        except OSError:
            value = None
        before = self.count()
        wanted = self.controller.step(now_s, before, value)
        if wanted != before:
            self.scale(wanted)
        self.history.append((now_s, value, wanted))
        return value

    def until(self, condition, deadline_s=120, what="the condition"):
        """A turn in each of the controller's periods, until the condition holds, which is looked at in between."""
        tick, end, due = threading.Event(), self.clock() + deadline_s, self.clock()
        while not condition():
            assert self.clock() < end, f"{what}: not within {deadline_s} s; {self.history[-20:]}"
            if self.clock() >= due:
                self.turn()
                due = max(due + self.controller.period_s, self.clock())
            tick.wait(min(self.controller.period_s, 0.05))

    def most(self):
        return max((n for _, _, n in self.history), default=0)


def load_of(url, token=None, deadline_s=10):
    """As KEDA's metrics-api scaler with authMode bearer asks: the answer's `load`."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    def read():
        request = urllib.request.Request(url + "/api/v1/workers/desired", headers=headers)
        with urllib.request.urlopen(request, timeout=deadline_s) as answer:
            return float(json.loads(answer.read())["load"])
    return read


def load_of_all(reads):
    """sum(sluice_worker_load)."""
    return lambda: sum(read() for read in reads)


def deployment(kubectl, name="sluice-worker", namespace="sluice"):
    """count and scale of a Deployment. kubectl: the program, or a list with its options."""
    command = [kubectl] if isinstance(kubectl, str) else list(kubectl)

    def run(*args):
        return subprocess.run([*command, "-n", namespace, *args], check=True, capture_output=True, text=True).stdout

    def count():
        return int(run("get", "deployment", name, "-o", "jsonpath={.spec.replicas}") or 0)

    def scale(n):
        run("scale", "deployment", name, f"--replicas={n}")
    return count, scale
