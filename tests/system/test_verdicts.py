"""Every kind of answer leads to the right verdict, within a bounded number of requests."""
import email.utils
import json
import math
import time

import pytest

from harness.lab import assert_clean
from harness.sink import CUT_AFTER, CUT_BEFORE, Answer, RefusingPort, record_errors, refuse

QUICK = {"retry": {"attempts": 4, "base": "20ms", "max": "100ms"}}


def poison(*bad_ids, status=400):
    bad = set(bad_ids)

    def behave(request):
        return refuse(status, "bad record in the batch") if bad & set(request.ids) else None
    return bad, behave


def first_times(count, answer):
    """The given answer to the first `count` requests, acceptance afterwards."""
    seen = []

    def behave(_request):
        seen.append(1)
        return answer if len(seen) <= count else None
    return behave


# ---- per-record errors of a 2xx ----

def test_records_named_in_the_answer_are_rejected_and_the_others_accepted(lab, sink):
    sink.behave = lambda q: record_errors(*[(n, "no", False) for n, i in enumerate(q.ids) if i in (5, 600)])
    lab.customers(1000)
    lab.simple(sink)
    done = lab.run()
    assert done.rc == 1 and done.counts("rejected", "succeeded", "requests") == (2, 998, 2)


def test_records_named_as_retryable_are_sent_again_alone(lab, sink):
    first = []

    def behave(request):
        again = [(n, "busy", True) for n, i in enumerate(request.ids) if i in (5, 6) and first.append(i) is None and first.count(i) <= 2]
        return record_errors(*again) if again else None
    sink.behave = behave
    lab.customers(500)
    lab.simple(sink, destination=QUICK)
    done = lab.good_run()
    assert done.counts("succeeded", "requests", "retries") == (500, 3, 2)
    assert [sorted(q.ids) for q in sink.log[1:]] == [[5, 6], [5, 6]]
    assert_clean(sink)


def test_records_that_stay_retryable_fail_and_come_back(lab, sink):
    busy = {5}
    sink.behave = lambda q: record_errors(*[(n, "busy", True) for n, i in enumerate(q.ids) if i in busy])
    lab.customers(100)
    lab.simple(sink, destination=QUICK)
    done = lab.run()
    assert done.rc == 1 and done.counts("failed", "succeeded", "rejected") == (1, 99, 0)
    assert len(sink.log) == 4, "one request per attempt"
    busy.clear()
    mark = len(sink.log)
    assert lab.good_run().last["succeeded"] == 1 and sink.ids_since(mark) == [5]


@pytest.mark.parametrize("again", [False, True])
def test_a_record_named_twice_is_refused_once_and_the_others_are_accepted(lab, sink, again):
    sink.behave = lambda q: record_errors((3, "no email", again), (3, "no name", False)) if len(q.ids) > 1 else None
    lab.customers(100)
    lab.simple(sink, destination=QUICK)
    done = lab.run()
    assert done.rc == 1 and done.counts("rejected", "succeeded", "requests") == (1, 99, 1)


@pytest.mark.parametrize("errors", [[(100, "who?", False)], [(-1, "who?", False)], [(0, "fine", False), (5000, "who?", True)]])
def test_an_index_outside_the_batch_accepts_nothing_of_it(lab, sink, errors):
    sink.behave = lambda q: record_errors(*errors)
    lab.customers(100)
    lab.simple(sink, destination=QUICK)
    done = lab.run()
    assert done.rc in (1, 2) and done.counts("succeeded") == (0,)
    sink.behave = None
    assert lab.good_run().counts("succeeded", "quarantined") == (100, 0)


@pytest.mark.parametrize("body", ["", "ok", "<html>thanks</html>", '{"errors":[]}', '{"errors":null}', "[]", '"{"'])
def test_a_2xx_without_errors_accepts_all_whatever_it_says(lab, sink, body):
    sink.behave = lambda q: Answer(200, body)
    lab.customers(20)
    lab.simple(sink)
    assert lab.good_run().counts("succeeded") == (20,)


@pytest.mark.parametrize("status", [201, 202, 204])
def test_other_successes_count_too(lab, sink, status):
    sink.behave = lambda q: Answer(status, "" if status == 204 else "{}")
    lab.customers(20)
    lab.simple(sink)
    assert lab.good_run().counts("succeeded") == (20,)


# ---- refused batches ----

