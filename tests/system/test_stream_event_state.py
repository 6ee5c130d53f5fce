"""What Sluice keeps of events: nothing of those that are sent once and acknowledged, whatever happens on the way."""
import json
import pathlib
import shutil

import pytest

from harness.lab import RUN_DEADLINE_S, assert_clean
from harness.service import Service
from harness.sink import Answer, never_within, refuse, wait_until

OFF = {"listen": "127.0.0.1:0"}


class Bus:
    """The Redis of somebody else."""

    def __init__(self, redis):
        self.redis, self.sent = redis, 0

    def add(self, count, **fields):
        pipe = self.redis.client().pipeline()
        for _ in range(count):
            self.sent += 1
            pipe.xadd("e", {"n": str(self.sent), **fields})
        pipe.execute()

    def settled(self):
        client = self.redis.client()
        group = (client.xinfo_groups("e") or [{"pending": -1}])[0]
        return group["pending"] == 0 and group["last-delivered-id"] == client.xinfo_stream("e")["last-generated-id"]


@pytest.fixture
def bus(redis_servers):
    return Bus(redis_servers())


def project(lab, bus, sink, key="_id", columns=None, destination=None, **sync):
    lab.project({"m": {"source": "bus", "stream": "e", "primary_key": key, "columns": columns or {"n": "number"}}},
                {"hook": {"url": sink.url, **(destination or {})}},
                {"s": {"model": "m", "destination": "hook", "mode": "append", "first_run": "send", "mappings": [{"from": "n", "to": "n"}],
                       "schedule": {"stream": {"from": "events"}}, **sync}}, OFF)
    lab.write('sources: {bus: {type: redis, url: "%s"}}\n' % bus.redis.url, "bus.yaml")


def numbers(sink):
    return [fields["n"] for _, fields in sink.events["s"]]


def accepted(lab):
    """Entries that state keeps as accepted, as of its last commit."""
    (said,) = [line for line in lab.command("status", "--json").lines if line.get("sync") == "s"]
    return said.get("accepted", 0)


def resident_bytes(pid):
    (line,) = [line for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) << 10


def test_nothing_is_kept_of_events_that_are_sent_and_acknowledged(lab, sink, bus):
    project(lab, bus, sink)
    service = Service(lab)
    bus.add(2000)
    service.wait(lambda: len(numbers(sink)) == 2000 and bus.settled(), "all events")
    service.wait(lambda: accepted(lab) == 0, "no entry is left")
    assert sorted(numbers(sink)) == list(range(1, 2001)), "each once"
    assert service.stop().rc == 0
    assert_clean(sink)


def test_the_last_value_of_each_key_is_kept_where_it_is_upserted(lab, sink, bus):
    project(lab, bus, sink, key="k", columns={"k": "text", "n": "number"}, mode="upsert")
    service = Service(lab)
    for k in "abc":
        bus.add(20, k=k)
    service.wait(lambda: bus.settled() and len(sink.tables["s"]) == 3, "all events")
    assert accepted(lab) == 3
    asked = len(sink.log)
    bus.add(1, k="c", n="60")
    service.wait(bus.settled, "the repeat")
    assert len(sink.log) == asked, "what the destination has is not sent again"
    assert service.stop().rc == 0


def test_a_destination_that_is_down_for_a_while_gets_no_event_twice(lab, sinks, bus):
    """Records that failed open the stream anew: those beside them that were accepted are given again, and known."""
    down = {"on": True}
    sink = sinks(behave=lambda q: Answer(500, "{}") if down["on"] and any(r["fields"]["n"] % 7 == 0 for r in q.records) else None)
    project(lab, bus, sink, batch_size=1, destination={"retry": {"attempts": 2, "base": "10ms", "max": "20ms"}})
    service = Service(lab)
    bus.add(30)
    well = [n for n in range(1, 31) if n % 7]
    service.wait(lambda: set(well) <= set(numbers(sink)), "those that are accepted")
    wait_until(lambda: "stream_rests" in service.running.err(), RUN_DEADLINE_S, "a stream that begins anew")
    down["on"] = False
    service.wait(lambda: set(numbers(sink)) == set(range(1, 31)) and bus.settled(), "all events")
    assert sorted(numbers(sink)) == list(range(1, 31)), "each once"
    service.wait(lambda: accepted(lab) == 0, "no entry is left")
    assert service.stop().rc == 0


