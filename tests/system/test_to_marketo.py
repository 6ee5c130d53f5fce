"""Warehouse to Marketo: leads and lists equal the model, through codes in answers of status 200, tokens that end and refusals."""
import pytest

from harness.vendors import BodyError, Cut, Silent, Throttle, html

pytestmark = pytest.mark.vendors

MODEL = "select id, email, name, amount, vip from c"
QUICK = {"retry": {"base": "20ms", "max": "100ms"}, "rate_limits": [{"requests": 60, "per": "1s"}]}
MAPPINGS = [{"from": "email", "to": "email"}, {"from": "name", "to": "firstName"}, {"from": "amount", "to": "score"}, {"from": "vip", "to": "vip"}]


def model(lab, where="true"):
    return dict(lab.sql("select email, json_strip_nulls(json_build_object('email', email, 'firstName', name, 'score', amount, 'vip', vip)) "
                        f"from c where {where}"))


def project(lab, vendor, destination=None, **sync):
    lab.project({"people": {"sql": MODEL}},
                {"mkto": {"type": "marketo", "base_url": vendor.url, "client_id": "client", "client_secret": "secret", **QUICK,
                          **(destination or {})}},
                {"s": {"model": "people", "destination": "mkto", "object": "leads", "identify_by": "email", "mappings": MAPPINGS,
                       "batch_size": 20, **sync}})


@pytest.fixture
def marketo(vendors):
    return vendors.add("marketo", limits={"rate": (60, 1.0)})


def test_leads_equal_the_model_through_trouble(lab, vendors, marketo):
    lab.customers(200)
    lab.sql("update c set name = 'Zoë \"Z\" O''Neil 🚀', amount = 9007199254740993 where id = 3")
    lab.sql("update c set amount = null where id = 4; update c set email = 'a+b@example.org' where id = 5")
    project(lab, marketo)
    for fault in (Throttle(kind="concurrency"), html(502), Cut(applied=True), Silent(), BodyError("611")):
        marketo.fail(fault, op="leads")
    marketo.refuse("u7@example.org")
    marketo.refuse("u9@example.org", 1022, times=2)
    marketo.poison("u50@example.org")
    first = lab.run()
    assert first.rc == 1 and first.counts("planned", "succeeded", "rejected", "failed") == (200, 198, 2, 0)
    assert marketo.objects("leads") == model(lab, "id not in (7, 50)")

    marketo.pardon()
    lab.sql("update c set name = 'changed' where id % 10 = 0 and id <> 50; update c set amount = null where id = 3")
    lab.sql("delete from c where id between 101 and 140 or id = 5")
    for fault in (BodyError("604"), Cut(applied=True), html(502)):
        marketo.fail(fault, op="delete")
    marketo.fail(Throttle(kind="concurrency"), op="lookup")
    second = lab.good_run()
    assert second.counts("changed", "removed", "rejected", "quarantined") == (15 + 1, 41, 0, 2)
    assert marketo.objects("leads") == model(lab, "id not in (7, 50)")
    assert lab.good_run().counts("planned") == (0,)
    vendors.assert_clean()


def test_the_run_goes_on_when_tokens_end(lab, vendors):
    marketo = vendors.add("marketo", limits={"rate": (60, 1.0)}, token_requests=15)
    lab.customers(400)
    project(lab, marketo, batch_size=10)
    done = lab.good_run()
    assert len(marketo.calls("token")) >= 3 and done.counts("rejected", "failed") == (0, 0)
    assert marketo.objects("leads") == model(lab)
    vendors.assert_clean()


def test_a_list_equals_the_model(lab, vendors, marketo):
    lab.customers(60)
    for n in range(1, 51):
        marketo.put("leads", f"u{n}@example.org", {"email": f"u{n}@example.org"})
    project(lab, marketo, object="list/7", mappings=[MAPPINGS[0]], guard="off")
    marketo.fail(Cut(applied=True), op="list_add")
    done = lab.run()
    assert done.counts("succeeded", "rejected") == (50, 10)
    lab.sql("delete from c where id between 21 and 40")
    marketo.drop("leads", "u22@example.org")
    marketo.fail(Cut(applied=True), op="list_remove")
    marketo.fail(BodyError("719"), op="list_remove")
    assert lab.good_run().counts("removed", "quarantined") == (20, 10)
    assert set(marketo.objects("list:7")) - {"u22@example.org"} == set(model(lab, "id <= 50"))
    vendors.assert_clean()


def test_a_key_with_a_comma_names_nobody_else(lab, vendors, marketo):
    lab.customers(12)
    lab.sql("update c set email = 'u1@example.org,u2@example.org' where id = 5; update c set email = '\"odd' || email where id = 6")
    project(lab, marketo, guard="off")
    lab.good_run()
    left = dict(marketo.objects("leads"))
    lab.sql("delete from c where id between 4 and 8")
    done = lab.run()
    assert done.counts("removed", "succeeded", "rejected") == (5, 4, 1)
    kept = model(lab) | {"u1@example.org,u2@example.org": left["u1@example.org,u2@example.org"]}
    assert marketo.objects("leads") == kept and {"u1@example.org", "u2@example.org"} <= kept.keys()
    assert "`,` cannot be named" in lab.command("errors").text
    vendors.assert_clean()


def test_updates_never_create_and_clearing_empties(lab, vendors, marketo):
    lab.customers(30)
    for n in range(1, 21):
        marketo.put("leads", f"u{n}@example.org", {"email": f"u{n}@example.org"})
    project(lab, marketo, mode="update", on_removed="clear", guard="off")
    assert lab.run().counts("succeeded", "rejected") == (20, 10)
    assert marketo.objects("leads") == model(lab, "id <= 20")
    lab.sql("delete from c where id <= 3")
    marketo.drop("leads", "u3@example.org")
    lab.run()
    assert [marketo.objects("leads").get(f"u{n}@example.org") for n in (2, 3, 4)] == [
        {"email": "u2@example.org"}, None, model(lab, "id = 4")["u4@example.org"]]
    vendors.assert_clean()


def test_a_client_that_is_refused_ends_the_run_and_loses_nothing(lab, marketo):
    lab.customers(30)
    project(lab, marketo, destination={"client_secret": "old"})
    done = lab.run()
    assert done.rc == 2 and done.counts("succeeded", "cancelled", "rejected") == (0, 30, 0)
    project(lab, marketo)
    lab.good_run()
    assert marketo.objects("leads") == model(lab)
