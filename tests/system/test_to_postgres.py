"""A table in another Postgres database as the destination: rows there equal the model."""
import json

import pytest

SQL = "select id, email, name, amount, vip, tags, extra, seen, photo from c"
COLUMNS = ("id bigint primary key, email text unique, name text, amount numeric, vip boolean, tags text[], extra jsonb, "
           "seen timestamptz, photo bytea")
FIELDS = ["id", "email", "name", "amount", "vip", "tags", "extra", "seen", "photo"]


@pytest.fixture
def there(postgres):
    """The destination's database."""
    name = postgres.create_database()
    postgres.sql(f"create table people ({COLUMNS}, note text default 'kept')", name)
    yield name
    postgres.drop_database(name)


def customers(lab, count, first=1):
    lab.sql(f"create table if not exists c ({COLUMNS})")
    lab.sql(f"""insert into c select g, 'u' || g || '@example.org', E'N\\t"\\\\' || g, g * 12345678901234567.25, g % 7 = 0,
                array['a, b', 'x' || g], jsonb_build_object('n', 9007199254740993, 'k', g), timestamptz '2026-01-02 03:04:05.678+02' + g * interval '1 s',
                decode(md5(g::text), 'hex') from generate_series({first}, {first + count - 1}) g""")


def project(lab, postgres, there, destination=None, sql=SQL, **sync):
    lab.project({"m": {"sql": sql}}, {"table": {"type": "postgres", "url": postgres.url(there), **(destination or {})}},
                {"s": {"model": "m", "destination": "table", "object": "people", "mappings": FIELDS, **sync}})


def rows(postgres, database, sql=f"select {', '.join(FIELDS)} from {{}} order by id"):
    return postgres.sql(f"select row_to_json(t)::text from ({sql}) t", database)


def assert_same(lab, postgres, there):
    want = rows(postgres, lab.database, SQL + " order by id")
    assert rows(postgres, there, f"select {', '.join(FIELDS)} from people order by id") == want


def test_rows_of_every_type_arrive_change_and_go(lab, postgres, there):
    customers(lab, 2500)
    lab.sql("insert into c (id) values (3000)")
    project(lab, postgres, there, {"batch_size": 400})
    assert lab.good_run().counts("planned", "succeeded", "added") == (2501, 2501, 2501)
    assert_same(lab, postgres, there)
    lab.sql("update c set amount = null, tags = '{}', name = 'new' where id % 5 = 0; delete from c where id % 10 = 1")
    customers(lab, 3, first=5000)
    done = lab.good_run()
    assert done.counts("added", "changed", "removed") == (3, 501, 250)
    assert_same(lab, postgres, there)
    assert postgres.sql("select count(*) from people where note = 'kept'", there) == postgres.sql("select count(*) from people", there)
    assert lab.good_run().counts("planned") == (0,)


def test_only_the_bad_rows_are_rejected(lab, postgres, there):
    customers(lab, 1000)
    postgres.sql("alter table people add constraint small check (id not in (17, 600)), alter column name set not null", there)
    lab.sql("update c set name = null where id = 900")
    project(lab, postgres, there)
    done = lab.run()
    assert done.rc == 1 and done.counts("succeeded", "rejected") == (997, 3)
    errors = [json.loads(line) for line in lab.command("errors", "--json", "--run", done.last["run"]).out.splitlines()]
    assert sorted(e["key"]["id"] for e in errors) == [17, 600, 900]
    assert all("23514" in e["message"] or "23502" in e["message"] for e in errors)
    assert lab.good_run().counts("planned", "quarantined") == (0, 3)


def test_conflicts_are_handled_in_the_table(lab, postgres, there):
    customers(lab, 3)
    postgres.sql("""insert into people (id, email, name, tags, seen) values (1, 'old1', 'Old', '{z}', '2030-01-01'),
                    (2, null, null, '{z}', '2020-01-01')""", there)
    project(lab, postgres, there, mode="upsert", newest_wins="seen", mappings=[
        {"from": "id", "to": "id"}, {"from": "email", "to": "email", "on_conflict": "set_if_empty"},
        {"from": "name", "to": "name", "on_conflict": "create_only"}, {"from": "tags", "to": "tags", "arrays": "merge"},
        {"from": "seen", "to": "seen"}])
    lab.good_run()
    assert postgres.sql("select id, email, coalesce(name, '-'), tags from people order by id", there) == [
        (1, "old1", "Old", ["z"]), (2, "u2@example.org", "-", ["z", "a, b", "x2"]), (3, "u3@example.org", 'N\t"\\3', ["a, b", "x3"])]


def test_update_names_rows_that_are_not_there(lab, postgres, there):
    customers(lab, 3)
    postgres.sql("insert into people (id, name) values (2, 'x')", there)
    project(lab, postgres, there, mode="update")
    done = lab.run()
    assert done.rc == 1 and done.counts("succeeded", "rejected") == (1, 2)
    assert postgres.sql("select count(*) from people", there) == [(1,)]


def test_a_missing_table_or_a_missing_right_ends_the_run_in_words(lab, postgres, there):
    customers(lab, 3)
    project(lab, postgres, there, object="nowhere")
    done = lab.run()
    assert done.rc == 2 and "no such table" in done.text
    postgres.sql("create role reader login", there)
    project(lab, postgres, there, {"url": postgres.url(there, user="reader")})
    done = lab.run()
    assert done.rc == 2 and "permission denied" in done.text, done


def test_a_server_that_goes_away_is_waited_for(lab, postgres, there):
    customers(lab, 3000)
    project(lab, postgres, there, {"batch_size": 50, "concurrency": 2, "retry": {"base": "50ms", "max": "200ms", "attempts": 50}})
    running = lab.start_run()
    ends = 0
    while running.process.poll() is None and ends < 15:
        ends += postgres.sql("select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'sluice' "
                             f"and datname = '{there}'", "postgres")[0][0]
    done = running.wait()
    assert done.rc == 0 and ends > 0, done
    assert_same(lab, postgres, there)
