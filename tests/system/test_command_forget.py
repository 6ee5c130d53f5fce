"""`sluice forget`: a person is gone from state, errors and history, and from the file's bytes."""
import pytest

from harness.sink import refuse, wait_until


def people(lab, count=200):
    lab.sql("create table c (id bigint primary key, email text, name text)")
    lab.sql(f"insert into c select g, 'person' || g || '@example.org', 'Name ' || g from generate_series(1, {count}) g")


def state_bytes(lab):
    return b"".join(p.read_bytes() for p in lab.state_dir.rglob("*") if p.is_file())


def state_bytes_of(lab, name):
    return (lab.state_dir / name).read_bytes()


def project(lab, sink, **more):
    lab.simple(sink, identify_by="email", **more)


def refuse_with_names(sink, *ids):
    """The destination's words quote the address, as those of vendors do."""
    def behave(q):
        hit = [r for r in q.records if r["key"]["email"] in {f"person{i}@example.org" for i in ids}]
        return refuse(422, f"the contact {hit[0]['key']['email']} is on a list of the blocked") if hit else None
    sink.behave = behave


def test_nothing_of_a_person_stays_in_the_files(lab, sink):
    people(lab)
    project(lab, sink)
    refuse_with_names(sink, 7, 9)
    assert lab.run().rc == 1
    assert b"person7@example.org" in state_bytes(lab) and b"person8@example.org" in state_bytes(lab)
    assert len(lab.command("errors", "--json").lines) == 2

    lab.sql("delete from c where id in (7, 8)")
    done = lab.command("forget", "person7@example.org", "--json")
    assert done.rc == 0 and done.lines[0]["entries"] == 1 and done.lines[0]["identities"] == 1, done
    assert b"person7@" not in state_bytes(lab), "also in pages that are free"
    assert b"person9@example.org" in state_bytes(lab) and [e["key"] for e in lab.command("errors", "--json").lines] == [{"id": 9}]

    done = lab.command("forget", "8")
    assert done.rc == 0 and "forgotten: 1 entries" in done.out and "will not remove it" in done.out, done
    assert b"person8@example.org" not in state_bytes(lab)

    after = lab.run()
    assert after.rc == 0 and after.counts("removed", "quarantined", "unchanged", "rejected") == (0, 1, 197, 0), "the others are as they were"
    assert lab.command("status", "--json").lines[0]["accepted"] == 197


def test_people_that_left_the_model_before_are_wiped_from_free_pages(lab, sink):
    people(lab, 2000)
    project(lab, sink, guard={"max_removed": "off"})
    lab.good_run()
    lab.sql("delete from c where id <= 1000")
    lab.good_run()
    left = {i for i in range(100, 1000) if b"person%d@example.org" % i in state_bytes_of(lab, "state.lmdb")}
    assert left, "LMDB leaves what was deleted in free pages"
    done = lab.command("forget", f"person{min(left)}@example.org")
    assert done.rc == 0 and "0 entries" in done.out and "history of 2 runs" in done.out and "written anew" in done.out
    still = state_bytes(lab)
    assert not [i for i in left if b"person%d@example.org" % i in still]
    assert lab.good_run().counts("unchanged", "planned") == (1000, 0)


def test_words_about_the_person_in_other_records_and_runs_go_too(lab, sinks):
    first, second = sinks(), sinks()
    people(lab, 30)
    lab.project({"m": {"sql": "select * from c"}, "n": {"sql": "select id + 1000 as id, email, name from c"}}, {"one": {"url": first.url}, "two": {"url": second.url}},
                {"s": {"model": "m", "destination": "one", "identify_by": "email"}, "t": {"model": "n", "destination": "two"}})
    second.behave = lambda q: refuse(422, "this is a double of person5@example.org, not of xperson5@example.org.uk") if 1009 in q.ids else None
    assert lab.run().rc == 1
    second.behave = lambda q: refuse(401, "no more writing, says person5@example.org")
    lab.sql("update c set name = 'changed' where id = 3")
    assert lab.run("t").rc == 2
    assert "person5@" in lab.command("runs", "--json").out
    assert lab.command("forget", "person5@example.org", "--sync", "s").rc == 0
    assert "person5@" not in lab.command("runs", "--json").out + lab.command("errors", "--json").out
    assert b"person5@" not in state_bytes(lab)
    second.behave = None
    assert lab.run("t").counts("quarantined", "changed") == (1, 1), "the refusal holds, without its words"


