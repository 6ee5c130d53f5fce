"""A stream as people and machines see it: status, the API, metrics, alerts, the dashboard."""
import json
import time

import pytest

from harness.dashboard import browser, chromium, open_sync  # noqa: F401
from harness.metrics import Metrics, fetch
from harness.receiver import Receiver
from harness.stream import Flow, cdc, publications, slots


@pytest.fixture
def receiver():
    server = Receiver()
    yield server
    server.close()


def metrics(service):
    return Metrics(fetch(service.url + "/metrics")[2])


def age_s(service):
    """How old everything is that is accepted at the destination."""
    return time.time() - time.mktime(time.strptime(service.sync("s")["fresh_at"][:19], "%Y-%m-%dT%H:%M:%S")) + time.timezone


def test_a_stream_that_flows_is_told_everywhere(live, sink):
    lab = live
    lab.customers(20)
    flow = Flow(lab, sink).flowing()
    view = flow.wait_phase("flowing")
    (slot, (active, _)), = slots(lab).items()
    assert (view["slot"], view["publication"]) == (slot, publications(lab)[0]) and active
    assert view["why"] is None and view["pending"] == 0 and view["since"] and view["reconcile"]
    text = lab.command("stream", "status")
    assert text.rc == 0 and text.out.startswith("s (cdc): flowing") and f"slot {slot}" in text.out, text
    told = lab.command("stream", "status", "s", "--json").lines[0]
    assert told["running"] and told["phase"] == "flowing" and told["slot"] == slot
    status = lab.command("status")
    assert "  stream: flowing" in status.out and "stream (cdc)" in status.out, status
    assert lab.command("status", "--json").lines[0]["stream"]["phase"] == "flowing"
    now = metrics(flow.service)
    assert now.get("sluice_stream_up", sync="s") == 1 and now.get("sluice_stream_max_lag_bytes", sync="s") == 10 << 30
    assert now.get("sluice_stream_lag_seconds", sync="s") < 60 and now.get("sluice_stream_pending", sync="s") == 0
    flow.service.wait(lambda: age_s(flow.service) < 5, "a sync that is fresh without a read")
    flow.end()


def test_a_sync_is_fresh_up_to_the_oldest_change_that_waits(live, sink):
    lab = live
    lab.customers(20)
    flow = Flow(lab, sink).flowing()
    sink.hold()
    lab.sql("update c set name = 'held' where id = 1")
    flow.service.wait(sink.count_held, "a request that hangs")
    flow.service.wait(lambda: flow.view()["waits_seconds"] > 2, "a change that waits")
    assert flow.view()["in_flight"] == 1 and age_s(flow.service) >= 1
    assert metrics(flow.service).get("sluice_stream_waits_seconds", sync="s") >= 2
    assert " behind" in lab.command("stream", "status").out
    sink.release()
    flow.wait_same()
    flow.service.wait(lambda: flow.view()["waits_seconds"] == 0 and age_s(flow.service) < 5, "nothing waits")
    flow.end()


def test_a_slot_is_dropped_only_once_its_sync_streams_no_more(live, sink):
    lab = live
    lab.customers(5)
    flow = Flow(lab, sink).flowing()
    (slot,) = slots(lab)
    refused = lab.command("stream", "drop", "s")
    assert refused.rc == 75 and "the scheduler streams s" in refused.err and "reload" in refused.err, refused
    assert list(slots(lab)) == [slot]
    flow.write(stream="manual")
    refused = lab.command("stream", "drop", "s")
    assert refused.rc == 75, "the folder's schedule is not yet the scheduler's"
    flow.reload()
    flow.service.wait(lambda: flow.service.sync("s")["stream"] is None and not slots(lab)[slot][0], "a stream that is over")
    done = lab.command("stream", "drop", "s")
    assert done.rc == 0 and f"dropped the slot {slot}" in done.out, done
    assert not slots(lab) and not publications(lab)
    flow.stop()


def test_a_source_that_is_away_is_told_with_its_words(own_live, sink):
    lab = own_live
    lab.customers(5)
    flow = Flow(lab, sink).flowing()
    lab.postgres.halt()
    flow.service.wait(lambda: flow.view()["why"], "a stream that says what is wrong")
    assert metrics(flow.service).get("sluice_stream_up", sync="s") == 0
    flow.service.wait(lambda: f": {flow.view()['why']}" in lab.command("stream", "status").out, "the same words for people")
    lab.postgres.start()
    lab.sql("insert into c values (100, 'new', 'new', 1, false)")
    flow.wait_same()
    flow.service.wait(lambda: flow.view()["why"] is None and metrics(flow.service).get("sluice_stream_up", sync="s") == 1, "it flows again")
    flow.end()


