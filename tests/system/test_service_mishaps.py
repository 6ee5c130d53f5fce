"""The scheduler as a service when much happens at once, or at a bad moment."""
import os
import pathlib
import random
import shutil
import signal
import time
import urllib.error

import pytest
from harness.lab import assert_clean
from harness.service import Service
from harness.sink import wait_until

SQL = "select id, email, amount from c"
OFF = {"listen": "127.0.0.1:0"}


def reload(service):
    return service.post("/api/v1/reload")


def runs_of(service, sync="s"):
    """The newest first."""
    return service.get(f"/api/v1/runs?sync={sync}&limit=200")["runs"]


def folder_of(pid):
    """What a worker was started with as -C."""
    words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return words[words.index(b"-C") + 1].decode()


def unreachable(redis):
    """Nobody reaches it, and everything in it stays. Gives what ends that."""
    admin, away = redis.client(), redis.socket.with_suffix(".away")
    admin.ping()
    redis.socket.rename(away)
    admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    return lambda: away.rename(redis.socket)


def test_workers_that_die_after_reloads_are_started_again(lab, sink):
    lab.customers(20)
    lab.simple(sink, sql=SQL, settings=OFF)
    service = Service(lab)
    assert service.run("s")["status"] == "success"
    for n in range(3):
        lab.simple(sink, sql=SQL + f" where {n} = {n}", settings=OFF, destination={"rate_limits": [{"requests": 1000 + n, "per": "1s"}]})
        reload(service)
        assert service.run("s")["status"] == "success"
    old = service.running.workers()
    for pid in old:
        os.kill(pid, signal.SIGKILL)

    def others():
        now = service.running.workers()
        return now if len(now) == len(old) and not set(now) & set(old) else None
    new = service.wait(others, "other workers")
    assert {folder_of(pid) for pid in new} == {str(lab.project_dir)}
    lab.customers(5, first=100)
    assert service.run("s")["counts"]["succeeded"] == 5
    assert service.stop().rc == 0


def test_an_ask_that_sends_nothing_stays_so_beside_others(lab, sinks):
    sink = sinks()
    lab.customers(10)
    lab.simple(sink, sql=SQL, settings=OFF, mode="upsert")
    service = Service(lab)
    sink.hold()
    first = service.post("/api/v1/syncs/s/run")["run"]
    service.wait(lambda: sink.count_held() > 0, "the first run sends")
    lab.customers(10, first=100)
    adopt = service.post("/api/v1/syncs/s/run", adopt=True)["run"]
    plan = service.post("/api/v1/syncs/s/run", plan=True, full=True)["run"]
    run = service.post("/api/v1/syncs/s/run")["run"]
    assert len({first, adopt, plan, run}) == 4
    assert service.post("/api/v1/syncs/s/run")["run"] == run, "the same is not asked for twice"
    assert service.post("/api/v1/syncs/s/run", adopt=True)["run"] == adopt
    sink.release()
    assert service.wait_run(run, lambda r: r["status"] == "success")["counts"]["planned"] == 0
    assert service.find_run(adopt)["status"] == "success"
    assert service.find_run(plan)["status"] == "superseded"
    assert service.stop().rc == 0
    assert len(sink.sent_since(0)) == 10, "what was adopted is not sent, and a plan neither"


@pytest.mark.parametrize("what", ["sync", "destination"])
def test_a_pause_that_redis_did_not_hear_is_told_again(lab, sinks, redis_servers, what):
    sink, redis = sinks(), redis_servers()
    lab.customers(40)
    lab.simple(sink, sql=SQL, settings={**OFF, "redis": redis.url}, batch_size=1,
               destination={"concurrency": 1, "rate_limits": [{"requests": 1, "per": "1s"}]})
    service = Service(lab, None, "--workers", "1")
    run = service.post("/api/v1/syncs/s/run")["run"]
    service.wait(lambda: sink.log, "it sends")
    path = {"sync": "/api/v1/syncs/s", "destination": "/api/v1/destinations/hook"}[what]
    client = redis.client()

    def is_paused():
        return bool(client.sismember("sluice:{hook}:paused", "s") if what == "sync" else client.hget("sluice:{hook}:d:hook", "p"))
    epoch = client.hget("sluice:{hook}:meta", "id")
    for act, told in (("pause", True), ("resume", False)):
        back = unreachable(redis)
        service.post(f"{path}/{act}")
        mark = len(service.running.err())
        service.wait(lambda: "pause_not_told" in service.running.err()[mark:], "it could not tell Redis")
        back()
        service.wait(lambda: is_paused() == told, f"Redis is told to {act}")
    assert client.hget("sluice:{hook}:meta", "id") == epoch, "it is the same epoch"
    service.wait_run(run, lambda r: r["counts"]["succeeded"] > 2)
    service.post(f"/api/v1/runs/{run}/cancel")
    assert service.stop().rc == 0
    assert_clean(sink)


