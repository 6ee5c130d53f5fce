"""`sluice state`: export, import and backup; what is restored is as old as it says."""
import subprocess

import pytest

from harness.sink import refuse, wait_until


def accepted(lab):
    return lab.command("status", "--json").lines[0]["accepted"]


def prepared(lab, sink, **more):
    """A state with accepted, refused and identified records, and runs."""
    lab.customers(500)
    lab.simple(sink, identify_by="email", **more)
    sink.behave = lambda q: refuse(422, "no such person") if "u7@example.org" in {r["key"]["email"] for r in q.records} else None
    assert lab.run().rc == 1
    sink.behave = None


def move_state_away(lab):
    lab.state_dir.rename(lab.root / "lost")


def test_an_export_brings_everything_back(lab, sink):
    prepared(lab, sink)
    errors, runs = lab.command("errors", "--json").out, lab.command("runs", "--json").out
    out = lab.root / "state.export"
    done = lab.command("state", "export", out, "--json")
    assert done.rc == 0 and done.lines[0]["pairs"] > 500 and out.stat().st_mode & 0o777 == 0o600, done
    move_state_away(lab)
    assert lab.command("state", "import", out).rc == 0
    assert (lab.command("errors", "--json").out, lab.command("runs", "--json").out, accepted(lab)) == (errors, runs, 499)
    mark = len(sink.log)
    done = lab.good_run()
    assert done.counts("unchanged", "quarantined", "planned") == (499, 1, 0) and len(sink.log) == mark, "nothing is sent again"
    lab.sql("delete from c where id between 10 and 19")
    assert lab.good_run().counts("removed") == (10,)
    assert lab.command("state", "export", out).rc == 64, "never over a file that is there"


def test_a_stream_goes_through_a_pipe(lab, sink):
    prepared(lab, sink)
    exported = subprocess.run([lab.bin / "sluice", "state", "export", "-"], cwd=lab.project_dir, stdout=subprocess.PIPE, check=True).stdout
    move_state_away(lab)
    subprocess.run([lab.bin / "sluice", "state", "import", "-"], cwd=lab.project_dir, input=exported, stdout=subprocess.DEVNULL, check=True)
    assert accepted(lab) == 499


def test_import_asks_before_it_replaces(lab, sink):
    prepared(lab, sink)
    out = lab.root / "state.export"
    assert lab.command("state", "export", out).rc == 0
    lab.customers(100, first=1001)
    lab.good_run()
    assert accepted(lab) == 599
    done = lab.command("state", "import", out)
    assert done.rc == 64 and "--replace" in done.err and accepted(lab) == 599
    assert lab.command("state", "import", out, "--replace").rc == 0 and accepted(lab) == 499
    done = lab.good_run()
    assert done.counts("added", "unchanged") == (100, 499), "what came later is sent again"


@pytest.mark.parametrize("change", ["cut", "flip", "longer", "later", "text", "empty"])
def test_a_damaged_export_changes_nothing(lab, sink, change):
    prepared(lab, sink)
    out = lab.root / "state.export"
    assert lab.command("state", "export", out).rc == 0
    data = out.read_bytes()
    middle = len(data) // 2
    bad = {"cut": data[:middle], "flip": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:], "longer": data + b"x",
           "later": data.replace(b"\xa7version\xcf\0\0\0\0\0\0\0\x01", b"\xa7version\xcf\0\0\0\0\0\0\0\x02"), "text": b"{}\n", "empty": b""}[change]
    assert bad != data
    out.write_bytes(bad)
    done = lab.command("state", "import", out, "--replace")
    assert done.rc != 0 and done.err.strip() and accepted(lab) == 499, done
    assert "later version" in done.err if change == "later" else "damaged" in done.err or "not an export" in done.err
    assert lab.good_run().counts("unchanged") == (499,) and not (lab.state_dir / "state.new").exists()


def test_a_restored_state_is_noticed_by_redis_and_nothing_is_lost(lab, sink, redis_servers):
    server = redis_servers()
    prepared(lab, sink, settings={"redis": server.url})
    out = lab.root / "state.export"
    assert lab.command("state", "export", out).rc == 0
    lab.sql("update c set name = 'later' where id <= 50 and id <> 7")
    assert lab.good_run().counts("changed") == (49,)
    lab.sql("update c set name = 'Name ' || id where id <= 50 and id <> 7")  # as the old state knows them, but not as the destination has them
    assert lab.command("state", "import", out, "--replace").rc == 0
    done = lab.good_run()
    assert done.counts("changed", "succeeded") == (499, 499), "every row is sent again"
    assert {r["name"] for k, r in sink.state.items() if "u7@" not in k} == {f"Name {i}" for i in range(1, 501) if i != 7}
    assert lab.good_run().counts("planned") == (0,), "once"


def test_a_backup_beside_a_run_is_whole(lab, sink):
    prepared(lab, sink, batch_size=20)
    lab.sql("update c set name = 'changed' where id <> 7")
    mark = len(sink.log)
    sink.hold(lambda q: len(sink.log) > mark + 5)
    running = lab.start_run()
    wait_until(lambda: sink.count_held() >= 1, 60, "a request that hangs")
    copy = lab.root / "backup"
    done = lab.command("state", "backup", copy)
    assert done.rc == 0 and "1 runs that were under way are failed there" in done.out, done
    again = lab.command("state", "backup", copy)
    assert again.rc == 64 and "has a state already" in again.err
    busy = lab.command("state", "import", lab.root / "nothing")
    assert busy.rc == 64
    assert lab.command("state", "export", lab.root / "e").rc == 0
    busy = lab.command("state", "import", lab.root / "e", "--replace")
    assert busy.rc == 75 and str(running.pid) in busy.err
    sink.release()
    assert running.wait().rc == 0

    move_state_away(lab)
    copy.rename(lab.state_dir)
    runs = lab.command("runs", "--json").lines
    assert runs[0]["status"] == "failed" and "restored" in runs[0]["error"]
    done = lab.good_run()
    assert len(done.runs) == 1 and done.last["planned"] > 0 and done.last["changed"] + done.last["unchanged"] == 499
    assert len(sink.state) == 499 and {r["name"] for r in sink.state.values()} == {"changed"}
    assert lab.good_run().counts("planned") == (0,)


@pytest.mark.parametrize("args, words", [([], "needs"), (["export"], "needs"), (["exprot", "x"], "export, import, backup or drop"),
                                         (["import", "/nowhere/x"], "cannot be read"), (["export", "/nowhere/x"], "cannot be written")])
def test_mistakes_are_told(lab, sink, args, words):
    lab.customers(3)
    lab.simple(sink)
    lab.good_run()
    done = lab.command("state", *args)
    assert done.rc in (64, 2) and words in done.err, done


def test_without_a_state_there_is_nothing_to_keep(lab, sink):
    lab.customers(3)
    lab.simple(sink)
    for args in (["export", lab.root / "e"], ["backup", lab.root / "b"]):
        done = lab.command("state", *args)
        assert done.rc == 2 and "there is none yet" in done.err, done
    assert not (lab.root / "e").exists()
