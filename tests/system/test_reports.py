"""What a running scheduler reports: metrics over HTTP, alerts, logs in the warehouse, logs as JSON."""
import json
import pathlib
import re

import pytest

from harness.lab import ROOT
from harness.mailbox import Mailbox
from harness.metrics import Metrics, documented, fetch
from harness.receiver import Receiver
from harness.service import Service
from harness.sink import Answer, refuse, wait_until

SQL = "select id, email, amount from c"
README = pathlib.Path(ROOT) / "scheduler" / "report" / "README.md"
LISTEN = {"listen": "127.0.0.1:0"}


@pytest.fixture
def receiver():
    server = Receiver()
    yield server
    server.close()


def read(service):
    status, kind, text = fetch(service.url + "/metrics")
    assert status == 200 and kind.startswith("text/plain; version=0.0.4"), (status, kind, text)
    return Metrics(text)


def project(lab, sink, settings=None, alerts=None, **sync):
    lab.simple(sink, sql=SQL, settings={**LISTEN, **(settings or {})}, batch_size=10, **sync)
    lab.write(json.dumps({"alerts": alerts or {}}), "alerts.yaml")


def run_ended(service, count=1):
    service.wait(lambda: len(re.findall(r"\brun_end\b|\brun_held\b", service.running.err())) >= count, f"{count} runs that ended")


def test_metrics_tell_of_runs_and_survive_a_restart(lab, sink):
    lab.customers(60)
    project(lab, sink, destination={"rate_limits": [{"requests": 1000, "per": "10s"}]}, freshness="1h")
    sink.behave = lambda q: refuse(422, "no") if 13 in q.ids else None
    sink.hold(lambda q: 60 in q.ids)
    service = Service(lab)
    assert read(service).names() == documented(README, "## Metrics")
    service.ask("POST", "/api/v1/syncs/s/run", {})
    service.wait(lambda: sink.count_held() == 1 and
                 read(service).get("sluice_records_total", sync="s", verdict="succeeded") == 49, "verdicts of all but what hangs")
    now = read(service)
    assert now.get("sluice_run_under_way", sync="s") == 1 and now.get("sluice_records_total", sync="s", verdict="rejected") == 1
    service.wait(lambda: read(service).get("sluice_in_flight_batches", quota="hook") == 1, "one batch in flight")
    now = read(service)
    assert now.get("sluice_desired_workers") == 1 and now.get("sluice_workers") >= 1
    assert now.get("sluice_limit_tokens", quota="hook", limit="requests per 10s") == 1000
    assert now.get("sluice_redis_round_trip_seconds_count", server="private") > 10
    sink.release()
    run_ended(service)
    now = read(service)
    want = {"succeeded": 59, "rejected": 1, "failed": 0, "cancelled": 0}
    assert {v: now.get("sluice_records_total", sync="s", verdict=v) for v in want} == want
    assert now.get("sluice_runs_total", sync="s", status="warning") == 1
    assert now.get("sluice_run_duration_seconds_count", sync="s") == 1
    assert now.get("sluice_accepted_records", sync="s") == 59 and now.get("sluice_quarantined_records", sync="s") == 1
    assert 0 <= now.get("sluice_freshness_seconds", sync="s") < 3600 == now.get("sluice_freshness_objective_seconds", sync="s")
    assert service.stop().rc == 0
    lab.run()  # beside the service: nobody counts it now
    service.start()
    now = read(service)
    assert now.get("sluice_runs_total", sync="s", status="warning") + now.get("sluice_runs_total", sync="s", status="success") == 2
    assert now.get("sluice_records_total", sync="s", verdict="succeeded") == 59


def test_counters_never_fall_while_runs_come_and_go(lab, sink):
    lab.customers(200)
    project(lab, sink, schedule={"every": "1s"})
    service = Service(lab)
    counters, changed, before = re.compile(r"_(total|count|sum|bucket)$"), 0, {}

    def scrape():
        nonlocal changed, before
        samples = {key: value for key, value in read(service).samples.items() if counters.search(key[0])}
        fallen = [(key, before[key], value) for key, value in samples.items() if value < before.get(key, 0)]
        assert not fallen, fallen
        if samples[("sluice_rows_total", frozenset({("sync", "s")}))] != before.get(("sluice_rows_total", frozenset({("sync", "s")}))):
            changed += 1
            lab.sql(f"update c set amount = amount + 1 where id = {changed}")
        before = samples
        return changed >= 8
    service.wait(scrape, "eight scrapes that saw other numbers")


