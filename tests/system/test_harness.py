"""The receiver that the other tests rely on notices what it has to notice."""
import json
import os
import signal
import socket
import threading
import time

from harness.sink import CUT_BEFORE, most_in_window, wait_until
from harness.stalls import Stalls


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
