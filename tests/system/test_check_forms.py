"""`sluice check` as a pull request runs it: without the secrets, and in the forms that GitHub and GitLab show beside the lines."""
import json
import re

PROJECT = """\
settings: {state_dir: "${STATE}", redis: "${file:/nowhere/redis_url}", seal_key: "${SEAL}", listen: "${LISTEN}"}
sources: {warehouse: {type: postgres, url: "${WAREHOUSE_URL}"}}
models: {m: {source: warehouse, primary_key: id, table: "${TABLE}"}}
destinations:
  hook: {type: webhook, url: "${HOOK_URL}", bearer: "${HOOK_TOKEN}", sign: {secret: "${file:$CREDENTIALS/sign}"}}
  crm: {type: hubspot, token: "${CRM_TOKEN}", quota: "${QUOTA}"}
  table: {type: postgres, url: "${TABLE_URL}"}
syncs:
  one: {model: m, destination: hook, mappings: all, schedule: {every: "${EVERY}"}, guard: {max_removed: "${GUARD}"}}
  two: {model: m, destination: crm, object: "${OBJECT}", identify_by: email, mappings: [email]}
  three: {model: m, destination: table, object: t, mode: "${MODE}", mappings: [{from: "${COLUMN}", to: id}]}
alerts: {ops: {type: slack, url: "${SLACK_URL}"}}
"""
BROKEN = PROJECT.replace("destination: hook", "destination: hok").replace("primary_key", "primary key")


def test_without_secrets_mistakes_are_found_and_missing_secrets_are_none(lab):
    lab.write(PROJECT)
    done = lab.command("check", "--no-secrets")
    assert done.rc == 0 and done.out == "ok: 1 source, 1 model, 3 destinations, 3 syncs\n", done
    assert len(re.findall("is not set|cannot be read|names no folder", lab.command("check").out)) == 18
    lab.write(BROKEN)
    done = lab.command("check", "--no-secrets")
    assert done.rc == 78 and "hok" in done.out and "primary key" in done.out and "3 mistakes" in done.out, done


def test_a_secret_that_is_there_is_looked_at(lab):
    lab.write(PROJECT)
    done = lab.command("check", "--no-secrets", env={"MODE": "mirrored", "EVERY": "5m"})
    assert done.rc == 78 and "1 mistake\n" in done.out and "`mode`" in done.out and "mirrored" not in done.out, done


def test_a_secret_that_is_missing_is_not_told_twice(lab):
    lab.write("destinations: {crm: {type: hubspot, token: '${CRM_TOKEN}'}}")
    assert lab.command("check").out.splitlines()[1:] == ["1 mistake"]


def test_annotations_for_github_name_files_from_the_root_of_the_repository(lab):
    lab.write(BROKEN, "shop/sluice.yaml")
    done = lab.command("check", "-C", "shop", "--no-secrets", "--format", "github")
    lines = [line for line in done.out.splitlines() if line.startswith("::")]
    assert done.rc == 78 and len(lines) == 3 and done.out.endswith("3 mistakes\n"), done
    assert all(re.match(r"::error file=shop/sluice\.yaml,line=\d+,col=\d+,title=sluice check::\S", line) for line in lines), lines
    assert "line=9,col=32" in [line for line in lines if "hok" in line][0]
    lab.write(PROJECT, "shop/sluice.yaml")
    done = lab.command("check", "-C", lab.project_dir / "shop", "--no-secrets", "--format", "github")
    assert done.rc == 0 and "::" not in done.out


def test_a_report_for_gitlab_is_all_that_is_on_standard_output(lab):
    lab.write(BROKEN, "shop/sluice.yaml")
    done = lab.command("check", "-C", "shop", "--no-secrets", "--format", "gitlab")
    report = json.loads(done.out)
    assert done.rc == 78 and {i["location"]["path"] for i in report} == {"shop/sluice.yaml"}
    assert len({i["fingerprint"] for i in report}) == 3 and "sluice.yaml:9:32: " in done.err
    lab.write(PROJECT, "shop/sluice.yaml")
    done = lab.command("check", "-C", "shop", "--no-secrets", "--format", "gitlab")
    assert done.rc == 0 and json.loads(done.out) == [] and "ok: 1 source" in done.err


def test_what_is_not_there_is_annotated_too(lab, sink):
    lab.customers(1)
    lab.simple(sink, sql="select id, emial from c")
    done = lab.command("check", "--connect", "--format", "github")
    assert done.rc == 78 and re.search(r"^::error title=sluice check --connect::model m: .*emial", done.out, re.M), done
    assert "ok      source warehouse" in done.out
    done = lab.command("check", "--connect", "--format", "gitlab")
    assert done.rc == 78 and json.loads(done.out) == [] and "FAILED  model m" in done.err


def test_what_excludes_each_other_is_said(lab):
    lab.write(PROJECT)
    for args, words in ((("--format", "jenkins"), "github or gitlab, not jenkins"), (("--format", "github", "--json"), "exclude"),
                        (("--connect", "--no-secrets"), "--no-secrets says")):
        done = lab.command("check", *args)
        assert done.rc == 64 and words in done.err and not done.out, done
