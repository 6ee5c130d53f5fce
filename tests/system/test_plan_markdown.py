"""A plan as the comment of a pull request shows it."""
import json

from harness.markdown import TAGS, Rendered

SQL = "select id, email, amount from c"
NASTY = "|`</code><img/src=x>@all~~_b_~~[a](http://e.org)#1:+1:"


def plan(lab, *args, **how):
    done = lab.command("plan", "--markdown", *args, **how)
    return done, Rendered(done.out)


def test_counts_and_holds_and_no_contents_of_rows(lab, sink):
    lab.customers(50)
    lab.simple(sink, sql=SQL, guard={"max_removed": 1})
    lab.good_run()
    mark = len(sink.log)
    lab.sql("insert into c select 1000, 'new@x.y', 7; update c set email = 'changed@x.y' where id = 2; delete from c where id in (3, 4)")
    done, shown = plan(lab)
    assert done.rc == 3, done
    row = shown.row("s")
    assert [row[n] for n in ("To", "Added", "Changed", "Removed", "Unchanged", "Invalid")] == ["hook", "1", "1", "2", "47", ""]
    assert "4 records would be sent by 1 sync: 1 added, 1 changed, 2 removed. 1 run would be held." in " ".join(shown.html.replace("<strong>", "").replace("</strong>", "").split())
    assert [i for i in shown.items if i.startswith("s: guard max_removed: 2 of 50")], shown.items
    assert "x.y" not in done.out and "example.org" not in done.out and len(sink.log) == mark
    done, shown = plan(lab, "--limit", "2")
    assert done.rc == 3 and '+ {"id":1000}' in shown.samples and "changed@x.y" in shown.samples and "u2@example.org" in shown.samples


def test_nothing_to_send_and_no_state_are_said(lab, sink):
    lab.customers(5)
    lab.simple(sink, sql=SQL)
    done, shown = plan(lab)
    assert done.rc == 0 and shown.row("s")["Added"] == "5" and "There is no state here" in done.out
    lab.good_run()
    done, shown = plan(lab)
    assert done.rc == 0 and "Nothing would be sent." in done.out and shown.codes == ["s"] and not shown.rows, done.out


def test_names_of_any_kind_stay_names(lab, sink):
    lab.customers(3)
    lab.project({"m": {"sql": SQL}, "gone": {"sql": f'select id, "{NASTY}" from c'}}, {"d" + NASTY: {"url": sink.url}},
                {NASTY: {"model": "m", "destination": "d" + NASTY}, "quiet" + NASTY: {"model": "m", "destination": "d" + NASTY, "guard": {"min_rows": 1}},
                 "bad": {"model": "gone", "destination": "d" + NASTY}})
    assert lab.command("run", NASTY, "quiet" + NASTY).rc == 0
    lab.sql("update c set amount = 1 where id = 1; delete from c where id > 1")
    done, shown = plan(lab)
    assert done.rc == 2 and shown.tags <= TAGS, shown.tags - TAGS
    assert shown.row(NASTY)["To"] == "d" + NASTY and shown.row(NASTY)["Removed"] == "2"
    assert [i for i in shown.items if i.startswith(f"bad: model gone: column \"{NASTY}\" does not exist")], shown.items
    assert [i for i in shown.items if i.startswith(f"quiet{NASTY}: guard max_removed")], shown.items


def test_a_value_that_the_warehouse_refuses_is_not_told(lab, sink):
    lab.customers(3)
    lab.simple(sink, sql="select id, email::int as n from c")
    done, shown = plan(lab)
    assert done.rc == 2 and "SQLSTATE 22P02" in shown.items[0] and "u1" not in done.out, done.out
    assert "u1@example.org" in lab.command("plan").out


def test_mistakes_take_the_place_of_the_plan(lab, sink):
    lab.customers(1)
    lab.simple(sink, sql=SQL)
    path = lab.project_dir / "sluice.yaml"
    path.write_text(path.read_text().replace('"model": "m"', json.dumps("model") + ": " + json.dumps("<b>|`x")))
    done, shown = plan(lab)
    assert done.rc == 78 and "1 mistake" in done.out and shown.tags <= TAGS
    place, words = shown.codes
    assert place.startswith("sluice.yaml:") and "<b>|`x" in words
    assert f"{place}: {words}" in done.err, "the log has it too"


def test_what_only_streams_is_named(lab, sink, redis_servers):
    redis = redis_servers()
    lab.customers(1)
    lab.write(json.dumps({
        "settings": {"state_dir": str(lab.state_dir)},
        "sources": {"warehouse": {"type": "postgres", "url": lab.warehouse_url}, "bus": {"type": "redis", "url": redis.url}},
        "models": {"m": {"source": "warehouse", "primary_key": "id", "sql": SQL},
                   "e": {"source": "bus", "stream": "events", "primary_key": "_id", "columns": {"_id": "text"}}},
        "destinations": {"hook": {"type": "webhook", "url": sink.url}},
        "syncs": {"s": {"model": "m", "destination": "hook", "mappings": "all"},
                  "live": {"model": "e", "destination": "hook", "mode": "append", "first_run": "skip", "mappings": "all", "schedule": {"stream": {"from": "events"}}}}}))
    done, shown = plan(lab)
    assert done.rc == 0 and "they only stream: <code>live</code>" in shown.html, done


def test_one_form_at_a_time(lab, sink):
    lab.simple(sink, sql=SQL)
    done = lab.command("plan", "--markdown", "--json")
    assert done.rc == 64 and "--json and --markdown" in done.err and not done.out
