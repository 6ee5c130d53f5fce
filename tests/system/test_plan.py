"""A plan shows what a run would send and sends nothing; apply sends exactly what was planned."""
import json
import os

import pytest

SQL = "select id, email, amount from c"


def synced(lab, sink, rows, **sync):
    lab.customers(rows)
    lab.simple(sink, sql=SQL, **sync)
    lab.good_run()
    mark = len(sink.log)
    lab.sql("insert into c select 1000, 'new@x.y', 7;"
            "update c set email = 'changed@x.y' where id = 2;"
            "delete from c where id = 3")
    return mark


def plans(done):
    return {p["sync"]: p for p in map(json.loads, done.out.splitlines())}


def test_a_plan_counts_shows_samples_and_the_first_request_and_sends_nothing(lab, sink):
    mark = synced(lab, sink, 50, mode="mirror")
    done = lab.command("plan", "--json")
    assert done.rc == 0, done
    plan = plans(done)["s"]
    assert (plan["added"], plan["changed"], plan["removed"], plan["unchanged"]) == (1, 1, 1, 48)
    assert [s["key"] for s in plan["samples"]["added"]] == [{"id": 1000}]
    assert plan["samples"]["changed"][0]["fields"]["email"] == "changed@x.y"
    assert plan["samples"]["changed"][0]["before"]["email"] == "u2@example.org"
    removed, = plan["samples"]["removed"]
    assert removed["key"] == {"id": 3} and removed["fields"] is None and removed["before"]["id"] == 3
    request = plan["first_requests"][-1]
    assert request["for"] == "records" and request["method"] == "POST"
    assert {r["op"] for r in request["body"]["records"]} <= {"upsert", "delete"}
    assert len(sink.log) == mark, "a plan sends nothing"
    assert not [n for n in os.listdir(lab.state_dir) if n.startswith(".plan")], "nothing is left"
    done = lab.good_run()
    assert done.counts("added", "changed", "removed") == (1, 1, 1), "the plan changed nothing"
    lab.assert_same(sink.state, SQL)


def test_the_first_request_is_the_one_that_is_sent(lab, sink):
    synced(lab, sink, 5)
    request = plans(lab.command("plan", "--json"))["s"]["first_requests"][-1]
    lab.good_run()
    sent = sink.log[-1].doc
    planned = request["body"]
    assert planned["records"] == sent["records"]


def test_a_plan_before_the_first_run_makes_no_state(lab, sink):
    lab.customers(20)
    lab.simple(sink, sql=SQL)
    done = lab.command("plan")
    assert done.rc == 0 and "20 to add" in done.out, done
    assert "first request: POST" in done.out
    assert not os.path.exists(os.path.join(lab.state_dir, "state.lmdb"))


def test_a_plan_says_what_a_guard_would_hold(lab, sink):
    synced(lab, sink, 10, mode="mirror", guard={"max_removed": 1})
    lab.sql("delete from c where id > 5")
    done = lab.command("plan")
    assert done.rc == 3 and "max_removed" in done.out, done


def test_a_plan_of_a_model_that_cannot_be_read_says_so(lab, sink):
    lab.customers(5)
    lab.simple(sink, sql="select id, nothing from c")
    done = lab.command("plan")
    assert done.rc == 2 and "nothing" in done.out, done


def test_apply_sends_exactly_what_was_planned(lab, sink, tmp_path):
    mark = synced(lab, sink, 50, mode="mirror")
    file = str(tmp_path / "p.json")
    assert lab.command("plan", "-o", file).rc == 0
    lab.sql("update c set email = 'later@x.y' where id = 4")
    done = lab.command("apply", file)
    assert done.rc == 0, done
    assert len(sink.sent_since(mark)) == 3, "the later change was not planned"
    assert lab.good_run().counts("changed") == (1,)
    lab.assert_same(sink.state, SQL)


def test_apply_refuses_a_plan_that_is_over(lab, sink, tmp_path):
    synced(lab, sink, 10)
    file = str(tmp_path / "p.json")
    assert lab.command("plan", "-o", file).rc == 0
    lab.good_run()
    mark = len(sink.log)
    done = lab.command("apply", file)
    assert done.rc == 64 and "plan again" in done.err, done
    assert len(sink.log) == mark


@pytest.mark.parametrize("text, words", [("{", "p.json"), ("{}", "no plan"), ('{"sluice_plan":99,"runs":[]}', "no plan")])
def test_apply_refuses_what_is_no_plan(lab, sink, tmp_path, text, words):
    lab.customers(1)
    lab.simple(sink, sql=SQL)
    (tmp_path / "p.json").write_text(text)
    done = lab.command("apply", str(tmp_path / "p.json"))
    assert done.rc == 64 and words in done.err, done


def test_plan_and_apply_beside_a_scheduler(lab, sink, tmp_path):
    mark = synced(lab, sink, 50, mode="mirror", settings={"listen": "127.0.0.1:0"})
    service = lab.start_service()
    assert "1 to add, 1 to change, 1 to remove" in lab.command("plan").out
    file = str(tmp_path / "p.json")
    done = lab.command("plan", "-o", file)
    assert done.rc == 0 and "1 to add, 1 to change, 1 to remove" in done.out, done
    assert len(sink.log) == mark
    lab.sql("update c set email = 'later@x.y' where id = 4")
    done = lab.command("apply", file, "--json")
    assert done.rc == 0 and done.last["status"] == "success" and done.last["planned"] == 3, done
    assert lab.run().counts("changed") == (1,)
    lab.assert_same(sink.state, SQL)
    done = lab.command("apply", file)
    assert done.rc == 64 and "plan again" in done.err, done
    lab.simple(sink, sql="select id, nothing from c", settings={"listen": "127.0.0.1:0"})
    assert lab.command("reload").rc == 0
    assert lab.command("plan", "-o", file).rc == 2
    service.process.terminate()
    assert service.wait().rc == 0


@pytest.mark.parametrize("secret", ["pat-1", "x", "a-much-longer-secret-0123456789"])
def test_no_secret_is_shown(lab, sink, secret):
    lab.customers(3)
    lab.simple(sink, sql=SQL, destination={"bearer": "${HOOK_TOKEN}"})
    done = lab.command("plan", env={"HOOK_TOKEN": secret})
    assert done.rc == 0 and "Authorization: Bearer *" in done.out, done
    assert f"Bearer {secret}" not in done.out and (len(secret) == 1 or secret not in done.out)
