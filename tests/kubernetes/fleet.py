"""Sluice on the node as the dev overlay has it, between a Postgres with a versioned table and a receiver that keeps versions."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import urllib.error

from harness.metrics import Metrics, fetch
from harness.postgres import Postgres
from harness.service import Api
from harness.sink import most_in_window, wait_until
from harness.version_sink import VersionSink
from harness.versions import Versions

OVERLAY = pathlib.Path(__file__).resolve().parent / "overlay"
PROJECT = (OVERLAY / "project" / "sluice.yaml").read_text(encoding="utf-8")
SYNC = "customers_to_hook"
ROWS = 1_000_000
BATCH = 500          # records, the connector's own
LIMIT = 60           # requests in any second, as the project says
SLOTS = 4            # of a worker, as the project says
DELAY_MS = 300       # for each answer
STATE = pathlib.Path("/run/state")
WORKERS = "app.kubernetes.io/component=worker"
SCHEDULER = "sluice-scheduler-0"
DEADLINE_S = 300     # for everything that ends by itself; the machine may be busy
PAUSE_S = 0.2


class Warehouse:
    """The database that the dev overlay names, as Versions wants it."""
    database = "postgres"

    def __init__(self, address):
        self.postgres = Postgres(settings=f"listen_addresses = '{address}'\n", allow="10.22.0.0/16")

    def sql(self, text):
        return self.postgres.sql(text)


class Fleet:
    def __init__(self, node):
        self.node = node
        self.warehouse = Warehouse(node.address)
        self.sink = VersionSink(8080, node.address)
        self.sink.delay(DELAY_MS)
        self.versions = Versions(self.warehouse, ROWS)
        self.followers = []
        self.begun_s = None
        self.project = PROJECT
        STATE.mkdir(mode=0o700)
        self.apply()

    def close(self):
        for follower in self.followers:
            follower.kill()
            follower.wait()
        self.sink.close()
        self.warehouse.postgres.stop()

    # ---- the cluster ----

    def kubectl(self, *args, **options):
        return self.node.kubectl("-n", "sluice", *args, **options)

    def get(self, *args):
        return self.node.get("-n", "sluice", *args)

    def apply(self):
        self.node.kubectl("apply", "-k", OVERLAY)
        self.node.tell_names()
        self.roll_out()

    def roll_out(self):
        for what in ("deployment/redis", "statefulset/sluice-scheduler", "deployment/sluice-worker"):
            self.kubectl("rollout", "status", what, f"--timeout={DEADLINE_S}s", deadline_s=2 * DEADLINE_S)

    def pods(self, selector):
        """Those that are not ending."""
        return [p for p in self.get("pods", "-l", selector)["items"] if "deletionTimestamp" not in p["metadata"]]

    def workers(self):
        """Those that are ready and not ending."""
        return [p for p in self.pods(WORKERS) if any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", []))]

    def scale(self, count):
        """To so many workers, which are ready when it returns; those that are too many may still be ending."""
        self.kubectl("scale", "deployment/sluice-worker", f"--replicas={count}")
        self.kubectl("rollout", "status", "deployment/sluice-worker", f"--timeout={DEADLINE_S}s", deadline_s=2 * DEADLINE_S)
        wait_until(lambda: len(self.workers()) == count, DEADLINE_S, f"{count} workers", PAUSE_S)

    def scale_schedulers(self, count):
        self.kubectl("scale", "statefulset/sluice-scheduler", f"--replicas={count}")
        if not count:
            self.kubectl("wait", "--for=delete", f"--timeout={DEADLINE_S}s", f"pod/{SCHEDULER}", deadline_s=2 * DEADLINE_S)
        self.roll_out()

    def start_anew(self):
        """Nothing was ever synced: no state, no Redis that knows of one, nothing at the destination."""
        self.scale_schedulers(0)
        self.lose_state()
        self.lose_redis()
        self.roll_out()
        self.sink.reset()
        self.scale_schedulers(1)

    def set_image(self, image, *kinds):
        for kind in kinds:
            name = {"deployment": "worker", "statefulset": "scheduler"}[kind]
            self.kubectl("set", "image", f"{kind}/sluice-{name}", f"{name}={image}")

    def evict(self, name):
        """Asks as a drain does: None, or the answer of the API that refuses."""
        done = self.kubectl("create", "--raw", f"/api/v1/namespaces/sluice/pods/{name}/eviction", "-f", "-", check=False, given=json.dumps(
            {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": name, "namespace": "sluice"}}))
        return done.stderr if done.returncode else None

    def worker_metrics(self, pod):
        return Metrics(fetch(f"http://{pod['status']['podIP']}:9470/metrics")[2])

    def revisions(self):
        """Of the projects that the scheduler and the workers go by."""
        told = [self.worker_metrics(p).labels("sluice_worker_config_info")["revision"] for p in self.workers()]
        return {self.api().get("/api/v1/status")["config"]["revision"], *told}

    def set_project(self, text):
        """As `kubectl apply -k` does it after a change of the file; the pods get it by and by."""
        self.kubectl("patch", "configmap", "sluice-project", "--type=merge", "--patch", json.dumps({"data": {"sluice.yaml": text}}))
        self.project = text

    def put_project(self, text):
        """A good one, which all go by when it returns."""
        before = self.revisions()
        self.set_project(text)
        wait_until(lambda: len(self.revisions()) == 1 and not self.revisions() & before, DEADLINE_S, "the project in all pods", PAUSE_S)

    def set_warehouse_user(self, user):
        """The URL of the warehouse, which is a Secret's, names another one; the scheduler goes by it when it returns."""
        def loaded():
            return self.api().get("/api/v1/status")["config"]["loaded_at"]
        before = loaded()
        url = f"postgresql://{user}@postgres:5432/postgres"
        self.kubectl("patch", "secret", "sluice-warehouse", "--type=merge", "--patch", json.dumps({"stringData": {"warehouse_url": url}}))
        wait_until(lambda: loaded() != before, DEADLINE_S, "the Secret in the scheduler's pod", PAUSE_S)

    def lose_state(self):
        """The scheduler's volume is empty; it has to be away."""
        for path in STATE.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def lose_redis(self):
        """With all that it held."""
        (pod,) = self.pods("app.kubernetes.io/name=redis")
        self.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")

    def at_rest(self, workers):
        """All as it was applied, this many workers, and the destination equals the model."""
        self.sink.delay(DELAY_MS)
        if self.project != PROJECT:
            self.put_project(PROJECT)
        self.apply()
        self.scale(workers)
        if not self.versions.is_at(self.sink):
            assert self.finish(self.begin())["status"] == "success"
            self.assert_same()

    def process_of(self, pod):
        """The pid on this machine of the program in a pod's only container."""
        (status,) = pod["status"]["containerStatuses"]
        container = status["containerID"].removeprefix("containerd://")
        state = subprocess.run(["runc", "--root", "/run/containerd/runc/k8s.io", "state", container], capture_output=True, text=True, check=True).stdout
        return json.loads(state)["pid"]

    def restarts(self):
        """{pod: how often its container was started again, by itself or by the kubelet}."""
        return {p["metadata"]["name"]: p["status"]["containerStatuses"][0]["restartCount"] for p in self.pods("app.kubernetes.io/name=sluice")}

    def terminate(self, pod):
        """SIGTERM to a pod's program, which the kubelet starts again; its exit status."""
        name = pod["metadata"]["name"]
        before = self.restarts()[name]
        os.kill(self.process_of(pod), signal.SIGTERM)
        wait_until(lambda: self.restarts()[name] > before, DEADLINE_S, f"another start of {name}", PAUSE_S)
        return self.get("pod", name)["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"]

    def follow(self, pod):
        """The pod's log, kept while it runs, also when it is deleted: a function that gives its lines, parsed."""
        path = self.node.logs / f"{pod['metadata']['name']}.{len(self.followers)}"
        with open(path, "wb") as out:
            self.followers.append(self.node.begin_kubectl("-n", "sluice", "logs", "--follow", pod["metadata"]["name"], stdout=out, stderr=subprocess.DEVNULL))
        return lambda: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("{")]

    def tell(self):
        """The pods and the ends of their logs, to be read by people."""
        parts = [self.kubectl("get", "pods", "-o", "wide", check=False).stdout]
        for pod in self.get("pods")["items"]:
            parts.append(self.kubectl("logs", "--tail=25", "--prefix", pod["metadata"]["name"], check=False).stdout)
        return "\n".join([*parts, self.kubectl("get", "events", "--sort-by=.lastTimestamp", check=False).stdout[-3000:]])

    # ---- Sluice ----

    def api(self):
        return Api(f"http://{self.get('pod', SCHEDULER)['status']['podIP']}:8470", "sluice-dev")

    def sluice(self, *args, check=True):
        """A command in the scheduler's pod, as the README of the manifests has it."""
        return self.kubectl("exec", SCHEDULER, "--", "sluice", *args, check=check)

    def is_ready(self):
        """Of the scheduler: whoever asks again while it is away gets a no."""
        try:
            return self.api().get("/readyz")["ready"]
        except (OSError, KeyError):
            return False

    def change(self, count):
        """So many rows are changed; gives the run that is to send them, which has begun."""
        self.warehouse.sql(f"update c set version = nextval('versions') where id <= {count}")
        self.warehouse.sql("vacuum c")
        return self.begin()

    def begin(self):
        wait_until(self.is_ready, DEADLINE_S, "a scheduler that is ready", PAUSE_S)
        self.sink.reset_counts()
        self.begun_s = time.monotonic()
        return self.api().post(f"/api/v1/syncs/{SYNC}/run")["run"]

    def wait_sent(self, records):
        wait_until(lambda: self.sink.stats()["records"] >= records, DEADLINE_S, f"{records} records at the receiver", PAUSE_S)

    def took_s(self):
        """Since the newest run began, whoever was killed meanwhile."""
        return time.monotonic() - self.begun_s

    def finish(self, run):
        """The run when it has ended, however often its scheduler was away meanwhile."""
        def look():
            try:
                found = self.api().find_run(run)
            except (urllib.error.URLError, OSError, KeyError):
                return None
            return found if found and found["status"] not in ("reading", "planned") else None
        return wait_until(look, DEADLINE_S, f"the end of run {run}", PAUSE_S)

    # ---- what has to hold ----

    def assert_same(self):
        """The destination holds what the model has, every record in the newest version, and none went back on the way."""
        assert self.versions.is_at(self.sink), f"{self.sink.stats()}, the model has {len(self.versions.want())} rows"
        self.sink.assert_in_order()

    def assert_limits(self):
        times = self.sink.times_s()
        most = most_in_window([(t, 1) for t in times], 1.0)
        assert times and most <= LIMIT, f"{most} requests within a second"
        return most

    def assert_good(self, run, limited=True, **counts):
        """Ended well, in balance, with these counts; within the limits, where any held; and the destination equals the model."""
        assert run["status"] == "success" and run["balance"], run
        assert {name: run["counts"][name] for name in counts} == counts, run["counts"]
        assert run["counts"]["succeeded"] == run["counts"]["planned"], run["counts"]
        if limited:
            self.assert_limits()
        self.assert_same()

    def assert_once(self, records):
        """No record came twice."""
        assert self.sink.stats()["records"] == records
