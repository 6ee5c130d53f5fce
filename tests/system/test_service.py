"""The scheduler as a service: schedules, reload, stopping, recovery."""
import os
import re
import signal

from harness.lab import assert_clean
from harness.sink import wait_until

SQL = "select id, email, amount from c"
OFF = {"listen": "127.0.0.1:0"}


def events(service, name):
    return re.findall(rf"^\S+ \w+ \S+ {name}\b.*$", service.err(), re.M)


def ended(service, sync=None):
    return [e for e in events(service, "run_end") if not sync or f"sync={sync} " in e]


def same(lab, sink, sql=SQL):
    try:
        lab.assert_same(sink.state, sql)
    except AssertionError:
        return False
    return True


def stop(service, rc=0):
    service.process.send_signal(signal.SIGTERM)
    done = service.wait()
    assert done.rc == rc, done
    return done


def test_a_schedule_carries_changes_over_by_itself(lab, sink):
    lab.customers(50)
    lab.simple(sink, sql=SQL, settings=OFF, schedule={"every": "1s"})
    service = lab.start_service()
    wait_until(lambda: same(lab, sink), 60, "the first rows are there")
    lab.sql("delete from c where id = 7; update c set amount = 3 where id = 8")
    wait_until(lambda: same(lab, sink), 60, "the changes are there")
    wait_until(lambda: len(ended(service)) >= 3, 60, "three runs have ended")
    assert all("status=success" in e for e in ended(service)), ended(service)
    stop(service)
    assert_clean(sink)
    assert len(sink.sent_since(0)) == 52, "nothing was sent twice"


def test_nothing_runs_that_was_not_asked_for(lab, sink):
    lab.customers(5)
    lab.project({"m": {"sql": SQL}}, {"hook": {"url": sink.url}},
                {"by_hand": {"model": "m", "destination": "hook"},
                 "by_time": {"model": "m", "destination": "hook", "schedule": {"every": "1s"}}}, OFF)
    service = lab.start_service()
    wait_until(lambda: len(ended(service)) >= 3, 60, "three runs have ended")
    assert not ended(service, "by_hand")
    stop(service)


def test_syncs_in_sequence_wait_for_the_one_before(lab, sinks):
    first, second = sinks(), sinks()
    lab.customers(30)
    lab.project({"m": {"sql": SQL}}, {"a": {"url": first.url}, "b": {"url": second.url}},
                {"one": {"model": "m", "destination": "a", "schedule": {"every": "1s"}},
                 "two": {"model": "m", "destination": "b", "schedule": {"after": "one"}}}, OFF)
    first.hold()
    service = lab.start_service()
    wait_until(lambda: first.count_held() > 0, 60, "the first sync sends")
    assert not second.log
    first.release()
    wait_until(lambda: same(lab, second), 60, "the second one follows")
    stop(service)


def test_two_due_syncs_of_a_model_share_its_read(lab, sinks):
    lab.customers(2000)
    lab.postgres.sql("create extension if not exists pg_stat_statements", lab.database)
    lab.postgres.sql("select pg_stat_statements_reset()", lab.database)
    sql = SQL + " where 'together' = 'together'"
    hooks = {n: {"url": sinks().url} for n in ("a", "b", "d")}
    lab.project({"m": {"sql": sql}}, hooks,
                {n: {"model": "m", "destination": n, "schedule": {"every": "4s"}} for n in hooks}, OFF)
    service = lab.start_service()
    wait_until(lambda: len(ended(service)) >= 3, 60, "the three have run")
    reads = lab.postgres.sql("select sum(calls), sum(rows) from pg_stat_statements s join pg_database d on d.oid = s.dbid "
                             f"where d.datname = '{lab.database}' and query like '%together%' and query ilike 'copy%'")
    (calls, rows), = reads
    begun = len(events(service, "run_begin"))  # looked at after the reads: of those that are under way too
    assert calls * 3 <= begun + 2 and rows == calls * 2000, (reads, begun)
    stop(service)


def test_a_second_scheduler_on_the_same_state_is_refused(lab, sink):
    lab.customers(1)
    lab.simple(sink, sql=SQL, settings=OFF)
    service = lab.start_service()
    done = lab.start(program="sluice-scheduler").wait()
    assert done.rc == 75 and str(service.pid) in done.err, done
    stop(service)


