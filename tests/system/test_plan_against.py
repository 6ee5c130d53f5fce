"""What a change of the project would do: told before it is accepted, without the state or with an export of it."""
import json
import os
import shutil
import subprocess

import pytest

from harness.markdown import TAGS, Rendered

SQL = "select id, email, amount from c"
S = {"model": "m", "destination": "hook", "mode": "mirror", "mappings": [{"from": "email", "to": "email"}, {"from": "id", "to": "id"}]}
T = {"model": "n", "destination": "hook", "mode": "upsert", "mappings": "all"}


@pytest.fixture
def versions(lab, sink):
    """Writes a project into base/ and another one into the project folder."""
    lab.customers(40)
    state = str(lab.state_dir)

    def write(folder, syncs, models=None, destination=None, settings=None):
        models = models or {}
        text = json.dumps({
            "settings": {"state_dir": state, **(settings or {})},
            "sources": {"warehouse": {"type": "postgres", "url": lab.warehouse_url}},
            "models": {name: {"source": "warehouse", "primary_key": "id", "sql": SQL, **models.get(name, {})} for name in "mn"},
            "destinations": {"hook": {"type": "webhook", "url": sink.url, **(destination or {})}}, "syncs": syncs}, indent=1)
        path = lab.root / folder
        path.mkdir(exist_ok=True)
        (path / "sluice.yaml").write_text(text, encoding="utf-8")
    write.sink = sink
    return write


def against(lab, *args, form="--json", **how):
    done = lab.command("plan", form, "--against", lab.root / "base", *args, **how)
    assert not [n for n in os.listdir(lab.root) if "plan" in n] and not os.path.exists(lab.state_dir), "nothing is left"
    changes = {line["sync"] if "sync" in line else "settings": line for line in done.lines if "change" in line}
    return done, changes, {line["sync"]: line for line in done.lines if "added" in line}


def test_what_the_change_alone_does_is_seen_without_a_state(lab, versions):
    versions("base", {"s": S, "t": T})
    lab.sql("update c set email = upper(email) where id <= 10")
    versions("project", {"s": {**S, "mappings": [{"from": "email", "to": "email", "transform": "lower"}, {"from": "id", "to": "id"}]}, "t": T})
    done, changes, plans = against(lab)
    assert done.rc == 0 and list(changes) == ["s"] and changes["s"]["what"] == "mappings" and changes["s"]["alters"], done
    assert list(plans) == ["s"] and (plans["s"]["changed"], plans["s"]["unchanged"], plans["s"]["added"]) == (10, 30, 0)
    assert not versions.sink.log


def test_a_model_that_returns_less_removes(lab, versions):
    versions("base", {"s": S})
    versions("project", {"s": S}, {"m": {"sql": SQL + " where id <= 35"}})
    done, changes, plans = against(lab)
    assert done.rc == 0 and changes["s"]["what"] == "model m: sql" and plans["s"]["removed"] == 5, done
    versions("project", {"s": S}, {"m": {"sql": SQL + " where id <= 5"}})
    done, _, plans = against(lab)
    assert done.rc == 3 and "max_removed" in plans["s"]["would_hold"], done


@pytest.mark.parametrize("sync, model, destination, what", [
    ({"identify_by": "email"}, {}, {}, "identify_by"), ({"object": "other"}, {}, {}, "object"),
    ({}, {"m": {"primary_key": ["id", "email"]}}, {}, "model m: primary_key"), ({}, {}, {"url": "http://127.0.0.1:9/"}, "destination hook: url")])
def test_another_target_sends_every_row_again(lab, versions, sync, model, destination, what):
    versions("base", {"s": S})
    versions("project", {"s": {**S, **sync}}, model, destination)
    done, changes, plans = against(lab)
    assert done.rc == 3 and changes["s"]["target"] and changes["s"]["what"] == what, done
    assert plans["s"]["added"] == 40 and "the target changed" in plans["s"]["would_hold"] and "40 records" in plans["s"]["would_hold"]
    done, _, _ = against(lab, form="--markdown")
    shown = Rendered(done.out)
    assert [i for i in shown.items if i.startswith(f"s: {what}; this is another target") and "every row" in i], shown.items