@pytest.mark.core
@pytest.mark.parametrize("status", [400, 422])
def test_bad_records_are_isolated_by_halving_in_few_requests(lab, sink, status):
    bad, sink.behave = poison(13, 777, 778, 3999, status=status)
    lab.customers(4000)
    lab.simple(sink, batch_size=500)
    done = lab.run()
    assert done.rc == 1 and done.counts("rejected", "succeeded") == (4, 3996)
    assert set(sink.state) == {f'{{"id":{i}}}' for i in range(1, 4001)} - {f'{{"id":{i}}}' for i in bad}
    bound = 8 + len(bad) * 2 * math.ceil(math.log2(500))
    assert len(sink.log) <= bound, f"{len(sink.log)} requests, {bound} are enough"
    assert done.last["requests"] == len(sink.log) and done.last["failed"] == 0
    assert_clean(sink)


def test_a_split_is_not_an_attempt(lab, sink):
    _, sink.behave = poison(1)
    lab.customers(512)
    lab.simple(sink, batch_size=512, destination={"retry": {"attempts": 1}})
    assert lab.run().counts("rejected", "succeeded", "failed") == (1, 511, 0)


def test_413_halves_until_it_fits(lab, sink):
    sink.behave = lambda q: refuse(413, "too large") if len(q.records) > 100 else None
    lab.customers(1000)
    lab.simple(sink)
    done = lab.good_run()
    assert done.counts("succeeded", "rejected") == (1000, 0)
    assert max(len(q.records) for q in sink.accepted()) <= 100 and len(sink.log) <= 2 * 15


def test_a_record_too_large_by_itself_is_rejected_alone(lab, sink):
    sink.behave = lambda q: refuse(413, "too large") if 7 in q.ids else None
    lab.customers(64)
    lab.simple(sink)
    assert lab.run().counts("succeeded", "rejected") == (63, 1)


def test_twenty_single_refusals_in_a_row_stop_the_run_and_quarantine_nothing(lab, sink):
    sink.behave = lambda q: refuse(400, "property vip does not exist")
    lab.customers(3000)
    lab.simple(sink, destination={"concurrency": 1})
    done = lab.run()
    assert done.rc == 2 and done.last["status"] == "failed"
    assert "property vip does not exist" in done.text and done.counts("rejected", "succeeded") == (0, 0)
    assert len(sink.log) < 500, "ten to reach the first single record, two for each of the twenty at most, and what was under way; not 3000"
    sink.behave = None
    assert lab.good_run().counts("succeeded", "quarantined") == (3000, 0)


# ---- answers that stop the run ----

@pytest.mark.parametrize("status", [301, 307, 401, 403, 404, 405, 407, 410])
def test_answers_about_credentials_or_address_stop_the_run(lab, sink, status):
    headers = {"Location": sink.url + "/elsewhere"} if status < 400 else {}
    sink.behave = lambda q: Answer(status, json.dumps({"message": "words of the remote"}), headers)
    lab.customers(20000)
    lab.simple(sink, destination={"concurrency": 2})
    done = lab.run()
    assert done.rc == 2 and done.last["status"] == "failed"
    assert done.last["cancelled"] > 0 and done.counts("succeeded", "rejected") == (0, 0)
    assert str(status) in done.text
    assert len(sink.log) <= 4, "requests already on their way and no more"
    sink.behave = None
    assert lab.good_run().counts("succeeded", "quarantined") == (20000, 0)


# ---- failures that are retried ----

@pytest.mark.parametrize("answer", [refuse(408), refuse(500), refuse(502), CUT_BEFORE, CUT_AFTER],
                         ids=["408", "500", "502", "cut before", "cut after"])
def test_passing_failures_are_retried(lab, sink, answer):
    sink.behave = first_times(2, answer)
    lab.customers(300)
    lab.simple(sink, destination={**QUICK, "concurrency": 1})
    done = lab.good_run()
    assert done.counts("succeeded", "requests", "retries") == (300, 3, 2)
    lab.assert_same(sink.state)
    assert len({q.idempotency_key for q in sink.log}) == 1, "the same records under the same key"
    assert [q.doc["attempt"] for q in sink.log] == [1, 2, 3]
    assert len({q.doc["batch"] for q in sink.log}) == 1
    assert_clean(sink)


