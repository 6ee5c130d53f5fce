"""New images and drained nodes in the middle of a sync: nothing is lost, nothing comes twice, and what does not start stops nothing."""
import pytest

from harness.sink import never_within, wait_until
from kubernetes.fleet import DEADLINE_S, PAUSE_S, ROWS, SCHEDULER, WORKERS
from kubernetes.images import BROKEN, MISSING, NEXT, SLUICE
from kubernetes.node import NAME

ALL = "app.kubernetes.io/name=sluice"
BOTH = ("deployment", "statefulset")
LOOK_S = 12  # a drain asks every five seconds


@pytest.fixture
def resting(fleet):
    fleet.at_rest(4)
    yield fleet
    fleet.node.kubectl("uncordon", NAME)


def images_of(pods):
    return {c["image"] for p in pods for c in p["spec"]["containers"]}


def waits(fleet, selector, image):
    """Why the pods with an image do not start."""
    return {s["state"]["waiting"]["reason"] for p in fleet.pods(selector) if images_of([p]) == {image}
            for s in p["status"].get("containerStatuses", []) if "waiting" in s["state"]} - {"ContainerCreating"}


def test_another_image_is_rolled_out(resting, figures):
    run = resting.change(ROWS)
    resting.wait_sent(50_000)
    resting.set_image(NEXT, *BOTH)
    resting.roll_out()
    took = resting.took_s()
    assert images_of(resting.pods(ALL)) == {NEXT} and len(resting.workers()) == 4
    resting.assert_good(resting.finish(run), changed=ROWS, succeeded=ROWS)
    resting.assert_once(ROWS)
    figures("a million changes; another image for the scheduler and 4 workers", f"{resting.took_s():.0f} s, rolled out after {took:.0f} s")


def test_an_image_that_does_not_start_is_rolled_back(resting):
    """Of workers, where the old ones work on; and of the scheduler, whose pod has to be deleted after the correction."""
    run = resting.change(ROWS)
    resting.wait_sent(50_000)
    resting.set_image(MISSING, "deployment")
    wait_until(lambda: waits(resting, WORKERS, MISSING), DEADLINE_S, "a worker whose image is nowhere", PAUSE_S)
    assert len(resting.workers()) == 4 and images_of(resting.workers()) == {SLUICE}
    resting.kubectl("rollout", "undo", "deployment/sluice-worker")
    resting.set_image(BROKEN, *BOTH)
    for selector in (WORKERS, "app.kubernetes.io/component=scheduler"):
        wait_until(lambda selector=selector: waits(resting, selector, BROKEN), DEADLINE_S, f"a pod of {selector} that cannot start", PAUSE_S)
    assert len(resting.workers()) == 4 and images_of(resting.workers()) == {SLUICE}
    resting.kubectl("rollout", "undo", "deployment/sluice-worker")
    resting.kubectl("rollout", "undo", "statefulset/sluice-scheduler")
    resting.kubectl("delete", "pod", SCHEDULER)
    resting.roll_out()
    assert images_of(resting.pods(ALL)) == {SLUICE}
    resting.assert_good(resting.finish(run), changed=ROWS, succeeded=ROWS)
    resting.assert_once(ROWS)


def test_evictions_stop_where_the_budget_ends(resting):
    """One of four workers may be missing; the next one may go when there is another."""
    run = resting.change(ROWS)
    resting.wait_sent(50_000)
    resting.node.kubectl("cordon", NAME)
    first, second = (p["metadata"]["name"] for p in resting.workers()[:2])
    assert resting.evict(first) is None
    assert "disruption budget" in resting.evict(second)
    assert never_within(lambda: len(resting.workers()) < 3, LOOK_S)
    resting.node.kubectl("uncordon", NAME)
    resting.roll_out()
    wait_until(lambda: resting.evict(second) is None, DEADLINE_S, "an eviction that is allowed again", PAUSE_S)
    resting.assert_good(resting.finish(run), changed=ROWS, succeeded=ROWS)
    resting.assert_once(ROWS)


def test_a_node_is_drained(resting, figures):
    run = resting.change(ROWS)
    before = {p["metadata"]["uid"] for p in resting.pods(ALL)}
    resting.wait_sent(50_000)
    drain = resting.node.begin_kubectl("drain", NAME, f"--pod-selector={ALL}", f"--timeout={DEADLINE_S}s")
    wait_until(lambda: len(resting.workers()) == 3, DEADLINE_S, "the first worker's end", PAUSE_S)
    assert never_within(lambda: len(resting.workers()) < 3 or drain.poll() is not None, LOOK_S)
    resting.node.kubectl("uncordon", NAME)  # as a second node would take what was evicted
    assert drain.wait(2 * DEADLINE_S) == 0
    assert not before & {p["metadata"]["uid"] for p in resting.pods(ALL)}
    resting.roll_out()
    resting.assert_good(resting.finish(run), changed=ROWS, succeeded=ROWS)
    resting.assert_once(ROWS)
    figures("a million changes; the scheduler and 4 workers drained", f"{resting.took_s():.0f} s")
