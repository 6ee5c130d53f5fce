"""Keys that a table behind the model writes in another way than the model does."""
import pytest

from harness.service import Service


@pytest.mark.parametrize("kind", ["text", "numeric(10,2)", "bigint"])
def test_a_key_in_another_form_leads_to_its_row(live, sink, kind):
    lab = live
    lab.customers(20)
    lab.sql(f"create table orders (id int primary key, customer {kind})")
    lab.project({"m": {"sql": "select c.id, c.name, count(o.id) as orders from c left join orders o on o.customer::numeric = c.id group by c.id"}},
                {"hook": {"url": sink.url}},
                {"s": {"model": "m", "destination": "hook",
                       "schedule": {"stream": {"from": "keys", "create": True, "keys": {"c": "id", "orders": "customer"}}}}},
                settings={"listen": "127.0.0.1:0"})
    service = Service(lab)
    service.wait(lambda: len(sink.state) == 20, "the whole model")
    service.wait(lambda: "stream_flows" in service.running.err(), "a stream that flows")
    for order in range(1, 4):
        lab.sql(f"insert into orders values ({order}, '7')")
        service.wait(lambda: sink.state['{"id":7}']["orders"] == order, "the order")
    assert service.running.err().count("stream_reads") == 1, "only the first time"
    service.stop()
