import gc
import hashlib
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness.cluster import Cluster  # noqa: E402
from harness.lab import Lab  # noqa: E402
from harness.postgres import Postgres  # noqa: E402
from harness.redis import RedisServer  # noqa: E402
from harness.sentinels import Sentinels  # noqa: E402
from harness.sink import Sink  # noqa: E402
from harness.vendors import Vendors  # noqa: E402
from harness.version_sink import VersionSink  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="also the tests that take long")
    parser.addoption("--lane", metavar="FOLDER", type=pathlib.Path,
                     help="share the tests with others that run beside: each claims its next test by a file in this folder")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes long; only with --long")
    config.addinivalue_line("markers", "vendors: needs the fake vendors")
    config.addinivalue_line("markers", "core: the few that every build, sanitized too, has to pass")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        skip = pytest.mark.skip(reason="only with --long")
        for item in items:
            if "long" in item.keywords:
                item.add_marker(skip)


def claimed(session, folder):
    """The tests that no other lane has claimed, one at a time: lanes end together, whatever their tests take."""
    for item in session.items:
        try:
            (folder / hashlib.sha256(item.nodeid.encode()).hexdigest()).touch(exist_ok=False)
        except FileExistsError:
            continue
        yield item


def pytest_runtestloop(session):
    """In a lane, as pytest does it, but for the choice of the tests; the next one is named early since it decides what is torn down."""
    folder = session.config.getoption("--lane")
    if not folder or session.testsfailed or session.config.option.collectonly:
        return None
    items = claimed(session, folder)
    item = next(items, None)
    while item:
        following = next(items, None)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        item = following
    return True


@pytest.fixture(scope="session")
def postgres():
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture
def lab(postgres):
    laboratory = Lab(postgres)
    yield laboratory
    laboratory.close()


@pytest.fixture(scope="session")
def logical_postgres():
    """A server that may be followed by logical replication."""
    server = Postgres(logical=True)
    yield server
    server.stop()


@pytest.fixture
def live(logical_postgres):
    """A laboratory whose warehouse may be followed."""
    laboratory = Lab(logical_postgres)
    yield laboratory
    laboratory.close()


@pytest.fixture
def own_live():
    """The same with a server of its own, to be stopped and filled."""
    server = Postgres(logical=True)
    laboratory = Lab(server)
    yield laboratory
    laboratory.close()
    server.stop()


def settle_memory():
    """A full collection stops this process, and with it the receivers that tell when a request came, for longer
    than a limit's slack: what is there before a test is left out of it."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def sinks():
    """Makes receivers that are closed after the test."""
    settle_memory()
    made = []

    def make(*args, **options):
        made.append(Sink(*args, **options))
        return made[-1]
    yield make
    for sink in made:
        sink.close()


@pytest.fixture
def sink(sinks):
    return sinks()


@pytest.fixture
def version_sink():
    """A receiver for volume, closed after the test."""
    receiver = VersionSink()
    yield receiver
    receiver.close()


@pytest.fixture
def redis_servers():
    """Makes redis servers that are stopped after the test."""
    made = []

    def make(*args, **options):
        made.append(RedisServer(*args, **options))
        return made[-1]
    yield make
    for server in made:
        server.stop()


@pytest.fixture
def sentinels():
    """Makes a primary with replicas and sentinels, which are stopped after the test."""
    made = []

    def make(*args, **options):
        made.append(Sentinels(*args, **options))
        return made[-1]
    yield make
    for group in made:
        group.stop()


@pytest.fixture
def clusters(tmp_path):
    """Makes Redis clusters that are stopped after the test."""
    made = []

    def make(*args, **options):
        made.append(Cluster(tmp_path, *args, **options))
        return made[-1]
    yield make
    for cluster in made:
        cluster.stop()


@pytest.fixture
def vendors():
    """Fake vendors: vendors.add('hubspot', …) starts one; they end with the test."""
    with Vendors() as hub:
        yield hub