def test_a_backlog_behind_a_limit_asks_for_no_more_workers(lab, sink):
    lab.customers(5000)
    project(lab, sink, destination={"rate_limits": [{"requests": 3, "per": "10m"}], "concurrency": 500})
    service = Service(lab)
    service.ask("POST", "/api/v1/syncs/s/run", {})
    service.wait(lambda: len(sink.log) == 3 and read(service).get("sluice_in_flight_batches", quota="hook") == 0, "the limit is used up")
    service.wait(lambda: read(service).get("sluice_queue_batches", quota="hook", state="queued") > 64, "a backlog")
    now = read(service)
    assert now.get("sluice_limit_used", quota="hook", limit="requests per 10m") == 3
    assert now.get("sluice_runnable_batches", quota="hook") == 0 and now.get("sluice_useful_slots", quota="hook") == 0
    desired = service.get("/api/v1/workers/desired")
    assert desired["workers"] == 0 == now.get("sluice_desired_workers"), "its tokens come back in ten minutes: until then there is nothing to do"
    assert [(q["why"], q["limit"]) for q in desired["quotas"]] == [("limit", "requests per 10m")]


def test_throttled_time_adds_up(lab, sink):
    lab.customers(40)
    project(lab, sink)
    sink.behave = lambda q: Answer(429, headers={"Retry-After": "1"}) if len(sink.log) < 4 else None
    service = Service(lab)
    service.ask("POST", "/api/v1/syncs/s/run", {})
    seen = []

    def seconds():
        seen.append(read(service).get("sluice_throttled_seconds_total", quota="hook"))
        return seen[-1]
    service.wait(lambda: seconds() > 0, "throttled time")
    run_ended(service)
    service.wait(lambda: read(service).get("sluice_throttled", quota="hook") == 0, "the end of it")
    total = seconds()
    assert seen == sorted(seen) and 0.5 < total < 60
    service.stop()
    service.start()
    assert abs(seconds() - total) < 0.001


def test_people_are_told_of_changes_and_of_nothing_twice(lab, sink, receiver):
    lab.customers(20)
    project(lab, sink, alerts={"ops": {"type": "webhook", "url": f"http://127.0.0.1:{receiver.server_port}/ops"}}, guard={"max_removed": 3})
    service = Service(lab)

    def told():
        return [event["event"] for _, event, _ in receiver.of("/ops")]

    def run(count):
        service.ask("POST", "/api/v1/syncs/s/run", {})
        run_ended(service, count)

    def has_run(count):
        run(count)
        return service.get("/api/v1/syncs/s")["last_run"]["status"]
    assert has_run(1) == "success"
    sink.behave = lambda q: refuse(401, "bad token")
    lab.sql("update c set amount = 7 where id = 1")
    assert has_run(2) == "failed"
    service.wait(lambda: told() == ["failed"], "the failure is told")
    assert "bad token" in receiver.of("/ops")[0][1]["run"]["error"]
    service.wait(lambda: "alert_sent" in service.running.err(), "the service knows that it is told")
    assert has_run(3) == "failed"
    service.stop()
    service.start()
    sink.behave = None
    assert has_run(1) == "success"
    service.wait(lambda: told() == ["failed", "recovered"], "the end of it is told, and nothing else was")
    lab.sql("delete from c where id > 10")
    assert has_run(2) == "held"
    service.wait(lambda: told() == ["failed", "recovered", "held"], "the hold is told")
    service.ask("POST", f"/api/v1/runs/{service.get('/api/v1/syncs/s')['last_run']['id']}/approve", {})
    service.wait(lambda: told() == ["failed", "recovered", "held", "recovered"], "its end is told")
    assert str(receiver.server_port) not in service.running.err().replace(service.url, "")


def test_a_destination_that_is_away_is_a_failure_and_makes_late(lab, sink, receiver):
    lab.customers(20)
    project(lab, sink, alerts={"ops": {"type": "webhook", "url": f"http://127.0.0.1:{receiver.server_port}/ops"}}, freshness="3s",
            destination={"retry": {"attempts": 1}})
    sink.behave = lambda q: refuse(500, "away")
    service = Service(lab)

    def told():
        return [event["event"] for _, event, _ in receiver.of("/ops")]
    service.ask("POST", "/api/v1/syncs/s/run", {})
    run_ended(service, 1)
    last = service.get("/api/v1/syncs/s")["last_run"]
    assert last["status"] == "warning" and "no record reached the destination" in last["reason"] and "away" in last["reason"]
    service.wait(lambda: told()[:1] == ["failed"], "the failure is told")
    service.wait(lambda: "late" in told(), "the objective is missed")
    assert service.get("/api/v1/syncs/s")["fresh_at"] is None, "nothing was accepted"
    sink.behave = None
    service.ask("POST", "/api/v1/syncs/s/run", {})
    run_ended(service, 2)
    service.wait(lambda: "recovered" in told(), "the end of it is told")
    service.stop()