def test_a_destination_that_was_resumed_without_redis_is_open_afterwards(lab, sink, redis_servers):
    redis = redis_servers()
    lab.customers(5)
    lab.simple(sink, sql=SQL, settings={**OFF, "redis": redis.url})
    service = Service(lab, None, "--workers", "1")
    assert service.run("s")["status"] == "success"
    service.post("/api/v1/destinations/hook/pause")
    service.wait(lambda: redis.client().hget("sluice:{hook}:d:hook", "p"), "Redis knows")
    back = unreachable(redis)
    service.post("/api/v1/destinations/hook/resume")
    service.stop()
    back()
    service.start()
    lab.customers(5, first=10)
    assert service.run("s")["counts"]["succeeded"] == 5
    assert service.stop().rc == 0


def hold(lab, service):
    service.run("s")
    lab.sql("delete from c where id % 2 = 0")
    run = service.run("s")
    assert run["status"] == "held", run
    return run["id"]


def test_a_held_run_without_its_spool_is_no_end_of_the_service(lab, sink):
    lab.customers(20)
    lab.simple(sink, sql=SQL, settings=OFF, guard={"max_removed": 3})
    service = Service(lab)
    held = hold(lab, service)
    shutil.rmtree(lab.state_dir / "spool")
    (lab.state_dir / "spool").mkdir()
    service.post(f"/api/v1/runs/{held}/approve")
    service.wait(lambda: "run_not_begun" in service.running.err(), "it says so")
    service.must_run()
    assert service.run("s")["status"] == "held"
    assert service.stop().rc == 0
    service.start()
    assert service.stop().rc == 0


def test_more_syncs_than_files_may_be_open(lab, sinks):
    """A kill in between forgets none of them."""
    count, files = 150, 620
    table = [sinks() for _ in range(3)]
    lab.customers(3)
    hooks = {f"h{n}": {"url": sink.url, "batch_size": 10} for n, sink in enumerate(table)}
    lab.project({"m": {"sql": SQL}}, hooks,
                {f"s{n}": {"model": "m", "destination": f"h{n % 3}", "mappings": [{"from": "amount", "to": f"f{n}"}], "mode": "upsert"}
                 for n in range(count)}, OFF)
    limited = lab.root / "bin"
    limited.mkdir()
    (limited / "sluice-scheduler").write_text(f"#!/bin/sh\nulimit -n {files}\nexec {lab.bin}/sluice-scheduler \"$@\"\n")
    (limited / "sluice-scheduler").chmod(0o755)
    for sink in table:
        sink.hold()
    lab.bin = limited
    service = Service(lab)
    asked = service.post("/api/v1/runs")
    assert len(asked["started"]) == count, asked
    service.wait(lambda: all(sink.count_held() for sink in table), "they send")
    under_way = len(os.listdir(lab.state_dir / "spool"))
    assert 16 <= under_way < count, under_way
    service.running.kill_everything()
    for sink in table:
        sink.release()
    service.start()

    def last_runs():
        last = {}
        for run in service.get("/api/v1/runs?limit=1000")["runs"]:
            last.setdefault(run["sync"], run)
        return last
    service.wait(lambda: len(last_runs()) == count and all(r["status"] == "success" for r in last_runs().values()), "all have run")
    assert service.stop().rc == 0
    for sink in table:
        assert_clean(sink)


