"""podman-compose on something like a machine of its own: networks and processes that no other sees, which end with close()."""
import json
import pathlib
import shutil
import subprocess

from .containers import environment, settings
from .processes import descendants, wait_gone

# A namespace of each kind; control groups of version 2 beside those of version 1 confuse runc.
ROOM = """set -e
mount -t proc proc /proc
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified
ip link set lo up
echo ready
exec cat
"""


def why_not():
    """None where this can be had; else the reason, for a skip."""
    for program in ("podman-compose", "nsenter", "ip", "/usr/lib/podman/aardvark-dns"):
        if not shutil.which(program):
            return f"{program} is not installed"
    tried = subprocess.run(["unshare", "--mount", "--net", "--ipc", "--pid", "--fork", "true"], capture_output=True, check=False)
    return None if tried.returncode == 0 else "the kernel gives no namespaces here"


class Compose:
    """files: of Compose, the later ones over the earlier. images: a Podman whose images are there. env: for the files' variables."""

    def __init__(self, folder, files, images, env):
        self.folder, self.files, self.project = pathlib.Path(folder), files, "stack"
        settings(self.folder, images.folder / "graph")
        self.env = {**environment(self.folder), **env}
        self.room = subprocess.Popen(["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--net", "--ipc", "--pid", "--fork", "--kill-child",
                                      "--propagation=private", "sh", "-c", ROOM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.room.stdout.readline() == "ready\n"
        (self.inside,) = descendants(self.room.pid)
        self.enter = ["nsenter", f"--target={self.inside}", "--mount", "--net", "--ipc", "--pid"]

    def run(self, *command, check=True):
        done = subprocess.run([*self.enter, *map(str, command)], env=self.env, cwd=self.folder, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{command}: exit {done.returncode}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done

    def __call__(self, *args):
        files = [part for file in self.files for part in ("-f", file)]
        return self.run("podman-compose", "-p", self.project, *files, *args)

    def name(self, service, number=1):
        return f"{self.project}_{service}_{number}"

    def containers(self):
        """{name: whether it runs}"""
        return {c["Names"][0]: c["State"] == "running" for c in json.loads(self.run("podman", "ps", "--all", "--format", "json").stdout)}

    def exit_status(self, name):
        return int(self.run("podman", "inspect", "--format", "{{.State.ExitCode}}", name).stdout)

    def logs(self):
        return "\n".join(f"{n}:\n{self.run('podman', 'logs', n, check=False).stderr[-2000:]}" for n in self.containers())

    def close(self):
        """Whatever runs in the room ends with its first process, and its mounts with the last."""
        self.room.kill()
        self.room.wait(20)
        wait_gone([self.inside])
        shutil.rmtree(self.folder)
