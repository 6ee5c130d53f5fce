"""The images that the node's pods are made of, from what is on this machine: Sluice in two versions, one that cannot start, Redis, and the pause."""
import pathlib
import re
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


def archive(podman):
    """A file that has them all."""
    podman.image_of_program(PAUSE_IMAGE, "/usr/bin/catatonit", "-P")
    podman.image_of_program(REDIS, "/usr/bin/redis-server")
    podman("tag", podman.image_of(program_folder()) + f":{VERSION}", SLUICE)
    with tempfile.TemporaryDirectory() as context:
        (pathlib.Path(context) / "Containerfile").write_text(f"FROM {SLUICE}\nLABEL org.opencontainers.image.version={VERSION}-next\n", encoding="utf-8")
        podman("build", "--quiet", "--pull=never", "--isolation=chroot", "--network=host", "-t", NEXT, context)
    podman("tag", REDIS, BROKEN)
    packed = podman.folder / "images.tar"
    packed.unlink(missing_ok=True)
    podman("save", "--quiet", "--format", "docker-archive", "-m", "-o", packed, PAUSE_IMAGE, REDIS, SLUICE, NEXT, BROKEN)
    return packed
