"""Warehouse to Klaviyo: profiles and lists equal the model, by jobs that are waited for, through trouble at each of their steps."""
import pytest

from harness.vendors import Cut, NotFound, Throttle, Unauthorized, html

pytestmark = pytest.mark.vendors

QUICK = {"token": "pk_test", "retry": {"base": "20ms", "max": "100ms", "attempts": 8}, "rate_limits": [{"requests": 90, "per": "1s"}]}
SOON = (("first: 1s, every: 3s", "first: 20ms, every: 50ms"), ("{header: Retry-After}, 10s", "{header: Retry-After}, 200ms"))
LIMITS = {f"{op}_{window}": (100, 1.0) for op in ("bulk", "bulk_poll", "bulk_errors", "profiles", "list_remove", "import", "events")
          for window in ("burst", "steady")}


def profiles(lab, where="true"):
    """The model as Klaviyo keeps it: standard fields without what is null, the rest in properties."""
    rows = lab.sql(f"select email, id::text, name, amount, vip from c where {where}")
    found = {}
    for email, number, name, amount, vip in rows:
        properties = {name: value for name, value in (("amount", amount and float(amount)), ("vip", vip)) if value is not None}
        found[email] = {"email": email, "external_id": number, **({"first_name": name} if name else {}), "properties": properties}
    return found


def held(klaviyo, kind="profiles"):
    """Numbers as they compare; nothing where a property is null."""
    return {key: {**one, "properties": {n: v if isinstance(v, (bool, str)) else float(v) for n, v in (one.get("properties") or {}).items() if v is not None}}
            for key, one in klaviyo.objects(kind).items()}


def project(lab, klaviyo, kind="klaviyo", destination=None, **sync):
    mappings = {"email": "email", "external_id": "id", "first_name": "name", "amount": "amount", "vip": "vip"}
    lab.project({"m": {"sql": "select id, email, name, amount, vip from c"}},
                {"mail": {"type": kind, "base_url": klaviyo.url, **QUICK, **(destination or {})}},
                {"s": {"model": "m", "destination": "mail", "identify_by": "email", "mappings": [{"from": column, "to": field} for field, column in mappings.items()], **sync}})


@pytest.fixture
def klaviyo(vendors):
    return vendors.add("klaviyo", limits=LIMITS, bulk_seconds=(0.1, 0.1), page_size=2)


def test_a_list_equals_the_model_through_trouble(lab, vendors, klaviyo):
    lab.customers(120)
    lab.sql("update c set name = 'Zoë \"Z\" O''Neil 🚀' where id = 3")
    lab.sql("update c set name = null where id = 4")
    lab.sql("update c set email = 'no address' where id = 60")
    project(lab, klaviyo, lab.hurried("klaviyo", *SOON), object="list/L1", mode="mirror", batch_size=25)
    for fault in (Throttle(retry_after=1), html(502), Throttle(retry_after=None), Cut(applied=True), html(503)):
        klaviyo.fail(fault, op="bulk")
    for op in ("bulk_poll", "bulk_errors"):
        for fault in (Throttle(retry_after=None), html(502), Cut()):
            klaviyo.fail(fault, op=op)
    klaviyo.cancel_jobs(1)
    for number in range(5, 12):  # three pages of them in one job
        klaviyo.refuse(f"u{number}@example.org")
    klaviyo.poison("u50@example.org")
    first = lab.run()
    assert first.rc == 1 and first.counts("planned", "succeeded", "rejected", "failed") == (120, 111, 9, 0)
    good = "id not in (50, 60) and id not between 5 and 11"
    assert held(klaviyo) == profiles(lab, good) and set(klaviyo.objects("list:L1")) == set(profiles(lab, good))

    klaviyo.pardon()
    lab.sql("update c set name = 'Changed' where id % 20 = 0")
    lab.sql("delete from c where id between 101 and 115")
    for op in ("profiles", "list_remove"):
        for fault in (Throttle(retry_after=None), Cut(applied=True), html(502)):
            klaviyo.fail(fault, op=op)
    second = lab.run()
    assert second.counts("changed", "removed", "failed") == (5, 15, 0)
    now = profiles(lab, good)
    assert set(klaviyo.objects("list:L1")) == set(now)
    assert {key: one for key, one in held(klaviyo).items() if key in now} == now
    vendors.assert_clean()


def test_jobs_that_are_forgotten_are_begun_anew(lab, vendors, klaviyo):
    lab.customers(50)
    project(lab, klaviyo, lab.hurried("klaviyo", *SOON), object="profiles", mode="upsert", batch_size=25)
    klaviyo.fail(NotFound(), op="bulk_poll")
    klaviyo.fail(html(502), op="bulk_poll", times=3)
    assert lab.good_run().counts("succeeded") == (50,)
    assert held(klaviyo) == profiles(lab)
    vendors.assert_clean()


def test_one_by_one_null_clears(lab, vendors, klaviyo):
    lab.customers(30)
    project(lab, klaviyo, object="profile", mode="upsert")
    lab.good_run()
    lab.sql("update c set name = null, vip = null where id <= 10")
    klaviyo.fail(html(502), op="import")
    lab.good_run()
    now = {key: {name: value for name, value in one.items() if value is not None} for key, one in held(klaviyo).items()}
    assert now == profiles(lab)
    vendors.assert_clean()


def test_events_arrive_once(lab, vendors, klaviyo):
    lab.customers(60)
    lab.project({"m": {"sql": "select id, email, timestamptz '2026-01-15 12:00+00' + id * interval '1 s' as at, amount, name from c"}},
                {"mail": {"type": "klaviyo", "base_url": klaviyo.url, **QUICK}},
                {"s": {"model": "m", "destination": "mail", "object": "event/Placed Order", "mode": "append", "identify_by": "order", "first_run": "send",
                       "batch_size": 20, "mappings": [{"from": "id", "to": "order"}, {"from": "email", "to": "email"}, {"from": "at", "to": "time"},
                                                      {"from": "amount", "to": "value"}]}})
    for fault in (html(502), Cut(applied=True), Throttle(retry_after=1)):
        klaviyo.fail(fault, op="events")
    lab.good_run()
    events = sorted((one["properties"]["order"], one["profile"], one["time"], one["value"], one["metric"]) for one in klaviyo.objects("events").values())
    assert events == [(n, f"u{n}@example.org", f"2026-01-15T12:0{n // 60}:{n % 60:02d}Z", n * 1.25, "Placed Order") for n in range(1, 61)]
    vendors.assert_clean()


def test_a_refused_key_ends_the_run_and_loses_nothing(lab, vendors, klaviyo):
    lab.customers(40)
    project(lab, klaviyo, lab.hurried("klaviyo", *SOON), object="list/L1", mode="mirror", batch_size=25)
    klaviyo.fail(Unauthorized(), times=100, op="bulk")
    done = lab.run()
    assert done.rc == 2 and done.counts("succeeded", "cancelled", "rejected") == (0, 40, 0)
    klaviyo.faults.clear()
    lab.good_run()
    assert held(klaviyo) == profiles(lab)