def test_keys_of_several_columns_and_texts_are_given_as_errors_shows_them(lab, sink):
    lab.sql("create table c (region text, id numeric, name text, primary key (region, id)); insert into c select 'eu', g, 'N' from generate_series(1, 9) g")
    lab.project({"m": {"sql": "select * from c", "primary_key": ["region", "id"]}}, {"hook": {"url": sink.url}}, {"s": {"model": "m", "destination": "hook"}})
    lab.good_run()
    done = lab.command("forget", '{"region": "eu", "id": 4}', "--json")
    assert done.rc == 0 and done.lines[0]["entries"] == 1, done
    assert lab.command("forget", '{"region": "us", "id": 4}', "--json").lines[0]["entries"] == 0
    assert lab.good_run().counts("added", "unchanged") == (1, 8)


def test_only_the_syncs_that_are_named(lab, sinks):
    people(lab, 10)
    one, two = sinks(), sinks()
    lab.project({"m": {"sql": "select * from c"}}, {"one": {"url": one.url}, "two": {"url": two.url}},
                {"s": {"model": "m", "destination": "one"}, "t": {"model": "m", "destination": "two"}})
    lab.good_run()
    assert lab.command("forget", "4", "--sync", "s", "--json").lines[0]["entries"] == 1
    done = lab.good_run()
    assert done.sync("s")["added"] == 1 and done.sync("t")["added"] == 0
    assert lab.command("forget", "4", "--json").lines[0]["entries"] == 2
    wrong = lab.command("forget", "4", "--sync", "u")
    assert wrong.rc == 64 and "u" in wrong.err


def test_it_is_refused_while_runs_hold_rows(lab, sink):
    people(lab, 50)
    project(lab, sink, guard={"max_changed": 1})
    lab.good_run()
    lab.sql("update c set name = 'changed'")
    held = lab.run()
    assert held.rc == 3
    done = lab.command("forget", "7")
    assert done.rc == 75 and held.last["run"] in done.err and "approve or reject" in done.err
    assert lab.command("approve", held.last["run"]).rc == 0
    assert lab.command("forget", "7").rc == 0

    (lab.state_dir / ".plan.abcdef").mkdir()
    done = lab.command("forget", "8")
    assert done.rc == 75 and ".plan.abcdef" in done.err


def test_it_is_refused_beside_a_run_under_way(lab, sink):
    people(lab, 50)
    project(lab, sink)
    sink.delay_s = 3
    running = lab.start_run()
    wait_until(lambda: sink.log, 60, "a first request")
    done = lab.command("forget", "7")
    assert done.rc == 75 and str(running.pid) in done.err and "stop what runs first" in done.err
    assert running.wait().rc == 0


def test_without_a_state_there_is_nothing_to_forget(lab, sink):
    people(lab, 5)
    project(lab, sink)
    done = lab.command("forget", "7")
    assert done.rc == 0 and "nothing is known" in done.out
    assert not (lab.state_dir / "state.lmdb").exists()


@pytest.mark.parametrize("args", [[], ["1", "2"], ["{not json"], [""]])
def test_bad_usage(lab, sink, args):
    people(lab, 5)
    project(lab, sink)
    lab.good_run()
    assert lab.command("forget", *args).rc == 64


def test_the_history_of_runs_that_sent_the_person_goes(lab, sink):
    people(lab, 20)
    project(lab, sink)
    lab.good_run()
    lab.sql("update c set name = 'changed' where id = 3")
    kept = lab.good_run().last["run"]
    assert len(lab.command("history", "s", "3", "--json").lines) == 2 and lab.command("history", "s", "7", "--json").lines
    assert b"person7@example.org" in state_bytes(lab)
    done = lab.command("forget", "7", "--json")
    assert done.rc == 0 and done.lines[0]["histories"] == 1, done
    assert b"person7@example.org" not in state_bytes(lab) and b'"id":7,' not in state_bytes(lab)
    assert [h["run"] for h in lab.command("history", "s", "3", "--json").lines] == [kept], "runs without the person keep theirs"
    lab.sql("delete from c where id = 9")
    lab.good_run()
    assert lab.command("forget", '{"id":9}', "--json").lines[0]["histories"] == 1, "also of those that state no longer knows"
    assert not lab.command("history", "s", "9", "--json").lines


def test_the_warehouse_s_own_log_is_named_where_there_is_one(lab, sink):
    people(lab, 5)
    lab.sql("create schema log")
    project(lab, sink)
    lab.good_run()
    assert "sluice_rejected" not in lab.command("forget", "3").out
    project(lab, sink, settings={"warehouse_log": {"source": "warehouse", "schema": "log"}})
    done = lab.command("forget", "4")
    assert done.rc == 0 and "sluice_rejected" in done.out and "the source warehouse" in done.out, done
