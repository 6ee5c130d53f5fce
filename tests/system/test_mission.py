"""What the product is for: one model of the warehouse in several tools at once, and who no longer fits it leaves them all."""
import hashlib

import pytest

pytestmark = pytest.mark.vendors

AUDIENCE = """select u.id, u.email, u.name from users u
where not exists (select from bookings b where b.user_id = u.id and b.booked_at > timestamptz '2026-01-01')
  and exists (select from searches s where s.user_id = u.id)"""
SPENDERS = """select u.id, u.email, sum(b.price) as value from users u join bookings b on b.user_id = u.id
group by u.id, u.email having sum(b.price) >= 500"""
SOON = (("first: 1s, every: 3s", "first: 20ms, every: 50ms"),)
QUICK = {"retry": {"base": "20ms", "max": "100ms"}}


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def warehouse(lab):
    lab.sql("create table users (id bigint primary key, email text, name text)")
    lab.sql("create table searches (user_id bigint, term text); create table bookings (user_id bigint, booked_at timestamptz, price numeric)")
    lab.sql("insert into users select g, 'u' || g || '@example.org', 'Name ' || g from generate_series(1, 200) g")
    lab.sql("insert into searches select g, 'rome' from generate_series(1, 150) g")
    lab.sql("insert into bookings select g, '2025-06-01', 100 from generate_series(1, 40) g")


def book(lab, first, last, price=700.50):
    lab.sql(f"insert into bookings select g, '2026-02-01', {price} from generate_series({first}, {last}) g")


def statements(lab, sql):
    """How often the warehouse ran this statement, alone or inside another, and how many rows it gave."""
    mark = sql.split("\n")[0].split("from")[0].strip()
    (found,) = lab.postgres.sql("select coalesce(sum(calls), 0), coalesce(sum(rows), 0) from pg_stat_statements s join pg_database d on d.oid = s.dbid "
                                f"where d.datname = '{lab.database}' and query like '%{mark}%' and query like '%users u%' and query not like '%pg_stat%'")
    return tuple(int(n) for n in found)


def test_who_books_drops_out_of_the_mail_tool_and_both_ad_platforms(lab, vendors):
    mail = vendors.add("klaviyo", lists=("L1",), bulk_seconds=(0.05, 0.05))
    meta = vendors.add("meta")
    tiktok = vendors.add("tiktok")
    warehouse(lab)
    member = {"model": "lookers", "mode": "mirror", "batch_size": 50}
    lab.project(
        {"lookers": {"sql": AUDIENCE}},
        {"mail": {"type": lab.hurried("klaviyo", *SOON), "base_url": mail.url, "token": "pk_test", **QUICK},
         "meta": {"type": "meta", "base_url": meta.url, "access_token": "EAA-token", "ad_account": "111", **QUICK},
         "tiktok": {"type": "tiktok", "base_url": tiktok.url, "access_token": "tt-token", "advertiser_id": "77", **QUICK}},
        {"lookers_to_mail": {**member, "destination": "mail", "object": "list/L1", "identify_by": "email",
                             "mappings": [{"from": "email", "to": "email"}, {"from": "name", "to": "first_name"}]},
         "lookers_to_meta": {**member, "destination": "meta", "object": "audience/Lookers", "identify_by": "EMAIL",
                             "mappings": [{"from": "email", "to": "EMAIL"}]},
         "lookers_to_tiktok": {**member, "destination": "tiktok", "object": "audience/Lookers", "identify_by": "EMAIL_SHA256",
                               "mappings": [{"from": "email", "to": "EMAIL_SHA256"}]}})

    def everywhere():
        """The members each tool has by now."""
        (in_meta,) = [n for n, one in meta.objects("audiences").items() if one["name"] == "Lookers"]
        (in_tiktok,) = [n for n, one in tiktok.objects("audiences").items() if one["name"] == "Lookers"]
        return [set(mail.objects("list:L1")), set(meta.objects(f"audience:{in_meta}")), set(tiktok.objects(f"audience:{in_tiktok}"))]

    def fitting():
        emails = {email for _, email, _ in lab.sql(AUDIENCE)}
        return [emails, {sha(email) for email in emails}, {sha(email) for email in emails}]

    lab.postgres.sql("select pg_stat_statements_reset()")
    first = lab.good_run()
    assert sorted((run["sync"], run["added"], run["succeeded"]) for run in first.runs) == [(f"lookers_to_{to}", 150, 150) for to in ("mail", "meta", "tiktok")]
    assert statements(lab, AUDIENCE) == (1, 150)
    assert everywhere() == fitting() and len(everywhere()[0]) == 150

    book(lab, 11, 30)
    lab.sql("insert into searches select g, 'oslo' from generate_series(151, 160) g")
    lab.postgres.sql("select pg_stat_statements_reset()")
    second = lab.good_run()
    assert statements(lab, AUDIENCE) == (1, 140)
    assert {(run["added"], run["changed"], run["removed"], run["unchanged"]) for run in second.runs} == {(10, 0, 20, 130)}
    assert everywhere() == fitting() and len(everywhere()[0]) == 140
    assert "u11@example.org" in mail.objects("profiles")  # who left the list is not gone from the tool
    vendors.assert_clean()


def test_lookalikes_grow_from_the_real_spenders(lab, vendors):
    meta = vendors.add("meta")
    warehouse(lab)
    book(lab, 1, 30, 612.25)
    lab.project({"spenders": {"sql": SPENDERS}},
                {"ads": {"type": "meta", "base_url": meta.url, "access_token": "EAA-token", "ad_account": "111", **QUICK}},
                {"seed": {"model": "spenders", "destination": "ads", "object": "value_audience/Spenders", "mode": "mirror", "identify_by": "EMAIL",
                          "mappings": [{"from": "email", "to": "EMAIL"}, {"from": "value", "to": "LOOKALIKE_VALUE"}]}})

    def worth():
        return {sha(email): {"EMAIL": sha(email), "LOOKALIKE_VALUE": float(value)} for _, email, value in lab.sql(SPENDERS)}

    lab.good_run()
    ((number, seed),) = [(n, one) for n, one in meta.objects("audiences").items() if one["name"] == "Spenders"]
    assert seed["is_value_based"] and meta.objects(f"audience:{number}") == worth() and len(worth()) == 30

    book(lab, 101, 112, 950)                  # they join by themselves,
    book(lab, 1, 3, 1000)                     # some are worth more than before,
    lab.sql("delete from bookings where user_id = 5 and price > 500")  # and one took his booking back
    second = lab.good_run()
    assert second.counts("added", "changed", "removed", "unchanged") == (12, 3, 1, 26)
    assert meta.objects(f"audience:{number}") == worth() and len(worth()) == 41
    assert [n for n, one in meta.objects("audiences").items() if one["name"] == "Spenders"] == [number]
    vendors.assert_clean()
