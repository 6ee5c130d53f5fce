"""Redis users with least rights: the documented ones do, they have nothing more than is used, and what is missing is told."""
import pytest

from harness.acl import commands_documented, commands_needed, documented, make_user
from harness.lab import assert_clean
from harness.service import Service
from harness.sink import Answer, most_in_window, wait_until

PASSWORD = "pa55-word"


def url_of(server, program, password=PASSWORD):
    return server.url.replace("redis://", f"redis://sluice-{program}:{password}@")


def user_of_both(server):
    """One user with the rights of both, as `sluice run` needs it; nobody else may do anything."""
    make_user(server.client(), "scheduler", PASSWORD, more=[rule for rule in documented("worker") if rule.startswith("+")])
    return url_of(server, "scheduler")


@pytest.mark.parametrize("program", ["scheduler", "worker"])
def test_the_documented_users_may_do_what_the_programs_do_and_nothing_else(program):
    assert commands_documented(program) == commands_needed(program)


def test_a_scheduler_and_a_worker_of_their_own_users_do_everything(lab, sink, redis_servers):
    """Limits, halves, retries, throttling, removals, pauses, and a scheduler that finds another's epoch."""
    server = redis_servers("tcp")
    admin = server.client()
    for program in ("scheduler", "worker"):
        make_user(admin, program, PASSWORD)
    lab.customers(400)
    lab.simple(sink, settings={"redis": "${REDIS_URL}", "listen": "127.0.0.1:0"}, batch_size=20, on_removed="delete", mode="upsert",
               destination={"timeout": "1s", "rate_limits": [{"requests": 50, "per": "1s"}], "retry": {"base": "10ms", "max": "50ms"}})
    answers = iter([Answer(503, headers={"Retry-After": "1"}), Answer(500), Answer(422, "not this one"), Answer(429)])
    sink.behave = lambda request: next(answers, Answer())
    env = {"REDIS_URL": url_of(server, "scheduler")}
    started, lab.start = lab.start, lambda *args, **how: started(*args, **{"env": env, **how})
    service = Service(lab)
    lab.start(program="sluice-worker", env={"REDIS_URL": url_of(server, "worker")})
    ended = service.run("s")
    assert ended["status"] == "success" and ended["counts"]["succeeded"] == 400, ended
    lab.sql("delete from c where id <= 50; update c set amount = 0 where id > 390")
    service.post("/api/v1/syncs/s/pause")
    service.post("/api/v1/syncs/s/resume")
    service.running.kill_parent()
    service.start()
    ended = service.run("s")
    assert ended["counts"]["removed"] == 50 and ended["counts"]["changed"] == 10 and ended["status"] == "success"
    lab.assert_same(sink.state)
    assert_clean(sink)
    assert most_in_window([(q.t, 1) for q in sink.log], 1.0) <= 50
    refused = {entry["object"] for entry in admin.acl_log()}
    assert refused <= {"config|get"}, "INFO tells the policy, too"


@pytest.mark.parametrize("without", ["evalsha", "xread", "hset"])
def test_a_command_that_the_scheduler_lacks_stops_the_run_and_is_named(lab, sink, redis_servers, without):
    server = redis_servers("tcp")
    lab.customers(10)
    lab.simple(sink, settings={"redis": user_of_both(server)})
    server.client().execute_command("ACL", "SETUSER", "sluice-scheduler", f"-{without}")
    done = lab.command("run")
    assert done.rc == 2 and not sink.log and PASSWORD not in done.text, done
    assert (f"'{without}'" if without != "hset" else "can't run this command") in done.text, done
    server.client().execute_command("ACL", "SETUSER", "sluice-scheduler", f"+{without}")
    lab.good_run()
    lab.assert_same(sink.state)


@pytest.mark.parametrize("without", ["lrange", "blpop"])
def test_a_command_that_a_worker_lacks_is_told_at_once_and_the_work_waits(lab, sink, redis_servers, without):
    server = redis_servers("tcp")
    for program in ("scheduler", "worker"):
        make_user(server.client(), program, PASSWORD)
    server.client().execute_command("ACL", "SETUSER", "sluice-worker", f"-{without}")
    lab.customers(10)
    lab.simple(sink, settings={"redis": url_of(server, "scheduler"), "listen": "127.0.0.1:0"})
    service = Service(lab)
    worker = lab.start("--redis", url_of(server, "worker"), program="sluice-worker")
    run = service.post("/api/v1/syncs/s/run")["run"]
    wait_until(lambda: "redis_denies" in worker.err(), 30, "a worker that says what it may not")
    assert ("this command" in worker.err() if without == "lrange" else f"'{without}'" in worker.err()) and PASSWORD not in worker.err()
    server.client().execute_command("ACL", "SETUSER", "sluice-worker", f"+{without}")
    assert service.wait_run(run, lambda r: r["status"] not in ("reading", "planned"))["status"] == "success"
    lab.assert_same(sink.state)


@pytest.mark.parametrize("how", ["url", "file"])
def test_a_wrong_password_or_user_ends_with_69_and_is_not_shown(lab, sink, redis_servers, how):
    server = redis_servers("tcp")
    good = user_of_both(server)
    lab.customers(10)
    for user, password, rc in (("sluice-scheduler", "hunter2", 69), ("sluice-nobody", "hunter2", 69), ("sluice-scheduler", PASSWORD, 0)):
        url = good.replace(f"sluice-scheduler:{PASSWORD}", f"{user}:{password}")
        lab.write(url, "secret")
        lab.simple(sink, settings={"redis": url if how == "url" else "${file:secret}"})
        done = lab.command("run")
        assert done.rc == rc and "hunter2" not in done.text, done
        assert bool(sink.log) == (rc == 0) and ("WRONGPASS" in done.err) == (rc != 0), done
    lab.write(good.replace(PASSWORD, "hunter2"), "secret")
    if how == "file":
        done = lab.start(program="sluice-worker").wait()
        assert done.rc == 69 and "hunter2" not in done.err and "WRONGPASS" in done.err