def test_a_slot_that_holds_back_much_is_told_and_given_up(live, sink, receiver):
    lab = live
    lab.customers(5)
    flow = Flow(lab, sink, stream=cdc(max_slot_lag="16MiB"), start=False)
    lab.write(json.dumps({"alerts": {"ops": {"type": "webhook", "url": f"http://127.0.0.1:{receiver.server_port}/ops"}}}), "alerts.yaml")
    flow.start().flowing()

    def told():
        return [(event["event"], event["why"]) for _, event, _ in receiver.of("/ops")]
    (slot,) = slots(lab)
    sink.hold()
    lab.sql("update c set name = 'held' where id = 1")
    flow.service.wait(sink.count_held, "a request that hangs")
    lab.sql("create table noise (t text)")
    lab.sql("insert into noise select repeat(md5(g::text), 30) from generate_series(1, 11000) g")  # more than 8 MiB of log
    flow.service.wait(told, "the lag is told")
    (event, why), = told()
    assert event == "late" and slot in why and "holds back" in why
    lab.sql("insert into noise select repeat(md5(g::text), 30) from generate_series(1, 11000) g")
    flow.service.wait(lambda: len(told()) >= 2, "the end of the slot is told")
    assert told()[1][0] == "warning" and "given up" in told()[1][1], told()
    sink.release()
    flow.flowing()
    flow.service.wait(lambda: told()[-1][0] == "recovered", "all is well again")
    flow.end()


def test_a_truncated_table_is_held_and_told(live, sink, receiver):
    lab = live
    lab.customers(10)
    flow = Flow(lab, sink, start=False)
    lab.write(json.dumps({"alerts": {"ops": {"type": "webhook", "url": f"http://127.0.0.1:{receiver.server_port}/ops"}}}), "alerts.yaml")
    flow.start().flowing()
    lab.sql("truncate c")
    view = flow.wait_phase("held")
    flow.service.wait(lambda: [event["event"] for _, event, _ in receiver.of("/ops")] == ["held"], "the hold is told, and nothing else")
    assert len(sink.state) == 10, "nothing is removed blindly"
    assert metrics(flow.service).get("sluice_stream_up", sync="s") == 0 and metrics(flow.service).get("sluice_run_held", sync="s") == 1
    status = lab.command("status").out
    assert f"stream: held: {view['why']}" in status and "to send it: sluice approve " in status, status
    run = flow.service.sync("s")["last_run"]["id"]
    assert lab.command("approve", run).rc == 0
    flow.flowing()
    assert not sink.state
    flow.service.wait(lambda: [event["event"] for _, event, _ in receiver.of("/ops")] == ["held", "recovered"], "its end is told")
    flow.end()


def test_the_dashboard_shows_a_stream(live, sink, browser):  # noqa: F811
    lab = live
    lab.customers(20)
    flow = Flow(lab, sink).flowing()
    browser.service = flow.service
    (slot,) = slots(lab)
    browser.open(flow.service.url)
    browser.wait_text("flowing", "main")
    assert "stream (cdc)" in browser.text("main") and "streams" in browser.text("main")
    open_sync(browser, flow.service)
    browser.wait_text("flowing", ".facts")
    facts = browser.text(".facts")
    assert slot in facts and "none waits" in facts and "Reads the model anew" in facts
    lab.sql("update c set name = 'seen' where id <= 7")
    flow.wait_same()
    run = flow.service.wait(lambda: next((r for r in flow.stretches() if r["counts"]["planned"] >= 7), None), "a stretch that has sent it")
    browser.open(flow.service.url, f"runs/{run['id']}")
    browser.wait_text("From changes to verdicts", "main")
    assert "7 planned" in browser.text(".funnel"), browser.text(".funnel")


@pytest.mark.long  # a reconciliation comes after a minute at the earliest
def test_what_no_change_told_of_is_found_by_a_reconciliation_and_told(live, sink):
    """A publication that does not tell of inserts."""
    lab = live
    lab.customers(5)
    lab.sql("create publication quiet for table c with (publish = 'update, delete')")
    lab.sql("select pg_create_logical_replication_slot('quiet_slot', 'pgoutput')")
    flow = Flow(lab, sink, stream=cdc(slot="quiet_slot", publication="quiet", reconcile={"every": "1m"})).flowing()
    assert flow.view()["drift"] is None and metrics(flow.service).get("sluice_stream_up", sync="s") == 1
    lab.sql("insert into c values (100, 'untold', 'untold', 1, false), (101, 'untold', 'untold', 1, false)")
    flow.wait_same()
    flow.service.wait(lambda: flow.view()["drift"] == 2, "the drift is told")
    assert metrics(flow.service).get("sluice_stream_drift_records", sync="s") == 2
    assert "stream_drift sync=s" in flow.running.err()
    flow.end()
