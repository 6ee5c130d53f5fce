"""sluice capacity: what a project's own runs say of its load, and what its limits and plans come to."""
import pathlib
import re
import sys

import pytest

from harness.service import Service

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

import capacity_example  # noqa: E402

PAGE = ROOT / "deploy" / "CAPACITY.md"
ROWS, BATCH, REQUESTS = 2000, 100, 20


def capacity(lab, *args, rc=0):
    done = lab.command("capacity", "--json", *args)
    assert done.rc == rc, done
    return {line["destination"]: line for line in done.lines if "destination" in line}, done.lines[-2], done.lines[-1]["costs"]


def project(lab, sink, limits=({"requests": 100, "per": "10s"}, {"requests": 20000, "per": "1d"}), **settings):
    lab.simple(sink, destination={"batch_size": BATCH, "rate_limits": list(limits)}, settings=settings)


def test_the_load_is_what_the_runs_counted(lab, sink):
    sink.delay_s = 0.05
    lab.customers(ROWS)
    project(lab, sink)
    first = lab.good_run().last
    second = lab.good_run().last
    assert first["requests"] == REQUESTS and second["requests"] == 0
    targets, whole, _ = capacity(lab)
    hook = targets["hook"]
    assert whole["runs"] == 2 and whole["days"] == 1 and whole["possible"] and not whole["unknown"] and not whole["assumed"]
    assert hook["today"] == hook["day"]
    assert hook["day"]["records"] == pytest.approx(ROWS) and hook["day"]["requests"] == pytest.approx(REQUESTS)
    assert hook["day"]["bytes"] == pytest.approx(first["bytes"]) and hook["day"]["rows"] == pytest.approx(2 * ROWS)
    took = [(q.end_t - q.t) * 1000 for q in sink.log]
    assert min(took) * 0.9 <= hook["request_ms"] < 20 * sum(took) / len(took)
    assert ROWS / 2 <= hook["busiest_hour"]["records"] <= ROWS + 1e-6  # the hour may turn in between
    assert hook["records_again"] == ROWS
    assert whole["needs"]["workers"] >= 1 and whole["needs"]["disk_bytes"] > 0


