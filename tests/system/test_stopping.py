"""Ctrl-C, a second run beside the first, and other ends of a run."""
import os
import signal

import pytest

from harness.lab import assert_clean
from harness.sink import wait_until

pytestmark = pytest.mark.core


def hanging_run(lab, sink, rows=5000):
    lab.customers(rows)
    lab.simple(sink, batch_size=50)
    sink.hold(lambda q: len(sink.log) > 10)
    running = lab.start_run()
    wait_until(lambda: sink.count_held() >= 1, 30, "a request that hangs")
    return running


@pytest.mark.parametrize("send", ["to the group", "SIGTERM to the command"])
def test_one_interrupt_lets_requests_end_and_cancels_the_rest(lab, sink, send):
    running = hanging_run(lab, sink)
    if send == "to the group":
        running.interrupt()
    else:
        os.kill(running.pid, signal.SIGTERM)
    wait_until(lambda: "cancel" in running.err().lower() or "stop" in running.err().lower() or running.process.poll() is not None,
               20, "a word about the stop")
    sink.release()
    done = running.wait()
    assert done.rc == 2 and done.last["status"] in ("cancelled", "failed")
    assert done.last["cancelled"] > 0 and done.last["succeeded"] > 0
    assert done.last["succeeded"] == len(sink.state), "what was answered counts"
    done = lab.good_run()
    lab.assert_same(sink.state)
    assert_clean(sink)


def test_a_second_interrupt_does_not_wait_for_requests(lab, sink):
    running = hanging_run(lab, sink)
    family = running.family()
    running.interrupt()
    wait_until(lambda: running.err() or running.out(), 20, "an answer to the first interrupt")
    running.interrupt()
    done = running.wait(15)
    assert done.rc == 2, done
    wait_until(lambda: not any(os.path.exists(f"/proc/{p}") for p in family), 10, "the end of its processes")
    sink.release()
    lab.run()
    lab.assert_same(sink.state)
    assert_clean(sink)


def test_a_second_run_on_the_same_state_directory_names_the_holder(lab, sink):
    running = hanging_run(lab, sink)
    second = lab.command("run", "--json")
    assert second.rc == 75 and str(running.pid) in second.text
    assert not second.runs
    sink.release()
    assert running.wait().rc == 0


def test_commands_that_only_look_work_beside_a_run(lab, sink):
    running = hanging_run(lab, sink)
    for command in ("runs", "status"):
        assert lab.command(command).rc == 0
    sink.release()
    assert running.wait().rc == 0


def test_nothing_is_left_running_after_a_run(lab, sink):
    lab.customers(100)
    lab.simple(sink)
    running = lab.start_run()
    seen = set()
    wait_until(lambda: seen.update(running.family()) or running.process.poll() is not None, 60, "the end of the run")
    running.wait()
    wait_until(lambda: not any(os.path.exists(f"/proc/{p}") for p in seen), 10, "the end of its processes")
