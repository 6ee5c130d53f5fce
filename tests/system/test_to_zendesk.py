"""Warehouse to Zendesk: the users equal the model; each batch is a job, whose troubles lose nothing."""
import pytest

from harness.sink import wait_until
from harness.vendors import Cut, NotFound, Throttle, html

pytestmark = pytest.mark.vendors

MODEL = "select id, 'u-' || id as code, email, name, amount, vip from c"
QUICK = {"retry": {"base": "20ms", "max": "200ms"}, "rate_limits": [{"requests": 60, "per": "1s"}]}
MAPPINGS = [{"from": "code", "to": "external_id"}, {"from": "email", "to": "email"}, {"from": "name", "to": "name"},
            {"from": "amount", "to": "user_fields.amount"}, {"from": "vip", "to": "user_fields.vip"}]


def model(lab, where="true"):
    """Null clears one of the user_fields, which keeps its name."""
    rows = lab.sql("select 'u-' || id, json_build_object('external_id', 'u-' || id, 'email', email, 'name', name, 'user_fields', "
                   f"json_build_object('amount', amount, 'vip', vip)) from c where {where}")
    return dict(rows)


def project(lab, vendor, destination=None, **sync):
    lab.project({"people": {"sql": MODEL}},
                {"desk": {"type": "zendesk", "base_url": vendor.url, "email": "agent@example.org", "token": "zd-key", **QUICK,
                          **(destination or {})}},
                {"s": {"model": "people", "destination": "desk", "object": "users", "identify_by": "external_id", "mappings": MAPPINGS,
                       "batch_size": 25, **sync}})


@pytest.fixture
def zendesk(vendors):
    return vendors.add("zendesk", limits={"minute": (60, 1.0)}, job_seconds=(0.2, 0.2))


def test_users_equal_the_model_through_trouble(lab, vendors, zendesk):
    lab.customers(150)
    lab.sql("update c set name = 'Zoë \"Z\" O''Neil 🚀', amount = 9007199254740993 where id = 3")
    lab.sql("update c set amount = null where id = 4; update c set email = 'none' where id = 9")
    project(lab, zendesk)
    for fault in (Throttle(retry_after=1, as_date=True), html(502), Cut(applied=True)):
        zendesk.fail(fault, op="upsert")
    zendesk.fail(html(502), op="poll")
    zendesk.refuse("u-7")
    zendesk.poison("u-50")
    first = lab.run()
    assert first.rc == 1 and first.counts("planned", "succeeded", "rejected", "failed") == (150, 147, 3, 0)
    assert zendesk.objects("users") == model(lab, "id not in (7, 9, 50)")

    zendesk.pardon()
    lab.sql("update c set name = 'changed' where id % 10 = 0 and id <> 50")
    lab.sql("update c set amount = null where id = 3")
    lab.sql("delete from c where id between 101 and 130")
    zendesk.fail(Cut(applied=True), op="destroy")
    zendesk.fail(html(502), op="show")
    second = lab.good_run()
    assert second.counts("changed", "removed", "rejected", "quarantined") == (11 + 1, 30, 0, 3)
    assert zendesk.objects("users") == model(lab, "id not in (7, 9, 50)")
    assert lab.good_run().counts("planned") == (0,)
    vendors.assert_clean()


def test_an_id_with_a_comma_names_nobody_else(lab, vendors, zendesk):
    lab.customers(12)
    lab.sql("create table odd (id bigint primary key, code text)")
    lab.sql("insert into odd select id, 'u-' || id from c; update odd set code = 'u-1,u-2' where id = 5; update odd set code = 'u-\"6' where id = 6")
    people = "select id, code, email, name, amount, vip from c join odd using (id)"
    lab.project({"people": {"sql": people}}, {"desk": {"type": "zendesk", "base_url": zendesk.url, "email": "agent@example.org", "token": "zd-key", **QUICK}},
                {"s": {"model": "people", "destination": "desk", "object": "users", "identify_by": "external_id", "mappings": MAPPINGS, "mode": "mirror",
                       "guard": "off"}})
    lab.good_run()
    assert len(zendesk.objects("users")) == 12
    lab.sql("delete from odd where id between 4 and 8")
    done = lab.run()
    assert done.counts("removed", "succeeded", "rejected") == (5, 4, 1)
    assert set(zendesk.objects("users")) == {f"u-{n}" for n in (1, 2, 3, 9, 10, 11, 12)} | {"u-1,u-2"}
    assert "`,` cannot be named" in lab.command("errors").text
    vendors.assert_clean()


def test_jobs_that_end_badly_are_sent_again(lab, vendors, zendesk):
    lab.customers(60)
    project(lab, zendesk)
    zendesk.end_jobs("killed")
    zendesk.end_jobs("failed")
    zendesk.fail(NotFound(), op="poll")
    done = lab.good_run()
    assert done.counts("succeeded") == (60,) and 3 + 2 <= len(zendesk.calls("upsert")) <= 3 + 3
    assert zendesk.objects("users") == model(lab)
    vendors.assert_clean()


def test_no_more_jobs_are_open_than_zendesk_takes(lab, vendors):
    zendesk = vendors.add("zendesk", limits={"minute": None}, job_seconds=(0.3, 0.3), most_jobs=30)
    lab.customers(160)
    project(lab, zendesk, destination={"rate_limits": [{"requests": 400, "per": "1s"}], "concurrency": 40}, batch_size=2)
    lab.good_run()
    assert 5 < zendesk.jobs.most_seen <= 25 and zendesk.objects("users") == model(lab)
    vendors.assert_clean()


def test_a_run_that_dies_in_the_middle_of_its_jobs_is_finished(lab, vendors):
    zendesk = vendors.add("zendesk", limits={"minute": (60, 1.0)}, job_seconds=(0.5, 0.5))
    lab.customers(50)
    project(lab, zendesk)
    running = lab.start_run()
    wait_until(lambda: len(zendesk.calls("poll")) >= 2, what="two polls")
    running.kill_everything()
    done = lab.good_run()
    assert done.counts("rejected", "failed") == (0, 0) and zendesk.objects("users") == model(lab)


def test_a_token_that_is_refused_ends_the_run_and_loses_nothing(lab, zendesk):
    lab.customers(30)
    project(lab, zendesk, destination={"token": "old"})
    done = lab.run()
    assert done.rc == 2 and done.counts("succeeded", "cancelled", "rejected") == (0, 30, 0)
    project(lab, zendesk)
    lab.good_run()
    assert zendesk.objects("users") == model(lab)
