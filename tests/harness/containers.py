"""Podman with a store and settings of its own, so that tests touch none of the machine's images and need none of its settings."""
import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import tempfile
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "deploy" / "container" / "build"
# As a cluster with the restricted Pod Security Standard runs it, and without a network.
HARDENED = ("--read-only", "--user=10001:65534", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none",
            "--memory=512m", "--pids-limit=64")


def settings(folder, images=None):
    """containers.conf and storage.conf for a machine without systemd, with whatever limits it has. images: another store's graph, to read."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    (folder / "containers.conf").write_text(f"""
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
tmp_dir = "{folder}/tmp"
volume_path = "{folder}/volumes"
[network]
network_backend = "netavark"
""", encoding="utf-8")
    (folder / "storage.conf").write_text(f"""
[storage]
driver = "overlay"
graphroot = "{folder}/graph"
runroot = "{folder}/run"
""" + (f'[storage.options]\nadditionalimagestores = ["{images}"]\n' if images else ""), encoding="utf-8")
    (folder / "registries.conf").write_text("unqualified-search-registries = []\n", encoding="utf-8")


def why_not():
    """None where containers can be run here; else the reason, for a skip."""
    for program in ("podman", "runc"):
        if not shutil.which(program):
            return f"{program} is not installed"
    return None if os.getuid() == 0 else "containers are run as root here"


def environment(folder):
    """For programs that are to take the settings of a folder."""
    return {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf"), "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf")}


class Podman:
    """Images are kept between runs of the tests; containers end with close()."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.gettempdir()) / f"sluice-tests-{os.getuid()}" / "containers"
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            settings(self.folder)
        self.env, self.started = environment(self.folder), []

    @contextlib.contextmanager
    def _alone(self):
        with open(self.folder / "lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def __call__(self, *args, check=True):
        done = subprocess.run(["podman", *map(str, args)], env=self.env, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"podman {' '.join(map(str, args))}: exit {done.returncode}: {done.stdout}{done.stderr}"
        return done

    def piped(self, *args, given=b""):
        """Bytes in, bytes out."""
        done = subprocess.run(["podman", *map(str, args)], env=self.env, input=given, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def image_of(self, programs):
        """The image of a folder with built programs, made once for the same ones; its name."""
        files = [programs / name for name in ("sluice", "sluice-scheduler", "sluice-worker")]
        made_by = [ROOT / "deploy" / "container" / name for name in ("Containerfile", "rootfs", "build")]
        digest = hashlib.sha256(b"".join(f.read_bytes() for f in files + made_by)).hexdigest()[:12]
        name = f"localhost/sluice-{digest}"
        with self._alone(), tempfile.TemporaryDirectory() as prefix:
            if self("image", "exists", name, check=False).returncode == 0:
                return name
            shutil.copytree(programs, pathlib.Path(prefix) / "bin")
            self.build("--programs", prefix, "--tag", name)
            for old in self("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split():
                if re.match(r"localhost/sluice-[0-9a-f]{12}:", old) and not old.startswith(name):
                    self("rmi", old, check=False)
        return name

    def build(self, *args):
        """deploy/container/build; what it printed."""
        done = subprocess.run([str(BUILD), *map(str, args)], env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def build_with_git(self, image, name):
        """deploy/git/Containerfile of an image with Sluice, on a Debian of this machine's mirror."""
        git = ROOT / "deploy" / "git"
        with self._alone():
            self.build("--base-only")
            self("build", "--quiet", "--pull=never", "--isolation=chroot", "--network=host", "--format=docker", "--file", git / "Containerfile",
                 "--build-arg", f"SLUICE={image}", "--build-arg", "BASE=localhost/sluice-base:bookworm", "--tag", name, git)

    def image_of_program(self, image, program, *args):
        """One of this machine's programs and what it loads, as an image, made anew for another one only; args: what it runs with, by default."""
        digest = hashlib.sha256(pathlib.Path(program).read_bytes() + repr(args).encode()).hexdigest()
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout  # of a static one: nothing
        files = [program, *re.findall(r"(?:=> |^\s+)(/\S+)", listed, re.MULTILINE)]
        with self._alone(), tempfile.NamedTemporaryFile(suffix=".tar") as packed:
            if self("image", "inspect", "--format", "{{.Labels.made_of}}", image, check=False).stdout.strip() == digest:
                return
            self("rmi", "--force", image, check=False)
            subprocess.run(["tar", "--dereference", "--absolute-names", "--transform=s,^/,,", "-cf", packed.name, *files], check=True)
            self("import", "--quiet", "-c", f"LABEL made_of={digest}", "-c", f"ENV PATH={os.path.dirname(program)}",
                 "-c", f"CMD {json.dumps([program, *args])}", packed.name, image)

    def start(self, *args):
        """A container in the background; its name."""
        name = f"sluice-{uuid.uuid4().hex[:12]}"
        self.started.append(name)
        self("run", "--detach", "--name", name, *args)
        return name

    def logs(self, name):
        done = self("logs", name, check=False)
        return done.stdout + done.stderr

    def runs(self, name):
        return self("inspect", "--format", "{{.State.Running}}", name).stdout.strip() == "true"

    def stop(self, name, grace_s=60):
        """SIGTERM, as a cluster sends it; the exit status."""
        self("stop", "--time", grace_s, name)
        return int(self("inspect", "--format", "{{.State.ExitCode}}", name).stdout)

    def close(self):
        for name in self.started:
            self("rm", "--force", "--time", 0, name, check=False)
