"""The container image: closed, small, and doing the work of an installed Sluice."""
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import subprocess
import time

import pytest
import yaml

from harness import containers
from harness.containers import HARDENED
from harness.folders import Repository
from harness.lab import ROOT, program_folder
from harness.markdown import Rendered
from harness.redis import RedisServer
from harness.sink import wait_until

SIZE_LIMIT = 32_000_000
pytestmark = pytest.mark.skipif(bool(containers.why_not()), reason=str(containers.why_not()))


@pytest.fixture(scope="module")
def podman():
    podman = containers.Podman()
    yield podman
    podman.close()


@pytest.fixture(scope="module")
def image(podman):
    return podman.image_of(program_folder())


@pytest.fixture
def project(lab):
    """A project that reads and writes through sockets, for containers without a network."""
    os.chmod(lab.project_dir, 0o755)
    there = lab.postgres.create_database()
    lab.postgres.sql("create table people (id bigint primary key, email text, name text, amount numeric, vip boolean)", there)
    lab.customers(3000)
    lab.write(f"""
settings: {{state_dir: "${{STATE_DIRECTORY:-.sluice}}", redis: "${{file:/run/secrets/sluice/redis_url}}"}}
sources: {{warehouse: {{type: postgres, url: "{lab.warehouse_url}"}}}}
models: {{m: {{source: warehouse, primary_key: id, sql_file: c.sql}}}}
destinations: {{there: {{type: postgres, url: "{lab.postgres.url(there)}"}}}}
syncs:
  s: {{model: m, destination: there, object: people, mode: mirror, mappings: [id, email, name, amount, vip], schedule: {{every: 1s}}}}
""")
    lab.write("select * from c", "c.sql")
    yield there
    lab.postgres.drop_database(there)


@pytest.fixture
def redis():
    server = RedisServer()
    os.chmod(server.folder, 0o755)
    os.chmod(server.socket, 0o777)
    yield server
    server.stop()


