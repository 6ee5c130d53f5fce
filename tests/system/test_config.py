"""Mistakes in the configuration: each is named with its place, all in one go, and nothing is sent."""
import re

import pytest

GOOD = """settings: {{state_dir: {state}}}
sources:
  wh: {{type: postgres, url: "{url}"}}
models:
  m: {{source: wh, primary_key: id, sql: select 1 as id}}
destinations:
  hook: {{type: webhook, url: "{sink}"}}
syncs:
  s: {{model: m, destination: hook, mode: upsert, mappings: all}}
"""


def good(lab, sink):
    return GOOD.format(state=lab.state_dir, url=lab.warehouse_url, sink=sink.url)


def places(text, line):
    return [entry for entry in text.splitlines() if re.search(rf"\.ya?ml:{line}:\d+:", entry)]


def test_a_good_project_passes_the_check(lab, sink):
    lab.write(good(lab, sink))
    done = lab.command("check")
    assert done.rc == 0, done
    assert not sink.log


@pytest.mark.parametrize("old, new, line, word", [
    ("source: wh,", "source: wx,", 5, "wx"),
    ("primary_key: id", "primary_keys: id", 5, "primary_keys"),
    ("type: webhook", "type: webhok", 7, "webhok"),
    ("mode: upsert", "mode: upsrt", 9, "upsrt"),
    ("model: m,", "model: n,", 9, "n"),
    ("destination: hook,", "destination: hock,", 9, "hock"),
    ("mappings: all", "mappings: some", 9, "mappings"),
    ("mappings: all", "mappings: [{from: a, to: x}, {from: b, to: x}]", 9, "x"),
    ("mappings: all", "mappings: all, batch_size: -5", 9, "batch_size"),
    ("mappings: all", "mappings: all, batch_size: many", 9, "many"),
    ("mappings: all", "mappings: all, guard: {max_removed: 101%}", 9, "101"),
    ("mappings: all", "mappings: all, schedule: {every: 5 parsecs}", 9, "parsecs"),
    ("mappings: all", "mappings: all, priority: urgent", 9, "urgent"),
    ("mappings: all", "mappings: [{from: id, to: id, transform: [trimm]}]", 9, "trimm"),
    ("mappings: all", "mappings: all, identify_by: [a]", 9, "identify_by"),
    ("sql: select 1 as id", "sql: select 1 as id, table: c", 5, "table"),
    ("\"{sink}\"", "\"ftp://host/x\"", 7, "url"),
    ("type: webhook,", "type: webhook, rate_limits: [{requests: 0, per: 1s}],", 7, "requests"),
    ("type: webhook,", "type: webhook, rate_limits: [{requests: 5, per: 1 blink}],", 7, "blink"),
    ("type: webhook,", "type: webhook, concurrency: 0,", 7, "concurrency"),
    ("type: webhook,", "type: webhook, bearer: \"${NOT_SET_ANYWHERE}\",", 7, "NOT_SET_ANYWHERE"),
    ("type: webhook,", "type: webhook, bearer: \"${file:/no/such/file}\",", 7, "/no/such/file"),
    ("type: postgres", "type: postgrs", 3, "postgrs"),
])
def test_a_mistake_is_named_with_file_line_and_column(lab, sink, old, new, line, word):
    right = good(lab, sink)
    text = right.replace(old.replace("{sink}", sink.url), new)
    assert text != right
    lab.write(text)
    done = lab.command("check")
    assert done.rc == 78, done
    assert any(word in entry for entry in places(done.text, line)), done.text
    assert lab.command("run").rc == 78 and not sink.log and not lab.state_dir.exists()


def test_all_mistakes_are_reported_in_one_go(lab, sink):
    text = good(lab, sink).replace("source: wh,", "source: wx,").replace("mode: upsert", "mode: upsrt, colour: red")
    lab.write(text.replace("type: webhook", "type: webhook, shape: round"))
    done = lab.command("check")
    assert done.rc == 78
    for line, word in ((5, "wx"), (7, "shape"), (9, "upsrt"), (9, "colour")):
        assert any(word in entry for entry in places(done.text, line)), f"{word}: {done.text}"


def test_a_broken_file_is_named_with_its_place(lab, sink):
    lab.write(good(lab, sink) + "syncs: [\n")
    done = lab.command("check")
    assert done.rc == 78 and places(done.text, "1[01]"), done.text


def test_a_name_defined_twice_is_named_with_both_places(lab, sink):
    lab.write(good(lab, sink))
    lab.write("models:\n  m: {source: wh, primary_key: id, sql: select 2 as id}\n", "more.yml")
    done = lab.command("check")
    assert done.rc == 78 and "more.yml:2:" in done.text and "sluice.yaml" in done.text


def test_settings_stand_in_one_file_only(lab, sink):
    lab.write(good(lab, sink))
    lab.write("settings: {state_dir: elsewhere}\n", "sub/more.yaml")
    done = lab.command("check")
    assert done.rc == 78 and "settings" in done.text


def test_files_of_a_project_are_merged_and_foreign_ones_named(lab, sink):
    parts = re.split(r"(?m)^(?=models:|syncs:)", good(lab, sink))
    lab.write(parts[0], "a.yaml")
    lab.write(parts[1], "models/b.yml")
    lab.write(parts[2], "c.yaml")
    lab.write("version: 2\nsomething: else\n", "foreign.yaml")
    lab.write("syncs: {broken: [}\n", ".hidden/d.yaml")
    lab.write("syncs: {broken: {nothing: right}}\n", "node_modules/e.yaml")
    done = lab.command("check")
    assert done.rc == 0 and "foreign.yaml" in done.text and "d.yaml" not in done.text, done
    assert lab.good_run().counts("succeeded") == (1,)


def test_a_value_from_the_environment_cannot_change_the_structure(lab, sink):
    lab.write(good(lab, sink).replace(f'"{sink.url}"', '"${HOOK_URL}"').replace("type: webhook", 'type: webhook, bearer: "${EVIL:-a}"'))
    env = {"HOOK_URL": sink.url, "EVIL": 'x", concurrency: 0, url: "http://127.0.0.1:1'}
    done = lab.run(env=env)
    assert done.rc == 0 and sink.log[0].headers["authorization"] == "Bearer " + env["EVIL"]


def test_a_line_break_in_a_secret_cannot_add_a_header(lab, sink):
    lab.write(good(lab, sink).replace("type: webhook", 'type: webhook, bearer: "${EVIL}"'))
    done = lab.command("run", env={"EVIL": "x\r\nX-Evil: 1"})
    assert not any("x-evil" in q.headers for q in sink.log) and done.rc == 78


def test_yaml_words_that_other_readers_take_for_booleans_stay_text(lab, sink):
    lab.write(good(lab, sink).replace("mappings: all", "mappings: [{value: no, to: a}, {value: 'yes', to: b}, {value: 1.50, to: c}, {value: null, to: d}]"))
    lab.good_run()
    assert sink.log[0].records[0]["fields"] == {"a": "no", "b": "yes", "c": 1.5, "d": None}


def test_an_empty_folder_says_what_to_do(lab):
    done = lab.command("check")
    assert done.rc == 78 and ".yaml" in done.text


def test_an_unknown_sync_is_named_with_a_suggestion(lab, sink):
    lab.write(good(lab, sink).replace("  s: {", "  customers: {"))
    done = lab.command("run", "custmers")
    assert done.rc in (64, 78) and "custmers" in done.text and "customers" in done.text and not sink.log