def test_a_reload_takes_other_alerts_and_mail_has_every_letter(lab, sink, receiver):
    box = Mailbox()
    lab.customers(5)
    name = "kunden_nach_größe_und_straße_sehr_lang_nach_übersee_über_alles_📦"
    mail = {"type": "email", "smtp": f"smtp://127.0.0.1:{box.port}", "from": "sluice@example.org", "to": "ana@example.org"}
    lab.project({"m": {"sql": SQL}}, {"hook": {"url": sink.url}}, {name: {"model": "m", "destination": "hook"}}, LISTEN)
    sink.behave = lambda q: refuse(401, "ungültig")
    service = Service(lab)
    try:
        service.ask("POST", "/api/v1/runs", {"syncs": [name]})
        run_ended(service)
        lab.write(json.dumps({"alerts": {"mail": mail}}), "alerts.yaml")
        service.ask("POST", "/api/v1/reload", {})
        service.wait(lambda: len(box.envelopes) == 1, "the new alert tells how the sync stands")
        (first,) = box.mails()
        assert first["Subject"] == f"Sluice: {name} failed" and "ungültig" in first.get_content() and not first.defects
        assert max(len(line) for line in box.envelopes[0].content.decode("ascii").splitlines()) <= 78
        service.wait(lambda: "alert_sent" in service.running.err(), "the service knows that it is told")
        sink.behave = None
        service.ask("POST", "/api/v1/runs", {"syncs": [name]})
        service.wait(lambda: len(box.envelopes) == 2, "the recovery is told")
        assert box.mails()[1]["Subject"] == f"Sluice: {name} has recovered"
    finally:
        box.close()


def test_runs_are_logged_in_the_warehouse(lab, sink):
    lab.customers(30)
    sink.behave = lambda q: refuse(422, "it's no good") if 13 in q.ids else None
    project(lab, sink, settings={"warehouse_log": {"source": "warehouse"}})
    lab.run()
    service = Service(lab)

    def rows(text):
        try:
            return lab.sql(text)
        except Exception as error:  # pylint: disable=broad-except
            assert "does not exist" in str(error), error
            return []
    wait_until(lambda: rows("select sync, status, succeeded, rejected from sluice.sluice_runs") == [("s", "warning", 29, 1)], 60, "the run before")
    lab.sql("delete from c where id < 3")
    service.ask("POST", "/api/v1/syncs/s/run", {})
    wait_until(lambda: len(rows("select run from sluice.sluice_runs")) == 2, 60, "the run by the service")
    last = "(select run from sluice.sluice_runs order by ended_at desc limit 1)"
    assert lab.sql(f"select class, records from sluice.sluice_changes where run = {last} and records > 0 order by 1") == \
        [("quarantined", 1), ("removed", 2), ("unchanged", 27)]
    assert lab.sql("select sync, key, kind from sluice.sluice_rejected") == [("s", '{"id":13}', "rejected")]
    assert "it's no good" in lab.sql("select message from sluice.sluice_rejected")[0][0]


def test_a_kill_loses_no_report_and_doubles_none(lab, sink):
    lab.customers(30)
    project(lab, sink, settings={"warehouse_log": {"source": "warehouse"}}, schedule={"every": "1s"})
    service = Service(lab)
    for _ in range(2):
        run_ended(service, 2)
        service.running.kill_everything()
        service.start()
    service.ask("POST", "/api/v1/syncs/s/pause", {})
    service.wait(lambda: service.get("/api/v1/syncs/s")["phase"] == "idle", "the last run's end")
    known = [r for r in service.get("/api/v1/runs?limit=1000")["runs"] if r["ended_at"]]
    wait_until(lambda: lab.sql("select count(*), count(distinct run) from sluice.sluice_runs") == [(len(known), len(known))], 60, "all runs in the warehouse")
    now = read(service)
    assert sum(now.get("sluice_runs_total", sync="s", status=s) for s in ("success", "warning", "failed", "cancelled", "superseded")) == len(known)
    assert now.get("sluice_rows_total", sync="s") == sum(r["counts"]["rows"] for r in known)
    assert now.get("sluice_records_total", sync="s", verdict="succeeded") == sum(r["counts"]["succeeded"] for r in known) == 30


def test_logs_of_the_service_and_its_workers_are_json(lab, sink):
    lab.customers(30)
    project(lab, sink, schedule={"every": "1s"}, destination={"bearer": "${TOKEN}"})
    service = lab.start("--log-format", "json", program="sluice-scheduler", env={"TOKEN": "tok-6f1c9e"})

    def events():
        return [json.loads(line) for line in service.err().splitlines(keepends=True) if line.endswith("\n")]
    wait_until(lambda: {"run_end", "worker_started"} <= {e["event"] for e in events()}, 60, "a run that ended")
    assert {"sluice-scheduler", "sluice-worker"} == {e["program"] for e in events()}
    end = [e for e in events() if e["event"] == "run_end"][0]
    assert end["sync"] == "s" and end["planned"] == 30 and end["level"] == "info"
    assert "tok-6f1c9e" not in service.err() and "example.org" not in service.err()
    service.process.terminate()
    assert service.wait().rc == 0
    for program, args in (("sluice-scheduler", []), ("sluice", ["up"])):
        assert lab.start(*args, "--log-format", "xml", program=program).wait().rc == 64
