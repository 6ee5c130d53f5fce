"""Syncs move between schedulers with what was accepted: no row is sent again, and none is sent without being asked."""

from harness.lab import assert_clean
from harness.service import Service
from harness.sink import refuse, wait_until

ROWS = 200


def project(lab, sinks, redis, shards, pins, settings=None, **more):
    """A sync for each pin, each to a receiver of its own; called again it changes shards only."""
    if not hasattr(lab, "receivers"):
        lab.receivers = [sinks() for _ in pins]
    lab.project({"m": {"sql": "select * from c"}},
                {f"d{i}": {"url": r.url, **({"shard": pins[i]} if shards > 1 else {})} for i, r in enumerate(lab.receivers)},
                {f"s{i}": {"model": "m", "destination": f"d{i}", **more} for i in range(len(pins))},
                {"redis": redis.url, "shards": shards, "listen": "127.0.0.1:0", **(settings or {})})
    return lab.receivers


def sent(receivers):
    return [sum(len(q.records) for q in r.log) for r in receivers]


def run_shards(lab, count, *args):
    return [lab.run("--shard", str(i), *args) for i in range(count)]


def test_from_two_to_three_shards_no_row_is_sent_again(lab, sinks, redis_servers):
    redis = redis_servers()
    lab.customers(ROWS)
    receivers = project(lab, sinks, redis, 2, (0, 1, 1, 1), identify_by="email")
    receivers[3].behave = lambda q: refuse(422, "no such person") if "u7@example.org" in {r["key"]["email"] for r in q.records} else None
    assert {d.rc for d in run_shards(lab, 2)} == {0, 1}
    runs, errors = lab.command("runs", "--json", "s3").out, lab.command("errors", "--json", "s3").out
    before = sent(receivers)
    project(lab, sinks, redis, 3, (0, 1, 2, 2), identify_by="email")

    # The new one sends nothing, the old one says what it has.
    done = lab.run("--shard", "2")
    assert done.rc == 2 and "is of another state" in done.text and "state export" in done.text, done
    done = lab.run("--shard", "1", "s1")
    assert done.rc == 0 and done.counts("unchanged", "planned") == (ROWS, 0)
    assert done.err.count("state_of_other_shard") == 2 and "shards_changed" in done.err
    assert sent(receivers) == before

    out = lab.root / "moving"
    done = lab.command("state", "drop", "s2", "s3")
    assert done.rc == 64, "nothing is dropped that is not somewhere else"
    done = lab.command("--shard", "1", "state", "export", out, "s2", "s3")
    assert done.rc == 0 and out.stat().st_mode & 0o777 == 0o600, done
    assert lab.command("--shard", "2", "state", "import", out, "--merge").rc == 0
    done = lab.command("--shard", "2", "state", "import", out, "--merge")
    assert done.rc == 64 and "already" in done.err
    assert lab.command("state", "drop", "s2", "s3").rc == 0

    receivers[3].behave = None
    done = lab.run("--shard", "2")
    assert done.rc == 0, done
    assert (done.sync("s2")["unchanged"], done.sync("s2")["planned"]) == (ROWS, 0)
    assert (done.sync("s3")["unchanged"], done.sync("s3")["quarantined"], done.sync("s3")["planned"]) == (ROWS - 1, 1, 0)
    assert lab.command("errors", "--json", "s3").out == errors
    assert runs.strip() in lab.command("runs", "--json", "s3").out
    assert sent(receivers) == before, "no row is sent again"
    done = lab.run("--shard", "1")
    assert [r["sync"] for r in done.runs] == ["s1"] and "state_of_other_shard" not in done.err
    lab.sql("delete from c where id > 190")
    assert [r["removed"] for d in run_shards(lab, 3) for r in d.runs] == [10] * 4
    for receiver in receivers[:3]:
        lab.assert_same(receiver.state, key=("email",))


