import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from manifests import tools  # noqa: E402


@pytest.fixture(scope="session")
def kubectl():
    try:
        return tools.kubectl()
    except tools.Missing as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def schemas():
    try:
        return tools.schemas()
    except tools.Missing as reason:
        pytest.skip(str(reason))
