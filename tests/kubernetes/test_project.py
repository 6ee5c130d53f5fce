"""The project in its ConfigMap: a change is taken by the running pods, a bad one is refused by them and by whoever starts."""
import json

from harness.sink import most_in_window, wait_until
from kubernetes.fleet import DEADLINE_S, PAUSE_S, PROJECT, ROWS

SLOWER = PROJECT.replace("requests: 60", "requests: 25")
BAD = SLOWER.replace("requests: 25", "requets: 25")
CHANGES = 50_000


def config_of(fleet):
    """What `sluice status` says of the project: None while there is nothing to say."""
    lines = [json.loads(line) for line in fleet.sluice("status", "--json").stdout.splitlines()]
    return next((line["config"] for line in lines if "config" in line), None)


def send(fleet, most):
    """A run within this many requests a second."""
    fleet.assert_good(fleet.finish(fleet.change(CHANGES)), changed=CHANGES, succeeded=CHANGES)
    assert most_in_window([(t, 1) for t in fleet.sink.times_s()], 1.0) <= most


def test_a_change_is_taken_without_a_restart(fleet):
    fleet.at_rest(2)
    before = fleet.restarts()
    fleet.put_project(SLOWER)
    send(fleet, 25)
    fleet.put_project(PROJECT)
    send(fleet, 60)
    assert fleet.restarts() == before


def test_a_changed_secret_is_taken_without_a_restart(fleet):
    fleet.at_rest(2)
    before = fleet.restarts()
    fleet.warehouse.sql("create role reader login")
    fleet.set_warehouse_user("reader")
    refused = fleet.finish(fleet.begin())
    assert refused["status"] == "failed" and "permission denied" in refused["error"] and refused["counts"]["planned"] == 0
    fleet.warehouse.sql("grant select on c to reader")
    fleet.assert_good(fleet.finish(fleet.begin()), limited=False, rows=ROWS, unchanged=ROWS, removed=0)
    fleet.set_warehouse_user("postgres")
    assert fleet.restarts() == before


def test_a_bad_change_is_refused_and_told(fleet):
    fleet.at_rest(2)
    before, good = fleet.restarts(), fleet.revisions()
    fleet.put_project(SLOWER)
    slower = fleet.revisions()
    assert slower != good
    fleet.set_project(BAD)
    config = wait_until(lambda: config_of(fleet), DEADLINE_S, "a project that is refused", PAUSE_S)
    assert not config["valid"] and "requets" in json.dumps(config)
    wait_until(lambda: all(fleet.worker_metrics(p).get("sluice_worker_config_valid") == 0 for p in fleet.workers()), DEADLINE_S, "workers that refuse", PAUSE_S)
    assert fleet.revisions() == slower and fleet.restarts() == before
    send(fleet, 25)

    fleet.kubectl("scale", "deployment/sluice-worker", "--replicas=3")

    def refuses_to_start():
        """The exit status of the pod that came too late."""
        states = [s for p in fleet.pods("app.kubernetes.io/component=worker") if p["metadata"]["name"] not in before
                  for s in p["status"].get("containerStatuses", [])]
        return [s[at]["terminated"]["exitCode"] for s in states for at in ("state", "lastState") if "terminated" in s[at]]
    assert set(wait_until(refuses_to_start, DEADLINE_S, "a worker that does not start", PAUSE_S)) == {78}
    assert len(fleet.workers()) == 2

    fleet.put_project(PROJECT)
    fleet.roll_out()
    assert len(fleet.workers()) == 3 and config_of(fleet) is None
    send(fleet, 60)
