"""A million records through a fleet that grows and shrinks while they are on their way."""
from kubernetes.fleet import ROWS

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


def test_nothing_is_sent_again_that_has_not_changed(fleet):
    fleet.at_rest(2)
    fleet.assert_good(fleet.finish(fleet.begin()), rows=ROWS, unchanged=ROWS, planned=0, limited=False)
