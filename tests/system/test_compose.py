"""deploy/container/compose.yaml, by podman-compose: a fleet on one machine, on networks of its own."""
import json
import os
import tempfile

import pytest
import yaml

from harness import compose, containers
from harness.compose import Compose
from harness.fleet import TOKENS
from harness.lab import ROOT, program_folder
from harness.sink import wait_until

WHY_NOT = containers.why_not() or compose.why_not()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=str(WHY_NOT))
FILE = ROOT / "deploy" / "container" / "compose.yaml"
REDIS = "localhost/redis:tests"
ASK = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"


@pytest.fixture(scope="module")
def images():
    podman = containers.Podman()
    podman.image_of_program(REDIS, "/usr/bin/redis-server")
    yield podman
    podman.close()


@pytest.fixture
def stack(lab, images):
    """Two workers, a scheduler, a Redis; warehouse and destination are reached by a socket, which another file mounts."""
    there = lab.postgres.create_database()
    lab.postgres.sql("create table people (id bigint primary key, email text, name text, amount numeric, vip boolean)", there)
    lab.customers(3000)
    lab.write(yaml.safe_dump({
        "settings": {"redis": "${file:/run/secrets/sluice/redis_url}", "state_dir": "${STATE_DIRECTORY:-.sluice}", "listen": "0.0.0.0:8470", "tokens": TOKENS},
        "sources": {"warehouse": {"type": "postgres", "url": lab.warehouse_url}},
        "models": {"m": {"source": "warehouse", "primary_key": "id", "sql": "select * from c"}},
        "destinations": {"there": {"type": "postgres", "url": lab.postgres.url(there)}},
        "syncs": {"s": {"model": "m", "destination": "there", "object": "people", "mode": "mirror", "schedule": {"every": "1s"},
                        "mappings": ["id", "email", "name", "amount", "vip"]}}}))
    secrets = lab.root / "secrets"
    secrets.mkdir(0o755)
    (secrets / "redis_url").write_text("redis://redis:6379\n", encoding="utf-8")
    os.chmod(lab.project_dir, 0o755)
    socket = f"{lab.postgres.folder}:{lab.postgres.folder}"
    (lab.root / "sockets.yaml").write_text(yaml.safe_dump({"services": {name: {"volumes": [socket]} for name in ("scheduler", "worker")}}), encoding="utf-8")
    made = Compose(tempfile.mkdtemp(prefix="slcompose-"), [FILE, lab.root / "sockets.yaml"], images, {
        "SLUICE_IMAGE": images.image_of(program_folder()), "REDIS_IMAGE": REDIS, "SLUICE_WORKERS": "2",
        "SLUICE_PROJECT": str(lab.project_dir), "SLUICE_SECRETS": str(secrets)})
    made.there = there
    yield made
    made.close()
    lab.postgres.drop_database(there)


def synced(lab, stack):
    assert all(stack.containers().values()), stack.logs()
    return sorted(lab.sql("select * from c")) == sorted(lab.postgres.sql("select * from people", stack.there))


def test_a_fleet_on_one_machine(lab, stack):
    stack("up", "--detach")
    assert set(stack.containers()) == {stack.name(s, n) for s, n in (("scheduler", 1), ("redis", 1), ("worker", 1), ("worker", 2))}
    wait_until(lambda: synced(lab, stack), 60, "the first sync", 0.2)
    lab.sql("update c set name = 'new' where id % 3 = 0; delete from c where id % 5 = 0")
    wait_until(lambda: synced(lab, stack), 60, "what changed", 0.2)
    assert '"ready":true' in stack.run("/usr/bin/python3", "-c", ASK, "http://127.0.0.1:8470/readyz").stdout


@pytest.mark.long
def test_it_ends_in_good_order_and_goes_on_with_its_state(lab, stack):
    stack("up", "--detach")
    wait_until(lambda: synced(lab, stack), 60, "the first sync", 0.2)
    names = [stack.name("scheduler"), stack.name("worker", 1), stack.name("worker", 2)]
    stack.run("podman", "stop", "--time", "60", *names)
    assert [stack.exit_status(name) for name in names] == [0, 0, 0], stack.logs()
    stack("up", "--detach")
    lab.sql("update c set name = 'newer' where id % 7 = 0")
    wait_until(lambda: synced(lab, stack), 60, "what changed meanwhile", 0.2)
    status = json.loads(stack.run("podman", "exec", stack.name("scheduler"), "sluice", "runs", "--limit", "1", "--json").stdout.splitlines()[0])
    assert status["rows"] == 3000 and status["added"] == 0, status
    stack("down")
    assert not stack.containers()


@pytest.mark.long
def test_what_finds_no_redis_is_started_again_until_it_does(lab, stack):
    stack("up", "--detach")
    wait_until(lambda: synced(lab, stack), 60, "the first sync", 0.2)
    redis, worker = stack.name("redis"), stack.name("worker")
    stack.run("podman", "stop", "--time", "10", redis)
    stack.run("podman", "stop", "--time", "30", worker, stack.name("worker", 2))
    stack.run("podman", "start", worker)
    wait_until(lambda: int(stack.run("podman", "inspect", "--format", "{{.RestartCount}}", worker).stdout) >= 1, 60, "a worker that was started again", 0.5)
    stack.run("podman", "start", redis, stack.name("worker", 2))
    lab.sql("update c set name = 'late'")
    wait_until(lambda: synced(lab, stack), 120, "what changed without Redis", 0.5)