def test_what_cannot_alter_what_is_sent_is_told_and_not_read(lab, versions):
    versions("base", {"s": S, "t": T})
    versions("project", {"s": {**S, "schedule": {"every": "5m"}}, "t": T}, destination={"rate_limits": [{"requests": 5, "per": "1s"}]})
    done, changes, plans = against(lab)
    assert done.rc == 0 and set(changes) == {"s", "t"} and not plans, done
    assert changes["s"]["what"] == "schedule; destination hook: rate_limits" and not changes["s"]["alters"]
    done, _, _ = against(lab, form="--markdown")
    assert "t: destination hook: rate_limits; what is sent stays the same" in Rendered(done.out).items and "Nothing would be sent." in done.out
    done, _, plans = against(lab, "t")
    assert done.rc == 0 and list(plans) == ["t"] and plans["t"]["unchanged"] == 40, "it was named"


def test_syncs_that_come_and_go_and_settings(lab, versions):
    versions("base", {"s": S, "t": T})
    versions("project", {"u": S, "<b>|new": {**T, "first_run": "skip"}}, settings={"listen": "127.0.0.1:1", "history": "1GB"})
    done, changes, plans = against(lab)
    assert done.rc == 0 and {n: c["change"] for n, c in changes.items()} == {"settings": "settings", "u": "new", "<b>|new": "new", "s": "gone", "t": "gone"}, done
    assert changes["u"]["renamed_from"] == "s" and changes["<b>|new"]["renamed_from"] is None and changes["settings"]["restart"]
    assert plans["u"]["added"] == 40 and plans["<b>|new"]["planned"] == 0
    done, _, _ = against(lab, form="--markdown")
    shown = Rendered(done.out)
    assert shown.tags <= TAGS
    for item in ("settings: listen, history; a scheduler that runs refuses this project until it is started anew",
                 "u: new, and defined as s was, which is gone: what was accepted is kept by a sync's name, so that every row is sent again",
                 "<b>|new: new; its first run takes the present rows as synced", "s: gone; it runs no more, and what it sent stays at hook"):
        assert item in shown.items, (item, shown.items)
    text = lab.command("plan", "--against", lab.root / "base")
    assert text.rc == 0 and "s: gone; it runs no more, and what it sent stays at hook\n" in text.out and "u: 40 to add" in text.out


def test_a_version_before_that_is_broken_or_not_there_compares_with_nothing(lab, versions):
    versions("project", {"s": S})
    done, changes, plans = against(lab)
    assert done.rc == 0 and not changes and plans["s"]["added"] == 40 and "cannot be compared with" in done.err, done
    versions("base", {"s": {**S, "destination": "hok"}})
    done, changes, plans = against(lab, form="--markdown")
    assert done.rc == 0 and "hok" in done.err and Rendered(done.out).row("s")["Added"] == "40" and "There is no state here" in done.out, done


def test_rows_that_cannot_be_read_as_they_were_are_told(lab, versions):
    versions("base", {"s": S}, {"m": {"sql": SQL + " where 1 / (id - 5) < 9"}})
    versions("project", {"s": S})
    done, changes, plans = against(lab)
    assert done.rc == 0 and changes["s"]["change"] == "unread" and 30 < plans["s"]["added"] <= 40, done
    done, _, _ = against(lab, form="--markdown")
    shown = Rendered(done.out)
    assert [i for i in shown.items if "cannot be read to the end" in i and "SQLSTATE 22012" in i] and "example.org" not in done.out, shown.items