def test_it_is_what_its_labels_say_and_small(podman, image):
    seen = json.loads(podman("image", "inspect", image).stdout)[0]
    labels, config = seen["Config"]["Labels"], seen["Config"]
    version = re.search(r"project\(sluice VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))[1]
    assert labels["org.opencontainers.image.version"] == version
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0" and labels["org.opencontainers.image.title"] == "Sluice"
    assert config["User"] == "10001:10001" and not config.get("Entrypoint") and config["Cmd"] == ["sluice", "--help"]
    assert seen["Size"] < SIZE_LIMIT, f"{seen['Size'] / 1e6:.1f} MB"
    for program in ("sluice", "sluice-scheduler", "sluice-worker"):
        assert podman("run", "--rm", *HARDENED, image, program, "--version").stdout == f"{program} {version}\n"


def test_nothing_in_it_but_what_the_programs_need(podman, image, tmp_path):
    name = podman.start("--network=none", image, "sluice", "--version")
    podman("wait", name)
    podman("export", "--output", tmp_path / "all.tar", name)
    (tmp_path / "all").mkdir()
    shutil.unpack_archive(tmp_path / "all.tar", tmp_path / "all")
    root = tmp_path / "all"
    paths = [p.relative_to(root) for p in root.rglob("*")]
    mounts = {"etc/hostname", "etc/hosts", "etc/resolv.conf", "run/.containerenv"}  # podman's own, which an export shows
    programs = {str(p) for p in paths if (root / p).is_file() and not (root / p).is_symlink() and os.access(root / p, os.X_OK)
                and ".so" not in p.name} - mounts
    assert programs == {f"usr/local/bin/{n}" for n in ("sluice", "sluice-scheduler", "sluice-worker")}
    assert not [p for p in paths if (root / p).is_file() and (root / p).stat().st_mode & 0o6000], "set-user-ID files"
    authorities = (root / "etc/ssl/certs/ca-certificates.crt").read_text()
    assert authorities.count("BEGIN CERTIFICATE") == len(list(pathlib.Path("/usr/share/ca-certificates/mozilla").glob("*.crt"))) > 100
    assert os.readlink(root / "usr/lib/ssl/cert.pem") == "/etc/ssl/certs/ca-certificates.crt"
    assert (root / "usr/share/zoneinfo/Europe/Berlin").read_bytes().startswith(b"TZif")
    for record in ("libc6", "libssl3", "libcurl4", "libpq5"):
        assert f"Package: {record}\n" in (root / "var/lib/dpkg/status.d" / record).read_text()
        assert (root / "usr/share/doc" / record / "copyright").stat().st_size > 0


def test_a_project_is_checked_where_nothing_can_be_written(podman, image, lab, project, tmp_path):
    run = ("run", "--rm", *HARDENED, f"--volume={lab.project_dir}:/project:ro", f"--volume={tmp_path}:/run/secrets/sluice:ro", image)
    os.chmod(tmp_path, 0o755)
    (tmp_path / "redis_url").write_text("redis://redis\n")
    assert "ok: 1 source, 1 model, 1 destination, 1 sync" in podman(*run, "sluice", "check").stdout
    (tmp_path / "redis_url").unlink()
    done = podman(*run, "sluice", "check", check=False)
    assert done.returncode == 78 and "redis_url} cannot be read" in done.stdout
    done = podman(*run, "sh", "-c", "true", check=False)
    assert done.returncode == 127 and "not found" in done.stderr


@pytest.mark.parametrize("missing, says", [
    ("secret", "redis_url} cannot be read: No such file or directory"),
    ("volume", "/var/lib/sluice/spool cannot be created: Read-only file system; it has to be a folder or a volume that user 10001 may write"),
])
def test_a_scheduler_that_cannot_start_says_why_as_events(podman, image, lab, project, tmp_path, missing, says):
    """Whoever collects its log as JSON gets no line that is none."""
    os.chmod(tmp_path, 0o755)
    if missing != "secret":
        (tmp_path / "redis_url").write_text("redis://redis\n")
    done = podman("run", "--rm", *HARDENED, f"--volume={lab.project_dir}:/project:ro", f"--volume={tmp_path}:/run/secrets/sluice:ro", image,
                  "sluice-scheduler", "--log-format", "json", check=False)
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 78 and done.stdout == "" and events and all(e["level"] == "error" for e in events), done
    assert any(says in text for e in events for text in e.values() if isinstance(text, str)), events


def mount_like_a_cluster(folder, files):
    """Files by path as the kubelet lays out a ConfigMap or a Secret: links to links, to be changed all at once."""
    data = folder / "..2026_11_29_03_00_00.1"
    for path, text in files.items():
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        (data / path).write_text(text, encoding="utf-8")
    (folder / "..data").symlink_to(data.name)
    for name in {pathlib.PurePath(path).parts[0] for path in files}:
        (folder / name).symlink_to(f"..data/{name}")
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)


@pytest.mark.parametrize("overlay", ["dev", "production"])
def test_the_project_of_an_overlay_passes_as_a_cluster_mounts_it(podman, image, overlay, tmp_path):
    folder = ROOT / "deploy" / "kubernetes" / "overlays" / overlay / "project"
    files = {str(p.relative_to(folder)): p.read_text(encoding="utf-8") for p in folder.rglob("*") if p.is_file()}
    files["models/people.sql"] = "select id from people"
    files["people.yaml"] = "models: {people: {source: warehouse, primary_key: id, sql_file: models/people.sql}}"
    wanted = set(re.findall(r"\${file:(/run/secrets/[^}]+)}", files["sluice.yaml"]))
    assert len(wanted) >= 3
    value = {"redis_url": "redis://redis:6379/0", "warehouse_url": "postgresql://me@warehouse/shop"}
    mount_like_a_cluster(tmp_path / "project", files)
    volumes = [f"--volume={tmp_path}/project:/project:ro"]
    for place in {str(pathlib.PurePath(path).parent) for path in wanted}:
        secrets = {pathlib.PurePath(p).name: value.get(pathlib.PurePath(p).name, "x" * 40) for p in wanted if p.startswith(place + "/")}
        mount_like_a_cluster(tmp_path / place.replace("/", "-"), secrets)
        volumes.append(f"--volume={tmp_path}/{place.replace('/', '-')}:{place}:ro")
    said = podman("run", "--rm", *HARDENED, *volumes, image, "sluice", "check").stdout
    assert "ok: 1 source, 2 models, 1 destination, 1 sync" in said


