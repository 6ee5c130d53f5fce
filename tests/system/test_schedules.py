"""What starts syncs by itself: changes in the warehouse, dbt, other syncs; also over restarts."""
import json
import re
import signal

from harness.sink import refuse, wait_until

SQL = "select id, email, amount from c"
OFF = {"listen": "127.0.0.1:0"}


def ended(service, sync):
    return re.findall(rf"^\S+ \w+ \S+ run_end\b.* sync={sync} .*$", service.err(), re.M)


def same(lab, sink):
    try:
        lab.assert_same(sink.state, SQL)
    except AssertionError:
        return False
    return True


def stop(service):
    service.process.send_signal(signal.SIGTERM)
    assert service.wait().rc == 0


def test_a_change_in_the_warehouse_starts_its_sync_and_nothing_else_does(lab, sink):
    lab.customers(20)
    lab.sql("create table changed (at bigint); insert into changed values (1)")
    lab.simple(sink, sql=SQL, settings=OFF, schedule={"on_change": "select max(at) from changed", "every": "1s"})
    service = lab.start_service()
    wait_until(lambda: same(lab, sink) and len(ended(service, "s")) == 1, 60, "the first answer starts it")
    lab.sql("update c set amount = 7 where id = 3")
    looks = "select xact_commit from pg_stat_database where datname = current_database()"
    seen = int(lab.sql(looks)[0][0])
    wait_until(lambda: int(lab.sql(looks)[0][0]) > seen + 3, 60, "it was looked a few times")
    assert len(ended(service, "s")) == 1 and not same(lab, sink)
    lab.sql("update changed set at = 2")
    wait_until(lambda: same(lab, sink), 60, "a change starts it")
    wait_until(lambda: len(ended(service, "s")) == 2, 60, "and the run ends")
    stop(service)
    lab.sql("update c set amount = 8 where id = 4; update changed set at = 3")
    service = lab.start_service()
    wait_until(lambda: same(lab, sink), 60, "a change while it was down starts it")
    wait_until(lambda: len(ended(service, "s")) == 1, 60, "and the run ends")
    stop(service)
    service = lab.start_service()
    lab.sql("update changed set at = 4")
    wait_until(lambda: len(ended(service, "s")) == 1, 60, "the next change starts it")
    stop(service)


def test_a_query_that_fails_is_told_once_and_asked_again(lab, sink):
    lab.customers(5)
    lab.simple(sink, sql=SQL, settings=OFF, schedule={"on_change": "select max(at) from later", "every": "1s"})
    service = lab.start_service()
    wait_until(lambda: "later" in service.err(), 60, "the failure is told")
    lab.sql("create table later (at int)")
    wait_until(lambda: same(lab, sink), 60, "the sync runs")
    assert service.err().count("42P01") == 1, service.err()
    stop(service)


def write_results(lab, invocation, status="success", command="build"):
    path = lab.project_dir / "target" / "run_results.json"
    path.parent.mkdir(exist_ok=True)
    whole = path.with_suffix(".new")
    whole.write_text(json.dumps({
        "metadata": {"invocation_id": invocation, "generated_at": "2026-01-05T00:00:00Z"},
        "results": [{"unique_id": "model.shop.customers", "status": status}],
        "args": {"which": command}}))
    whole.rename(path)


def test_dbt_starts_a_sync_when_it_has_built_its_model(lab, sink):
    lab.customers(20)
    lab.simple(sink, sql=SQL, settings=OFF,
               schedule={"dbt": {"run_results": "target/run_results.json", "model": "customers"}, "every": "1s"})
    service = lab.start_service()
    wait_until(lambda: "there is no" in service.err(), 60, "the file is missed")
    assert not ended(service, "s")
    write_results(lab, "one")
    wait_until(lambda: same(lab, sink) and len(ended(service, "s")) == 1, 60, "the first build")
    lab.sql("update c set amount = 7 where id = 3")
    write_results(lab, "two", status="error")
    stop(service)
    service = lab.start_service()
    write_results(lab, "three")
    wait_until(lambda: same(lab, sink) and len(ended(service, "s")) == 1, 60, "the next good build")
    stop(service)


def test_a_sequence_stops_at_a_run_that_failed(lab, sinks):
    first, second, third = sinks(), sinks(), sinks()
    lab.customers(10)
    first.behave = lambda request: refuse(401)
    lab.project({"m": {"sql": SQL}}, {"a": {"url": first.url}, "b": {"url": second.url}, "c": {"url": third.url}},
                {"one": {"model": "m", "destination": "a", "schedule": {"every": "1s"}},
                 "two": {"model": "m", "destination": "b", "schedule": {"after": "one"}},
                 "three": {"model": "m", "destination": "c", "schedule": {"after": ["one"], "on": "any"}}}, OFF)
    service = lab.start_service()
    wait_until(lambda: len(ended(service, "one")) >= 2 and same(lab, third), 60, "it fails, and what follows on any runs")
    assert all("status=failed" in e for e in ended(service, "one")) and not second.log and not ended(service, "two")
    first.behave = None
    wait_until(lambda: same(lab, second), 60, "it heals, and the sequence goes on")
    stop(service)
