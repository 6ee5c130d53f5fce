"""What deploy/monitoring watches exists, and promtool accepts it."""
import itertools
import json
import pathlib

import pytest

from harness.lab import ROOT
from harness.metrics import NAME, documented, has_promtool, promtool

FOLDER = pathlib.Path(ROOT) / "deploy" / "monitoring"
KNOWN = documented(pathlib.Path(ROOT) / "scheduler" / "report" / "README.md", "## Metrics") | \
    documented(pathlib.Path(ROOT) / "worker" / "README.md", "## Metrics")
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))
PANELS = DASHBOARD["panels"]


def base(name):
    """A histogram's samples have endings."""
    for ending in ("_bucket", "_sum", "_count"):
        if name.endswith(ending) and name.removesuffix(ending) in KNOWN:
            return name.removesuffix(ending)
    return name


def used_in(text):
    return {base(name) for name in NAME.findall(text)} - {"sluice_rules"}


def expressions():
    return [target["expr"] for panel in PANELS for target in panel.get("targets", [])]


def test_every_metric_of_the_dashboard_exists():
    assert len(KNOWN) > 40
    text = "\n".join(expressions()) + json.dumps(DASHBOARD["templating"])
    assert not used_in(text) - KNOWN


def test_the_dashboard_shows_every_metric():
    text = "\n".join(expressions())
    about_itself = {"sluice_build_info", "sluice_shard_info", "sluice_worker_build_info", "sluice_start_time_seconds", "sluice_run_queued",
                    "sluice_worker_sent_bytes_total", "sluice_worker_redis_connected",
                    "sluice_config_info", "sluice_config_loaded_timestamp_seconds",
                    "sluice_worker_config_info", "sluice_worker_config_loaded_timestamp_seconds"}
    assert KNOWN - used_in(text) == about_itself


def test_every_metric_of_the_rules_exists():
    used = used_in((FOLDER / "sluice.rules.yaml").read_text(encoding="utf-8"))
    assert used and not used - KNOWN


def test_panels_are_whole_and_do_not_overlap():
    ids = [panel["id"] for panel in PANELS]
    assert len(ids) == len(set(ids))
    taken = set()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
        assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == "${datasource}" and target["refId"] and target["expr"]
        refs = [target["refId"] for target in panel.get("targets", [])]
        assert len(refs) == len(set(refs)) and (panel["type"] == "row" or refs)
    assert {v["name"] for v in DASHBOARD["templating"]["list"]} == {"datasource", "sync", "quota"}


needs_promtool = pytest.mark.skipif(not has_promtool(), reason="needs promtool, of Debian's package prometheus")


@needs_promtool
@pytest.mark.parametrize("args", [("check", "rules", "sluice.rules.yaml"), ("test", "rules", "sluice.rules.test.yaml"),
                                  ("check", "config", "prometheus.yaml")], ids=lambda a: " ".join(a[:2]))
def test_promtool_accepts(args):
    promtool(*args[:2], FOLDER / args[2])


@needs_promtool
def test_promtool_can_read_every_expression_of_the_dashboard(tmp_path):
    rules = [{"record": f"panel:{i}", "expr": e.replace("$__rate_interval", "5m").replace("$__interval", "5m")} for i, e in enumerate(expressions())]
    path = tmp_path / "dashboard.yaml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    promtool("check", "rules", path)