def test_a_project_in_shards_is_planned_as_a_whole(lab, versions, redis_servers):
    settings = {"shards": 2, "redis": redis_servers().url}
    versions("base", {"s": S, "t": T}, settings=settings)
    versions("project", {"s": S, "t": T}, {"m": {"sql": SQL + " where id > 2"}, "n": {"sql": SQL + " where id > 1"}}, settings=settings)
    done, changes, plans = against(lab)
    assert done.rc == 0 and set(changes) == {"s", "t"} and plans["s"]["removed"] == 2 and plans["t"]["unchanged"] == 39, done


# ---- an export ----

def exported(lab, versions, **sync):
    versions("project", {"s": {**S, **sync}})
    lab.good_run()
    lab.sql("update c set email = 'x@y.z' where id = 1; delete from c where id = 2")
    assert lab.command("state", "export", lab.root / "state.sluice").rc == 0
    shutil.rmtree(lab.state_dir)


def test_a_plan_compares_with_an_export(lab, versions):
    exported(lab, versions)
    mark = len(versions.sink.log)
    done = lab.command("plan", "--json", "--state", lab.root / "state.sluice")
    assert done.rc == 0 and done.lines[0]["changed"] == 1 and done.lines[0]["removed"] == 1 and done.lines[0]["unchanged"] == 38, done
    with open(lab.root / "state.sluice", "rb") as file:
        piped = subprocess.run([lab.bin / "sluice", "plan", "--markdown", "--state", "-"], cwd=lab.project_dir, stdin=file, capture_output=True, text=True, check=False)
    assert piped.returncode == 0 and Rendered(piped.stdout).row("s")["Unchanged"] == "38" and "no state" not in piped.stdout
    versions("base", {"s": S})
    versions("project", {"s": {**S, "guard": {"max_removed": 0}}})
    done, changes, plans = against(lab, "--state", lab.root / "state.sluice")
    assert done.rc == 3 and changes["s"]["what"] == "guard" and plans["s"]["changed"] == 1 and "max_removed" in plans["s"]["would_hold"], done
    assert len(versions.sink.log) == mark and not os.path.exists(lab.state_dir)


def test_an_export_that_is_none_is_refused(lab, versions):
    exported(lab, versions)
    whole = (lab.root / "state.sluice").read_bytes()
    for name, data in (("cut", whole[:-10]), ("other", b"hello"), ("empty", b"")):
        (lab.root / name).write_bytes(data)
        done = lab.command("plan", "--state", lab.root / name)
        assert done.rc == 2 and not done.out and "sluice: " in done.err, (name, done)
    done = lab.command("plan", "--state", lab.root / "nowhere")
    assert done.rc == 64 and "nowhere cannot be read" in done.err, done


@pytest.mark.parametrize("option", ["--state", "--against"])
def test_a_plan_that_is_kept_belongs_to_the_state_here(lab, versions, option):
    versions("project", {"s": S})
    done = lab.command("plan", "-o", "p.json", option, lab.root / "base")
    assert done.rc == 64 and "--output keeps" in done.err, done


def test_a_stream_is_planned_as_a_run_of_its_model_and_does_not_go_unnoticed(lab, versions):
    stream = {**S, "schedule": {"stream": {"from": "cdc", "create": True}}}
    models = {"m": {"sql": None, "table": "c"}}

    def write(folder, syncs, where=None):
        versions(folder, syncs, models)
        path = lab.root / folder / "sluice.yaml"
        project = json.loads(path.read_text())
        project["models"]["m"] = {"source": "warehouse", "primary_key": "id", "table": "c", **({"where": where} if where else {})}
        path.write_text(json.dumps(project))
    write("base", {"s": stream})
    write("project", {"s": stream}, "id > 3")
    done, changes, plans = against(lab)
    assert done.rc == 0 and changes["s"]["what"] == "model m: where" and (plans["s"]["removed"], plans["s"]["unchanged"]) == (3, 37), done
    write("project", {})
    text = lab.command("plan", "--against", lab.root / "base")
    assert text.rc == 0 and "s: gone;" in text.out and "Its slot holds back the warehouse's log" in text.out, text
    assert lab.sql("select count(*) from pg_replication_slots")[0][0] == 0, "and a plan makes none"
