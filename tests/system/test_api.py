"""The API of a scheduler that does real work, and the commands that speak to it."""
import hashlib
import json
import signal
import socket
import stat
import urllib.error

import pytest

from harness.lab import assert_clean
from harness.service import Service
from harness.sink import record_errors, wait_until

ROWS = 400
BATCH = 20


def serve(lab, sink, settings=None, token=None, **sync):
    """A scheduler whose sync s writes the table c to the sink."""
    lab.customers(ROWS)
    lab.simple(sink, destination={"batch_size": BATCH, "concurrency": 2},
               settings={"listen": "127.0.0.1:0", **(settings or {})}, **sync)
    return Service(lab, token)


def refusal(call, *args, **options):
    """Status and error of a request that is refused."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        call(*args, **options)
    return caught.value.code, json.loads(caught.value.read())["error"]


@pytest.mark.core
def test_a_run_is_asked_for_followed_and_told(lab, sink):
    service = serve(lab, sink)
    run = service.run("s")
    assert (run["status"], run["balance"], run["trigger"]) == ("success", True, "anyone")
    assert run["counts"]["succeeded"] == ROWS
    assert service.get("/api/v1/runs")["runs"][0] == run
    service.wait(lambda: service.sync("s")["fresh_at"], "the sync is fresh")
    told = service.sync("s")
    assert (told["phase"], told["last_run"], told["counts"]["accepted"]) == ("idle", run, ROWS)
    record = service.get("/api/v1/records?sync=s&key=7")
    assert (record["key"], record["accepted"], record["history"]) == ('{"id":7}', True, [])
    assert service.get("/api/v1/destinations")["destinations"][0]["open"]
    assert service.get("/api/v1/audit")["entries"][0]["action"] == "run"
    lab.assert_same(sink.state)


def test_refused_records_are_grouped_found_and_tried_again(lab, sink):
    sink.behave = lambda q: record_errors(*((i, "no such mailbox", False) for i, r in enumerate(q.records) if r["key"]["id"] % 40 == 0))
    service = serve(lab, sink)
    assert service.run("s")["status"] == "warning"
    service.wait(lambda: service.sync("s")["fresh_at"], "the run is put away")
    group, = service.get("/api/v1/errors?sync=s")["groups"]
    assert (group["kind"], group["message"], group["count"]) == ("rejected", "no such mailbox", ROWS // 40)
    records = service.get("/api/v1/errors/records?limit=3")
    assert len(records["records"]) == 3 and records["next_cursor"]
    record = service.get("/api/v1/records?sync=s&key=40")
    assert (record["accepted"], record["refused"]["message"]) == (False, "no such mailbox")
    sink.behave = None
    done = lab.command("retry", "--json", "--message", "mailbox", "--key", '"id":40}')
    assert (done.rc, done.lines) == (0, [{"forgotten": 1}])
    assert service.post("/api/v1/syncs/s/retry", message="mailbox") == {"count": ROWS // 40 - 1}
    assert service.run("s")["counts"]["succeeded"] == ROWS // 40
    lab.assert_same(sink.state)


def test_commands_are_carried_out_by_the_scheduler(lab, sink):
    service = serve(lab, sink)
    done = lab.command("run", "--json")
    assert done.rc == 0 and done.last["status"] == "success", done
    assert service.get("/api/v1/runs")["runs"][0]["trigger"] == "local"
    done = lab.command("status", "--json")
    assert (done.lines[0]["phase"], done.lines[0]["paused"], done.lines[0]["accepted"]) == ("idle", False, ROWS)
    assert "idle" in lab.command("status").out
    assert lab.command("pause", "s", "--destination", "hook").rc == 0
    told = service.sync("s")
    assert told["paused"] and told["destination_paused"]
    assert "paused" in lab.command("status").out
    assert lab.command("resume", "s", "--destination", "hook").rc == 0
    assert not service.sync("s")["paused"]
    assert lab.command("reload").rc == 0
    assert lab.command("pause", "x").rc == 64
    assert lab.command("pause", "--destination", "x").rc == 64
    assert lab.command("pause").rc == 64
    done = lab.command("cancel", "none")
    assert done.rc == 64 and "there is no run none" in done.err


def test_a_run_under_way_rests_while_its_destination_is_paused_and_is_cancelled(lab, sink):
    service = serve(lab, sink)
    sink.hold()
    follower = lab.start_run()
    wait_until(lambda: sink.count_held() == 2, 60, "two requests that are not answered")
    run, = [r["id"] for r in service.get("/api/v1/runs")["runs"]]
    assert service.get(f"/api/v1/runs/{run}")["phase"] == "sending"
    code, error = refusal(service.post, "/api/v1/syncs/s/retry")
    assert (code, error["code"]) == (409, "busy")
    assert lab.command("cancel", run).rc == 0
    sink.release()
    done = follower.wait()
    assert done.rc == 2 and done.last["status"] == "cancelled", done
    assert lab.command("cancel", run).rc == 64
    assert service.run("s")["status"] == "success"
    lab.assert_same(sink.state)
    assert_clean(sink)


def test_rows_are_adopted_beside_a_scheduler(lab, sink):
    service = serve(lab, sink)
    done = lab.command("adopt", "s")
    assert done.rc == 0 and "success" in done.out, done
    assert service.sync("s")["counts"]["accepted"] == ROWS and not sink.log
    done = lab.command("run", "s", "--full")
    assert done.rc == 0 and "SYNC" in done.out, done
    lab.assert_same(sink.state)


def test_who_follows_a_run_is_told_when_the_scheduler_is_gone(lab, sink):
    service = serve(lab, sink)
    sink.hold()
    follower = lab.start("run")
    wait_until(lambda: sink.count_held() == 2, 60, "two requests that are not answered")
    service.running.kill_everything()
    done = follower.wait()
    assert done.rc == 69 and "no longer followed" in done.err, done
    sink.release()
    assert lab.command("run").rc == 0
    lab.assert_same(sink.state)


def test_an_interrupt_ends_the_watching_and_not_the_run(lab, sink):
    service = serve(lab, sink)
    sink.hold()
    follower = lab.start("run")
    wait_until(lambda: sink.count_held() == 2 and "Ctrl-C" in follower.err(), 60, "a run that is watched")
    run, = [r["id"] for r in service.get("/api/v1/runs")["runs"]]
    follower.process.send_signal(signal.SIGINT)
    done = follower.wait()
    assert done.rc == -signal.SIGINT and f"sluice cancel {run} stops it" in done.err, done
    sink.release()
    service.wait_run(run, lambda r: r["status"] == "success")
    lab.assert_same(sink.state)


def run_held(service):
    """A run that is held, and the sync with it."""
    run = service.run("s")
    assert run["status"] == "held", run
    service.wait(lambda: service.sync("s")["held"], "the sync is held")
    return run


def test_held_runs_are_approved_or_rejected(lab, sink):
    service = serve(lab, sink)
    service.run("s")
    lab.sql("delete from c where id > 100")
    held = run_held(service)
    assert "max_removed" in held["reason"], held
    plan = service.get(f"/api/v1/runs/{held['id']}/plan?samples=2")
    assert (plan["records"], plan["added"], len(plan["removed"])) == (ROWS - 100, [], 2)
    assert plan["removed"][0]["before"]["id"] == json.loads(plan["removed"][0]["key"])["id"]
    assert plan["removed"][0]["op"] == "delete" and json.loads(plan["removed"][0]["key"])["id"] > 100
    assert lab.command("reject", held["id"]).rc == 0
    assert service.get(f"/api/v1/runs/{held['id']}")["status"] == "cancelled"
    assert refusal(service.get, f"/api/v1/runs/{held['id']}/plan")[0] == 409
    again = run_held(service)
    done = lab.command("approve", "--json", again["id"])
    assert done.rc == 0 and done.last["removed"] == ROWS - 100, done
    lab.assert_same(sink.state)
    assert lab.command("approve", again["id"]).rc == 64


def test_a_reload_is_refused_with_the_place_of_each_mistake(lab, sink):
    service = serve(lab, sink)
    good = (lab.project_dir / "sluice.yaml").read_text(encoding="utf-8")
    lab.write(good.replace('"mode": "mirror"', '"mode": "miror"'))
    code, error = refusal(service.post, "/api/v1/reload")
    assert code == 422 and len(error["problems"]) == 1
    assert error["problems"][0].startswith("sluice.yaml:") and "mirror" in error["problems"][0]
    assert service.get("/api/v1/status")["reload_error"]
    done = lab.command("reload")
    assert done.rc == 78 and "miror" in done.err
    assert lab.command("pause", "s").rc == 0 and service.sync("s")["paused"], "mistakes in the folder stop no pause"
    done = lab.command("pause", "nothing")
    assert done.rc == 64 and "no sync nothing" in done.err, done
    assert lab.command("resume", "s").rc == 0
    lab.write(good)
    assert lab.command("reload").rc == 0
    assert service.get("/api/v1/status")["reload_error"] is None


def test_tokens_made_by_the_command_open_the_api_by_role(lab, sink):
    made = {role: lab.command("token", role + ".x", "--role", role, "--json").lines[0] for role in ("viewer", "operator", "admin")}
    for role, one in made.items():
        assert one["sha256"] == hashlib.sha256(one["token"].encode()).hexdigest()
    assert len({one["token"] for one in made.values()}) == 3
    tokens = [{key: one[key] for key in ("name", "role", "sha256")} for one in made.values()]
    service = serve(lab, sink, {"tokens": tokens}, made["viewer"]["token"])
    assert service.get("/api/v1/status")["name"] == "viewer.x"
    assert refusal(service.post, "/api/v1/syncs/s/run")[0] == 403
    service.token = made["operator"]["token"]
    assert service.run("s")["trigger"] == "operator.x"
    assert refusal(service.get, "/api/v1/audit")[0] == 403
    service.token = made["admin"]["token"]
    assert service.get("/api/v1/audit")["entries"][0]["actor"] == "operator.x (operator)"
    service.token = "wrong"
    assert refusal(service.get, "/api/v1/syncs")[0] == 401
    assert all(one["token"] not in service.running.err() for one in made.values())
    assert not any(one["token"].encode() in path.read_bytes() for one in made.values() for path in lab.state_dir.rglob("*") if path.is_file())


def test_a_token_command_says_what_is_wrong(lab):
    assert lab.command("token").rc == 64
    assert lab.command("token", "a b").rc == 64
    done = lab.command("token", "ana", "--role", "owner")
    assert done.rc == 64 and "viewer, operator or admin" in done.err
    done = lab.command("token", "ana")
    assert done.rc == 0 and '{name: "ana", role: viewer, sha256: ' in done.out


def test_what_strangers_could_reach_needs_tokens(lab, sink):
    lab.simple(sink, settings={"listen": "0.0.0.0:8470"})
    done = lab.command("check")
    assert done.rc == 78 and "settings.tokens" in done.text
    done = lab.start(program="sluice-scheduler").wait()
    assert done.rc == 78 and "settings.tokens" in done.text


def test_an_address_that_is_taken_is_said(lab, sink):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        lab.simple(sink, settings={"listen": "127.0.0.1:%d" % other.getsockname()[1]})
        done = lab.start(program="sluice-scheduler").wait()
    assert done.rc == 69 and "settings.listen" in done.err and "in use" in done.err, done


def test_without_a_scheduler_commands_say_how_to_start_one(lab, sink):
    lab.simple(sink)
    for command in (["pause", "s"], ["resume", "s"], ["cancel", "r"], ["reject", "r"], ["reload"]):
        done = lab.command(*command)
        assert done.rc == 69 and "sluice up" in done.err, done


def test_a_socket_left_behind_is_replaced_and_only_its_owners(lab, sink):
    service = serve(lab, sink)
    path = lab.state_dir / "control.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    service.running.kill_everything()
    assert path.exists()
    done = lab.command("reload")
    assert done.rc == 69, done
    service.start()
    assert lab.command("reload").rc == 0
    assert service.stop().rc == 0
    assert not path.exists()


def test_events_tell_a_run_from_its_beginning_to_its_end(lab, sink):
    service = serve(lab, sink)
    with socket.create_connection(("127.0.0.1", service.port), 60) as stream:
        stream.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        text = b""
        while b"retry:" not in text:
            text += stream.recv(65536)
        run = service.post("/api/v1/syncs/s/run")["run"]
        while b'"status":"success"' not in text:
            part = stream.recv(65536)
            assert part, text
            text += part
    told = [json.loads(line[len("data: "):]) for line in text.decode().splitlines() if line.startswith("data: ")]
    told = [one for one in told if one.get("id") == run]
    assert told[0]["status"] in ("reading", "planned") and told[-1]["status"] == "success"
    assert told[-1] == service.get(f"/api/v1/runs/{run}")


def test_the_request_of_a_record_is_shown_with_what_came_of_it(lab, sink):
    sink.behave = lambda q: record_errors((q.ids.index(7), "no such plan", False)) if 7 in q.ids else None
    service = serve(lab, sink)
    assert service.run("s")["status"] == "warning"
    wait_until(lambda: service.get("/api/v1/records?sync=s&key=7")["sent"], 60, "the run's history is kept")
    shown = service.get("/api/v1/records/request?sync=s&key=7")
    assert shown["verdict"] == "rejected" and "no such plan" in shown["message"]
    request = shown["requests"][-1]
    assert request["url"] == sink.url and [r["key"]["id"] for r in request["body"]["records"]] == [7]
    assert request["body"]["batch"] == shown["batch"]
    assert service.get("/api/v1/records/request?sync=s&key=8")["verdict"] == "accepted"
    assert refusal(service.get, f"/api/v1/records/request?sync=s&key={ROWS + 1}")[0] == 404
    assert refusal(service.get, "/api/v1/records/request?sync=s")[0] == 400
    sent, = service.get("/api/v1/records?sync=s&key=7")["sent"]
    assert (sent["verdict"], sent["fields"]["id"]) == ("rejected", 7)
