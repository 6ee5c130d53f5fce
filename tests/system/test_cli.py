"""What people and programs see: exit statuses, JSON lines, help."""
import json

import pytest

from harness.sink import refuse

COUNTS = {"rows", "added", "changed", "removed", "unchanged", "invalid", "quarantined", "planned", "succeeded", "rejected",
          "failed", "cancelled", "requests", "retries", "bytes", "seconds"}


@pytest.mark.parametrize("args", [["frobnicate"], [], ["run", "--no-such-option"], ["approve"], ["run", "--workers", "many"],
                                  ["run", "--workers"]])
def test_bad_usage_ends_with_64(lab, args):
    done = lab.command(*args)
    assert done.rc == 64 and done.text.strip()


@pytest.mark.parametrize("args", [["--help"], ["run", "--help"], ["check", "--help"], ["--version"]])
def test_help_and_version_are_successes(lab, args):
    done = lab.command(*args)
    assert done.rc == 0 and done.out.strip() and not done.err


def test_json_output_is_one_object_per_line_and_nothing_else(lab, sink):
    sink.behave = lambda q: refuse(422, "no") if 3 in q.ids else None
    lab.customers(2000)
    lab.simple(sink)
    for args in (["run", "--json"], ["errors", "s", "--json"], ["runs", "--json"], ["status", "--json"]):
        done = lab.command(*args)
        assert done.out.strip(), args
        for line in done.out.splitlines():
            assert isinstance(json.loads(line), dict), (args, line)


def test_a_run_reports_every_count(lab, sink):
    lab.customers(20)
    lab.simple(sink)
    run = lab.good_run().last
    assert COUNTS | {"sync", "run", "status"} <= set(run)
    assert run["seconds"] > 0 and run["bytes"] == sum(len(q.raw) for q in sink.log)


def test_people_get_a_summary_without_colour_or_progress_when_it_is_not_a_terminal(lab, sink):
    lab.customers(1234)
    lab.simple(sink)
    done = lab.command("run")
    assert done.rc == 0 and "\x1b" not in done.text and "\r" not in done.text
    assert "s" in done.text and ("1234" in done.text or "1,234" in done.text or "1 234" in done.text)


def test_the_worst_status_of_several_syncs_counts(lab, sinks):
    fine, refusing, held, stopped = (sinks() for _ in range(4))
    lab.customers(100)

    def project():
        lab.project({"m": {"sql": "select * from c"}, "few": {"sql": "select * from c where id <= 100"}},
                    {"fine": {"url": fine.url}, "refusing": {"url": refusing.url}, "held": {"url": held.url}, "stopped": {"url": stopped.url}},
                    {"a": {"model": "m", "destination": "fine"}, "b": {"model": "m", "destination": "refusing"},
                     "c": {"model": "m", "destination": "held", "guard": {"max_changed": 1}},
                     "d": {"model": "m", "destination": "stopped"}})
    project()
    assert lab.good_run().rc == 0
    refusing.behave = lambda q: refuse(400, "no") if 3 in q.ids else None
    stopped.behave = lambda q: refuse(401, "no")
    lab.sql("update c set amount = 0")
    assert lab.run("a").rc == 0
    assert lab.run("b").rc == 1
    assert lab.run("c", "b").rc == 3
    lab.sql("update c set amount = 1")
    done = lab.run()
    assert done.rc == 2 and done.sync("a")["status"] == "success" and done.sync("c")["status"] == "held"


def test_runs_and_status_tell_what_happened(lab, sink):
    lab.customers(50)
    lab.simple(sink)
    done = lab.good_run()
    listed = [x for x in lab.command("runs", "--json").lines if x.get("run") == done.last["run"]]
    assert len(listed) == 1 and listed[0]["status"] == "success" and listed[0]["succeeded"] == 50
    assert any(x.get("sync") == "s" for x in lab.command("status", "--json").lines)
