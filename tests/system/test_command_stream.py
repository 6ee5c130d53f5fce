"""`sluice stream`, and what `sluice check --connect` says of streams."""
import psycopg2
import psycopg2.extras
import pytest

from harness.sink import wait_until

KEYS = {"from": "keys", "keys": {"c": "id"}}
OWN = {"from": "cdc", "slot": "their_slot", "publication": "their_pub"}


def project(lab, sink, stream, source=None, **sync):
    lab.customers(5)
    lab.project({"m": {"table": "c"}}, {"hook": {"url": sink.url}},
                {"s": {"model": "m", "destination": "hook", "schedule": {"stream": stream}, **sync},
                 "other": {"model": "m", "destination": "hook"}}, source=source)


def slots(lab):
    return sorted(name for name, in lab.sql(f"select slot_name from pg_replication_slots where database = '{lab.database}'"))


def publications(lab):
    return sorted(name for name, in lab.sql("select pubname from pg_publication"))


def check(lab):
    done = lab.command("check", "--connect", "--json")
    return done, {(line["kind"], line["name"]): line for line in done.lines if "ok" in line}


def carry_out(lab, printed):
    statements = [line for line in printed.splitlines() if line and not line.startswith("--")]
    assert statements
    for statement in statements:
        lab.sql(statement)


def test_the_printed_statements_make_what_a_stream_needs(live, sink):
    lab = live
    project(lab, sink, OWN)
    done, said = check(lab)
    assert done.rc == 78 and not said["stream", "s"]["ok"], done
    assert 'publication "their_pub" does not exist' in said["stream", "s"]["text"] and "sluice stream sql s" in said["stream", "s"]["text"]
    printed = lab.command("stream", "sql", "s")
    assert printed.rc == 0 and not slots(lab) and not publications(lab), "printed, not done"
    carry_out(lab, printed.out)
    assert slots(lab) == ["their_slot"] and publications(lab) == ["their_pub"]
    done, said = check(lab)
    assert done.rc == 0 and "slot their_slot, publication their_pub" in said["stream", "s"]["text"], done
    again = lab.command("stream", "sql", "s", "--json")
    assert again.lines[0]["sync"] == "s" and "everything is there" in again.lines[0]["sql"]


def test_status_without_a_scheduler_is_what_the_source_has(live, sink):
    lab = live
    project(lab, sink, OWN)
    done = lab.command("stream", "status")
    assert done.rc == 0 and "slot their_slot is not there" in done.out and "other" not in done.out, done
    carry_out(lab, lab.command("stream", "sql", "s").out)
    seen = lab.command("stream", "status", "s", "--json").lines[0]
    assert (seen["sync"], seen["from"], seen["running"]) == ("s", "cdc", False)
    assert seen["slot"] == "their_slot" and seen["slot_exists"] and seen["publication_exists"] and not seen["slot_active"]
    assert seen["lag_bytes"] >= 0 and "/" in seen["place"]
    done = lab.command("stream", "status")
    assert "slot their_slot is there; it holds back" in done.out and "publication their_pub is there" in done.out, done


def test_what_the_project_names_itself_is_dropped_by_force_only(live, sink):
    lab = live
    project(lab, sink, OWN)
    carry_out(lab, lab.command("stream", "sql", "s").out)
    done = lab.command("stream", "drop", "s")
    assert done.rc == 64 and "the slot their_slot and the publication their_pub" in done.err and "--force" in done.err, done
    assert slots(lab) == ["their_slot"] and publications(lab) == ["their_pub"]
    done = lab.command("stream", "drop", "s", "--force")
    assert done.rc == 0 and "dropped the slot their_slot" in done.out and "dropped the publication their_pub" in done.out, done
    assert not slots(lab) and not publications(lab)
    done = lab.command("stream", "drop", "s", "--force", "--json")
    assert done.rc == 0 and done.lines[0]["slot"] is None and done.lines[0]["publication"] is None, done


@pytest.mark.parametrize("stream", [{"from": "cdc", "create": True}, {**KEYS, "create": True}], ids=["cdc", "keys"])
def test_what_sluice_names_is_dropped_also_when_the_sync_streams_no_more(live, sink, stream):
    lab = live
    project(lab, sink, stream)
    done = lab.command("stream", "drop", "s")
    assert done.rc == 64 and "has not streamed yet" in done.err, done
    done, said = check(lab)
    assert done.rc == 0 and "made when it first flows" in said["stream", "s"]["text"], done
    done = lab.command("run", "s")
    assert done.rc == 0 and "s streams under `sluice up`; this run reads its model once" in done.err, done
    lab.assert_same(sink.state)
    carry_out(lab, lab.command("stream", "sql", "s").out)
    (slot,), (publication,) = slots(lab), publications(lab)
    assert slot.startswith("sluice_") and slot.endswith("_s") and publication == slot
    project_after = {"schedule": "manual"}
    lab.project({"m": {"table": "c"}}, {"hook": {"url": sink.url}}, {"s": {"model": "m", "destination": "hook", **project_after}})
    done = lab.command("stream", "drop", "s")
    assert done.rc == 0 and f"dropped the slot {slot}" in done.out, done
    assert not slots(lab) and not publications(lab)
    assert "nothing to drop" in lab.command("stream", "drop", "s").out


