"""Two schedulers on one state, or on copies of it: one goes on, and nothing that the other does counts."""
import os
import random
import re
import shutil
import signal
import time
import urllib.error
import urllib.request

import pytest

from harness.lab import assert_clean
from harness.service import Service
from harness.sink import most_in_window, wait_until

SHORT_LEASE = {"timeout": "1s"}  # a lease is the timeout and ten seconds


def shared(lab, sink, redis, settings=None, **more):
    """A project on a Redis of its own; the sync is started by hand."""
    lab.simple(sink, settings={"redis": redis.url, "listen": "127.0.0.1:0", **(settings or {})},
               destination={**SHORT_LEASE, **more.pop("destination", {})}, **more)


def copied(lab, name="copy"):
    """A second folder with the same project and a copy of the state, as a cloned volume would be."""
    ignore = shutil.ignore_patterns("*.sock", "lock", "workers.lock")
    shutil.copytree(lab.state_dir, lab.root / name, ignore=ignore)
    other = lab.root / f"project-{name}"
    shutil.copytree(lab.project_dir, other)
    for path in other.glob("*.yaml"):
        path.write_text(path.read_text().replace(str(lab.state_dir), str(lab.root / name)))
    return other


def in_folder(folder):
    return "-C", str(folder)


def ended_with_75(running):
    done = running.wait()
    assert done.rc == 75 and "another scheduler went on with state" in done.err, done
    return done


def test_of_two_schedulers_on_copies_of_a_state_the_later_goes_on(lab, sink, redis_servers):
    lab.customers(300)
    shared(lab, sink, redis_servers())
    lab.start(program="sluice-worker")
    old = Service(lab)
    assert old.run("s")["counts"]["succeeded"] == 300
    folder = copied(lab)
    new = Service(lab, None, *in_folder(folder))
    lab.customers(100, first=1001)
    mark = len(sink.log)
    assert new.run("s")["counts"]["added"] == 100
    ended_with_75(old.running)
    lab.assert_same(sink.state)
    assert sum(len(q.records) for q in sink.log[mark:]) == 100, "each row once"
    # It is refused for as long as the other lives, and after that too: it does not know what was sent meanwhile.
    done = lab.command("run", "s")
    assert done.rc == 75 and "another scheduler went on" in done.err, done
    new.stop()
    for _ in range(3):
        done = lab.command("run", "s")
        assert done.rc == 75 and "--take-over" in done.err, done
    assert sum(len(q.records) for q in sink.log[mark:]) == 100, "nothing was sent by the older one"
    done = lab.run("s", "--take-over")
    assert done.rc == 0, done
    lab.assert_same(sink.state)
    assert lab.command("run", "s", *in_folder(folder)).rc == 75, "now the other one is the older"


def test_a_frozen_scheduler_that_wakes_up_does_nothing_any_more(lab, sink, redis_servers):
    """It stands still in the middle of a run, another goes on from a copy of its state; then it wakes."""
    lab.customers(3000)
    shared(lab, sink, redis_servers(), batch_size=100,
           destination={"rate_limits": [{"requests": 5, "per": "1s"}]})
    lab.start(program="sluice-worker")
    old = Service(lab)
    old.post("/api/v1/syncs/s/run")
    wait_until(lambda: len(sink.log) >= 5, 60, "a run under way")
    os.kill(old.running.pid, signal.SIGSTOP)
    folder = copied(lab)
    before = (lab.state_dir / "state.lmdb").read_bytes()
    new = Service(lab, None, *in_folder(folder))
    wait_until(lambda: len(sink.state) == 3000, 120, "the run, finished by the other")
    new.wait(lambda: new.sync("s")["last_run"]["status"] == "success", "its end in the state")
    mark = len(sink.log)
    os.kill(old.running.pid, signal.SIGCONT)
    done = ended_with_75(old.running)
    assert "stood_still" in done.err
    assert (lab.state_dir / "state.lmdb").read_bytes() == before, "nothing was committed"
    assert len(sink.log) == mark, "nothing was sent"
    lab.sql("update c set amount = 0 where id <= 50")
    assert new.run("s")["counts"]["changed"] == 50
    lab.assert_same(sink.state)
    assert_clean(sink)