def test_a_project_is_sharded_and_made_whole_again(lab, sinks, redis_servers):
    redis = redis_servers()
    lab.customers(ROWS)
    receivers = project(lab, sinks, redis, 1, (0, 1))
    assert lab.run().rc == 0
    before = sent(receivers)
    project(lab, sinks, redis, 2, (0, 1))
    done = lab.run("--shard", "1")
    assert done.rc == 2 and "is of another state" in done.text
    done = lab.run("--shard", "0")
    assert done.rc == 0 and done.counts("unchanged") == (ROWS,) and "state_moved" in done.err
    out = lab.root / "moving"
    assert lab.command("state", "export", out, "s1").rc == 0, "where its state is, whoever it belongs to"
    assert lab.command("--shard", "1", "state", "import", out, "--merge").rc == 0
    assert lab.command("state", "drop", "s1").rc == 0
    assert [d.counts("unchanged", "planned") for d in run_shards(lab, 2)] == [(ROWS, 0)] * 2
    # and back
    out.unlink()
    assert lab.command("--shard", "1", "state", "export", out, "s1").rc == 0
    project(lab, sinks, redis, 1, (0, 1))
    done = lab.run("s1")
    assert done.rc == 2 and "is of another state" in done.text and "state_moved" in done.err
    done = lab.run("s0")
    assert done.rc == 0 and done.counts("unchanged") == (ROWS,)
    done = lab.command("state", "import", out, "--merge")
    assert done.rc == 0, done
    done = lab.run()
    assert done.rc == 0 and {(r["unchanged"], r["planned"]) for r in done.runs} == {(ROWS, 0)}
    assert sent(receivers) == before


def test_an_export_is_void_once_its_source_goes_on(lab, sinks, redis_servers):
    redis = redis_servers()
    lab.customers(ROWS)
    receivers = project(lab, sinks, redis, 2, (0, 0))
    assert lab.run("--shard", "0").rc == 0
    out = lab.root / "moving"
    assert lab.command("--shard", "0", "state", "export", out, "s1").rc == 0
    lab.sql("update c set amount = 0 where id <= 5")
    assert lab.run("--shard", "0", "s1").counts("changed") == (5,)
    before = sent(receivers)
    project(lab, sinks, redis, 2, (0, 1))
    assert lab.command("--shard", "1", "state", "import", out, "--merge").rc == 0
    done = lab.run("--shard", "1")
    assert done.rc == 2 and "is of another state" in done.text and sent(receivers) == before
    done = lab.command("--shard", "0", "state", "drop", "s1")
    assert done.rc == 64 and "went on with it" in done.err
    done = lab.run("--shard", "1", "--take-over")
    assert done.rc == 0, "somebody vouches for it: every row is sent"
    lab.assert_same(receivers[1].state)
    assert sent(receivers)[1] > before[1]


def test_a_quota_moves_as_a_whole_and_only_at_rest(lab, sinks, redis_servers):
    redis, sink = redis_servers(), sinks()
    lab.customers(ROWS)
    destination = {"url": sink.url, "quota": "account", "rate_limits": [{"requests": 2, "per": "1s"}], "batch_size": 40, "shard": 0}
    lab.project({"m": {"sql": "select * from c"}}, {"a": destination, "b": destination},
                {"sa": {"model": "m", "destination": "a"}, "sb": {"model": "m", "destination": "b"}},
                {"redis": redis.url, "shards": 2, "listen": "127.0.0.1:0"})
    lab.start(program="sluice-worker")
    service = Service(lab, None, "--shard", "0")
    service.post("/api/v1/syncs/sb/run")
    wait_until(lambda: len(sink.log) >= 2, 60, "a run under way")
    out = lab.root / "moving"
    done = lab.command("--shard", "0", "state", "export", out, "sa", "sb")
    assert done.rc == 75 and not out.exists(), "a scheduler has the state"
    service.running.kill_everything()
    done = lab.command("--shard", "0", "state", "export", out, "sb")
    assert done.rc == 64 and "is under way" in done.err and not out.exists(), done
    done = lab.run("--shard", "0")
    assert done.rc == 0
    done = lab.command("--shard", "0", "state", "export", out, "sb")
    assert done.rc == 64 and "sa writes to the quota account as well" in done.err and not out.exists(), done
    assert lab.command("--shard", "0", "state", "export", out, "sb", "sa").rc == 0
    for table in sink.tables.values():
        lab.assert_same(table)
    assert_clean(sink)


def test_a_sharded_state_that_was_lost_sends_nothing_by_itself(lab, sinks, redis_servers):
    redis = redis_servers()
    lab.customers(ROWS)
    receivers = project(lab, sinks, redis, 2, (0, 1))
    assert {d.rc for d in run_shards(lab, 2)} == {0}
    before = sent(receivers)
    (lab.state_dir / "shard-1").rename(lab.root / "lost")
    done = lab.run("--shard", "1")
    assert done.rc == 2 and "--take-over" in done.text and sent(receivers) == before
    assert lab.run("--shard", "0").rc == 0
    done = lab.run("--shard", "1", "--take-over")
    assert done.rc == 0 and sent(receivers)[1] == before[1] + ROWS, done
    assert lab.run("--shard", "1").counts("unchanged", "planned") == (ROWS, 0), "from then on it is its own"
