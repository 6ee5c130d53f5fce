"""`sluice init`: a project folder from a table and a connector, which then works as it stands."""
import os
import pty
import re
import select
import subprocess

import pytest

from harness.sink import wait_until

SECRET = "s3cret-word"
TOKEN = "pat-na1-0f1e2d3c4b5a"


@pytest.fixture
def people(lab):
    lab.sql("create table people (customer_id bigint primary key, \"E-Mail\" text, first_name text, Surname text, phone_number text, "
            "postcode text, lifetime_value numeric)")
    lab.sql("insert into people select g, 'u' || g || '@example.org', 'F' || g, 'L' || g, '+49301234' || g, '10115', g from generate_series(1, 30) g")
    return lab


def init(lab, *args, env=None, directory="shop"):
    return lab.command("init", directory, *args, env={"WAREHOUSE_URL": lab.warehouse_url, **(env or {})})


def written(lab, directory="shop"):
    return (lab.project_dir / directory / "sluice.yaml").read_text()


def test_the_folder_it_writes_for_hubspot_is_right_and_syncs(people, vendors):
    hub = vendors.add("hubspot", token=TOKEN)
    done = init(people, "--table", "people", "--connector", "hubspot", "--object", "contacts", "--set", f"base_url={hub.url}")
    assert done.rc == 0, done.text
    text = written(people)
    for column, field in (("E-Mail", "email"), ("first_name", "firstname"), ("surname", "lastname"), ("phone_number", "phone"), ("postcode", "zip")):
        assert re.search(rf'^      - {{from: "?{column}"?, to: {field}}}$', text, re.M), (column, text)
    assert re.search(r"^      # - {from: lifetime_value", text, re.M), "HubSpot refuses properties that it does not have"
    assert "primary_key: customer_id" in text and "identify_by: email" in text and '"${HUBSPOT_TOKEN}"' in text
    assert ".sluice/" in (people.project_dir / "shop/.gitignore").read_text()
    assert "sluice plan" in done.out and "sluice run" in done.out and "HUBSPOT_TOKEN" in done.out

    env = {"WAREHOUSE_URL": people.warehouse_url, "HUBSPOT_TOKEN": TOKEN}
    assert people.command("-C", "shop", "check", "--connect", env=env).rc == 0
    plan = people.command("-C", "shop", "plan", env=env)
    assert plan.rc == 0 and "u1@example.org" in plan.out and TOKEN not in plan.text, plan
    assert vendors.objects("hubspot", "contacts") == {}
    run = people.run("-C", "shop", env=env)
    assert run.rc == 0 and run.counts("planned", "succeeded") == (30, 30)
    assert vendors.objects("hubspot", "contacts")["u7@example.org"] == {
        "email": "u7@example.org", "firstname": "F7", "lastname": "L7", "phone": "+493012347", "zip": "10115"}


# What a person has to say because it cannot be guessed.
SAID = {
    "airtable": ["--object", "tbl1"], "amplitude": ["--object", "users"], "braze": ["--object", "users"],
    "customerio": ["--object", "people"], "google": ["--object", "audience/1"], "intercom": ["--object", "contacts"],
    "iterable": ["--object", "users"], "klaviyo": ["--object", "profiles"], "linkedin": ["--object", "segment/x"],
    "mailchimp": ["--object", "list/x"], "marketo": ["--object", "leads"], "meta": ["--object", "audience/x"],
    "mixpanel": ["--object", "users"], "postgres": ["--object", "t"], "salesforce": ["--object", "Contact", "--map", "customer_id=Ext_Id__c", "--identify-by", "Ext_Id__c"],
    "segment": ["--object", "identify"], "slack": ["--object", "messages"], "tiktok": ["--object", "audience/x"],
    "zendesk": ["--object", "users"], "hubspot": ["--object", "contacts"], "webhook": [],
}


def test_every_connector_gets_a_folder_that_passes_check_or_is_told_what_lacks(people):
    env = {"WAREHOUSE_URL": people.warehouse_url}
    names = [c["name"] for c in people.command("connectors", "--json").lines if c["name"] != "http"]
    assert len(names) > 20
    made, lacking = 0, {}
    for name in names:
        done = init(people, "--table", "people", "--connector", name, *SAID[name], directory=name)
        if done.rc:
            assert done.rc in (64, 78) and "--" in done.err and not (people.project_dir / name).exists(), done
            lacking[name] = done.err
            continue
        made += 1
        variables = re.findall(r"\$\{(\w+)\}", written(people, name))
        values = {v: "http://127.0.0.1/" if v.endswith("_URL") else "1" for v in variables}
        check = people.command("-C", name, "check", env={**values, **env})
        assert check.rc == 0, (name, check.text)
    assert made >= 18, f"most connectors need nothing more, but: {lacking}"


def test_a_webhook_gets_every_column_and_takes_a_query(people, sink):
    done = init(people, "--query", "select customer_id as id, first_name from people where customer_id <= 5", "--connector", "webhook")
    assert done.rc == 0, done.text
    assert "primary_key: id" in written(people) and "a guess" in written(people)
    run = people.run("-C", "shop", env={"WAREHOUSE_URL": people.warehouse_url, "WEBHOOK_URL": sink.url})
    assert run.rc == 0 and run.counts("planned") == (5,)


def test_nothing_is_overwritten_and_what_is_there_is_named(people):
    folder = people.project_dir / "shop"
    folder.mkdir()
    (folder / "precious.txt").write_text("mine")
    done = init(people, "--table", "people", "--connector", "webhook")
    assert done.rc == 64 and "precious.txt" in done.err
    assert [p.name for p in folder.iterdir()] == ["precious.txt"] and (folder / "precious.txt").read_text() == "mine"
    (folder / "precious.txt").unlink()
    (folder / ".git").mkdir()
    assert init(people, "--table", "people", "--connector", "webhook").rc == 0, "a fresh repository is nothing"
    assert init(people, "--table", "people", "--connector", "webhook").rc == 64, "a second time"


