"""Warehouse to Marketo: leads and static lists equal the model, though success and failure both come as a 200."""
import pytest

from harness.vendors import BodyError, Cut, Throttle, html

pytestmark = pytest.mark.vendors

QUICK = {"retry": {"base": "20ms", "max": "100ms"}, "rate_limits": [{"requests": 30, "per": "1s"}]}


@pytest.fixture
def marketo(vendors):
    return vendors.add("marketo", limits={"rate": (30, 1.0)})


def project(lab, marketo, sql="select id, email, name, amount, vip from c", secret="secret", **sync):
    lab.project({"m": {"sql": sql}}, {"mk": {"type": "marketo", "base_url": marketo.url, "client_id": "client", "client_secret": secret, **QUICK}},
                {"s": {"model": "m", "destination": "mk", "object": "leads", "identify_by": "email", "guard": "off",
                       "mappings": ["email", {"from": "name", "to": "firstName"}, "amount", "vip"], **sync}})


def model(lab, where="true"):
    """As Marketo keeps it: without what is null."""
    return {email: {k: v for k, v in (("email", email), ("firstName", name), ("amount", amount), ("vip", vip)) if v is not None}
            for email, name, amount, vip in lab.sql(f"select email, name, amount::float, vip from c where {where}")}


def test_leads_equal_the_model_through_trouble(lab, vendors, marketo):
    lab.customers(500)
    lab.sql("update c set name = 'Zoë \"Z\" O''Neil 🚀', amount = null where id = 3")
    project(lab, marketo, batch_size=60)
    for fault in (Throttle(kind="concurrency"), html(502), Cut(applied=True), BodyError("713"), Cut(applied=False)):
        marketo.fail(fault, op="leads")
    marketo.refuse("u7@example.org")
    marketo.poison("u50@example.org")
    done = lab.run()
    assert done.rc == 1 and done.counts("planned", "succeeded", "rejected", "failed") == (500, 498, 2, 0), done
    assert marketo.objects("leads") == model(lab, "id not in (7, 50)")

    marketo.pardon()
    marketo.expire_tokens()
    lab.sql("update c set name = 'changed', amount = null where id % 100 = 1 or id in (7, 50); delete from c where id between 201 and 420")
    for fault in (Cut(applied=True), html(503), BodyError("611")):
        marketo.fail(fault, op="delete")
    marketo.fail(BodyError("608"), op="lookup")
    second = lab.good_run()
    assert second.counts("removed", "rejected", "failed") == (220, 0, 0)
    assert marketo.objects("leads") == model(lab)
    assert max(len(call.keys) for call in marketo.calls("delete")) <= 100
    assert lab.good_run().counts("planned") == (0,)
    vendors.assert_clean()


def test_a_list_is_the_model(lab, vendors, marketo):
    lab.customers(250)
    for number in range(1, 241):
        marketo.put("leads", f"u{number}@example.org", {"email": f"u{number}@example.org"})
    project(lab, marketo, object="list/7", mappings=["email"])
    marketo.fail(Cut(applied=True), op="list_add")
    marketo.fail(html(500), op="lookup")
    done = lab.run()
    assert done.rc == 1 and done.counts("succeeded", "rejected") == (240, 10), done
    assert set(marketo.objects("list:7")) == set(model(lab, "id <= 240"))
    lab.sql("delete from c where id > 240 or id <= 120")
    marketo.fail(Cut(applied=True), op="list_remove")
    marketo.fail(BodyError("604"), op="list_remove")
    assert lab.good_run().counts("removed") == (120,)
    assert set(marketo.objects("list:7")) == set(model(lab)) and len(marketo.objects("leads")) == 240
    vendors.assert_clean()


def test_updates_never_create_and_clearing_leaves_the_lead(lab, vendors, marketo):
    lab.customers(40)
    for number in range(1, 31):
        marketo.put("leads", f"u{number}@example.org", {"email": f"u{number}@example.org", "kept": "yes"})
    project(lab, marketo, mode="update", on_removed="clear")
    done = lab.run()
    assert done.rc == 1 and done.counts("succeeded", "rejected") == (30, 10), done
    assert marketo.objects("leads") == {email: {"kept": "yes", **row} for email, row in model(lab, "id <= 30").items()}
    lab.sql("delete from c where id <= 5 or id > 30")
    assert lab.good_run().counts("removed") == (5,)
    assert marketo.objects("leads")["u5@example.org"] == {"email": "u5@example.org", "kept": "yes"}
    assert len(marketo.objects("leads")) == 30
    vendors.assert_clean()


def test_a_wrong_secret_ends_the_run_and_loses_nothing(lab, vendors, marketo):
    lab.customers(100)
    project(lab, marketo, secret="wrong")
    done = lab.run()
    assert done.rc == 2 and done.counts("succeeded", "cancelled", "rejected") == (0, 100, 0), done
    project(lab, marketo)
    lab.good_run()
    assert marketo.objects("leads") == model(lab)