def test_a_slot_in_use_is_not_dropped(live, sink):
    lab = live
    project(lab, sink, OWN)
    carry_out(lab, lab.command("stream", "sql", "s").out)
    conn = psycopg2.connect(lab.warehouse_url, connection_factory=psycopg2.extras.LogicalReplicationConnection)
    try:
        cursor = conn.cursor()
        cursor.start_replication("their_slot", options={"proto_version": "1", "publication_names": "their_pub"})
        done = lab.command("stream", "drop", "s", "--force")
        assert done.rc == 75 and 'replication slot "their_slot" is in use' in done.err, done
        assert lab.command("stream", "status", "--json").lines[0]["slot_active"]
    finally:
        conn.close()
    assert slots(lab) == ["their_slot"] and publications(lab) == ["their_pub"]


def test_a_server_that_is_not_followed_is_told_with_the_cure(lab, sink):
    project(lab, sink, OWN)
    done, said = check(lab)
    assert done.rc == 78 and "wal_level = logical" in said["stream", "s"]["text"], done
    assert "-- the warehouse has wal_level" in lab.command("stream", "sql", "s").out


def test_a_role_that_may_not_replicate_is_told_with_the_cure(live, sink, logical_postgres):
    lab = live
    lab.customers(5)
    lab.sql("create role follower login; grant select on c to follower")
    try:
        lab.project({"m": {"table": "c"}}, {"hook": {"url": sink.url}}, {"s": {"model": "m", "destination": "hook", "schedule": {"stream": OWN}}},
                    source={"url": logical_postgres.url(lab.database, user="follower")})
        done, said = check(lab)
        assert done.rc == 78 and 'role "follower" may not replicate' in said["stream", "s"]["text"], done
    finally:
        lab.sql("drop owned by follower; drop role follower")


def test_a_table_without_identity_and_a_cursor_that_is_no_column(live, sink):
    lab = live
    lab.sql("create table c (id bigint, email text)")
    lab.project({"m": {"table": "c"}}, {"hook": {"url": sink.url}},
                {"s": {"model": "m", "destination": "hook", "schedule": {"stream": {"from": "cdc", "create": True}}},
                 "p": {"model": "m", "destination": "hook", "schedule": {"stream": {"from": "poll", "cursor": "updated_at"}}},
                 "t": {"model": "m", "destination": "hook", "schedule": {"stream": {"from": "poll", "cursor": "email"}}},
                 "n": {"model": "m", "destination": "hook", "schedule": {"stream": {"from": "poll", "cursor": "id"}}}})
    done, said = check(lab)
    assert done.rc == 78 and "REPLICA IDENTITY FULL" in said["stream", "s"]["text"], done
    assert "the cursor email is text" in said["sync", "t"]["text"] and said["sync", "n"]["ok"]
    assert not said["sync", "p"]["ok"] and "no column updated_at" in said["sync", "p"]["text"] and ("stream", "p") not in said


def test_the_triggers_of_a_poll_are_printed_and_notify(lab, sink):
    lab.customers(5)
    lab.sql("create view v as select id, email, amount from c")
    lab.project({"m": {"sql": "select * from v"}}, {"hook": {"url": sink.url}},
                {"s": {"model": "m", "destination": "hook", "schedule": {"stream": {"from": "poll", "cursor": "amount", "notify": "woken"}}}})
    done = lab.command("stream", "sql", "s")
    assert done.rc == 0 and not lab.sql("select tgname from pg_trigger where not tgisinternal"), done
    lab.sql(done.out)
    conn = lab.postgres.connect(lab.database)
    try:
        conn.cursor().execute("listen woken")
        lab.sql("update c set amount = amount + 1")
        wait_until(lambda: (conn.poll(), conn.notifies)[1], 30, "a notification")
    finally:
        conn.close()
    lab.project({"m": {"sql": "select * from v"}}, {"hook": {"url": sink.url}},
                {"s": {"model": "m", "destination": "hook", "schedule": {"stream": {"from": "poll", "cursor": "amount"}}}})
    done = lab.command("stream", "sql", "s")
    assert done.rc == 0 and "-- Its schedule needs `notify: s` as well." in done.out, done
    done = lab.command("stream", "drop", "s")
    assert done.rc == 64 and "has no slot" in done.err, done


@pytest.mark.parametrize("args,words", [
    (["nope"], "write status, drop or sql"),
    (["drop"], "needs the name of one sync"),
    (["sql", "s", "other"], "needs the name of one sync"),
    (["drop", "x"], "no sync"),
    (["status", "x"], "no sync"),
    (["status", "other"], "does not stream"),
    (["sql", "other"], "does not stream"),
])
def test_what_cannot_be_is_bad_usage(lab, sink, args, words):
    project(lab, sink, OWN)
    done = lab.command("stream", *args)
    assert done.rc == 64 and words in done.err, done


def test_a_source_that_is_away_is_told(lab, sink):
    project(lab, sink, OWN, source={"url": "postgresql:///x?host=/nonexistent"})
    for args in (["status"], ["sql", "s"], ["drop", "s", "--force"]):
        done = lab.command("stream", *args)
        assert done.rc == 69 and "/nonexistent" in done.err, done
