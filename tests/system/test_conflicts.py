"""Conflict handling by looking up: what people typed into the tool stays, newer records win, absent records are created."""
import pytest

pytestmark = pytest.mark.vendors

TABLE = """create table c (id bigint primary key, email text, firstname text, company text, score int, updated timestamptz);
insert into c select g, 'u' || g || '@example.org', 'F' || g, 'C' || g, g, timestamptz '2026-06-01' + g * interval '1 day'
from generate_series(1, 5) g"""
POLICIES = [{"from": "email", "to": "email"}, {"from": "firstname", "to": "firstname", "on_conflict": "set_if_empty"},
            {"from": "company", "to": "company", "on_conflict": "create_only"}, {"from": "score", "to": "score"},
            {"from": "updated", "to": "updated"}]


def hubspot(lab, vendors, **sync):
    hub = vendors.add("hubspot", token="t")
    lab.sql(TABLE)
    lab.project({"m": {"sql": "select * from c"}}, {"crm": {"type": "hubspot", "token": "t", "base_url": hub.url}},
                {"s": {"model": "m", "destination": "crm", "object": "contacts", "mode": "upsert", "identify_by": "email",
                       "mappings": POLICIES, **sync}})
    return hub


def put(hub, n, **fields):
    hub.put("contacts", f"u{n}@example.org", {"email": f"u{n}@example.org", **fields})


def field(vendors, name):
    return {int(k[1:].split("@")[0]): v.get(name) for k, v in vendors.objects("hubspot", "contacts").items()}


def test_set_if_empty_and_create_only_keep_what_is_there(lab, vendors):
    hub = hubspot(lab, vendors)
    put(hub, 1, firstname="typed", company="theirs", score="0")
    put(hub, 2, firstname="", score="0")
    assert lab.good_run().counts("planned", "succeeded") == (5, 5)
    assert field(vendors, "firstname") == {1: "typed", 2: "F2", 3: "F3", 4: "F4", 5: "F5"}
    company = field(vendors, "company")
    assert company[1] == "theirs" and company[2] in (None, "") and company[3] == "C3"
    assert field(vendors, "score") == {n: str(n) for n in range(1, 6)}
    vendors.assert_clean()
    assert lab.good_run().counts("planned") == (0,)


def test_the_newest_record_wins(lab, vendors):
    hub = hubspot(lab, vendors, newest_wins="updated", mappings=[m if m["to"] in ("email", "updated") else {"from": m["from"], "to": m["to"]}
                                                                   for m in POLICIES])
    put(hub, 1, score="100", updated="2030-01-01T00:00:00Z")
    put(hub, 2, score="100", updated="2020-01-01T00:00:00Z")
    assert lab.good_run().counts("planned", "succeeded") == (5, 5)
    assert field(vendors, "score") == {1: "100", 2: "2", 3: "3", 4: "4", 5: "5"}
    vendors.assert_clean()


FIELDS = {"key": "Ext__c", "firstname": "FirstName", "company": "Company__c", "score": "Score__c", "updated": "Updated__c"}


def salesforce(lab, vendors, policies, **sync):
    sf = vendors.add("salesforce", client_id="app", client_secret="s3c")
    lab.sql(TABLE)
    lab.project({"m": {"sql": "select 'k''' || id as key, firstname, company, score, updated from c", "primary_key": "key"}},
                {"crm": {"type": "salesforce", "login_url": sf.url, "client_id": "app", "client_secret": "s3c"}},
                {"s": {"model": "m", "destination": "crm", "object": "Contact", "mode": "upsert", "identify_by": "Ext__c",
                       "mappings": [{"from": column, "to": name, **({"on_conflict": policies[column]} if column in policies else {})}
                                    for column, name in FIELDS.items()], **sync}})
    return sf


def contacts(vendors, name):
    return {int(key[2:]): fields.get(name) for key, fields in vendors.objects("salesforce", "Contact").items()}


def test_salesforce_keeps_what_is_there(lab, vendors):
    sf = salesforce(lab, vendors, {"firstname": "set_if_empty", "company": "create_only"})
    sf.put("Contact", "k'1", {"Ext__c": "k'1", "FirstName": "typed", "Company__c": "theirs", "Score__c": 0})
    sf.put("Contact", "k'2", {"Ext__c": "k'2", "FirstName": None, "Score__c": 0})
    assert lab.good_run().counts("planned", "succeeded") == (5, 5)
    assert contacts(vendors, "FirstName") == {1: "typed", 2: "F2", 3: "F3", 4: "F4", 5: "F5"}
    company = contacts(vendors, "Company__c")
    assert company[1] == "theirs" and not company[2] and company[3] == "C3"
    assert contacts(vendors, "Score__c") == {n: n for n in range(1, 6)}
    assert sf.calls("query")
    vendors.assert_clean()


def test_the_newest_record_wins_at_salesforce_whose_times_have_no_colon(lab, vendors):
    sf = salesforce(lab, vendors, {}, newest_wins="Updated__c")
    sf.put("Contact", "k'1", {"Ext__c": "k'1", "Score__c": 100, "Updated__c": "2030-01-01T00:00:00.000+0000"})
    sf.put("Contact", "k'2", {"Ext__c": "k'2", "Score__c": 100, "Updated__c": "2020-01-01T00:00:00.000+0000"})
    assert lab.good_run().counts("planned", "succeeded") == (5, 5)
    assert contacts(vendors, "Score__c") == {1: 100, 2: 2, 3: 3, 4: 4, 5: 5}
    vendors.assert_clean()


def test_a_sync_without_policies_does_not_look_up(lab, vendors):
    hub = hubspot(lab, vendors, mappings=["email", "firstname"])
    lab.good_run()
    assert not hub.calls("read") and len(hub.calls("upsert")) == 1


def test_a_connector_that_cannot_says_what_it_can(lab):
    lab.sql(TABLE)
    lab.project({"m": {"sql": "select * from c"}}, {"seg": {"type": "segment", "write_key": "k"}},
                {"s": {"model": "m", "destination": "seg", "object": "identify", "mode": "upsert", "mappings": [
                    {"from": "id", "to": "userId"}, {"from": "company", "to": "company", "on_conflict": "set_if_empty"}],
                    "identify_by": "userId"}})
    done = lab.command("check")
    assert done.rc == 78 and "set_if_empty" in done.text and "overwrite" in done.text, done
