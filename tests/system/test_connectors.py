"""What connectors can do is told by `sluice connectors` and kept by `sluice check`."""
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

PROJECT = """settings: {{state_dir: {state}}}
sources: {{wh: {{type: postgres, url: "{url}"}}}}
models: {{m: {{source: wh, primary_key: email, sql: "select 'a@b.c' as email, 'Ann' as name"}}}}
connectors:
  crm:
    title: A CRM of our own
    notes: Speaks to itself.
    options:
      token: {{secret: true, about: key of the API}}
      base_url: {{default: "http://127.0.0.1:9"}}
    auth: [{{when: options.token, headers: {{Authorization: "Bearer {{{{options.token}}}}"}}}}]
    limits: [{{requests: 100, per: 10s}}]
    objects:
      contacts:
        about: people
        keys: {{email: {{type: text}}}}
        fields: {{email: {{}}, name: {{type: text, about: "whole, or first | last"}}}}
        modes: [upsert, mirror]
        remove: [delete]
        repeat: keyed
        max_records: 100
        requests:
          upsert: {{url: "{{{{options.base_url}}}}/up", body: {{json: {{$records: {{key: "{{{{key}}}}", $fields: {{}}}}}}}}}}
          delete: {{url: "{{{{options.base_url}}}}/del", body: {{json: {{$records: "{{{{key}}}}"}}}}}}
destinations: {{d: {{type: crm, token: hunter2-hunter2}}}}
syncs: {{s: {{model: m, destination: d, object: contacts, mappings: [email, name]}}}}
"""


def project(lab):
    return PROJECT.format(state=lab.state_dir, url=lab.warehouse_url)


def test_the_list_names_connectors_objects_and_modes(lab):
    lab.write(project(lab))
    done = lab.command("connectors")
    assert done.rc == 0, done
    lines = done.out.splitlines()
    own = next(i for i, line in enumerate(lines) if line.startswith("crm "))
    assert "project" in lines[own] and "A CRM of our own" in lines[own]
    assert lines[own + 1].split() == ["contacts:", "upsert,", "mirror"]
    assert any(line.startswith("webhook ") for line in lines)


def test_the_list_as_json_has_one_object_per_connector(lab):
    lab.write(project(lab))
    done = lab.command("connectors", "--json")
    assert done.rc == 0 and len(done.lines) == len(done.out.splitlines())
    own = next(c for c in done.lines if c["name"] == "crm")
    assert own["builtin"] is False and own["title"] == "A CRM of our own"
    assert own["objects"] == [{"name": "contacts", "modes": ["upsert", "mirror"], "remove": ["ignore", "delete"]}]
    assert next(c for c in done.lines if c["name"] == "webhook")["builtin"] is True


def test_connectors_are_listed_outside_of_a_project(lab):
    assert not list(lab.project_dir.glob("*.y*ml"))
    done = lab.command("connectors")
    assert done.rc == 0 and "webhook" in done.out and not done.err, done
    assert lab.command("connectors", "show", "webhook").rc == 0


def test_show_tells_everything_about_one(lab):
    lab.write(project(lab))
    done = lab.command("connectors", "show", "crm")
    assert done.rc == 0, done
    for words in ("## crm", "A CRM of our own", "Speaks to itself.", "| `token` | text, secret |", "key of the API",
                  "`http://127.0.0.1:9`", "`token`: in a header", "100 requests per 10s", "### `contacts`", "people",
                  "| keys | `email` (text) |", "whole, or first \\| last", "| modes | upsert, mirror |", "| removal | ignore, delete |",
                  "100 records and 4MiB a request", "at least once; a repeat has no effect as long as the vendor remembers"):
        assert words in done.out, words
    assert "hunter2" not in done.out


def test_show_as_json_is_one_object(lab):
    lab.write(project(lab))
    done = lab.command("connectors", "show", "crm", "--json")
    assert done.rc == 0 and len(done.lines) == 1
    crm = done.lines[0]
    assert [(o["name"], o["secret"]) for o in crm["options"]] == [("token", True), ("base_url", False)]
    assert crm["auth"] == [{"way": "header", "options": ["token"], "rotates": False}]
    assert crm["limits"] == [{"requests": 100, "per_ms": 10000, "group": None, "when": None}]
    contacts = crm["objects"][0]
    assert contacts["keys"][0]["name"] == "email" and contacts["max_records"] == 100 and contacts["repeat"] == "keyed"
    assert contacts["conflicts"] == {"set_if_empty": None, "create_only": None, "newest_wins": None, "merge_arrays": None}


def test_a_name_that_is_not_there_and_words_that_are_too_many(lab):
    done = lab.command("connectors", "show", "webhok")
    assert done.rc == 64 and "did you mean webhook?" in done.err
    for words in (["show"], ["list"], ["show", "webhook", "more"]):
        assert lab.command("connectors", *words).rc == 64, words


def test_the_page_of_connectors_is_what_the_command_prints(lab):
    done = lab.command("connectors", "--markdown")
    assert done.rc == 0
    page = ROOT / "worker/connectors/README.md"
    assert page.read_text() == done.out, "write it anew: sluice connectors --markdown > worker/connectors/README.md"