def test_a_scheduler_that_only_stood_still_goes_on(lab, sink, redis_servers):
    lab.customers(1000)
    shared(lab, sink, redis_servers(), batch_size=100,
           destination={"rate_limits": [{"requests": 5, "per": "1s"}]})
    lab.start(program="sluice-worker")
    service = Service(lab)
    run = service.post("/api/v1/syncs/s/run")["run"]
    wait_until(lambda: len(sink.log) >= 3, 60, "a run under way")
    os.kill(service.running.pid, signal.SIGSTOP)
    stopped = time.monotonic()
    wait_until(lambda: time.monotonic() - stopped > 6, 30, "longer than any turn")
    os.kill(service.running.pid, signal.SIGCONT)
    done = service.wait_run(run, lambda r: r["status"] not in ("reading", "planned"))
    assert done["status"] == "success" and done["counts"]["succeeded"] == 1000
    assert "stood_still" in service.running.err()
    lab.assert_same(sink.state)
    assert_clean(sink)


def test_a_standby_goes_on_where_the_dead_one_was_in_the_middle_of_a_run(lab, sink, redis_servers):
    limit = {"requests": 10, "per": "1s"}
    lab.customers(2000)
    shared(lab, sink, redis_servers(), batch_size=50, destination={"rate_limits": [limit]})
    lab.start(program="sluice-worker")
    active = Service(lab)
    standby = lab.start("--standby", program="sluice-scheduler")
    url = wait_until(lambda: re.search(r"standby_listens\b.* url=(http://\S+)", standby.err()), 60, "a standby that listens")[1]
    assert urllib.request.urlopen(url + "/healthz").status == 200
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url + "/readyz")
    assert refused.value.code == 503 and b"standby" in refused.value.read()
    assert lab.start(program="sluice-scheduler").wait().rc == 75, "without --standby it ends"
    active.post("/api/v1/syncs/s/run")
    wait_until(lambda: len(sink.log) >= 10, 60, "a run under way")
    active.running.kill_everything()
    wait_until(lambda: "takes_over" in standby.err(), 60, "the take-over")
    wait_until(lambda: len(sink.state) == 2000, 120, "the rest of the run")
    lab.assert_same(sink.state)
    assert_clean(sink)
    assert most_in_window([(q.t, 1) for q in sink.log], 1.0) <= limit["requests"]
    assert standby.process.poll() is None
    standby.process.terminate()
    assert standby.wait().rc == 0


def test_a_standby_that_is_told_to_stop_ends_well(lab, sink, redis_servers):
    lab.customers(10)
    shared(lab, sink, redis_servers())
    Service(lab)
    standby = lab.start("--standby", program="sluice-scheduler")
    wait_until(lambda: "stands_by" in standby.err(), 60, "a standby")
    standby.process.terminate()
    assert standby.wait().rc == 0


@pytest.mark.long
def test_whoever_is_killed_another_goes_on_from_where_it_was(lab, sink, redis_servers):
    """Three schedulers on one folder; the one at work is killed again and again, in the middle of runs that change rows."""
    seed = int(os.environ.get("SLUICE_SEED", time.time_ns() % 10**9))
    print("SLUICE_SEED", seed)
    chance = random.Random(seed)
    limit = {"requests": 20, "per": "1s"}
    lab.customers(3000)
    shared(lab, sink, redis_servers(), settings={"listen": "off"}, batch_size=50, schedule={"every": "1s"},
           destination={"rate_limits": [limit]})
    lab.start(program="sluice-worker")
    crew = [lab.start("--standby", program="sluice-scheduler") for _ in range(3)]

    def active():
        return [s for s in crew if s.process.poll() is None and ("takes_over" in s.err() or "stands_by" not in s.err()) and " ready" in s.err()]
    for turn in range(20):
        one = wait_until(active, 60, "a scheduler at work")[0]
        lab.sql(f"update c set amount = {turn} where id % 10 = {chance.randrange(10)}")
        lab.sql(f"delete from c where id = {turn * 7 + 1}")
        mark = len(sink.log)
        wait_until(lambda: len(sink.log) > mark + chance.randrange(5), 60, "requests of a run")
        one.kill_everything()
        crew.remove(one)
        crew.append(lab.start("--standby", program="sluice-scheduler"))
    wait_until(active, 60, "a scheduler at work")
    wait_until(lambda: sink.state == lab.model_rows(), 120, "the destination equals the model", 0.5)
    assert_clean(sink)
    assert most_in_window([(q.t, 1) for q in sink.log], 1.0) <= limit["requests"]
    assert len(active()) == 1 and all(s.process.poll() is None for s in crew)
