"""The images that the node's pods are made of, from what is on this machine: Sluice in two versions, one that cannot start, Redis, and the pause."""
import json
import pathlib
import re
import subprocess
import tempfile

from harness.containers import ROOT
from harness.lab import program_folder

from .node import PAUSE_IMAGE

VERSION = re.search(r"project\(sluice VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))[1]
SLUICE = f"localhost/sluice:{VERSION}"
NEXT = f"localhost/sluice:{VERSION}-next"      # the same programs, in another image
BROKEN = f"localhost/sluice:{VERSION}-broken"  # has no such programs
MISSING = f"localhost/sluice:{VERSION}-missing"  # is nowhere
REDIS = "localhost/redis:1"


def libraries(program):
    """What a program loads, by the names it is loaded by."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return re.findall(r"(?:=> |^\s+)(/\S+)", listed, re.MULTILINE)


def import_program(podman, image, program, *args):
    """An image of one of this machine's programs and its libraries; args: what it runs with, unless a pod says something else."""
    with tempfile.NamedTemporaryFile(suffix=".tar") as packed:
        subprocess.run(["tar", "--dereference", "--absolute-names", "--transform=s,^/,,", "-cf", packed.name, program, *libraries(program)], check=True)
        podman("import", "--quiet", "-c", "ENV PATH=/usr/bin", "-c", f"CMD {json.dumps([program, *args])}", packed.name, image)


def archive(podman):
    """A file that has them all."""
    import_program(podman, PAUSE_IMAGE, "/usr/bin/catatonit", "-P")
    import_program(podman, REDIS, "/usr/bin/redis-server")
    podman("tag", podman.image_of(program_folder()) + f":{VERSION}", SLUICE)
    with tempfile.TemporaryDirectory() as context:
        (pathlib.Path(context) / "Containerfile").write_text(f"FROM {SLUICE}\nLABEL org.opencontainers.image.version={VERSION}-next\n", encoding="utf-8")
        podman("build", "--quiet", "--pull=never", "--isolation=chroot", "--network=host", "-t", NEXT, context)
    podman("tag", REDIS, BROKEN)
    packed = podman.folder / "images.tar"
    packed.unlink(missing_ok=True)
    podman("save", "--quiet", "--format", "docker-archive", "-m", "-o", packed, PAUSE_IMAGE, REDIS, SLUICE, NEXT, BROKEN)
    return packed