@pytest.mark.parametrize("old, new, words", [
    ("object: contacts", "object: contact", 'crm has no object "contact": did you mean "contacts"?'),
    ("object: contacts, ", "object: contacts, mode: insert, ", "takes (upsert, mirror)"),
    ("object: contacts, ", "object: contacts, on_removed: clear, ", "takes (ignore, delete)"),
    ("object: contacts, ", "object: contacts, identify_by: name, ", "one of its keys (email)"),
    ("[email, name]", "[email, nam]", 'did you mean "name"?'),
    ("[email, name]", "[email, {value: 5, to: name}]", "is text"),
    ("[email, name]", "[email, {from: name, to: name, on_conflict: set_if_empty}]", "what it can (on_conflict: overwrite)"),
    ("token: hunter2-hunter2", "tokn: hunter2-hunter2, token: x", 'did you mean "token"?'),
    (", token: hunter2-hunter2", "", "no credentials: add `token`"),
    ("  crm:\n", "  webhook:\n", "is built in"),
])
def test_check_refuses_what_the_connector_cannot_do(lab, old, new, words):
    right = project(lab)
    assert old in right
    lab.write(right.replace(old, new, 1))
    done = lab.command("check")
    assert done.rc == 78 and words in done.text and "hunter2" not in done.text, done.text
    lab.write(right)
    assert lab.command("check").rc == 0


@pytest.mark.parametrize("destination, object_name, key, words", [
    ("{type: postgres, url: \"postgresql://h/e\"}", None, "id", "no `object`: write its name at postgres, for rows of a table"),
    ("{type: meta, access_token: t}", "audience/Lookers", "EMAIL", "meta audience/* needs `ad_account` of its destination"),
    ("{type: linkedin, access_token: t}", "segment/Lookers", "SHA256_EMAIL", "linkedin segment/* needs `ad_account`"),
    ("{type: mixpanel, service_account: a, service_secret: s, project_id: 1}", "users", "distinct_id", "mixpanel users needs `token`"),
    ('{type: zendesk, base_url: "https://x.zendesk.com"}', "users", "external_id", "no credentials: add `oauth_token`, or `email` and `token`"),
])
def test_check_names_what_the_object_needs(lab, destination, object_name, key, words):
    lab.write(f"""
sources: {{w: {{type: postgres, url: "postgresql://h/d"}}}}
models: {{m: {{source: w, primary_key: id, sql: "select 1 as id"}}}}
destinations: {{d: {destination}}}
syncs: {{s: {{model: m, destination: d, {f"object: {object_name}, " if object_name else ""}identify_by: {key}, mappings: [{{from: id, to: {key}}}]}}}}
""")
    done = lab.command("check")
    assert done.rc == 78 and words in done.text and "1 mistake" in done.text, done.text


@pytest.mark.parametrize("destination, others", [
    ('{type: braze, base_url: "https://rest.iad-01.braze.com", token: t}', "external_id, braze_id"),
    ('{type: zendesk, base_url: "https://x.zendesk.com", oauth_token: t}', "external_id"),
])
def test_people_whom_only_an_address_names_cannot_be_deleted_everywhere(lab, destination, others):
    def check(mode):
        lab.write(f"""
sources: {{w: {{type: postgres, url: "postgresql://h/d"}}}}
models: {{m: {{source: w, primary_key: id, sql: "select 1 as id, 'a' as email"}}}}
destinations: {{d: {destination}}}
syncs: {{s: {{model: m, destination: d, object: users, mode: {mode}, identify_by: email, mappings: [email]}}}}
""")
        return lab.command("check")
    refused = check("mirror")
    assert refused.rc == 78 and 'named by "email"' in refused.text and f"(`identify_by`: {others})" in refused.text, refused.text
    assert check("upsert").rc == 0


def test_fields_of_mappings_all_are_judged_when_the_run_starts(lab):
    lab.write(project(lab).replace("[email, name]", "all").replace("as name", "as nickname"))
    assert lab.command("check").rc == 0
    done = lab.command("run")
    assert done.rc == 2 and "nickname, which crm contacts does not have" in done.text, done.text


def test_a_refresh_token_that_changes_is_not_for_several_workers_without_a_seal_key(lab):
    rotating = project(lab).replace(
        'auth: [{when: options.token, headers: {Authorization: "Bearer {{options.token}}"}}]',
        'auth: {headers: {Authorization: "Bearer {{auth.token}}"}, token: {grant: refresh_token, rotates: true, '
        'url: "{{options.base_url}}/token", refresh: "{{options.token}}", form: {refresh_token: "{{auth.refresh}}"}, '
        'capture: {token: {json: /access_token}, refresh: {json: /refresh_token}}, lifetime: 30m}}')
    lab.write(rotating)
    done = lab.command("check")
    assert done.rc == 0 and "settings.seal_key" in done.text, done.text
    done = lab.command("run", "--workers", "2")
    assert done.rc == 78 and "settings.seal_key" in done.err, done
    lab.write(rotating.replace("state_dir:", f"seal_key: {'0f' * 32}, state_dir:"))
    assert "seal_key" not in lab.command("check").text
