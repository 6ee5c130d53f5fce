"""The receiver that the other tests rely on notices what it has to notice."""
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest
from harness.sink import CUT_BEFORE, most_in_window, wait_until
from harness.stalls import Stalls
from harness.version_sink import compiled
from harness.versions import Versions, Writer


def post(sink, ids, key="k", op="upsert"):
    """Sends a batch and returns the open connection."""
    body = json.dumps({"sync": "s", "run": "r", "batch": "b", "attempt": 1,
                       "records": [{"op": op, "key": {"id": i}, "fields": {"v": i}} for i in ids]})
    connection = socket.create_connection(("127.0.0.1", sink.port))
    connection.sendall(f"POST /in HTTP/1.1\r\nIdempotency-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    return connection


def test_it_keeps_what_it_accepts_and_drops_what_is_deleted(sink):
    for connection in (post(sink, [1, 2]), post(sink, [3], "l")):
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
    post(sink, [2], "m", "delete").recv(1000)
    assert sink.state == {'{"id":1}': {"v": 1}, '{"id":3}': {"v": 3}} and len(sink.log) == 3


def test_it_sees_one_key_in_two_requests_at_once_but_not_after_the_sender_died(sink):
    sink.hold()
    dead = post(sink, [1], "a")
    wait_until(lambda: sink.in_flight == 1)
    dead.close()
    wait_until(lambda: sink.in_flight == 0)
    open_connections = [post(sink, [1], "b")]
    wait_until(lambda: sink.in_flight == 1)
    assert not sink.overlaps
    open_connections.append(post(sink, [2, 1], "c"))
    wait_until(lambda: sink.in_flight == 2)
    assert sink.overlaps == [("s", '{"id":1}')] and sink.most_in_flight == 2
    sink.release()


def test_it_sees_an_idempotency_key_that_names_two_sets(sink):
    post(sink, [1, 2], "same").recv(1000)
    post(sink, [2, 1], "same").recv(1000)
    assert not sink.out_of_step
    post(sink, [1], "same").recv(1000)
    assert sink.out_of_step == ["same"]


def test_a_cut_connection_gets_no_answer(sink):
    sink.behave = lambda q: CUT_BEFORE
    connection = post(sink, [1])
    try:
        assert connection.recv(1000) == b""
    except ConnectionResetError:
        pass
    assert not sink.state and len(sink.log) == 1


def test_it_knows_when_a_request_came_though_it_was_busy(sink):
    busy, free = threading.Event(), threading.Event()

    def behave(request):
        if request.ids == [1]:
            busy.set()
            assert free.wait(30)
    sink.behave = behave
    first = post(sink, [1], "a")
    assert busy.wait(30)
    before = time.monotonic()
    second = post(sink, [2], "b")
    after = time.monotonic()
    threading.Event().wait(0.2)
    free.set()
    assert first.recv(1000) and second.recv(1000)
    assert before - 0.01 <= sink.log[1].t <= after + 0.01


def test_a_machine_that_stands_still_is_noticed():
    with Stalls() as stalls:
        begin = time.monotonic()
        os.kill(stalls.pid, signal.SIGSTOP)
        threading.Event().wait(0.3)
        os.kill(stalls.pid, signal.SIGCONT)
        end = time.monotonic()
    assert 0.25 <= stalls.within(begin - 1, end + 1)
    assert stalls.within(begin, begin + 0.1) <= 0.1 + 1e-6
    assert stalls.within(begin - 20, begin - 10) == 0


def test_the_greatest_window_is_found_wherever_it_starts():
    assert most_in_window([(0.0, 1), (0.9, 1), (1.0, 1), (1.8, 1), (1.95, 2)], 1.0) == 4
    assert most_in_window([(0.0, 1), (1.0, 1)], 1.0) == 1


def send_versions(sink, *records, at=None):
    """records: (id, version), or (id, None) for one that is deleted."""
    def record(i, version):
        if version is None:
            return {"op": "delete", "key": {"id": i}, "fields": {}}
        return {"op": "upsert", "key": {"id": i}, "fields": {**({"at": at} if at else {}), "id": i, "text": '"op":"delete"', "version": version}}
    body = json.dumps({"sync": "s", "records": [record(*r) for r in records]}, separators=(",", ":")).encode()
    with urllib.request.urlopen(urllib.request.Request(sink.url, data=body, method="POST"), timeout=30) as answer:
        return answer.read()


def test_the_receiver_of_versions_keeps_the_newest_and_what_is_there(version_sink):
    send_versions(version_sink, (1, 5), (70000, 1), (3, 2))
    send_versions(version_sink, (1, 5), (3, None), (70000, 4))
    assert version_sink.rows() == {1: 5, 70000: 4}
    stats = version_sink.stats()
    assert (stats["upserts"], stats["deletes"], stats["rows"], stats["records"]) == (5, 1, 2, 6)
    version_sink.assert_in_order()
    send_versions(version_sink, (3, 3))
    version_sink.assert_in_order()
    version_sink.reset()
    assert version_sink.rows() == {} and version_sink.stats()["records"] == 0


@pytest.mark.parametrize("records", [[(1, 5), (1, 4)], [(1, 5), (1, None), (1, 5)], [(1, 5), (1, None), (1, 4)]],
                         ids=["older", "deleted and the same again", "deleted and older"])
def test_the_receiver_of_versions_sees_one_that_goes_back(version_sink, records):
    send_versions(version_sink, *records)
    assert version_sink.stats()["back"] == 1
    with pytest.raises(AssertionError, match="went back"):
        version_sink.assert_in_order()


def test_the_receiver_of_versions_tells_how_long_each_was_under_way(version_sink):
    before = time.monotonic_ns() // 1000
    send_versions(version_sink, (1, 1), (2, 1), at=before - 50_000)
    spent = (time.monotonic_ns() // 1000 - before) / 1000
    send_versions(version_sink, (3, 1))
    first, second = version_sink.latencies_ms()
    assert 50 <= first <= second <= 50 + spent


def test_the_receiver_of_versions_refuses_on_demand(version_sink):
    version_sink.answer(503)
    with pytest.raises(urllib.error.HTTPError, match="503"):
        send_versions(version_sink, (1, 1))
    version_sink.answer(200)
    assert version_sink.rows() == {} and version_sink.stats()["refused"] == 1
    send_versions(version_sink, (1, 1))
    assert version_sink.rows() == {1: 1}


def test_a_postgres_that_is_followed_drops_its_slots_and_starts_again(own_live):
    own_live.sql("select pg_create_logical_replication_slot('kept', 'pgoutput')")
    own_live.sql("create table t (id int)")
    for how in (signal.SIGINT, signal.SIGQUIT):
        own_live.postgres.halt(how)
        own_live.postgres.start()
    assert own_live.sql("select slot_name from pg_replication_slots") == [("kept",)] and own_live.sql("select count(*) from t") == [(0,)]


def test_a_destination_that_differs_from_the_table_of_versions_is_noticed(live, version_sink):
    table = Versions(live, 500, seed=3)
    Writer(table, 3000, 50, 100_000).finish(60)
    want = table.want()
    assert table.changes >= 3000 and max(want.values()) > 3000 and want.keys() != set(range(1, 501))
    send_versions(version_sink, *want.items())
    table.wait_at(version_sink, 30)
    with live.postgres.connect(live.database).cursor() as cursor:
        cursor.execute("update c set version = version + 1 where id = (select max(id) from c)")
    with pytest.raises(AssertionError, match="1 of .* rows differ"):
        table.wait_at(version_sink, 0.1)


def test_the_load_of_the_benchmark_keeps_its_rate(live):
    live.sql("create table c (id bigint primary key, version bigint, at bigint); insert into c select g, 1, 0 from generate_series(1, 1000) g")
    program = compiled("stream_load", "stream_load.c", flags=("-I/usr/include/postgresql", "-lpq"))
    before = time.monotonic_ns() // 1000
    for each in (1, 100):
        made = json.loads(subprocess.run([program, live.warehouse_url, "c", "1000", "500", "1", str(each)], check=True, capture_output=True, text=True).stdout)
        assert made["changes"] == 500 and made["seconds"] >= 0.79
    assert live.sql("select sum(version - 1), min(at) filter (where version > 1) >= %d, max(at) <= %d from c" % (before, time.monotonic_ns() // 1000)) == [(1000, True, True)]