@pytest.mark.parametrize("args, words", [
    (["--table", "peple", "--connector", "webhook"], "did you mean people?"),
    (["--table", "people", "--connector", "hubspt", "--object", "contacts"], "did you mean hubspot?"),
    (["--table", "people", "--connector", "klaviyo"], "--object"),
    (["--table", "people", "--connector", "klaviyo", "--object", "profils"], "profiles"),
    (["--table", "people"], "--connector"),
    (["--connector", "webhook"], "--table"),
    (["--table", "people", "--query", "select 1", "--connector", "webhook"], "--query"),
    (["--query", "delete from people", "--connector", "webhook"], "SELECT"),
    (["--query", "select first_name from people", "--connector", "webhook"], "--primary-key"),
    (["--table", "people", "--connector", "webhook", "--primary-key", "customer_ids"], "customer_id?"),
    (["--table", "people", "--connector", "webhook", "--map", "frist_name=x"], "first_name?"),
    (["--table", "people", "--connector", "webhook", "--map", "first_name"], "COLUMN=FIELD"),
    (["--table", "people", "--connector", "hubspot", "--object", "contacts", "--set", f"token={SECRET}"], "environment"),
    (["--table", "people", "--connector", "hubspot", "--object", "contacts", "--set", "tokn=x"], "no such option"),
    (["--query", "select customer_id, first_name from people", "--primary-key", "customer_id", "--connector", "hubspot", "--object", "contacts"], "email"),
    (["--table", "people", "--connector", "http"], "by hand"),
])
def test_mistakes_are_told_with_what_to_do_and_nothing_is_written(people, args, words):
    done = init(people, *args)
    assert done.rc in (64, 2, 78) and words in done.err, done
    assert SECRET not in done.err
    assert not (people.project_dir / "shop").exists()


def test_a_table_without_privilege_or_a_server_that_is_not_there_is_told(people, postgres):
    people.sql("create role nobody_here login")
    try:
        url = postgres.url(people.database, user="nobody_here")
        done = people.command("init", "shop", "--url", url, "--table", "people", "--connector", "webhook")
        assert done.rc == 2 and "permission denied" in done.err, done
    finally:
        people.sql("drop role nobody_here")
    gone = f"postgresql://me:{SECRET}@/x?host=/nowhere"
    done = people.command("init", "shop", "--url", gone, "--table", "people", "--connector", "webhook")
    assert done.rc == 69 and SECRET not in done.text, done
    done = people.command("init", "shop", "--url", "NO_SUCH_VARIABLE", "--table", "people", "--connector", "webhook")
    assert done.rc == 64 and "NO_SUCH_VARIABLE" in done.err
    assert not (people.project_dir / "shop").exists()


def test_a_url_given_by_hand_is_not_written(people):
    url = people.warehouse_url.replace("postgres@", f"postgres:{SECRET}@")
    assert url != people.warehouse_url
    done = people.command("init", "shop", "--url", url, "--table", "people", "--connector", "webhook", env={"WAREHOUSE_URL": ""})
    assert done.rc == 0, done
    assert SECRET not in written(people) + done.text and "${WAREHOUSE_URL}" in written(people) and "export WAREHOUSE_URL" in done.out
    done = people.command("init", "other", "--url", "SHOP_DB", "--table", "people", "--connector", "webhook", "--json", env={"SHOP_DB": url})
    assert done.rc == 0 and done.lines[0]["variables"] == ["SHOP_DB", "WEBHOOK_URL"] and done.lines[0]["mapped"] == 7
    assert "${SHOP_DB}" in written(people, "other")


def test_without_a_primary_key_a_unique_index_without_nulls_is_taken(people):
    people.sql("create table u (a int not null, b int not null, c int, maybe int unique); create unique index on u (b, a)")
    assert init(people, "--table", "u", "--connector", "webhook").rc == 0
    assert "primary_key: [b, a]" in written(people)
    people.sql('create schema "Odd One"; create table "Odd One"."My Table" ("The Id" int primary key, "yes" text)')
    done = init(people, "--table", '"Odd One"."My Table"', "--connector", "webhook", directory="odd")
    assert done.rc == 0 and 'primary_key: "The Id"' in written(people, "odd") and '{from: "yes", to: "yes"}' in written(people, "odd")


def converse(command, cwd, env, answers):
    """Answers each question of a program that has a terminal; gives its exit status and what it said."""
    master, slave = pty.openpty()
    child = subprocess.Popen(command, cwd=cwd, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    said = ""
    left = list(answers)

    def step():
        nonlocal said
        if select.select([master], [], [], 0.2)[0]:
            try:
                said += os.read(master, 65536).decode()
            except OSError:
                return True
        if left and left[0][0] in said.rsplit("\n", 1)[-1] and said.endswith(": "):
            os.write(master, (left.pop(0)[1] + "\n").encode())
        return False
    try:
        wait_until(step, 60, "the end of the conversation")
        return child.wait(30), said
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        os.close(master)


def test_in_a_terminal_it_asks_for_what_is_not_given(people):
    env = {k: v for k, v in os.environ.items() if k != "WAREHOUSE_URL"}
    rc, said = converse([people.bin / "sluice", "init", "shop"], people.project_dir, env,
                        [("database", people.warehouse_url), ("a table", "people"), ("a connector", "hubspot"), ("an object", "contacts")])
    assert rc == 0, said
    assert "  people" in said and "hubspot" in said, "it shows what there is to choose from"
    assert "object: contacts" in written(people) and "table: people" in written(people)