def test_a_run_that_a_restored_state_still_had_is_no_full_resync(lab, sinks, redis_servers):
    sink, redis = sinks(delay_s=0.05), redis_servers()
    lab.customers(400)
    lab.simple(sink, sql=SQL, settings={**OFF, "redis": redis.url}, batch_size=5, mode="upsert", destination={"concurrency": 1})
    service = Service(lab, None, "--workers", "1")
    service.post("/api/v1/syncs/s/run")
    service.wait(lambda: len(sink.log) > 5, "it sends")
    assert service.stop().rc == 0
    shutil.copytree(lab.state_dir, lab.root / "copy", ignore=shutil.ignore_patterns("*.sock"))
    service.start()
    service.wait(lambda: runs_of(service)[0]["status"] == "success", "it was finished")
    lab.sql("update c set amount = 1")
    assert service.run("s")["counts"]["succeeded"] == 400
    assert service.stop().rc == 0
    shutil.rmtree(lab.state_dir)
    (lab.root / "copy").rename(lab.state_dir)
    lab.sql("update c set amount = id * 1.25")  # as the old state has them, and the destination no more
    service.start()
    service.wait(lambda: runs_of(service)[0]["status"] == "success", "what was left is finished once more")
    assert "state_lost" in service.running.err()
    assert service.run("s")["counts"]["succeeded"] == 400, "every row is sent again"
    assert service.run("s")["counts"]["planned"] == 0, "once"
    assert service.stop().rc == 0
    lab.assert_same(sink.state, SQL)


def test_what_columns_were_held_for_is_forgotten_when_they_are_back(lab, sink):
    lab.customers(20)
    lab.simple(sink, sql=SQL, settings=OFF, guard={"max_removed": 3})
    service = Service(lab)
    service.run("s")
    lab.sql("alter table c alter column amount type text")
    assert service.run("s")["status"] == "held"
    lab.sql("alter table c alter column amount type numeric using amount::numeric")
    assert service.run("s")["status"] == "success"
    lab.sql("delete from c where id > 10")
    held = service.run("s")
    assert held["status"] == "held" and "max_removed" in held["reason"], held
    service.post(f"/api/v1/runs/{held['id']}/approve")
    service.wait_run(held["id"], lambda r: r["status"] == "success")
    assert service.run("s")["status"] == "success"
    assert service.stop().rc == 0


def test_an_approval_that_is_taken_back_leaves_the_run_held(lab, sink, redis_servers):
    redis = redis_servers()
    lab.customers(20)
    project = {"sql": SQL, "settings": {**OFF, "redis": redis.url}, "guard": {"max_removed": 3}}
    lab.simple(sink, **project)
    service = Service(lab, None, "--workers", "1")
    held = hold(lab, service)
    assert service.stop().rc == 0
    lab.project({"m": {"sql": SQL}}, {"hook": {"url": sink.url}},
                {"s": {"model": "m", "destination": "hook", "guard": project["guard"], "schedule": {"every": "1s"}},
                 "other": {"model": "m", "destination": "hook", "guard": {"max_removed": "off"}, "mode": "upsert", "schedule": {"every": "1s"}}},
                project["settings"])
    back = unreachable(redis)
    service.start(ready=False)
    service.post(f"/api/v1/runs/{held}/approve")
    service.post(f"/api/v1/runs/{held}/cancel")
    back()
    service.wait(service.is_ready, "it goes on")
    service.wait(lambda: len(runs_of(service, "other")) > 1, "others run by schedule")
    assert service.sync("s")["held"] and len(runs_of(service)) == 2
    assert service.find_run(held)["status"] == "held"
    service.post(f"/api/v1/runs/{held}/approve")
    service.wait_run(held, lambda r: r["status"] == "success")
    assert service.stop().rc == 0


def test_names_of_any_length_are_refused(lab, sink):
    lab.customers(1)
    lab.simple(sink, sql=SQL, settings=OFF)
    service = Service(lab)
    for path in ("runs/{}/cancel", "runs/{}/approve", "runs/{}/reject", "syncs/{}/pause", "syncs/{}/run", "destinations/{}/pause"):
        for length in (200, 2000, 6000):
            with pytest.raises(urllib.error.HTTPError) as refused:
                service.post("/api/v1/" + path.format("x" * length))
            assert 400 <= refused.value.code < 500, (path, length, refused.value.code)
    service.must_run()
    assert service.stop().rc == 0