def test_attempts_used_up_are_failures_that_the_next_run_finds_again(lab, sink):
    sink.behave = lambda q: refuse(500, "broken") if q.records[0]["key"]["id"] <= 100 else None
    lab.customers(300)
    lab.simple(sink, batch_size=100, destination=QUICK)
    done = lab.run()
    assert done.rc == 1 and done.counts("failed", "succeeded", "rejected", "status") == (100, 200, 0, "warning")
    assert sum(1 for q in sink.log if 1 in q.ids) == 4
    sink.behave = None
    mark = len(sink.log)
    done = lab.good_run()
    assert done.last["succeeded"] == 100 and sink.ids_since(mark) == list(range(1, 101))


def test_a_record_in_doubt_is_removed_when_its_row_is_gone(lab, sink):
    sink.behave = lambda q: CUT_AFTER if 3 in q.ids else None
    lab.customers(10)
    lab.simple(sink, batch_size=1, destination=QUICK)
    assert lab.run().counts("failed", "succeeded") == (1, 9)
    assert '{"id":3}' in sink.state, "the destination has it, and nobody told"
    sink.behave = None
    lab.sql("delete from c where id = 3")
    assert lab.good_run().counts("removed", "succeeded") == (1, 1)
    lab.assert_same(sink.state)


def test_a_record_in_doubt_is_never_unchanged(lab, sink):
    lab.customers(10)
    lab.simple(sink, batch_size=1, destination=QUICK)
    lab.good_run()
    sink.behave = lambda q: CUT_AFTER if 3 in q.ids else None
    lab.sql("create table old as select * from c where id = 3; update c set name = 'new' where id = 3")
    assert lab.run().counts("changed", "failed") == (1, 1)
    sink.behave = None
    lab.sql("delete from c where id = 3; insert into c select * from old")
    assert lab.good_run().counts("changed", "succeeded") == (1, 1)
    lab.assert_same(sink.state)


def test_a_request_that_takes_longer_than_the_timeout_is_retried(lab, sink):
    slow = []
    sink.delay_s = lambda q: 30 if not slow and slow.append(1) is None else 0
    lab.customers(50)
    lab.simple(sink, destination={**QUICK, "timeout": "1s"})
    done = lab.good_run()
    assert done.counts("succeeded", "requests", "retries") == (50, 2, 1)


def test_a_dead_destination_fails_its_records_and_ends(lab):
    port = RefusingPort()
    lab.customers(1000)
    lab.simple(port, destination=QUICK)
    done = lab.run()
    port.close()
    assert done.rc == 1 and done.counts("failed", "succeeded") == (1000, 0)


# ---- throttling ----

@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured_and_is_no_attempt(lab, sink, status, form):
    throttled = []

    def behave(_request):
        if len(throttled) >= 3:
            return None
        throttled.append(time.monotonic())
        seconds = 1 if form == "seconds" else 2  # a date has whole seconds: 2 means more than 1
        after = str(seconds) if form == "seconds" else email.utils.formatdate(time.time() + seconds, usegmt=True)
        return refuse(status, "slow down", Retry_After=after)
    sink.behave = behave
    lab.customers(200)
    lab.simple(sink, destination={"concurrency": 1, "retry": {"attempts": 2, "base": "10ms", "max": "20ms"}})
    done = lab.good_run()
    assert done.counts("succeeded", "failed") == (200, 0), "three throttles, two attempts: throttled time is no attempt"
    gaps = [b.t - a.t for a, b in zip(sink.log, sink.log[1:])]
    assert min(gaps[:3]) >= 0.95, gaps
    assert_clean(sink)


def test_a_throttled_destination_is_asked_again_by_nobody_else(lab, sink):
    until = []

    def behave(_request):
        if not until:
            until.append(time.monotonic() + 1)
            return refuse(429, "slow down", Retry_After="1")
        return None
    sink.behave = behave
    lab.customers(4000)
    lab.simple(sink, batch_size=100, destination={"concurrency": 4})
    lab.good_run()
    early = [q for q in sink.log if sink.log[0].end_t + 0.1 < q.t < until[0] - 0.02]
    assert not early, "requests while the destination asked to be left alone"


def test_nothing_but_throttling_for_throttled_max_ends_the_run(lab, sink):
    sink.behave = lambda q: refuse(429, "slow down", Retry_After="1")
    lab.customers(200)
    lab.simple(sink, destination={"retry": {"throttled_max": "2s"}})
    done = lab.run()
    assert done.rc in (1, 2) and done.counts("failed", "succeeded") == (200, 0)
    sink.behave = None
    assert lab.good_run().counts("succeeded") == (200,)
