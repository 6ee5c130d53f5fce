"""A million records through a fleet that grows and shrinks while they are on their way."""
import pytest

from kubernetes.fleet import PROJECT, ROWS

PHASES = ((1, 100_000), (8, 700_000), (2, ROWS))  # workers, and how many records have come when their time is over


def rate(times, begin, end):
    """Requests a second between two requests, by their places."""
    return (end - begin) / (times[end] - times[begin])


def test_a_first_sync_with_one_then_eight_then_two_workers(fleet, figures):
    fleet.start_anew()
    fleet.scale(1)
    run = fleet.begin()
    places = []
    for workers, until in PHASES:
        if places:
            fleet.scale(workers)
        begin = fleet.sink.stats()["posts"]
        fleet.wait_sent(until)
        places.append((workers, begin, fleet.sink.stats()["posts"] - 1))
    run = fleet.finish(run)
    fleet.assert_good(run, rows=ROWS, added=ROWS, succeeded=ROWS)
    fleet.assert_once(ROWS)  # who was too many gave back what was not sent, and waited for the answers to the rest
    times = sorted(fleet.sink.times_s())
    figures("1 → 8 → 2 workers, at most 60 requests of 500 records a second", f"{fleet.took_s():.0f} s, " + ", ".join(
        f"{rate(times, begin, end):.0f} requests/s with {workers}" for workers, begin, end in places))
    assert len(fleet.workers()) == 2


@pytest.fixture
def unlimited(fleet):
    """No limit, no delay, and workers of many slots, which they have from their start."""
    fleet.at_rest(1)
    fleet.put_project(PROJECT.replace("    rate_limits: [{requests: 60, per: 1s}]\n", "").replace("worker_slots: 4", "worker_slots: 32"))
    fleet.sink.delay(0)
    fleet.kubectl("rollout", "restart", "deployment/sluice-worker")
    fleet.roll_out()
    yield fleet
    fleet.put_project(PROJECT)
    fleet.kubectl("rollout", "restart", "deployment/sluice-worker")
    fleet.roll_out()


def test_as_fast_as_it_goes_with_one_eight_and_two_workers(unlimited, figures):
    for workers in (1, 8, 2):
        unlimited.scale(workers)
        run = unlimited.finish(unlimited.change(ROWS))
        unlimited.assert_good(run, limited=False, changed=ROWS, succeeded=ROWS)
        unlimited.assert_once(ROWS)
        figures(f"a million changes, no limit, number of workers: {workers}", f"{run['seconds']:.1f} s, {ROWS / run['seconds']:.0f} records/s")


def test_nothing_is_sent_again_that_has_not_changed(fleet):
    fleet.at_rest(2)
    fleet.assert_good(fleet.finish(fleet.begin()), rows=ROWS, unchanged=ROWS, planned=0, limited=False)
