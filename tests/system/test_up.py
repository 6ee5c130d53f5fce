"""`sluice up`: scheduler, workers and private Redis in one command, as a person starts and ends it."""
import signal

from harness.mailbox import free_port
from harness.sink import wait_until

SQL = "select id, email, amount from c"
OFF = {"listen": "127.0.0.1:0"}


def test_it_says_where_it_is_and_ends_with_an_interrupt(lab, sink):
    lab.customers(100)
    lab.simple(sink, sql=SQL, settings=OFF, batch_size=10, destination={"concurrency": 1}, schedule={"every": "1s"})
    sink.hold(lambda q: len(sink.log) >= 3)
    up = lab.start("up")
    wait_until(lambda: sink.count_held() > 0, 60, "a run in its middle")
    assert "sluice is up: 1 sync, 1 of them by schedule" in up.out() and "dashboard and API: http://127.0.0.1:" in up.out()
    up.process.send_signal(signal.SIGINT)
    wait_until(lambda: "finishing what is in flight" in up.out(), 60, "it says what it waits for")
    sink.release()
    done = up.wait()
    assert done.rc == 0 and not (lab.state_dir / "control.sock").exists(), done
    assert 0 < len(sink.sent_since(0)) < 100
    lab.run()
    lab.assert_same(sink.state, SQL)
    assert len(sink.sent_since(0)) == 100, "each record once"


def test_a_destination_that_is_away_is_told_and_found_again(lab, sinks):
    port = free_port()
    lab.customers(30)
    lab.project({"m": {"sql": SQL}}, {"hook": {"url": f"http://127.0.0.1:{port}/", "batch_size": 1, "retry": {"attempts": 3, "base": "20ms", "max": "50ms"}}},
                {"s": {"model": "m", "destination": "hook", "schedule": {"every": "1s"}}}, OFF)
    up = lab.start("up")
    wait_until(lambda: "status=warning rows=30 planned=30 succeeded=0" in up.err(), 60, "a run that reached nobody")
    assert "no record reached the destination" in up.err() and f"127.0.0.1 port {port}" in lab.command("status").out
    told = lab.command("errors")
    assert "failed" in told.out and f"127.0.0.1 port {port}" in told.out, told
    sink = sinks(port=port)
    wait_until(lambda: "status=success" in up.err(), 60, "it is found again by itself")
    assert up.err().count("attempt_failed") <= 40, "a few lines of each worker now and then, not one for each attempt"
    up.process.send_signal(signal.SIGINT)
    assert up.wait().rc == 0
    lab.assert_same(sink.state, SQL)


def test_it_tells_what_streams_and_keeps_it_running(lab, sink):
    lab.customers(20)
    lab.simple(sink, sql="select * from c", settings=OFF, schedule={"stream": {"from": "poll", "cursor": "id", "every": "100ms"}})
    up = lab.start("up")
    wait_until(lambda: "sluice is up: 1 sync, 0 of them by schedule, 1 streaming" in up.out(), 60, "it says what streams")
    wait_until(lambda: len(sink.state) == 20, 60, "the first read")
    lab.sql("insert into c values (50, 'new@example.org', 'New', 1, false)")
    wait_until(lambda: len(sink.state) == 21, 60, "a row that is new")
    seen = lab.command("stream", "status", "--json").lines[0]
    assert seen["from"] == "poll" and seen["running"] and seen["slot"] is None and seen["place"], seen
    up.process.send_signal(signal.SIGINT)
    assert up.wait().rc == 0
    lab.assert_same(sink.state, "select * from c")
