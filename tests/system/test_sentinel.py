"""Redis behind sentinels: the primary is found, followed through a failover, and left when it is none any more; nothing is lost."""
import pytest

from harness.lab import assert_clean
from harness.service import Service
from harness.sink import most_in_window, wait_until

SHORT = {"timeout": "1s"}  # a lease is the timeout and ten seconds
OFF = {"listen": "127.0.0.1:0"}


def scripts_run(server):
    """How many scripts clients have had carried out there; what a replica copies is no script."""
    stats = server.client().info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "evalsha"))


def is_ended(run):
    return run["status"] not in ("reading", "planned")


@pytest.mark.parametrize("kind", ["tcp", "tls"])
def test_the_primary_is_found_with_passwords_of_both(lab, sink, sentinels, kind):
    group = sentinels(kind, "pa55-word", "s3ntinel")
    lab.customers(300)
    lab.simple(sink, settings=group.settings(), batch_size=50)
    done = lab.good_run()
    assert done.counts("succeeded") == (300,) and len(sink.log) == 6
    assert scripts_run(group.servers[0]) and not scripts_run(group.servers[1])
    said = lab.command("check", "--connect")
    assert said.rc == 0 and f"the primary is 127.0.0.1 port {group.servers[0].port}" in said.out
    assert "pa55-word" not in said.text + done.text and "s3ntinel" not in said.text + done.text


@pytest.mark.long
def test_a_primary_that_is_killed_in_the_middle_of_a_run_is_replaced(lab, sink, sentinels):
    group = sentinels()
    lab.customers(3000)
    lab.simple(sink, settings=group.settings(), destination=SHORT, batch_size=20)
    sink.delay_s = 0.02
    running = lab.start_run()
    sink.wait_requests(10)
    group.servers[0].kill()
    done = running.wait()
    assert done.rc == 0 and done.counts("succeeded") == (3000,), done
    lab.assert_same(sink.state)
    assert_clean(sink)
    assert scripts_run(group.servers[1])
    assert lab.good_run().counts("planned", "unchanged") == (0, 3000)


@pytest.mark.long
def test_a_frozen_primary_is_left_and_not_written_to_when_it_wakes(lab, sink, sentinels):
    """Scheduler and worker are services; the limit holds over the failover, and over the old primary's return."""
    group = sentinels()
    lab.customers(1200)
    lab.simple(sink, settings={**group.settings(), **OFF}, destination={**SHORT, "rate_limits": [{"requests": 20, "per": "1s"}]},
               batch_size=10)
    service = Service(lab)
    lab.start(program="sluice-worker")
    run = service.post("/api/v1/syncs/s/run")["run"]
    sink.wait_requests(30)
    old = group.servers[0]
    old.freeze()
    group.freeze_sentinels(0)  # it stood on the same machine
    new = group.wait_failover(old)
    mark = len(sink.log)
    wait_until(lambda: scripts_run(new) > 0, 60, "the scheduler at the new primary")
    sink.wait_requests(mark + 10)
    old.thaw()
    group.thaw_sentinels(0)
    wait_until(lambda: old.role() == "slave", 60, "the old primary as a replica")
    before = scripts_run(old)
    ended = service.wait_run(run, is_ended)
    assert ended["status"] == "success" and ended["counts"]["succeeded"] == 1200
    assert scripts_run(old) == before, "nobody had anything carried out there"
    lab.assert_same(sink.state)
    assert_clean(sink)
    assert most_in_window([(q.t, 1) for q in sink.log], 1.0) <= 20
    assert [(s["connected"], s["primary"]) for s in service.get("/api/v1/status")["redis"]] == [(True, f"127.0.0.1:{new.port}")]


@pytest.mark.long
def test_a_primary_that_is_demoted_hands_over(lab, sink, sentinels):
    """A planned failover: the old primary lives, and refuses to write."""
    group = sentinels()
    lab.customers(2000)
    lab.simple(sink, settings=group.settings(), destination={**SHORT, "rate_limits": [{"requests": 10, "per": "1s"}]}, batch_size=20)
    running = lab.start_run()
    sink.wait_requests(10)
    group.sentinels[1].client().execute_command("SENTINEL FAILOVER", "prime")
    group.wait_failover(group.servers[0])
    wait_until(lambda: group.servers[0].role() == "slave", 60, "the old primary as a replica")
    before = scripts_run(group.servers[0])
    done = running.wait()
    assert done.rc == 0 and done.counts("succeeded") == (2000,), done
    assert scripts_run(group.servers[0]) == before and scripts_run(group.servers[1]) > 0
    lab.assert_same(sink.state)
    assert_clean(sink)
    assert most_in_window([(q.t, 1) for q in sink.log], 1.0) <= 10