def test_the_jobs_of_a_pull_request_run_in_it(podman, image, lab, project):
    """As deploy/git/github.yaml runs them, but without a network: no state is there, and no secret in the check."""
    base, secrets = lab.root / "base", lab.root / "secrets"
    shutil.copytree(lab.project_dir, base)
    secrets.mkdir()
    (secrets / "redis_url").write_text("redis://unused\n")
    lab.write("select id, email, upper(name) as name, amount, vip from c where id > 10", "c.sql")
    for path in (base, secrets, *base.rglob("*")):
        os.chmod(path, 0o755)
    work = ("run", "--rm", "--network=none", f"--volume={lab.project_dir}:/work/shop:ro", "--workdir=/work")
    done = podman(*work, image, "sluice", "check", "-C", "shop", "--no-secrets", "--format", "github", check=False)
    assert done.returncode == 0 and "ok: 1 source" in done.stdout, done
    done = podman(*work, f"--volume={base}:/base/shop:ro", f"--volume={secrets}:/run/secrets/sluice:ro", f"--volume={lab.postgres.folder}:{lab.postgres.folder}",
                  image, "sluice", "plan", "-C", "shop", "--against", "/base/shop", "--markdown", check=False)
    assert done.returncode == 0, done
    shown = Rendered(done.stdout)
    row = shown.row("s")
    assert (row["Changed"], row["Removed"], row["Added"]) == ("2,990", "10", "") and "s: model m: sql_file" in shown.items, done.stdout


def test_scheduler_and_worker_carry_a_sync_in_containers(podman, image, lab, project, redis):
    """Read-only, without capabilities or a network: warehouse, Redis and destination are reached over mounted sockets."""
    state, secrets = lab.root / "var", lab.root / "secrets"
    state.mkdir(0o700)
    os.chown(state, 10001, 65534)
    secrets.mkdir(0o755)
    (secrets / "redis_url").write_text(redis.url + "\n")
    volumes = [f"--volume={lab.project_dir}:/project:ro", f"--volume={secrets}:/run/secrets/sluice:ro",
               f"--volume={lab.postgres.folder}:{lab.postgres.folder}", f"--volume={redis.folder}:{redis.folder}"]
    scheduler = podman.start(*HARDENED, *volumes, f"--volume={state}:/var/lib/sluice", image, "sluice-scheduler")
    worker = podman.start(*HARDENED, *volumes, image, "sluice-worker")

    def same():
        for name in (scheduler, worker):
            assert podman.runs(name), podman.logs(name)
        return sorted(lab.sql("select * from c")) == sorted(lab.postgres.sql("select * from people", project))
    wait_until(same, 60, "the first sync")
    lab.sql("update c set name = 'new' where id % 3 = 0; delete from c where id % 5 = 0")
    wait_until(same, 60, "what changed")
    status = podman("exec", scheduler, "sluice", "status", "--json").stdout
    assert json.loads(status.splitlines()[0])["sync"] == "s"
    exported = podman.piped("exec", scheduler, "sluice", "state", "export", "-")
    new = lab.root / "new"
    new.mkdir(0o700)
    os.chown(new, 10001, 65534)
    there = ("run", "--rm", "-i", *HARDENED, *volumes, f"--volume={new}:/var/lib/sluice", image, "sluice")
    podman.piped(*there, "state", "import", "--replace", "-", given=exported)
    assert json.loads(podman.piped(*there, "status", "--json").splitlines()[0])["accepted"] == 2400
    assert podman.stop(worker) == 0 and podman.stop(scheduler) == 0, podman.logs(worker) + podman.logs(scheduler)


