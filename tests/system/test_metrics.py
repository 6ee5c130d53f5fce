"""What a worker tells those who watch it: metrics, health, readiness; and logs as JSON."""
import json
import pathlib
import re
import signal

from harness import processes
from harness.lab import ROOT
from harness.metrics import Metrics, documented, fetch, listening
from harness.sink import Answer, refuse, wait_until

README = pathlib.Path(ROOT) / "worker" / "README.md"


def workers_log(lab):
    path = lab.state_dir / "workers.log"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def read(url):
    status, kind, text = fetch(url + "/metrics")
    assert status == 200 and kind.startswith("text/plain; version=0.0.4")
    return Metrics(text)


def test_a_worker_counts_what_it_does(lab, sink):
    lab.customers(100)
    lab.simple(sink, settings={"worker_listen": "127.0.0.1:0", "worker_slots": 9}, batch_size=10)
    seen = []
    sink.behave = lambda q: seen.append(q) or (Answer(429, headers={"Retry-After": "0"}) if len(seen) == 1
                                               else refuse(422, "no") if 13 in q.ids else None)
    sink.hold(lambda q: len(sink.log) >= 12)
    running = lab.start_run("--workers", "1")
    url = listening(lambda: workers_log(lab))
    wait_until(lambda: sink.count_held() >= 1, 60, "a request that hangs")
    now = read(url)
    assert now.names() == documented(README, "## Metrics")
    private = f"unix://{lab.state_dir}/redis.sock"
    assert now.get("sluice_worker_ready") == 1 and now.get("sluice_worker_redis_connected", server=private) == 1
    assert 1 <= now.get("sluice_worker_slots_used") <= now.get("sluice_worker_slots") == 9
    assert now.get("sluice_worker_throttled_total", destination="hook") == 1
    answered = now.get("sluice_worker_requests_total", destination="hook", result="answered")
    assert 11 <= answered <= len(sink.log)
    assert now.get("sluice_worker_request_duration_seconds_count", destination="hook") == answered
    assert now.get("sluice_worker_sent_bytes_total", destination="hook") > 100 * answered
    assert 0 < now.get("sluice_worker_records_total", destination="hook", verdict="succeeded") <= 99
    assert now.get("sluice_worker_claims_total", answer="got") >= answered
    assert now.get("sluice_worker_leases_lost_total") == 0
    trips = now.get("sluice_worker_redis_round_trip_seconds_count", server=private)
    assert trips > 20 and now.get("sluice_worker_redis_round_trip_seconds_sum", server=private) / trips < 1
    assert fetch(url + "/healthz")[::2] == (200, "ok\n") and fetch(url + "/readyz")[0] == 200
    assert fetch(url + "/nothing")[0] == 404
    sink.release()
    done = running.wait()
    assert done.rc == 1 and done.last["rejected"] == 1


def test_every_record_is_counted_once_by_its_verdict(lab, sink):
    lab.customers(60)
    lab.simple(sink, settings={"worker_listen": "127.0.0.1:0"}, batch_size=20)
    sink.behave = lambda q: refuse(422, "no") if 13 in q.ids else None
    sink.hold(lambda q: 60 in q.ids)
    running = lab.start_run("--workers", "1")
    url = listening(lambda: workers_log(lab))

    def verdicts():
        now = read(url)
        if "sluice_worker_records_total" not in now.text or not now.text.count("verdict="):
            return None
        return [now.get("sluice_worker_records_total", destination="hook", verdict=v) for v in ("succeeded", "rejected", "failed", "cancelled")]
    wait_until(lambda: verdicts() == [39, 1, 0, 0], 60, "the verdicts of all but the request that hangs")
    assert sink.count_held() == 1
    sink.release()
    done = running.wait()
    assert done.last["succeeded"] == 59 and done.last["rejected"] == 1


def test_a_worker_without_redis_is_healthy_and_not_ready(lab, sink, redis_servers):
    server = redis_servers()
    lab.simple(sink, settings={"redis": server.url})
    worker = lab.start("--listen", "127.0.0.1:0", program="sluice-worker")
    url = listening(worker.err)
    wait_until(lambda: fetch(url + "/readyz")[0] == 200, 30, "a worker that is ready")
    server.kill()
    status, _, why = wait_until(lambda: fetch(url + "/readyz")[0] == 503 and fetch(url + "/readyz"), 30, "a worker that is not")
    assert status == 503 and why == "Redis is not reached\n"
    assert fetch(url + "/healthz")[0] == 200
    assert read(url).get("sluice_worker_ready") == 0 == read(url).get("sluice_worker_redis_connected", server=server.url)


def test_an_address_that_is_taken_ends_only_a_worker_that_was_told_to_listen_there(lab, sink, redis_servers):
    server = redis_servers()
    lab.simple(sink, settings={"redis": server.url})
    first = lab.start("--listen", "127.0.0.1:0", program="sluice-worker")
    taken = listening(first.err).removeprefix("http://")
    done = lab.start("--listen", taken, program="sluice-worker").wait()
    assert done.rc == 78 and "cannot listen on " + taken in done.err
    lab.simple(sink, settings={"redis": server.url, "worker_listen": taken})
    second = lab.start(program="sluice-worker")
    wait_until(lambda: "worker_does_not_listen" in second.err() and "redis_connected" in second.err(), 30, "a worker that does without")
    assert processes.alive(second.pid)
    assert lab.start("--listen", "nonsense", program="sluice-worker").wait().rc == 78
    assert lab.start("--log-format", "xml", program="sluice-worker").wait().rc == 64


def test_logs_are_json_objects_without_secrets_and_rows(lab, sink):
    lab.customers(50)
    lab.sql("update c set name = 'row-content-4711'")
    lab.simple(sink, settings={"log_format": "json"}, batch_size=10, destination={"bearer": "${TOKEN}"})
    seen = []
    sink.behave = lambda q: seen.append(q) or (Answer(500, body=q.text.decode() + q.headers["authorization"]) if len(seen) <= 2 else None)
    done = lab.run(env={"TOKEN": "tok-6f1c9e"})
    assert done.rc == 0
    text = workers_log(lab) + done.err
    lines = [json.loads(line) for line in text.splitlines()]
    assert "worker_started" in {line["event"] for line in lines if line["program"] == "sluice-worker"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) and line["level"] and line["event"] for line in lines)
    failed = [line for line in lines if line["event"] == "attempt_failed"]
    assert len(failed) == 2 and all(line["sync"] == "s" and line["run"] and line["status"] == 500 for line in failed)
    assert "row-content-4711" not in text and "tok-6f1c9e" not in text and "example.org" not in text
