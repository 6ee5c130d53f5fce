"""`sluice check --connect`: what is outside the project is there, or is told with what is wrong."""
import shutil

import pytest

SECRET = "s3cret-word"


def check(lab, *args, env=None):
    done = lab.command("check", "--connect", *args, "--json", env=env)
    return done, {(line["kind"], line["name"]): line for line in done.lines if "ok" in line}


def test_all_is_well_and_nothing_was_run_or_written(lab, sink, redis_servers):
    server = redis_servers()
    lab.customers(50)
    lab.sql("create function boom(bigint) returns bigint language plpgsql as $$ begin raise exception 'the model was run'; end $$")
    lab.simple(sink, sql="select id, email, boom(id) as b from c", settings={"redis": server.url})
    done, said = check(lab)
    assert done.rc == 0 and all(line["ok"] for line in said.values()), done
    assert {k for k, _ in said} == {"source", "model", "sync", "redis", "destination"}
    assert "3 columns" in said["model", "m"]["text"] and "credentials are not tried" in said["destination", "hook"]["text"]
    assert not sink.log, "a destination gets no record"
    text = lab.command("check", "--connect")
    assert text.rc == 0 and "ok      destination hook" in text.out


def test_a_mapped_column_that_does_not_exist_is_named(lab, sink):
    lab.customers(5)
    lab.project({"m": {"sql": "select id, email, name from c"}, "n": {"table": "c"}}, {"hook": {"url": sink.url}},
                {"s": {"model": "m", "destination": "hook", "mappings": [{"from": "emial", "to": "email"}]},
                 "t": {"model": "n", "destination": "hook"}})
    done, said = check(lab)
    assert done.rc == 78 and not said["sync", "s"]["ok"] and said["sync", "t"]["ok"], done
    assert "emial" in said["sync", "s"]["text"] and "email" in said["sync", "s"]["text"] and "sluice.yaml:" in said["sync", "s"]["text"]


def test_a_table_that_is_gone_or_may_not_be_read(lab, sink, postgres):
    lab.customers(5)
    lab.sql("create role looker login; grant select (id, email) on c to looker")
    try:
        lab.project({"gone": {"table": "no_such"}, "all": {"table": "c"}, "some": {"sql": "(select id, email from c)"}}, {"hook": {"url": sink.url}},
                    {name: {"model": name, "destination": "hook"} for name in ("gone", "all", "some")},
                    source={"url": postgres.url(lab.database, user="looker")})
        done, said = check(lab)
        assert done.rc == 78, done
        assert not said["model", "gone"]["ok"] and "no_such" in said["model", "gone"]["text"]
        assert not said["model", "all"]["ok"] and "permission denied" in said["model", "all"]["text"]
        assert said["model", "some"]["ok"], "the columns that it may see are enough"
    finally:
        lab.sql("drop owned by looker; drop role looker")


def test_a_statement_that_is_none_is_told_with_its_place(lab, sink):
    lab.customers(5)
    lab.simple(sink, sql="select id,\n  emial from c")
    done, said = check(lab)
    assert done.rc == 78 and "at 2:3 of the model" in said["model", "m"]["text"], done


def test_servers_that_are_away_are_69(lab, sink):
    lab.customers(5)
    lab.simple(sink, settings={"redis": "unix:///nowhere/redis.sock"}, source={"url": f"postgresql://me:{SECRET}@/x?host=/nowhere"},
               destination={"url": "http://127.0.0.1:1/in", "bearer": SECRET})
    done, said = check(lab)
    assert done.rc == 69 and not any(line["ok"] for line in said.values()), done
    assert {k for k, _ in said} == {"source", "redis", "destination"} and SECRET not in done.text


def test_a_redis_that_would_lose_work_is_78(lab, sink, redis_servers):
    lab.customers(5)
    server = redis_servers(policy="allkeys-lru")
    lab.simple(sink, settings={"redis": server.url})
    done, said = check(lab)
    assert done.rc == 78 and [kind for (kind, _), line in said.items() if not line["ok"]] == ["redis"], done
    assert "noeviction" in done.out


def test_without_the_program_of_a_private_server_it_is_told(lab, sink):
    lab.customers(5)
    lab.simple(sink)
    done, said = check(lab)
    assert done.rc == 0 and said["redis", "private"]["ok"]
    bare = lab.root / "bare"
    bare.mkdir()
    (bare / "setpriv").symlink_to(shutil.which("setpriv"))
    done, said = check(lab, env={"PATH": str(bare)})
    assert done.rc == 78 and "redis-server" in said["redis", "private"]["text"], done


@pytest.mark.vendors
def test_vendors_and_a_table_in_postgres_are_reached(lab, vendors):
    hub = vendors.add("hubspot", token="pat-1")
    lab.customers(5)
    lab.sql("create table people (id bigint primary key, email text)")
    lab.project({"m": {"sql": "select id, email from c"}},
                {"crm": {"type": "hubspot", "base_url": hub.url, "token": "pat-1"}, "table": {"type": "postgres", "url": lab.warehouse_url},
                 "lost": {"type": "postgres", "url": "postgresql:///x?host=/nowhere"}},
                {"a": {"model": "m", "destination": "crm", "object": "contacts", "mode": "upsert", "identify_by": "email", "mappings": [{"from": "email", "to": "email"}]},
                 "b": {"model": "m", "destination": "table", "object": "people"}, "c": {"model": "m", "destination": "lost", "object": "people"}})
    done, said = check(lab)
    assert done.rc == 69, done
    assert said["destination", "crm"]["ok"] and hub.url in said["destination", "crm"]["text"]
    assert said["destination", "table"]["ok"] and not said["destination", "lost"]["ok"]
    assert "warehouse" not in said["destination", "lost"]["text"]
    assert vendors.objects("hubspot", "contacts") == {}


def test_mistakes_come_first_and_nothing_is_asked_then(lab, sink):
    lab.customers(5)
    lab.simple(sink, mode="mirrror")
    done = lab.command("check", "--connect")
    assert done.rc == 78 and "mirrror" in done.out and "source" not in done.out
