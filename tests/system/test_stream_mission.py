"""What streaming is for: the moment in which something happens in the warehouse, and the tool that has to know."""
import hashlib

import pytest

from harness.lab import RUN_DEADLINE_S
from harness.service import Service
from harness.sink import wait_until
from harness.stream import OFF, Flow, cdc

QUICK = {"retry": {"base": "20ms", "max": "100ms"}}
SOON = (("first: 1s, every: 3s", "first: 20ms, every: 50ms"),)


def test_an_abandoned_cart_becomes_a_message_with_its_items_and_checkout_takes_it_back(live, sink):
    live.sql("create table carts (id bigint primary key, email text, status text, items jsonb, total numeric)")
    live.sql("""insert into carts select g, 'u' || g || '@example.org', 'open', '[{"sku": "A-1", "price": 19.90, "quantity": 2}]', 39.80
                from generate_series(1, 20) g""")
    mapped = [{"from": n, "to": n} for n in ("email", "items", "total")]
    flow = Flow(live, sink, model={"table": "carts", "where": "status = 'abandoned'"}, mappings=mapped)
    flow.wait_phase("flowing")
    assert not sink.log
    live.sql("""update carts set status = 'abandoned', items = items || '[{"sku": "B-7", "price": 5, "quantity": 1}]', total = 44.80 where id = 3""")
    wait_until(lambda: sink.state, RUN_DEADLINE_S, "the message")
    assert sink.state == {'{"id":3}': {"email": "u3@example.org", "total": 44.80, "items": [
        {"sku": "A-1", "price": 19.90, "quantity": 2}, {"sku": "B-7", "price": 5, "quantity": 1}]}}
    live.sql("update carts set status = 'checked out' where id = 3")
    wait_until(lambda: not sink.state, RUN_DEADLINE_S, "the cart is taken back")
    assert [r["op"] for r in sink.sent_since(0)] == ["upsert", "delete"]
    flow.stop()


@pytest.mark.vendors
def test_a_leads_new_score_is_in_the_crm(live, vendors):
    hub = vendors.add("hubspot", token="pat-1")
    live.sql("create table leads (id bigint primary key, email text, score int, stage text)")
    live.sql("insert into leads select g, 'u' || g || '@example.org', g, 'new' from generate_series(1, 50) g")
    names = ("email", "score", "stage")
    live.project({"leads": {"table": "leads"}}, {"crm": {"type": "hubspot", "base_url": hub.url, "token": "pat-1", **QUICK}},
                 {"s": {"model": "leads", "destination": "crm", "object": "contacts", "mode": "upsert", "identify_by": "email",
                        "mappings": [{"from": n, "to": n} for n in names], "schedule": cdc()}}, OFF)
    service = Service(live)

    def same():
        rows = live.sql("select email, score::text, stage from leads")
        return vendors.objects("hubspot", "contacts") == {row[0]: dict(zip(names, row)) for row in rows}
    service.wait(same, "all leads")
    calls = len(hub.calls("upsert"))
    live.sql("update leads set score = 97, stage = 'hot' where id = 7")
    service.wait(same, "the score")
    live.sql("update leads set score = score + 1 where id % 5 = 0")
    service.wait(same, "more scores")
    assert len(hub.calls("upsert")) - calls <= 11
    assert service.stop().rc == 0
    vendors.assert_clean()


def test_a_milestone_is_told_once(live, sink):
    live.sql("create table milestones (id bigint generated always as identity primary key, customer text, what text, at timestamptz default now())")
    live.sql("insert into milestones (customer, what) select 'c' || g, 'signed up' from generate_series(1, 10) g")
    mapped = [{"from": n, "to": n} for n in ("customer", "what")]
    flow = Flow(live, sink, model={"table": "milestones"}, mode="append", first_run="skip", mappings=mapped)
    flow.wait_phase("flowing")
    live.sql("insert into milestones (customer, what) values ('c3', 'first order'), ('c4', 'tenth order')")
    wait_until(lambda: len(sink.events["s"]) == 2, RUN_DEADLINE_S, "two milestones")
    flow.stop()
    live.sql("insert into milestones (customer, what) values ('c5', 'hundredth order')")
    flow.start()
    wait_until(lambda: len(sink.events["s"]) == 3, RUN_DEADLINE_S, "the one that came meanwhile")
    assert [fields["what"] for _, fields in sink.events["s"]] == ["first order", "tenth order", "hundredth order"]
    flow.stop()


AUDIENCE = """select u.id, u.email, u.name from users u
where not exists (select from bookings b where b.user_id = u.id) and exists (select from searches s where s.user_id = u.id)"""


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.vendors
def test_a_booking_takes_the_user_out_of_email_app_and_ads(live, sink, vendors):
    mail = vendors.add("klaviyo", lists=("L1",), bulk_seconds=(0.05, 0.05))
    meta = vendors.add("meta")
    live.sql("create table users (id bigint primary key, email text, name text)")
    live.sql("create table searches (id bigint generated always as identity primary key, user_id bigint, term text)")
    live.sql("create table bookings (id bigint generated always as identity primary key, user_id bigint, price numeric)")
    live.sql("alter table searches replica identity full; alter table bookings replica identity full")
    live.sql("insert into users select g, 'u' || g || '@example.org', 'Name ' || g from generate_series(1, 60) g")
    live.sql("insert into searches (user_id, term) select g, 'rome' from generate_series(1, 40) g")
    keys = {"stream": {"from": "keys", "create": True, "keys": {"users": "id", "searches": "user_id", "bookings": "user_id"}}}
    member = {"model": "lookers", "mode": "mirror", "schedule": keys}
    live.project(
        {"lookers": {"sql": AUDIENCE}},
        {"mail": {"type": live.hurried("klaviyo", *SOON), "base_url": mail.url, "token": "pk_test", **QUICK},
         "app": {"type": "webhook", "url": sink.url},
         "ads": {"type": "meta", "base_url": meta.url, "access_token": "EAA-token", "ad_account": "111", **QUICK}},
        {"to_mail": {**member, "destination": "mail", "object": "list/L1", "identify_by": "email",
                     "mappings": [{"from": "email", "to": "email"}, {"from": "name", "to": "first_name"}]},
         "to_app": {**member, "destination": "app"},
         "to_ads": {**member, "destination": "ads", "object": "audience/Lookers", "identify_by": "EMAIL", "mappings": [{"from": "email", "to": "EMAIL"}]}}, OFF)
    service = Service(live)

    def everywhere():
        emails = {email for _, email, _ in live.sql(AUDIENCE)}
        audience = [n for n, one in meta.objects("audiences").items() if one["name"] == "Lookers"]
        return (set(mail.objects("list:L1")) == emails and {f["email"] for f in sink.tables["to_app"].values()} == emails
                and bool(audience) and set(meta.objects(f"audience:{audience[0]}")) == {sha(e) for e in emails})
    service.wait(everywhere, "all who look, in every tool")
    live.sql("insert into bookings (user_id, price) values (7, 700.50)")
    service.wait(everywhere, "who booked is gone from all of them")
    live.sql("insert into searches (user_id, term) values (50, 'oslo'); delete from bookings where user_id = 7; update users set email = 'new@example.org' where id = 9")
    service.wait(everywhere, "who looks again, and who has another address")
    assert service.stop().rc == 0
    vendors.assert_clean()
