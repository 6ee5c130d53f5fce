"""`arrays: merge`: what others put into a list at the vendor stays, whatever is sent again adds nothing twice."""
import pytest

from harness.vendors import Cut, Throttle

pytestmark = pytest.mark.vendors

TABLE = """create table c (id int primary key, uid text, plan text, tags text[], codes int[], seen text[]);
insert into c select g, 'u' || g, 'p' || g % 3, array['a', 't' || g % 5], array[g, 7], array['s' || g] from generate_series(1, 90) g;
update c set tags = null where id = 4; update c set tags = '{}' where id = 5"""

# vendor: its own settings, the destination, the sync, kind of the objects kept, the name of a record among them, the operation
VENDORS = {
    "braze": (dict(token="rest-key"), dict(token="rest-key"), dict(object="users", identify_by="external_id"), "users", "{}", "track"),
    "mixpanel": (dict(project_token="mp-1"), dict(token="mp-1"), dict(object="users", identify_by="distinct_id"), "profiles", "{}", "engage"),
    "mixpanel groups": (dict(project_token="mp-1"), dict(token="mp-1"), dict(object="group/co", identify_by="group_id"), "groups", "co/{}",
                        "groups"),
    "amplitude": (dict(token="amp-1"), dict(api_key="amp-1"), dict(object="users", identify_by="user_id"), "users", "{}", "identify"),
}


@pytest.fixture(params=VENDORS)
def case(request, lab, vendors):
    settings, destination, sync, kind, key, op = VENDORS[request.param]
    name = request.param.split()[0]
    vendor = vendors.add(name, **settings)
    lab.sql(TABLE)
    lab.project({"m": {"sql": "select * from c"}},
                {"d": {"type": name, "base_url": vendor.url, "retry": {"base": "20ms", "max": "100ms"}, **destination}},
                {"s": {"model": "m", "destination": "d", "mode": "upsert", "mappings": [
                    {"from": "uid", "to": sync["identify_by"]}, {"from": "plan", "to": "plan"}, {"from": "tags", "to": "tags", "arrays": "merge"},
                    {"from": "codes", "to": "codes", "arrays": "merge"}, {"from": "seen", "to": "seen"}], **sync}})
    return vendor, kind, key, op


def held(vendor, kind, key, uid):
    return vendor.objects(kind)[key.format(uid)]


def test_lists_are_added_to_through_trouble(lab, vendors, case):
    vendor, kind, key, op = case
    vendor.put(kind, key.format("u1"), {"tags": ["typed", "a"], "codes": [7], "seen": ["old"], "plan": "old"})
    vendor.put(kind, key.format("u4"), {"tags": ["typed"]})
    vendor.put(kind, key.format("u5"), {"tags": ["typed"]})
    for fault in (Throttle(retry_after=1), Cut(applied=True), Cut(applied=False), Cut(applied=True)):
        vendor.fail(fault, op=op)
    assert lab.good_run().counts("planned", "succeeded") == (90, 90)
    first = held(vendor, kind, key, "u1")
    assert (first["tags"], first["codes"], first["seen"], first["plan"]) == (["typed", "a", "t1"], [7, 1], ["s1"], "p1")
    assert held(vendor, kind, key, "u4")["tags"] == held(vendor, kind, key, "u5")["tags"] == ["typed"]
    for uid, tags, codes, seen in lab.sql("select uid, tags, codes, seen from c where id not in (1, 4, 5, 7)"):
        record = held(vendor, kind, key, uid)
        assert (record["tags"], record["codes"], record["seen"]) == (tags, codes, seen)
    assert held(vendor, kind, key, "u7")["codes"] == [7]

    lab.sql("update c set tags = '{b}', seen = '{n}' where id in (1, 2)")
    assert lab.good_run().counts("changed", "succeeded") == (2, 2)
    first = held(vendor, kind, key, "u1")
    assert (first["tags"], first["seen"]) == (["typed", "a", "t1", "b"], ["n"])
    assert held(vendor, kind, key, "u2")["tags"] == ["a", "t2", "b"]
    assert lab.good_run().counts("planned") == (0,)
    vendors.assert_clean()


def test_a_connector_that_cannot_add_says_so(lab):
    lab.sql(TABLE)
    lab.project({"m": {"sql": "select * from c"}}, {"d": {"type": "intercom", "token": "t"}},
                {"s": {"model": "m", "destination": "d", "object": "contacts", "mode": "upsert", "identify_by": "external_id", "mappings": [
                    {"from": "uid", "to": "external_id"}, {"from": "tags", "to": "custom_attributes.tags", "arrays": "merge"}]}})
    done = lab.command("check")
    assert done.rc == 78 and "cannot do `arrays: merge`" in done.text, done