@pytest.mark.long
def test_sentinels_that_are_away_change_nothing_while_the_primary_is_there(lab, sink, sentinels):
    group = sentinels()
    lab.customers(600)
    lab.simple(sink, settings=group.settings(), batch_size=10)
    sink.hold(lambda request: len(sink.log) > 5)
    running = lab.start_run()
    wait_until(lambda: sink.count_held() >= 1, 60, "a request that hangs")
    for sentinel in group.sentinels:
        sentinel.kill()
    sink.release()
    done = running.wait()
    assert done.rc == 0 and done.counts("succeeded") == (600,) and len(sink.log) == 60, done
    told = lab.command("run")
    assert told.rc == 69 and "no sentinel names the primary" in told.err, told
    said = lab.command("check", "--connect")
    assert said.rc == 69 and "no sentinel names the primary" in said.text
    group.sentinels[2].start()  # it remembers
    assert lab.good_run().counts("unchanged") == (600,)


def test_a_name_that_no_sentinel_knows_is_a_mistake_in_the_configuration(lab, sink, sentinels):
    group = sentinels()
    lab.customers(10)
    settings = group.settings()
    lab.simple(sink, settings={"redis": settings["redis"].replace("/prime", "/other")})
    done = lab.command("run")
    assert done.rc == 78 and "none of its sentinels knows a primary of the name other" in done.err and not sink.log, done
    said = lab.command("check", "--connect")
    assert said.rc == 78 and "knows a primary of the name other" in said.text


@pytest.mark.long
def test_a_sentinel_that_names_a_replica_or_does_not_answer_is_passed_over(lab, sink, sentinels):
    """Of three sentinels one is frozen, and one was cut off before a failover and still names the server that is a replica now."""
    group = sentinels()
    lab.customers(100)
    lab.simple(sink, settings=group.settings())
    group.freeze_sentinels(0)
    old = group.servers[0]
    group.sentinels[1].client().execute_command("SENTINEL FAILOVER", "prime")
    group.wait_failover(old)
    wait_until(lambda: old.role() == "slave", 60, "the old primary as a replica")
    group.sentinels[1].kill()
    group.sentinels[1].write(old.port, [], [])
    group.sentinels[1].start()
    wait_until(lambda: group.sentinels[1].about().get("flags"), 20, "a sentinel with an old view")
    before = scripts_run(old)
    for _ in range(3):  # whoever is asked first is chance
        lab.sql("update c set amount = amount + 1")
        assert lab.good_run().counts("succeeded") == (100,)
    assert scripts_run(old) == before
    lab.assert_same(sink.state)


@pytest.mark.long
def test_a_certificate_of_another_authority_or_for_another_host_is_refused(lab, sink, sentinels, redis_servers):
    elsewhere, other = sentinels("tls", names="DNS:elsewhere.example"), redis_servers("tls")
    lab.customers(10)
    for ca, why in ((other.ca, "certificate"), (elsewhere.ca, "IP address mismatch")):
        lab.simple(sink, settings={"redis": elsewhere.url(), "redis_ca": str(ca)})
        done = lab.command("run")
        assert done.rc == 69 and "its certificate is refused" in done.err and why in done.err and not sink.log, done


def test_wrong_passwords_are_told_without_showing_them(lab, sink, sentinels):
    group = sentinels("tcp", "right-word", "s3ntinel")
    lab.customers(10)
    for wrong in (group.url().replace("right-word", "hunter2"), group.url().replace("s3ntinel", "hunter2")):
        lab.simple(sink, settings={"redis": wrong})
        done = lab.command("run")
        assert done.rc == 69 and "hunter2" not in done.text and not sink.log, done
        assert "WRONGPASS" in done.err or "invalid" in done.err, done
        said = lab.command("check", "--connect")
        assert said.rc == 78 and "hunter2" not in said.text, said
