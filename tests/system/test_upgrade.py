"""A state directory that the version before left behind, in the middle of a run, is taken over.

data/state-before.tar.gz was written by the version before. To make one of this version, for the next:

    KEEP_STATE=FILE SLUICE_BIN=FOLDER python3 -m pytest -k writes_a_state tests/system/test_upgrade.py
"""
import fcntl
import os
import pathlib
import tarfile
import tempfile

import pytest

from harness.lab import assert_clean
from harness.sink import ACCEPT, record_errors, wait_until

STATE = pathlib.Path(__file__).parent / "data" / "state-before.tar.gz"
PORT = 18471  # the receiver's address is part of what the state remembers
REFUSED, ROWS = 17, 400


def behave(request):
    """One record is refused; the others are accepted."""
    if REFUSED not in request.ids:
        return ACCEPT
    return record_errors((request.ids.index(REFUSED), "no such plan", False))


def project(lab, sink, **more):
    hook = {"url": sink.url, "concurrency": 1, "batch_size": 10, "rate_limits": [{"requests": 1000, "per": "1d"}]}
    lab.project({"m": {"sql": "select id, email, amount from c"}, "n": {"sql": "select id, name from c where id <= 50"}},
                {"hook": hook}, {"finished": {"model": "n", "destination": "hook", **more},
                                 "under_way": {"model": "m", "destination": "hook", **more}}, {"listen": "127.0.0.1:0"})


@pytest.mark.skipif("KEEP_STATE" not in os.environ, reason="writes what the next version is tested with")
def test_writes_a_state_in_the_middle_of_a_run(port, lab, sinks):
    sink = sinks(behave, delay_s=0.05, port=port)
    lab.customers(ROWS)
    project(lab, sink)
    assert lab.run("finished").rc == 1
    mark = len(sink.log)
    running = lab.start_run("under_way")
    wait_until(lambda: len(sink.log) >= mark + 15, 60, "it is sending")
    running.kill_everything()
    assert len(sink.log) < mark + 30
    with tarfile.open(os.environ["KEEP_STATE"], "w:gz") as tar:
        for name in ("state.lmdb", "spool"):
            tar.add(lab.state_dir / name, name)


@pytest.fixture
def port():
    """The one port, for one test of all that run at the same time."""
    with open(pathlib.Path(tempfile.gettempdir()) / f"sluice-test-{PORT}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield PORT


@pytest.fixture
def taken_over(port, lab, sinks):
    sink = sinks(behave, port=port)
    lab.customers(ROWS)
    lab.state_dir.mkdir(mode=0o700)
    with tarfile.open(STATE) as tar:
        tar.extractall(lab.state_dir)
    return sink


def test_a_run_of_the_version_before_is_finished(lab, taken_over):
    project(lab, taken_over)
    done = lab.run()
    recovered, = [r for r in done.runs if r["sync"] == "under_way" and r["planned"]]
    assert recovered["status"] == "warning" and recovered["planned"] == ROWS
    assert recovered["succeeded"] == ROWS - 1 and recovered["rejected"] == 1
    assert 0 < len(taken_over.sent_since(0)) < ROWS, "what was accepted before is not sent again"
    finished, = [r for r in done.runs if r["sync"] == "finished"]
    assert (finished["unchanged"], finished["quarantined"], finished["planned"]) == (49, 1, 0)
    assert lab.good_run().counts("planned") == (0,)
    assert_clean(taken_over)


def test_the_scheduler_takes_it_over_too(lab, taken_over):
    project(lab, taken_over, schedule={"every": "1s"})
    service = lab.start_service()
    wait_until(lambda: service.err().count("run_end") >= 4, 60, "both have run")
    assert "recovered=1" in service.err()
    service.process.terminate()
    assert service.wait().rc == 0
    assert 0 < len(taken_over.sent_since(0)) < ROWS


def test_what_people_look_at_is_there(lab, taken_over):
    project(lab, taken_over)
    assert "no such plan" in lab.command("errors", "finished").out
    assert "under_way" in lab.command("runs").out and "finished" in lab.command("status").out
    assert lab.command("retry", "finished").rc == 0
    lab.run()
    assert lab.command("history", "finished", "1").rc == 0, "nothing is kept of runs before"
