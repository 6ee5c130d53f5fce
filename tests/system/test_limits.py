"""Rate limits as the destination sees them: every sliding window, by the time at which the kernel got the requests.

How much of a limit is used depends on the machine: what it kept everybody waiting is taken off the time.
"""
import pytest

from harness.lab import assert_clean
from harness.processes import kill_hard
from harness.sink import most_in_window, never_within, refuse, wait_until
from harness.stalls import Stalls


def requests(*sinks):
    return [(q.t, 1) for s in sinks for q in s.log]


def records(*sinks):
    return [(q.t, len(q.records)) for s in sinks for q in s.log]


def assert_used(events, limit, window_s, stalls):
    """At least 95 % of the limit over the whole windows while work was waiting and the machine let it be done."""
    events = sorted(events)
    begin, span = events[0][0], events[-1][0] - events[0][0]
    windows = int(span / window_s)
    assert windows >= 2, f"too short to tell: {span:.2f} s"
    end = begin + windows * window_s
    able = (windows * window_s - stalls.within(begin, end)) / window_s
    sent = sum(w for t, w in events if t < end)
    assert sent >= 0.95 * able * limit, f"{sent} of {able * limit:.0f}, {windows - able:.2f} windows were lost to the machine"


@pytest.mark.parametrize("workers", [1, 4])
def test_requests_stay_within_every_window_and_use_it(lab, sink, workers):
    lab.customers(1600)
    lab.simple(sink, batch_size=5, destination={"rate_limits": [{"requests": 80, "per": "1s"}]})
    with Stalls() as stalls:
        lab.good_run("--workers", str(workers))
    assert len(sink.log) == 320
    assert most_in_window(requests(sink), 1.0) <= 80
    assert_used(requests(sink), 80, 1.0, stalls)
    assert_clean(sink)


@pytest.mark.parametrize("workers", [1, 4])
def test_records_stay_within_every_window_and_use_it(lab, sink, workers):
    lab.customers(4000)
    lab.simple(sink, batch_size=50, destination={"rate_limits": [{"records": 1000, "per": "1s"}]})
    with Stalls() as stalls:
        lab.good_run("--workers", str(workers))
    assert most_in_window(records(sink), 1.0) <= 1000
    assert_used(records(sink), 1000, 1.0, stalls)


def test_several_limits_hold_at_once(lab, sink):
    lab.customers(3000)
    lab.simple(sink, batch_size=25, destination={"rate_limits": [
        {"requests": 20, "per": "500ms"}, {"requests": 60, "per": "2s"}, {"records": 1200, "per": "2s"}]})
    lab.good_run("--workers", "2")
    assert most_in_window(requests(sink), 0.5) <= 20
    assert most_in_window(requests(sink), 2.0) <= 60
    assert most_in_window(records(sink), 2.0) <= 1200


def test_slow_answers_do_not_break_the_window(lab, sink):
    sink.delay_s = lambda q: 0.3 if len(sink.log) % 3 else 0
    lab.customers(600)
    lab.simple(sink, batch_size=5, destination={"rate_limits": [{"requests": 40, "per": "1s"}], "concurrency": 16})
    lab.good_run("--workers", "2")
    assert most_in_window(requests(sink), 1.0) <= 40


def test_destinations_of_one_quota_share_its_limit(lab, sinks):
    one, two = sinks(), sinks()
    lab.customers(600)
    limit = {"quota": "account", "rate_limits": [{"requests": 40, "per": "1s"}]}
    lab.project({"m": {"sql": "select * from c"}}, {"one": {"url": one.url, **limit}, "two": {"url": two.url, **limit}},
                {"first": {"model": "m", "destination": "one", "batch_size": 10},
                 "second": {"model": "m", "destination": "two", "batch_size": 10}})
    with Stalls() as stalls:
        lab.good_run()
    assert len(one.state) == len(two.state) == 600
    assert most_in_window(requests(one, two), 1.0) <= 40
    assert_used(requests(one, two), 40, 1.0, stalls)


def test_a_quota_whose_destinations_state_different_limits_is_a_mistake(lab, sink):
    lab.customers(10)
    lab.project({"m": {"sql": "select * from c"}},
                {"one": {"url": sink.url, "quota": "q", "rate_limits": [{"requests": 40, "per": "1s"}]},
                 "two": {"url": sink.url, "quota": "q", "rate_limits": [{"requests": 41, "per": "1s"}]}},
                {"s": {"model": "m", "destination": "one"}})
    done = lab.command("check")
    assert done.rc == 78 and "quota" in done.text


def test_everything_sent_is_charged_halves_and_retries_too(lab, sink):
    failed = []

    def behave(request):
        if 13 in request.ids:
            return refuse(400, "bad")
        if request.ids[0] % 3 == 0 and request.ids[0] not in failed:
            failed.append(request.ids[0])
            return refuse(500, "broken")
        return None
    sink.behave = behave
    lab.customers(640)
    lab.simple(sink, batch_size=8, destination={"rate_limits": [{"requests": 30, "per": "1s"}],
                                                "retry": {"base": "5ms", "max": "10ms"}})
    assert lab.run("--workers", "2").counts("rejected", "succeeded") == (1, 639)
    assert most_in_window(requests(sink), 1.0) <= 30


def test_the_window_lasts_over_two_runs(lab, sink):
    lab.customers(200)
    lab.simple(sink, batch_size=10, destination={"rate_limits": [{"requests": 20, "per": "3s"}]})
    lab.good_run()
    lab.sql("update c set amount = amount + 1")
    lab.good_run()
    assert len(sink.log) == 40
    assert most_in_window(requests(sink), 3.0) <= 20


@pytest.mark.parametrize("how", ["everything", "parent", "workers", "redis"])
def test_the_window_lasts_over_kill_and_restart(lab, sink, how):
    lab.customers(900)
    lab.simple(sink, batch_size=10, destination={"rate_limits": [{"requests": 30, "per": "2s"}]})
    running = lab.start_run("--workers", "2")
    sink.wait_requests(25)
    if how == "everything":
        running.kill_everything()
    elif how == "parent":
        running.kill_parent()
    else:
        kill_hard(running.workers() if how == "workers" else running.redis())
        assert running.wait().rc == 0
    lab.good_run()
    assert most_in_window(requests(sink), 2.0) <= 30
    lab.assert_same(sink.state)
    assert_clean(sink)


def test_a_limit_of_an_hour_is_remembered_by_the_next_run(lab, sink):
    lab.customers(100)
    lab.simple(sink, batch_size=10, destination={"rate_limits": [{"requests": 5, "per": "1h"}]})
    running = lab.start_run()
    sink.wait_requests(5)
    running.interrupt()
    assert running.wait().rc == 2
    running = lab.start_run()
    assert never_within(lambda: len(sink.log) > 5, 2.0)
    running.interrupt()
    assert running.wait().rc == 2


def test_never_more_requests_at_once_than_the_concurrency(lab, sink):
    lab.customers(2000)
    lab.simple(sink, batch_size=20, destination={"concurrency": 3})
    sink.hold()
    running = lab.start_run("--workers", "2")
    wait_until(lambda: sink.in_flight == 3, 30, "three requests at once")
    assert never_within(lambda: sink.in_flight > 3, 0.5)
    sink.release()
    assert running.wait().rc == 0
    assert sink.most_in_flight == 3
    lab.assert_same(sink.state)