def test_a_destination_that_is_down_leaves_events_in_redis(lab, sinks, bus):
    """Memory does not grow with them, and each is sent once when it is back."""
    down, events = {"on": True}, 130_000
    sink = sinks(behave=lambda q: refuse(503, Retry_After="1") if down["on"] else None)
    project(lab, bus, sink)
    service = Service(lab)
    bus.add(1000)
    service.wait(lambda: sink.log, "a request")
    before = resident_bytes(service.running.pid)
    for _ in range(events // 10000):
        bus.add(10000)
    client = bus.redis.client()
    service.wait(lambda: client.xinfo_groups("e")[0]["pending"] == 100_000, "as many as may be out")
    assert never_within(lambda: client.xinfo_groups("e")[0]["pending"] > 100_000, 1)
    assert resident_bytes(service.running.pid) - before < 64 << 20
    down["on"] = False
    service.wait(lambda: len(numbers(sink)) >= bus.sent and bus.settled(), "all events")
    assert sorted(numbers(sink)) == list(range(1, bus.sent + 1)), "each once"
    service.wait(lambda: accepted(lab) == 0, "no entry is left")
    assert service.stop().rc == 0


def test_a_run_by_hand_is_refused_in_words(lab, sink, bus):
    project(lab, bus, sink)
    done = lab.command("run", "s")
    assert done.rc == 64 and "only streams" in done.text and "sluice up" in done.text, done
    done = lab.command("plan", "s")
    assert done.rc == 64 and "only streams" in done.text, done
    assert lab.command("run").rc == 0, "a run of all leaves it out"
    assert not sink.log


def test_what_was_trimmed_unread_is_told(lab, sink, bus):
    project(lab, bus, sink)
    service = Service(lab)
    bus.add(3)
    service.wait(bus.settled, "all events")
    service.post("/api/v1/syncs/s/pause")
    service.wait(lambda: service.sync("s")["paused"], "a sync that is paused")
    assert service.stop().rc == 0
    bus.add(10)
    bus.redis.client().xtrim("e", maxlen=4, approximate=False)
    service.start()
    service.wait(lambda: "6 entries were trimmed" in lab.command("stream", "status", "s").out, "words about them")
    assert lab.command("stream", "sql", "s").rc == lab.command("stream", "drop", "s").rc == 64, "events have neither"
    service.post("/api/v1/syncs/s/resume")
    service.wait(bus.settled, "the rest")
    assert sorted(numbers(sink)) == [1, 2, 3, 10, 11, 12, 13]
    assert service.stop().rc == 0


def test_check_looks_at_the_bus(lab, sink, bus):
    project(lab, bus, sink, mappings=[{"from": "m", "to": "n"}])
    done = lab.command("check", "--connect", "--json")
    said = {(line["kind"], line["name"]): line for line in done.lines if "ok" in line}
    assert done.rc == 78 and said["source", "bus"]["ok"] and said["model", "m"]["ok"], done
    assert not said["sync", "s"]["ok"] and "column" in said["sync", "s"]["text"], done
    bus.redis.kill()
    done = lab.command("check", "--connect", "--json")
    said = {(line["kind"], line["name"]): line for line in done.lines if "ok" in line}
    assert not said["source", "bus"]["ok"] and done.rc in (69, 78), done


def test_a_state_that_is_lost_goes_on_where_the_group_is(lab, sink, bus, redis_servers):
    """What was acknowledged is not sent again; what the lost state had taken and not finished is taken over."""
    project(lab, bus, sink, destination={"timeout": "3s"})
    document = json.loads((lab.project_dir / "sluice.yaml").read_text())
    document["settings"]["redis"] = redis_servers().url
    lab.write(json.dumps(document))
    service = Service(lab, None, "--workers", "1")
    bus.add(10)
    service.wait(lambda: len(numbers(sink)) == 10 and bus.settled(), "all events")
    sink.hold()
    bus.add(5)
    wait_until(lambda: sink.count_held() > 0, RUN_DEADLINE_S, "a request that hangs")
    service.running.kill_everything()
    sink.release()
    shutil.rmtree(lab.state_dir)
    bus.add(5)
    service.start(ready=False)
    service.wait(lambda: set(numbers(sink)) == set(range(1, 21)) and bus.settled(), "all events")
    assert sorted(numbers(sink))[:10] == list(range(1, 11)), "what was acknowledged came once"
    assert service.stop().rc == 0


@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_killed_again_and_again_while_events_come(lab, sink, bus, mode):
    """Every event arrives, none of a key after a newer one, and nothing stays pending or, where each is sent once, known."""
    keys = 40
    columns = {"k": "text", "n": "number"}
    key = "_id" if mode == "append" else "k"
    project(lab, bus, sink, key=key, columns=columns, mode=mode, mappings=[{"from": c, "to": c} for c in columns], batch_size=4)
    service = Service(lab)
    sink.delay_s = 0.05
    for kills in range(4):
        before = len(sink.log)
        for _ in range(25):
            for k in range(keys):
                bus.add(1, k=str(k))
        wait_until(lambda: len(sink.log) >= before + 3, RUN_DEADLINE_S, "requests")
        service.running.kill_everything() if kills % 2 else service.running.kill_parent()
        service.start(ready=False)
    bus.add(1, k="0")
    service.wait(bus.settled, "all are acknowledged")
    sent = [(r["fields"]["k"], r["fields"]["n"]) for q in sink.log if q.answer.applies for r in q.records]
    if mode == "append":
        assert {n for _, n in sent} == set(range(1, bus.sent + 1)), "every event"
        service.wait(lambda: accepted(lab) == 0, "no entry is left")
    else:
        newest = {k: max(n for other, n in sent if other == k) for k, _ in sent}
        assert len(newest) == keys and newest["0"] == bus.sent
        for k in newest:
            values = [n for other, n in sent if other == k]
            assert values == sorted(values), f"{k} went back: {values}"
    assert service.stop().rc == 0