def test_stopping_leaves_the_rest_to_the_next_start_and_sends_nothing_twice(lab, sinks):
    sink = sinks(delay_s=0.05)
    lab.customers(3000)
    lab.simple(sink, sql=SQL, settings=OFF, batch_size=20, destination={"concurrency": 2}, schedule={"every": "3s"})
    service = lab.start_service()
    wait_until(lambda: len(sink.log) > 20, 60, "it is sending")
    stop(service)
    sent = len(sink.log)
    assert sent < 150, "it stopped in the middle"
    service = lab.start_service()
    wait_until(lambda: len(ended(service)) >= 1, 60, "the run was finished")
    assert "status=success" in ended(service)[0] and "succeeded=3000" in ended(service)[0]
    stop(service)
    lab.assert_same(sink.state, SQL)
    assert_clean(sink)
    assert len(sink.sent_since(0)) == 3000, "each record once"


def test_kill_and_start_again_loses_nothing(lab, sinks):
    sink = sinks(delay_s=0.02)
    lab.customers(2000)
    lab.simple(sink, sql=SQL, settings=OFF, batch_size=20, schedule={"every": "1s"})
    for _ in range(3):
        mark = len(sink.log)
        service = lab.start_service()
        wait_until(lambda: len(sink.log) > mark + 15 or same(lab, sink), 60, "it is sending")
        service.kill_everything()
    service = lab.start_service()
    wait_until(lambda: same(lab, sink), 60, "all is there")
    stop(service)
    assert_clean(sink)


def test_a_private_redis_that_dies_is_replaced(lab, sinks):
    sink = sinks(delay_s=0.02)
    lab.customers(2000)
    lab.simple(sink, sql=SQL, settings=OFF, batch_size=20, schedule={"every": "1s"})
    service = lab.start_service()
    wait_until(lambda: len(sink.log) > 10, 60, "it is sending")
    os.kill(service.redis()[0], signal.SIGKILL)
    wait_until(lambda: same(lab, sink), 90, "all is there")
    stop(service)


def test_an_external_redis_may_come_late(lab, sink, redis_servers):
    redis = redis_servers()
    url = redis.url
    redis.process.kill()
    redis.process.wait()
    lab.customers(20)
    lab.simple(sink, sql=SQL, settings={**OFF, "redis": url}, schedule={"every": "1s"})
    service = lab.start("--workers", "1", program="sluice-scheduler")
    wait_until(lambda: "waits" in service.err(), 60, "it says what it waits for")
    redis.start()
    wait_until(lambda: same(lab, sink), 60, "it goes on by itself")
    stop(service)


def reload(lab, service, words):
    mark = len(service.err())
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: words in service.err()[mark:], 60, words)


def test_a_reload_takes_new_syncs_and_refuses_mistakes_as_a_whole(lab, sinks):
    one, two = sinks(), sinks()
    lab.customers(20)
    hooks = {"a": {"url": one.url}, "b": {"url": two.url}}
    first = {"s": {"model": "m", "destination": "a", "schedule": {"every": "1s"}}}
    lab.project({"m": {"sql": SQL}}, hooks, first, OFF)
    service = lab.start_service()
    wait_until(lambda: same(lab, one), 60, "the first sync runs")
    lab.project({"m": {"sql": SQL}}, hooks, {**first, "t": {"model": "nothing", "destination": "b"}}, OFF)
    reload(lab, service, "reload_refused")
    assert "nothing" in events(service, "reload_refused")[0]
    runs = len(ended(service))
    wait_until(lambda: len(ended(service)) > runs, 60, "the old project runs on")
    lab.project({"m": {"sql": SQL}}, hooks, {**first, "t": {"model": "m", "destination": "b", "schedule": {"every": "1s"}}}, OFF)
    reload(lab, service, "reloaded")
    wait_until(lambda: same(lab, two), 60, "the new sync runs")
    lab.project({"m": {"sql": SQL}}, {"b": hooks["b"]}, {"t": {"model": "m", "destination": "b"}}, OFF)
    reload(lab, service, "reloaded")
    stop(service)