@pytest.mark.long
def test_it_is_built_from_source_twice_the_same(podman):
    """The whole Containerfile, on a base made from this machine's mirror."""
    said = podman.build("--tag", "localhost/sluice-from-source")
    assert re.match(r"localhost/sluice-from-source:[\d.]+: \d+\.\d MB\n$", said)
    labels = json.loads(podman("image", "inspect", "--format", "{{json .Labels}}", "localhost/sluice-from-source").stdout)
    head = subprocess.run(["git", "-C", ROOT, "log", "-1", "--format=%H %ct"], capture_output=True, text=True, check=False).stdout.split()
    if head:  # not in a tarball
        written = datetime.datetime.fromtimestamp(int(head[1]), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert (labels["org.opencontainers.image.revision"], labels["org.opencontainers.image.created"]) == (head[0], written)
    first = podman("image", "inspect", "--format", "{{.RootFS.Layers}} {{.Created}}", "localhost/sluice-from-source").stdout
    assert "sluice 0" in podman("run", "--rm", *HARDENED, "localhost/sluice-from-source", "sluice", "--version").stdout
    podman.build("--tag", "localhost/sluice-from-source", "--fresh")
    assert podman("image", "inspect", "--format", "{{.RootFS.Layers}} {{.Created}}", "localhost/sluice-from-source").stdout == first


@pytest.mark.long
def test_the_image_with_git_brings_a_repository_as_a_pod_has_it(podman, image, lab):
    """deploy/git/Containerfile, with a read-only root, as a user without a home."""
    podman.build_with_git(image, "localhost/sluice-git")
    repository = Repository(lab.root / "repository")
    commit = repository.commit({"shop/sluice.yaml": "sources: {w: {type: postgres, url: '${W_URL}'}}\n"})
    subprocess.run(["git", "clone", "-q", "--bare", repository.folder, lab.root / "bare"], check=True)
    subprocess.run(["chown", "-R", "10001", lab.root / "bare"], check=True)
    root = lab.root / "there"
    root.mkdir()
    os.chown(root, 10001, 65534)
    run = ("run", "--rm", *HARDENED, f"--volume={lab.root}/bare:/bare:ro", f"--volume={root}:/project", "--env=HOME=/project", "localhost/sluice-git")
    done = podman(*run, "sluice-sync", "--repo", "file:///bare", "--branch", "main", "--path", "shop", "--root", "/project", "--check")
    assert f"nothing -> {commit}" in done.stderr and "ok: 1 source" in done.stderr, done
    probe = yaml.safe_load((ROOT / "deploy/kubernetes/components/git/sync.yaml").read_text(encoding="utf-8"))[-1]["value"]["livenessProbe"]["exec"]["command"]
    assert podman(*run, *probe, check=False).returncode == 0 and podman(*run, "test", "-e", "/project/project/sluice.yaml", check=False).returncode == 0
    old = time.time() - 3600
    os.utime(root / "looked", (old, old))
    assert podman(*run, *probe, check=False).returncode == 1
    for tool in ("sluice-comment", "ssh", "ssh-keygen", "python3", "sluice-worker"):
        assert podman(*run, "sh", "-c", f"command -v {tool}", check=False).returncode == 0, tool
    name = podman.start(*run[2:], "sluice-sync", "--repo", "file:///bare", "--root", "/project", "--path", "shop", "--every", "600")
    wait_until(lambda: time.time() - os.stat(root / "looked").st_mtime < 600, 60, "it looks")
    assert podman.stop(name) == 0, "not killed after a pod's grace"
    done = podman(*run, "sluice-sync", "--repo", "ssh://git@127.0.0.1:1/x", "--root", "/project", "--path", "shop", check=False)
    assert done.returncode == 1 and "Connection refused" in done.stderr, "ssh knows its user"
