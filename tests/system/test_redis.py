"""Redis outside: how it is reached, refused, lost and found again."""
import shutil

import pytest

from harness.lab import assert_clean
from harness.sink import wait_until

SHORT_LEASE = {"timeout": "1s"}  # a lease is the timeout and ten seconds


def with_redis(lab, sink, server, **options):
    settings = {"redis": server.url, **({"redis_ca": str(server.ca)} if server.ca else {})}
    lab.simple(sink, settings=settings, **options)


@pytest.mark.parametrize("kind", ["unix", "tcp", "tls"])
@pytest.mark.parametrize("password", [None, "pa55-word"])
def test_redis_is_reached_by_every_kind_of_url(lab, sink, redis_servers, kind, password):
    server = redis_servers(kind, password)
    lab.customers(2000)
    with_redis(lab, sink, server, batch_size=100)
    running = lab.start_run()
    private = set()
    wait_until(lambda: private.update(running.redis()) or running.process.poll() is not None, 60, "the end of the run")
    assert running.wait().rc == 0 and not private, "no server of its own beside the configured one"
    lab.assert_same(sink.state)
    lab.sql("update c set amount = 0 where id = 1")
    assert lab.good_run().counts("changed", "unchanged") == (1, 1999)


def test_a_certificate_of_another_authority_is_refused(lab, sink, redis_servers):
    server, other = redis_servers("tls"), redis_servers("tls")
    lab.customers(10)
    lab.simple(sink, settings={"redis": server.url, "redis_ca": str(other.ca)})
    done = lab.command("run")
    assert done.rc == 69 and not sink.log and "ertificate" in done.text


def test_a_redis_that_evicts_is_refused(lab, sink, redis_servers):
    server = redis_servers(policy="allkeys-lru")
    lab.customers(10)
    with_redis(lab, sink, server)
    done = lab.command("run")
    assert done.rc not in (0, 1, 3) and "noeviction" in done.text and not sink.log


def test_an_unreachable_redis_ends_with_69(lab, sink):
    lab.customers(10)
    lab.simple(sink, settings={"redis": "unix:///nowhere/redis.sock"})
    done = lab.command("run")
    assert done.rc == 69 and not sink.log


def test_a_wrong_password_is_said_without_showing_it(lab, sink, redis_servers):
    server = redis_servers("tcp", "right")
    lab.customers(10)
    lab.simple(sink, settings={"redis": server.url.replace("right", "wrong-one")})
    done = lab.command("run")
    assert done.rc not in (0, 1, 3) and "wrong-one" not in done.text and not sink.log


def test_an_emptied_redis_loses_nothing(lab, sink, redis_servers):
    server = redis_servers()
    lab.customers(3000)
    with_redis(lab, sink, server, batch_size=50, destination=SHORT_LEASE)
    sink.delay_s = 0.02
    running = lab.start_run()
    sink.wait_requests(10)
    server.client().flushall()
    done = running.wait()
    assert done.rc == 0 and done.counts("succeeded") == (3000,)
    lab.assert_same(sink.state)
    assert_clean(sink)
    assert lab.good_run().counts("planned") == (0,)


@pytest.mark.long
def test_a_redis_that_is_killed_and_comes_back_empty_loses_nothing(lab, sink, redis_servers):
    server = redis_servers()
    lab.customers(3000)
    with_redis(lab, sink, server, batch_size=50, destination=SHORT_LEASE)
    sink.delay_s = 0.02
    running = lab.start_run()
    sink.wait_requests(10)
    server.kill()
    server.start()
    done = running.wait()
    assert done.rc == 0 and done.counts("succeeded") == (3000,)
    lab.assert_same(sink.state)
    assert_clean(sink)


def test_a_lost_state_directory_is_noticed_and_everything_is_sent_again(lab, sink, redis_servers):
    server = redis_servers()
    lab.customers(300)
    with_redis(lab, sink, server, mode="upsert")
    lab.good_run()
    mark = len(sink.log)
    shutil.rmtree(lab.state_dir)
    done = lab.good_run()
    assert done.counts("added", "succeeded") == (300, 300) and len(sink.sent_since(mark)) == 300
    assert lab.good_run().counts("unchanged") == (300,)


@pytest.mark.parametrize("mode", ["insert", "append"])
@pytest.mark.parametrize("how", ["lost", "restored"])
def test_with_state_lost_or_restored_modes_that_cannot_repeat_are_held(lab, sink, redis_servers, mode, how):
    server = redis_servers()
    lab.customers(100)
    with_redis(lab, sink, server, mode=mode, first_run="send")
    lab.good_run()
    shutil.copytree(lab.state_dir, lab.root / "backup")
    lab.customers(50, first=1001)
    lab.good_run()
    mark = len(sink.log)
    shutil.rmtree(lab.state_dir)
    if how == "restored":
        shutil.copytree(lab.root / "backup", lab.state_dir)
    done = lab.run()
    assert done.rc == 3 and done.last["status"] == "held" and len(sink.log) == mark


def test_restored_state_is_noticed_and_the_destination_ends_right(lab, sink, redis_servers):
    server = redis_servers()
    lab.customers(100)
    with_redis(lab, sink, server)
    lab.good_run()
    shutil.copytree(lab.state_dir, lab.root / "backup")
    lab.sql("create table old as select * from c; update c set name = 'new'")
    lab.good_run()
    lab.sql("update c set name = old.name from old where old.id = c.id")
    shutil.rmtree(lab.state_dir)
    shutil.copytree(lab.root / "backup", lab.state_dir)
    lab.good_run()
    lab.assert_same(sink.state)


def test_two_projects_may_share_one_redis(lab, sinks, redis_servers):
    server, one, two = redis_servers(), sinks(), sinks()
    lab.customers(1000)
    lab.simple(one, settings={"redis": server.url}, batch_size=50)
    one.hold(lambda q: len(one.log) > 5)
    first = lab.start_run()
    wait_until(lambda: one.count_held() >= 1, 30, "a request that hangs")
    lab.project_dir = lab.root / "second-project"
    lab.project({"m": {"sql": "select * from c"}}, {"other": {"url": two.url}}, {"t": {"model": "m", "destination": "other"}},
                settings={"redis": server.url, "state_dir": str(lab.root / "second")})
    assert lab.good_run().counts("succeeded") == (1000,)
    one.release()
    assert first.wait().rc == 0
    lab.assert_same(one.state)
    lab.assert_same(two.state)