SLOW = SQL + " where (select true from pg_sleep(%s))"


@pytest.mark.parametrize("how", ["reload", "restart"])
def test_a_read_that_is_broken_off_is_taken_up_as_it_was_asked_for(lab, sink, how):
    lab.customers(20)
    lab.simple(sink, sql=SLOW % 600, settings=OFF, mode="upsert")
    service = Service(lab)
    first = service.post("/api/v1/syncs/s/run", adopt=True)["run"]
    service.wait(lambda: service.sync("s")["phase"] == "reading", "it reads")
    lab.simple(sink, sql=SLOW % 0, settings=OFF, mode="upsert", destination={"rate_limits": [{"requests": 10, "per": "1s"}]})
    if how == "reload":
        reload(service)
    else:
        assert service.stop().rc == 0
        service.start()
    service.wait(lambda: runs_of(service)[0]["status"] == "success", "it has run")
    assert [r["id"] for r in runs_of(service)][1:] == [first] and runs_of(service)[1]["status"] == "cancelled"
    assert service.run("s")["counts"]["planned"] == 0 and not sink.log, "it was adopted, not sent"
    assert service.stop().rc == 0


def resident_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1])


SOAK_S = int(os.environ.get("SLUICE_SOAK_S", "300"))


@pytest.mark.long
def test_fifty_syncs_for_a_while(lab, sinks):
    """Rows change all the time while workers and Redis are killed and the project is reloaded: in the end everything is there,
    and the scheduler is no larger than after its first minute."""
    chance = random.Random(7)
    table = [sinks() for _ in range(5)]
    lab.customers(5000)
    schedules = [{"every": "1s"}, {"every": "2s"}, {"every": "5s"}, {"cron": "* * * * *"}, {"after": "s0"}]
    syncs = {f"s{n}": {"model": f"m{n}", "destination": f"h{n % 5}", "schedule": schedules[n // 5 % 5], "guard": {"max_removed": "off", "allow_empty": True}}
             for n in range(50)}
    models = {f"m{n}": {"sql": SQL + f" where id % 50 = {n}"} for n in range(50)}

    def write(limit):
        lab.project(models, {f"h{n}": {"url": sink.url, "rate_limits": [{"requests": limit, "per": "1s"}]} for n, sink in enumerate(table)},
                    syncs, OFF)
    write(200)
    service = Service(lab)
    begin, sizes, mishaps = time.monotonic(), {}, 0

    def mishap():
        what = chance.choice(["worker", "worker", "redis", "reload"])
        if what == "reload":
            write(chance.randrange(100, 300))
            service.running.process.send_signal(signal.SIGHUP)
        elif victims := (service.running.redis() if what == "redis" else service.running.workers()):
            os.kill(chance.choice(victims), signal.SIGKILL)
    while (passed := time.monotonic() - begin) < SOAK_S:
        service.must_run()
        first = chance.randrange(1, 6000)
        lab.sql(f"update c set amount = amount + 1 where id between {first} and {first + 50}")
        lab.sql(f"delete from c where id between {first + 60} and {first + 65}")
        lab.sql(f"insert into c select g, 'n' || g, 'n', {int(passed)}, true from generate_series({first + 70}, {first + 80}) g on conflict do nothing")
        if passed // 12 > mishaps:
            mishaps += 1
            mishap()
        sizes[int(passed)] = resident_kib(service.running.pid)
    rows = {f"s{n}": lab.model_rows(SQL + f" where id % 50 = {n}") for n in range(50)}
    service.wait(lambda: all(sink.tables.get(f"s{n}", {}) == rows[f"s{n}"] for i, sink in enumerate(table) for n in range(i, 50, 5)),
                 "everything is there")
    minute, end = max(v for k, v in sizes.items() if k <= 60), sizes[max(sizes)]
    print(f"resident: {min(sizes.values())} KiB at least, {minute} KiB in the first minute, {end} KiB at the end; runs "
          f"{service.running.err().count(' run_end ')}, mishaps {mishaps}")
    assert end < minute * 1.3 + 4096, sizes
    for sink in table:
        assert_clean(sink)
    assert service.stop().rc == 0
