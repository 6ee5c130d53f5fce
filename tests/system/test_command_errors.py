"""`sluice errors --export`: every refused record in a file that other programs read."""
import csv
import json
import subprocess

import pytest

from harness.sink import record_errors

WORDS = 'no "quotes", no\nline breaks; é'


@pytest.fixture
def refused(lab, sink):
    """Two syncs, 3000 refusals in one and one in the other."""
    lab.customers(3000)
    lab.project({"m": {"sql": "select * from c"}, "one": {"sql": "select id, name from c where id = 5"}}, {"hook": {"url": sink.url}},
                {"s": {"model": "m", "destination": "hook"}, "t": {"model": "one", "destination": "hook"}})
    sink.behave = lambda q: record_errors(*((i, WORDS, False) for i in range(len(q.records))))
    assert lab.run().rc == 1
    return lab


def test_all_records_as_ndjson_and_csv(refused):
    for name in ("all.ndjson", "all.jsonl", "all.csv"):
        done = refused.command("errors", "--export", refused.root / name)
        assert done.rc == 0 and "3,001 records written" in done.out, done
        assert (refused.root / name).stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in (refused.root / "all.ndjson").read_text().splitlines()]
    assert {(r["sync"], r["key"]["id"]) for r in lines} == {("s", i) for i in range(1, 3001)} | {("t", 5)}
    assert all(r["verdict"] == "rejected" and r["message"].startswith('no "quotes"') for r in lines)
    assert (refused.root / "all.jsonl").read_text() == (refused.root / "all.ndjson").read_text()
    with open(refused.root / "all.csv", newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    assert [(r["sync"], json.loads(r["key"]), r["message"], r["run"], r["time"]) for r in rows] == \
           [(r["sync"], r["key"], r["message"], r["run"], r["time"]) for r in lines]


def test_what_the_other_options_choose(refused):
    out = refused.root / "some.csv"
    done = refused.command("errors", "s", "--key", '"id":77}', "--export", out)
    assert done.rc == 0 and "1 record written" in done.out and len(out.read_text().splitlines()) >= 2
    piped = refused.command("errors", "t", "--export", "-")
    assert piped.rc == 0 and [r["key"] for r in piped.lines] == [{"id": 5}] and piped.out.count("\n") == 1
    assert refused.command("errors", "s", "--limit", "10", "--export", refused.root / "ten.ndjson").rc == 0
    assert len((refused.root / "ten.ndjson").read_text().splitlines()) == 10
    assert refused.command("errors", "--message", "nobody said this", "--export", refused.root / "none.csv").rc == 0
    assert (refused.root / "none.csv").read_text() == "sync,verdict,key,message,run,time,kills\n"


@pytest.mark.parametrize("name, words", [("all.xlsx", ".csv"), ("all", ".csv"), ("no/such/folder.csv", "cannot be written"), ("there.csv", "there already")])
def test_mistakes(lab, sink, name, words):
    lab.customers(3)
    lab.simple(sink)
    (lab.root / "there.csv").write_text("mine")
    done = lab.command("errors", "--export", lab.root / name)
    assert done.rc in (64, 2) and words in done.err, done
    assert (lab.root / "there.csv").read_text() == "mine"


def test_before_the_first_run_there_is_only_the_head(lab, sink):
    lab.customers(3)
    lab.simple(sink)
    done = lab.command("errors", "--export", lab.root / "x.csv")
    assert done.rc == 0 and "0 records" in done.out and (lab.root / "x.csv").read_text().startswith("sync,")


def test_output_that_cannot_be_written_is_told(refused):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([refused.bin / "sluice", "errors", "--export", "-"], cwd=refused.project_dir, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2 and b"No space left" in done.stderr