def test_what_was_decided_at_the_start_cannot_be_reloaded(lab, sink):
    lab.customers(1)
    lab.simple(sink, sql=SQL, settings=OFF)
    service = lab.start_service()
    lab.simple(sink, sql=SQL, settings={"listen": "127.0.0.1:1"})
    reload(lab, service, "reload_refused")
    assert "settings.listen cannot change" in service.err()
    stop(service)


def test_limits_that_a_reload_changed_hold_from_the_next_run_on(lab, sink):
    lab.customers(10)
    lab.simple(sink, sql=SQL, settings=OFF, destination={"rate_limits": [{"requests": 1000, "per": "1s"}]},
               schedule={"every": "1s"})
    service = lab.start_service()
    wait_until(lambda: same(lab, sink), 60, "the first run")
    lab.simple(sink, sql=SQL, settings=OFF, batch_size=1, destination={"rate_limits": [{"requests": 5, "per": "1s"}]},
               schedule={"every": "1s"})
    reload(lab, service, "reloaded")
    mark = len(sink.log)
    lab.sql("update c set amount = 99")
    wait_until(lambda: same(lab, sink), 60, "the changes went")
    times = sorted(r.t for r in sink.log[mark:])
    assert len(times) == 10 and all(b - a >= 1 for a, b in zip(times, times[5:])), times
    stop(service)


def test_a_run_whose_destination_a_reload_changes_begins_anew(lab, sinks):
    old, new = sinks(delay_s=0.05), sinks()
    lab.customers(2000)
    lab.simple(old, sql=SQL, settings=OFF, batch_size=20, destination={"concurrency": 1, "quota": "q"}, schedule={"every": "3s"})
    service = lab.start_service()
    wait_until(lambda: len(old.log) > 5, 60, "it is sending")
    lab.simple(new, sql=SQL, settings=OFF, batch_size=20, destination={"concurrency": 1, "quota": "q", "headers": {"X-A": "1"}},
               schedule={"every": "3s"})
    reload(lab, service, "reloaded")
    wait_until(lambda: len(ended(service)) + len(events(service, "run_held")) >= 2, 60, "two runs")
    assert "status=cancelled" in ended(service)[0], ended(service)
    stop(service)


def test_a_held_run_stops_its_schedule(lab, sink):
    lab.customers(40)
    lab.simple(sink, sql=SQL, settings=OFF, guard={"max_removed": 3}, schedule={"every": "1s"})
    service = lab.start_service()
    wait_until(lambda: same(lab, sink), 60, "the first run")
    lab.sql("delete from c where id < 20")
    wait_until(lambda: events(service, "run_held"), 60, "it is held")
    runs = len(ended(service))
    lab.sql("insert into c values (1000, 'x', 'x', 1, true)")
    held = events(service, "run_held")[0]
    assert "max_removed" in held
    stop(service)
    assert len(ended(service)) == runs and len(sink.state) == 40


def test_a_sync_that_fails_is_tried_at_its_next_time(lab, sink):
    lab.simple(sink, sql="select id, email, amount from later", settings=OFF, schedule={"every": "1s"})
    service = lab.start_service()
    wait_until(lambda: len(ended(service)) >= 2, 60, "it fails twice")
    assert all("status=failed" in e for e in ended(service)[:2])
    lab.customers(5)
    lab.sql("alter table c rename to later")
    wait_until(lambda: len(sink.state) == 5, 60, "it heals by itself")
    stop(service)


def test_usage(lab, sink):
    lab.simple(sink, settings=OFF)
    done = lab.start("--help", program="sluice-scheduler").wait()
    assert done.rc == 0 and "Usage: sluice-scheduler" in done.out
    done = lab.start("--version", program="sluice-scheduler").wait()
    assert done.rc == 0 and done.out.startswith("sluice-scheduler "), done
    for wrong in (["--nothing"], ["x"], ["--workers", "0"], ["--workers", "many"]):
        assert lab.start(*wrong, program="sluice-scheduler").wait().rc == 64
    lab.write("syncs: 3\n")
    assert lab.start(program="sluice-scheduler").wait().rc == 78
