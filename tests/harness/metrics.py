"""Metrics as a scraper sees them: fetched over HTTP, parsed strictly, and checked by promtool where there is one."""
import re
import shutil
import subprocess
import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from .sink import wait_until

NAME = re.compile(r"\bsluice_[a-z0-9_]+\b")


def fetch(url, deadline_s=30):
    """(status, content type, text); an error's answer counts as well."""
    try:
        with urllib.request.urlopen(url, timeout=deadline_s) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode("utf-8")
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode("utf-8")


def listening(log):
    """Where a worker serves its metrics, once its log says so."""
    found = wait_until(lambda: re.search(r"worker_listens url=(\S+)", log()), 30, "a worker that listens")
    return found[1]


def has_promtool():
    return shutil.which("promtool") is not None


def promtool(*args, text=None):
    """Runs promtool (Debian's package prometheus has it); what it complains of is a failure."""
    done = subprocess.run(["promtool", *map(str, args)], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class Metrics:
    def __init__(self, text):
        if has_promtool():
            promtool("check", "metrics", text=text)
        self.text = text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = {}
        for family in self.families.values():
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in self.samples, f"{key} is there twice"
                self.samples[key] = sample.value

    def get(self, name, **labels):
        key = (name, frozenset(labels.items()))
        assert key in self.samples, f"no {name} with {labels} among {sorted({n for n, _ in self.samples})}"
        return self.samples[key]

    def labels(self, name):
        """Of a metric with one sample."""
        (found,) = [dict(labels) for sample, labels in self.samples if sample == name]
        return found

    def names(self):
        """Of the metrics, as their TYPE lines have them."""
        return set(re.findall(r"^# TYPE (\S+) ", self.text, re.MULTILINE))


def documented(readme, heading):
    """Names of metrics in the first column of the table below a heading."""
    text = readme.read_text(encoding="utf-8")
    part = text[text.index(f"\n{heading}\n"):]
    rows = [line for line in part[1:].split("\n## ")[0].splitlines() if line.startswith("| `sluice_")]
    return {name for row in rows for name in NAME.findall(row.split("|")[1])}
