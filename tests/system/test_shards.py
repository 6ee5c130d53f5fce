"""Several schedulers on one project: each its own syncs, its own state, and commands that find the right one."""

from harness.lab import assert_clean
from harness.service import Service


def sharded(lab, sinks, redis, shards=2, settings=None, pins=(0, 1), **more):
    """One table, one receiver and one sync for each pin: s0 in the first one's shard, and so on."""
    receivers = [sinks() for _ in pins]
    lab.project({"m": {"sql": "select * from c"}},
                {f"d{i}": {"url": r.url, "shard": pins[i], **more} for i, r in enumerate(receivers)},
                {f"s{i}": {"model": "m", "destination": f"d{i}"} for i in range(len(pins))},
                {"redis": redis.url, "shards": shards, "listen": "127.0.0.1:0", **(settings or {})})
    return receivers


def test_two_shards_each_send_their_own_and_the_workers_are_anybodys(lab, sinks, redis_servers):
    lab.customers(500)
    receivers = sharded(lab, sinks, redis_servers())
    workers = lab.start(program="sluice-worker")
    services = [Service(lab, None, "--shard", str(i)) for i in (0, 1)]
    for i, service in enumerate(services):
        assert [s["name"] for s in service.get("/api/v1/syncs")["syncs"]] == [f"s{i}"]
        assert [service.get("/api/v1/status")[k] for k in ("shard", "shards")] == [i, 2]
        assert service.run(f"s{i}")["counts"]["succeeded"] == 500
        lab.assert_same(receivers[i].state)
        assert_clean(receivers[i])
    lab.sql("delete from c where id <= 10")
    assert [service.run(f"s{i}")["counts"]["removed"] for i, service in enumerate(services)] == [10, 10]
    assert sorted(p.name for p in lab.state_dir.iterdir()) == ["shard-0", "shard-1"]
    look = lab.command("status", "--json")
    assert look.rc == 0 and [line["sync"] for line in look.lines] == ["s0", "s1"], look
    assert [r["sync"] for r in lab.command("runs", "--json", "s1").runs] == ["s1", "s1"]
    assert lab.command("pause", "s1").rc == 0
    assert services[1].sync("s1")["paused"] and not services[0].sync("s0")["paused"]
    assert workers.process.poll() is None


def test_a_command_says_what_it_cannot_choose(lab, sinks, redis_servers):
    lab.customers(20)
    receivers = sharded(lab, sinks, redis_servers())
    done = lab.command("run")
    assert done.rc == 64 and "--shard K, from 0 to 1" in done.err
    assert lab.start(program="sluice-scheduler").wait().rc == 64
    done = lab.command("status")
    assert done.rc == 64 and "no shard has its state here" in done.err
    done = lab.run("s0", "s1")
    assert done.rc == 0 and {r["sync"] for r in done.runs} == {"s0", "s1"}
    for receiver in receivers:
        lab.assert_same(receiver.state)
    done = lab.command("run", "--shard", "1", "s0")
    assert done.rc == 64 and "s0 belongs to shard 0" in done.err
    assert lab.command("run", "--json", env={"SLUICE_SHARD": "1"}).last["sync"] == "s1"
    done = lab.command("--shard", "2", "run")
    assert done.rc == 78 and "there is no shard 2" in done.err
    (lab.state_dir / "shard-1").rename(lab.state_dir / "away")
    done = lab.command("forget", "7")
    assert done.rc == 64 and "the state of shard 1 is not here" in done.err, "what is not erased is not said to be"


def test_forgetting_goes_through_every_shard(lab, sinks, redis_servers):
    lab.customers(20)
    sharded(lab, sinks, redis_servers())
    assert lab.run("s0", "s1").rc == 0
    assert lab.command("forget", "7").rc == 0
    done = lab.run("s0", "s1")
    assert [r["added"] for r in done.runs] == [1, 1], "both had forgotten the row"