def test_limits_say_how_much_a_day_can_carry_and_how_long_everything_takes_again(lab, sink):
    lab.customers(ROWS)
    project(lab, sink, limits=[{"requests": 5, "per": "1m"}])
    hook = capacity(lab, "--rows", str(ROWS))[0]["hook"]
    assert hook["records_at_most"] == pytest.approx(5 * 60 * 24 * BATCH) and hook["bound_by"] == "5 requests per 1m"
    assert hook["again_takes_hours"] == pytest.approx((REQUESTS // 5 - 1) / 60)


def test_a_wish_above_a_limit_is_said_to_be_impossible(lab, sink):
    lab.customers(ROWS)
    project(lab, sink)
    possible = lab.command("capacity", "--records-per-day", "2M")
    assert possible.rc == 0 and "impossible" not in possible.out
    done = lab.command("capacity", "--records-per-day", "2.5M")
    assert done.rc == 1
    assert "hook: impossible: 20,000 requests per 1d carry at most 2,000,000 records a day; 2,500,000 are wanted." in done.out


def test_growth_multiplies_what_history_says(lab, sink):
    lab.customers(ROWS)
    project(lab, sink)
    lab.good_run()
    now, _, _ = capacity(lab)
    grown, _, _ = capacity(lab, "--growth", "10x")
    for load in ("day", "busiest_hour"):
        assert {k: v * 10 for k, v in now["hook"][load].items()} == pytest.approx(grown["hook"][load])
    assert grown["hook"]["records_again"] == 10 * ROWS and grown["hook"]["today"] == now["hook"]["today"]
    wished, _, _ = capacity(lab, "--records-per-day", str(5 * ROWS))
    assert wished["hook"]["day"]["records"] == pytest.approx(5 * ROWS)
    assert wished["hook"]["day"]["requests"] == pytest.approx(5 * now["hook"]["day"]["requests"])


def test_workers_are_reckoned_with_the_slots_of_the_settings(lab, sink):
    """8 M records in the busiest hour, 100 a request of 2 s each: 44 at a time, and half as many more."""
    def workers(slots):
        lab.simple(sink, destination={"batch_size": BATCH, "concurrency": 1000}, settings={"worker_slots": slots})
        return capacity(lab, "--records-per-day", "64M", "--request-ms", "2000")[1]["needs"]["workers"]
    lab.customers(1)
    assert [workers(slots) for slots in (8, 32, 1024)] == [9, 3, 1]


def test_what_is_not_known_is_said(lab, sink):
    lab.customers(1)
    project(lab, sink)
    targets, whole, _ = capacity(lab)
    assert set(whole["unknown"]) == {"load", "rows"} and whole["assumed"] == ["request_ms"]
    assert all(n is None for name, n in whole["needs"].items() if name != "headroom")
    assert targets["hook"]["again_takes_hours"] is None and "today" not in targets["hook"]
    _, whole, _ = capacity(lab, "--records-per-day", "1M", "--request-ms", "80")
    assert whole["unknown"] == ["rows"] and {"peak", "batches", "record_bytes"} == set(whole["assumed"])
    assert whole["needs"]["workers"] == 1 and whole["needs"]["disk_bytes"] is None
    text = lab.command("capacity").out
    assert "Not known:" in text and "--records-per-day" in text and "--rows" in text


def test_an_idea_needs_no_project(lab):
    def idea(*args, rc=0):
        done = lab.command("capacity", "--json", "--destinations", "3", "--connector", "hubspot", *args)
        assert done.rc == rc, done
        return done.lines
    target, whole, _ = idea("--records-per-day", "75M")
    assert target["count"] == 3 and target["records_at_most"] == 25_000_000 and target["possible"]
    assert idea("--records-per-day", "76M", rc=1)[0]["possible"] is False
    assert "shares" in whole["assumed"]
    assert lab.command("capacity", "--connector", "hubspot").rc == 64
    assert lab.command("capacity", "--destinations", "2", "--connector", "nobody").rc == 64
    for wrong in ("0", "-1", "many", "1q", "inf", "nan", "1.5"):
        assert lab.command("capacity", "--destinations", wrong).rc == 64, wrong


def test_it_reads_beside_a_scheduler_that_runs(lab, sink):
    lab.customers(ROWS)
    project(lab, sink, listen="127.0.0.1:0")
    service = Service(lab)
    assert lab.command("run", "s", "--json").rc == 0

    def counted():
        return capacity(lab)[1]["runs"] == 1  # what it has committed
    service.wait(counted, "a run in state")
    assert capacity(lab)[0]["hook"]["day"]["records"] == pytest.approx(ROWS)
    service.stop()


def costs_of_the_document():
    rows = re.findall(r"^\| `(\w+)` \| ([\d,.]+) \|", PAGE.read_text(encoding="utf-8"), re.M)
    table = {name: float(value.replace(",", "")) for name, value in rows}
    assert len(table) == len(rows) > 20
    return table


def test_the_costs_are_those_of_the_document(lab, sink):
    lab.customers(1)
    project(lab, sink)
    assert capacity(lab)[2] == pytest.approx(costs_of_the_document())


def test_the_worked_example_comes_to_what_the_program_says(lab):
    costs = costs_of_the_document()
    needs = lab.command("capacity", "--json", *capacity_example.ARGS).lines[-2]["needs"]
    for name, value in capacity_example.reckon(costs)[1].items():
        assert needs[name] == pytest.approx(value, rel=1e-6), name
    page = PAGE.read_text(encoding="utf-8")
    assert "sluice capacity " + " ".join(capacity_example.ARGS) in page and capacity_example.text(costs) in page


def test_the_need_names_the_servers_and_the_shard_it_is_for(lab, sink):
    lab.simple(sink, destination={"batch_size": 5, "concurrency": 1000},
               settings={"shards": 2, "redis": [{"url": f"redis://127.0.0.1:{port}"} for port in (1, 2, 3)]})
    shard = next(k for k in "01" if lab.command("capacity", "--shard", k, "--json", "--records-per-day", "1").lines[0].get("destination"))
    wish = ["--shard", shard, "--records-per-day", "20G", "--request-ms", "50"]
    whole = lab.command("capacity", "--json", *wish).lines[-2]
    assert whole["shard"] == {"number": int(shard), "of": 2} and whole["redis_listed"] == 3
    needs = whole["needs"]
    assert needs["redis_primaries"] > 1 and needs["scheduler_shards"] > 1 and needs["redis_cores_of_busiest_destination"] > 1
    text = lab.command("capacity", *wish).out
    assert f"shard {shard} of 2" in text and "the project lists 3" in text and "busiest destination alone" in text


@pytest.mark.parametrize("option,value", [("records-per-day", "1e14"), ("rows", "100000G"), ("request-ms", "1e9"), ("runs-per-day", "1M"),
                                          ("growth", "1e9"), ("destinations", "100001")])
def test_numbers_that_nobody_has_are_refused(lab, option, value):
    done = lab.command("capacity", "--destinations", "2", f"--{option}", value)
    assert done.rc == 64 and f"--{option} is at most" in done.err, done
