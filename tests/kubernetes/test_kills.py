"""What dies in the middle of a sync: workers, the scheduler, Redis with all it held. Nothing is lost, and what comes twice is what was in flight."""
import pytest

from harness.processes import kill_hard
from harness.sink import wait_until
from kubernetes.fleet import BATCH, DEADLINE_S, PAUSE_S, ROWS, SCHEDULER, SLOTS


@pytest.fixture
def resting(fleet):
    fleet.at_rest(4)
    return fleet


def force(fleet, pod):
    """As somebody does it who does not want to wait: the API forgets the pod, the kubelet kills it."""
    fleet.kubectl("delete", "pod", pod, "--grace-period=0", "--force")


def test_workers_and_the_scheduler_are_killed_again_and_again(resting, figures):
    before = resting.restarts()
    run = resting.change(ROWS)
    first, second, third = (p["metadata"]["name"] for p in resting.workers()[:3])
    resting.wait_sent(100_000)
    kill_hard([resting.process_of(resting.get("pod", first))])
    resting.wait_sent(250_000)
    force(resting, second)
    resting.wait_sent(400_000)
    kill_hard([resting.process_of(resting.get("pod", SCHEDULER))])
    resting.wait_sent(600_000)
    force(resting, SCHEDULER)
    resting.wait_sent(800_000)
    kill_hard([resting.process_of(resting.get("pod", name)) for name in (third, SCHEDULER)])
    ended = resting.finish(run)
    resting.assert_good(ended, changed=ROWS, succeeded=ROWS)
    twice = resting.sink.stats()["records"] - ROWS
    assert 0 <= twice <= 3 * SLOTS * BATCH, "no more than what the killed workers had in flight"
    figures("a million changes; 3 workers and 3 times the scheduler killed", f"{resting.took_s():.0f} s, {twice} records twice")
    resting.roll_out()
    after = resting.restarts()
    assert after[first] == before[first] + 1 and after[third] == before[third] + 1 and second not in after
    assert after[SCHEDULER] == 1, "of the second pod of that name"


def test_a_worker_that_is_told_to_end_gives_back_what_it_has(resting):
    """One pod is deleted, of which the log tells; the other's program is sent SIGTERM, so that its exit status can be read."""
    run = resting.change(400_000)
    resting.wait_sent(50_000)
    ended, deleted = resting.workers()[:2]
    log = resting.follow(deleted)
    resting.kubectl("delete", "pod", deleted["metadata"]["name"], "--wait=false")
    assert resting.terminate(ended) == 0
    wait_until(lambda: [line for line in log() if line["event"] == "worker_ended"], DEADLINE_S, "the end of a worker in its log", PAUSE_S)
    (drains,) = [line for line in log() if line["event"] == "worker_drains"]
    (end,) = [line for line in log() if line["event"] == "worker_ended"]
    assert drains["in_flight"] > 0 and end["status"] == 0
    run = resting.finish(run)
    resting.assert_good(run, changed=400_000, succeeded=400_000)
    assert run["retries"] == 0
    resting.assert_once(400_000)


def test_redis_is_lost_with_all_that_it_held(resting, figures):
    before = resting.restarts()
    run = resting.change(ROWS)
    resting.wait_sent(300_000)
    resting.lose_redis()
    resting.roll_out()
    ended = resting.finish(run)
    resting.assert_good(ended, changed=ROWS, succeeded=ROWS)
    figures("a million changes; Redis lost with all it held", f"{resting.took_s():.0f} s, {resting.sink.stats()['records'] - ROWS} records twice")
    assert resting.restarts() == before, "all wait for Redis"
