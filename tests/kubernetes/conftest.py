import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness.containers import Podman  # noqa: E402
from kubernetes import images  # noqa: E402
from kubernetes.fleet import Fleet  # noqa: E402
from kubernetes.node import Node, why_not  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
FIGURES = HERE.parents[1] / "build" / "results" / "kubernetes.txt"


@pytest.fixture(scope="session")
def node():
    reason = why_not()
    if reason:
        pytest.skip(reason)
    made = subprocess.run([HERE / "build"], stdout=subprocess.PIPE, text=True, check=True)
    return Node(made.stdout.strip(), images.archive(Podman()))


@pytest.fixture(scope="session")
def fleet(node):
    """The dev overlay, applied, and a model of a million rows."""
    fleet = Fleet(node)
    yield fleet
    fleet.close()


@pytest.fixture(scope="session")
def figures():
    """figures(what, value): kept in a file of the results, for README.md."""
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    with open(FIGURES, "w", encoding="utf-8") as out:
        yield lambda what, value: print(f"{what}: {value}", file=out, flush=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """What the pods said, beside a failure of theirs."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and isinstance(item.funcargs.get("fleet"), Fleet):
        report.sections.append(("pods", item.funcargs["fleet"].tell()))
