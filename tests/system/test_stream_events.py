"""Event streams: entries of a Redis stream, mapped like rows, acknowledged once the destination has answered."""
import pytest

from harness import processes
from harness.lab import RUN_DEADLINE_S, assert_clean
from harness.service import Service
from harness.sink import record_errors, wait_until
from harness.stream import OFF

COLUMNS = {"_id": "text", "customer": "text", "amount": "number", "items": "json", "at": "timestamp"}
NAMES = ("customer", "amount", "items", "at")


class Bus:
    """The Redis of somebody else, with one stream of events."""

    def __init__(self, redis):
        self.redis, self.sent = redis, 0

    def add(self, count=1, **fields):
        client = self.redis.client()
        for _ in range(count):
            self.sent += 1
            client.xadd("carts", {"customer": f"c{self.sent}", "amount": f"{self.sent}.50", "items": '[{"sku": "A"}]', "at": "2026-01-01T00:00:00Z", **fields})

    def group(self):
        (group,) = self.redis.client().xinfo_groups("carts")
        return group

    def all_acknowledged(self):
        group = self.group()
        return group["pending"] == 0 and group["last-delivered-id"] == self.redis.client().xinfo_stream("carts")["last-generated-id"]


@pytest.fixture
def bus(redis_servers):
    return Bus(redis_servers())


def project(lab, bus, sink, model=None, destination=None, stream=None, **sync):
    """JSON is YAML."""
    lab.project({"carts": {"source": "bus", "stream": "carts", "primary_key": "_id", "columns": COLUMNS, **(model or {})}},
                {"hook": {"url": sink.url, **(destination or {})}},
                {"s": {"model": "carts", "destination": "hook", "mode": "append", "first_run": "send", "mappings": [{"from": n, "to": n} for n in NAMES],
                       "schedule": {"stream": {"from": "events", **(stream or {})}}, **sync}}, OFF)
    lab.write('sources: {bus: {type: redis, url: "%s"}}\n' % bus.redis.url, "bus.yaml")


def customers(sink):
    return [fields["customer"] for _, fields in sink.events["s"]]


def flowing(service):
    service.wait(lambda: (service.sync("s")["stream"] or {}).get("phase") == "flowing", "a stream that flows")


def test_events_are_appended_as_they_come_and_acknowledged(lab, sink, bus):
    project(lab, bus, sink)
    service = Service(lab)
    flowing(service)
    bus.add(3)
    service.wait(lambda: len(customers(sink)) == 3, "three events")
    assert sink.events["s"][0][1] == {"customer": "c1", "amount": 1.5, "items": [{"sku": "A"}], "at": "2026-01-01T00:00:00Z"}
    bus.add(500)
    service.wait(lambda: len(customers(sink)) == 503, "all events")
    service.wait(bus.all_acknowledged, "all are acknowledged")
    assert sorted(customers(sink)) == sorted(f"c{n}" for n in range(1, 504)), "each once"
    assert service.stop().rc == 0
    assert_clean(sink)


def test_nothing_is_acknowledged_before_the_destination_answered(lab, sink, bus):
    project(lab, bus, sink)
    service = Service(lab)
    flowing(service)
    sink.hold()
    bus.add(5)
    wait_until(lambda: sink.count_held() > 0, RUN_DEADLINE_S, "a request that hangs")
    assert bus.group()["pending"] > 0
    sink.release()
    service.wait(bus.all_acknowledged, "all are acknowledged")
    assert service.stop().rc == 0


def test_events_that_came_while_it_was_down_are_sent_once(lab, sink, bus):
    project(lab, bus, sink)
    service = Service(lab)
    flowing(service)
    bus.add(10)
    service.wait(bus.all_acknowledged, "all are acknowledged")
    assert service.stop().rc == 0
    bus.add(20)
    service.start()
    service.wait(lambda: len(customers(sink)) >= 30, "what came meanwhile")
    service.wait(bus.all_acknowledged, "all are acknowledged")
    assert sorted(customers(sink)) == sorted(f"c{n}" for n in range(1, 31))
    assert service.stop().rc == 0


@pytest.mark.parametrize("target", ["everything", "scheduler", "workers", "redis"])
def test_killed_with_events_in_flight_none_is_lost(lab, sinks, bus, target):
    sink = sinks()
    project(lab, bus, sink, batch_size=5)
    service = Service(lab)
    flowing(service)
    sink.hold()
    bus.add(40)
    wait_until(lambda: sink.count_held() > 0, RUN_DEADLINE_S, "requests that hang")
    running = service.running
    if target == "everything":
        running.kill_everything()
    elif target == "scheduler":
        running.kill_parent()
    else:
        processes.kill_hard(running.workers() if target == "workers" else running.redis())
    sink.release()
    bus.add(10)
    if running.process.poll() is not None:
        service.start(ready=False)
    service.wait(lambda: set(customers(sink)) == {f"c{n}" for n in range(1, 51)}, "every event")
    service.wait(bus.all_acknowledged, "all are acknowledged")
    assert service.stop().rc == 0


def test_events_that_state_a_value_are_upserted_in_order(lab, sink, bus):
    columns = {"customer": "text", "amount": "number"}
    project(lab, bus, sink, model={"primary_key": "customer", "columns": columns}, mode="upsert", mappings=[{"from": n, "to": n} for n in columns])
    service = Service(lab)
    flowing(service)
    for amount in range(100):
        bus.add(customer="same", amount=str(amount))
    service.wait(lambda: sink.state.get('{"customer":"same"}') == {"customer": "same", "amount": 99}, "the last value")
    amounts = [r["fields"]["amount"] for r in sink.sent_since(0)]
    assert amounts == sorted(amounts), "none went back"
    assert service.stop().rc == 0
    assert_clean(sink)


def test_refused_and_invalid_events_are_kept_and_do_not_stop_the_others(lab, sinks, bus):
    sink = sinks(behave=lambda q: record_errors(*[(i, "no such customer", False) for i, r in enumerate(q.records) if r["fields"]["customer"] == "c3"]))
    project(lab, bus, sink, stream={"roll": "1s"})
    service = Service(lab)
    flowing(service)
    bus.add(5)
    bus.add(amount="much")
    bus.add(4)
    service.wait(lambda: len(customers(sink)) == 8, "the others")
    service.wait(bus.all_acknowledged, "all are acknowledged")
    service.wait(lambda: sum(r["counts"]["rejected"] for r in service.get("/api/v1/runs?sync=s")["runs"]) == 1, "one refusal")
    told = lab.command("errors")
    assert "no such customer" in told.out and "amount" in told.out, told
    assert service.stop().rc == 0


def test_a_bus_that_restarts_is_found_again(lab, sink, bus):
    project(lab, bus, sink)
    bus.redis.client().config_set("appendonly", "yes")
    service = Service(lab)
    flowing(service)
    bus.add(3)
    service.wait(bus.all_acknowledged, "all are acknowledged")
    bus.redis.kill()
    bus.redis.args += ["--appendonly", "yes"]
    bus.redis.start()
    bus.add(3)
    service.wait(lambda: set(customers(sink)) == {f"c{n}" for n in range(1, 7)}, "those behind the restart")
    service.wait(bus.all_acknowledged, "all are acknowledged")
    assert service.stop().rc == 0
