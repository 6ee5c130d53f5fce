"""A destination that is away or slow: state on disk and a slot position, not memory."""
import pathlib
import time

import pytest

from harness.lab import RUN_DEADLINE_S
from harness.mailbox import free_port
from harness.sink import wait_until
from harness.stream import Flow, cdc, slots
from harness.versions import Versions, Writer

QUICK = {"retry": {"attempts": 5, "base": "50ms", "max": "500ms"}}
MB = 1 << 20


def resident_mb(pid):
    """Of its own memory: pages of mapped files are the kernel's to take back."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no RssAnon")


def memory(flow):
    """MB of scheduler and workers together."""
    return sum(resident_mb(pid) for pid in [flow.running.pid, *flow.running.workers()])


def test_a_destination_that_is_away_holds_the_slot_and_takes_no_memory(live, version_sink):
    table = Versions(live, 20_000)
    flow = Flow(live, version_sink, destination=QUICK, guard="off")
    table.wait_at(version_sink, RUN_DEADLINE_S)
    flow.wait_phase("flowing")
    version_sink.answer(503)
    before = memory(flow)
    table.change(100_000, 1000)
    (confirmed,) = live.sql("select confirmed_flush_lsn from pg_replication_slots where database = current_database()")
    table.change(100_000, 1000)
    (_, held), = slots(live).values()
    assert held > 5 * MB, "the source keeps what was not delivered"
    wait_until(lambda: version_sink.stats()["refused"] > 5, RUN_DEADLINE_S, "attempts")
    assert live.sql("select confirmed_flush_lsn from pg_replication_slots where database = current_database()") == [confirmed]
    assert memory(flow) - before < 150, (before, memory(flow))
    version_sink.answer(200)
    table.wait_at(version_sink, 2 * RUN_DEADLINE_S, flow.service.must_run)
    wait_until(lambda: all(held < 16 * MB for _, held in slots(live).values()), RUN_DEADLINE_S, "the slot moves on", pause_s=0.1)
    flow.stop()


def test_a_destination_nobody_listens_at(live, sinks):
    port = free_port()
    live.customers(50)
    flow = Flow(live, type("Later", (), {"url": f"http://127.0.0.1:{port}/in"}), destination=QUICK)
    flow.service.wait(lambda: flow.runs(), "it tries")
    live.sql("update c set name = 'meanwhile' where id < 10; delete from c where id = 11")
    flow.sink = sinks(port=port)
    flow.flowing()
    flow.sent_by("update c set name = 'after' where id < 5")
    flow.end()


def test_a_slot_that_holds_too_much_is_given_up_and_nothing_is_lost(own_live, version_sink):
    own_live.sql("alter system set max_wal_size = '64MB'")
    own_live.sql("alter system set min_wal_size = '32MB'")
    own_live.sql("select pg_reload_conf()")
    table = Versions(own_live, 10_000)
    flow = Flow(own_live, version_sink, stream=cdc(max_slot_lag="20MiB"), destination=QUICK, guard="off")
    table.wait_at(version_sink, RUN_DEADLINE_S)
    flow.wait_phase("flowing")
    version_sink.answer(503)
    table.change(400_000, 1000)
    written = own_live.sql("select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")[0][0]
    wait_until(lambda: all(held < 20 * MB for _, held in slots(own_live).values()), RUN_DEADLINE_S, "the slot is given up", pause_s=0.2)
    own_live.sql("checkpoint")
    own_live.sql("checkpoint")
    kept = own_live.sql("select sum(size) from pg_ls_waldir()")[0][0]
    assert kept <= 128 * MB, f"{kept} of the log are still there; {written} written"
    version_sink.answer(200)
    table.wait_at(version_sink, 2 * RUN_DEADLINE_S, flow.service.must_run)
    table.change(1000, 100)
    table.wait_at(version_sink, RUN_DEADLINE_S, flow.service.must_run)
    flow.stop()


def flat_over(live, version_sink, changes, rows, size, rate):
    """Memory after the first tenth, and the most that was seen later."""
    table = Versions(live, rows)
    flow = Flow(live, version_sink, stream=cdc(roll="5s"), guard="off", settings={"history": "16MB"})
    table.wait_at(version_sink, RUN_DEADLINE_S)
    flow.wait_phase("flowing")
    writer = Writer(table, changes, size, rate)
    wait_until(lambda: table.changes > changes // 10, 3600, "the first tenth", pause_s=0.1)
    early, most = memory(flow), 0
    while writer.is_alive():
        writer.join(0.5)
        flow.service.must_run()
        most = max(most, memory(flow))
    writer.finish(0)
    table.wait_at(version_sink, 3600, flow.service.must_run)
    print(f"{table.changes} changes: {early:.0f} MB after a tenth, {most:.0f} MB at most, {memory(flow):.0f} MB at the end")
    flow.stop()
    return early, most


def test_memory_is_flat_over_three_hundred_thousand_changes(live, version_sink):
    early, most = flat_over(live, version_sink, 300_000, 20_000, 1000, 40_000)
    assert most <= early + 80, (early, most)


@pytest.mark.long
def test_memory_is_flat_over_ten_million_changes(live, version_sink):
    early, most = flat_over(live, version_sink, 10_000_000, 200_000, 5000, 60_000)
    assert most <= early + 150, (early, most)


def dead_for(live, version_sink, seconds):
    """The destination refuses everything while the table goes on changing; memory, and what arrives in the end."""
    table = Versions(live, 100_000)
    flow = Flow(live, version_sink, destination=QUICK, guard="off")
    table.wait_at(version_sink, RUN_DEADLINE_S)
    flow.wait_phase("flowing")
    version_sink.answer(500)
    table.change(2_000_000, 5000)
    flow.service.wait(lambda: flow.view()["why"], "words for it")
    full, most, end = memory(flow), 0, time.monotonic() + seconds

    def over():
        nonlocal most
        flow.service.must_run()
        table.change(1000, 500)
        most = max(most, memory(flow))
        return time.monotonic() > end
    wait_until(over, seconds + 60, "its end", pause_s=2)
    (_, held), = slots(live).values()
    print(f"{seconds} s away: {full:.0f} MB at first, {most:.0f} MB at most, {held / MB:.0f} MB of the log held back, {version_sink.stats()['refused']} attempts")
    version_sink.answer(200)
    table.wait_at(version_sink, 3600, flow.service.must_run)
    flow.stop()
    return full, most


@pytest.mark.long
@pytest.mark.parametrize("seconds", [180, 3600])
def test_memory_is_flat_while_the_destination_is_away(live, version_sink, seconds):
    full, most = dead_for(live, version_sink, seconds)
    assert most <= full + 50, (full, most)
