"""No destination waits for another, and no small sync for a huge one."""
from harness.sink import RefusingPort, wait_until

MODEL = {"m": {"sql": "select * from c"}}


def test_a_healthy_destination_finishes_beside_a_dead_and_a_hanging_one(lab, sinks):
    healthy, hanging, dead = sinks(), sinks(), RefusingPort()
    lab.customers(10000)
    slow_retry = {"retry": {"attempts": 3, "base": "2s", "max": "3s"}}
    lab.project(MODEL, {"healthy": {"url": healthy.url}, "hanging": {"url": hanging.url}, "dead": {"url": dead.url, **slow_retry}},
                {f"to_{d}": {"model": "m", "destination": d, "batch_size": 100} for d in ("hanging", "dead", "healthy")})
    hanging.hold()
    running = lab.start_run("--workers", "1")
    wait_until(lambda: len(healthy.state) == 10000, 20, "the healthy destination's records while the others hang")
    assert hanging.count_held() > 0 and running.process.poll() is None
    hanging.release()
    done = running.wait()
    dead.close()
    assert done.rc == 1
    assert done.sync("to_healthy")["status"] == "success" == done.sync("to_hanging")["status"]
    assert done.sync("to_dead")["failed"] == 10000


def test_a_small_sync_is_not_stuck_behind_a_huge_one_of_the_same_destination(lab, sink):
    lab.customers(20000)
    lab.project({**MODEL, "few": {"sql": "select * from c where id <= 100"}},
                {"hook": {"url": sink.url, "rate_limits": [{"requests": 40, "per": "500ms"}]}},
                {"huge": {"model": "m", "destination": "hook", "batch_size": 50},
                 "small": {"model": "few", "destination": "hook", "batch_size": 50}})
    running = lab.start_run()
    wait_until(lambda: len(sink.tables["small"]) == 100, 30, "the small sync's records")
    assert len(sink.tables["huge"]) < 10000
    assert running.wait().rc == 0
    assert len(sink.tables["huge"]) == 20000


def test_syncs_of_a_higher_priority_go_first_but_the_low_one_is_not_starved(lab, sink):
    lab.customers(4000)
    lab.project(MODEL, {"hook": {"url": sink.url, "rate_limits": [{"requests": 20, "per": "500ms"}]}},
                {name: {"model": "m", "destination": "hook", "batch_size": 50, "priority": name} for name in ("low", "high")})
    running = lab.start_run()
    wait_until(lambda: len(sink.tables["high"]) == 4000, 60, "the records of high priority")
    behind = len(sink.tables["low"])
    assert 0 < behind < 3000, f"{behind} of 4000 records of low priority beside all of the high ones"
    assert running.wait().rc == 0


def test_equal_syncs_get_equal_shares(lab, sink):
    lab.customers(2000)
    lab.project(MODEL, {"hook": {"url": sink.url, "rate_limits": [{"requests": 20, "per": "500ms"}]}},
                {name: {"model": "m", "destination": "hook", "batch_size": 25} for name in ("a", "b")})
    running = lab.start_run()
    wait_until(lambda: len(sink.log) >= 100, 60, "the first hundred requests")
    shares = [sum(1 for q in sink.log[20:100] if q.sync == name) for name in ("a", "b")]
    assert min(shares) >= 24, shares
    assert running.wait().rc == 0


def test_the_warehouse_is_released_while_the_destination_is_slow(lab, sink):
    lab.customers(5000)
    lab.simple(sink, batch_size=100)
    sink.hold()
    running = lab.start_run()
    sink.wait_requests(1)
    wait_until(lambda: not lab.postgres.sql(f"select 1 from pg_stat_activity where datname = '{lab.database}'"), 30,
               "the end of the warehouse connection")
    assert running.process.poll() is None
    sink.release()
    assert running.wait().rc == 0
