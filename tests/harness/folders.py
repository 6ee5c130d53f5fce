"""Project folders as they come to a machine: mounted from a ConfigMap or a Secret, and checked out by Git."""
import itertools
import os
import pathlib
import shutil
import subprocess

_numbers = itertools.count()


class Mounted:
    """A folder as a kubelet fills it: files are links into ..data, itself a link that is swapped."""

    def __init__(self, folder, files):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.write(files)

    def write(self, files):
        data = self.folder / f"..2026_01_01_00_00_00.{next(_numbers)}"
        before = [path for path in self.folder.glob("..2026*")]
        for name, text in files.items():
            path = data / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        os.symlink(data.name, self.folder / "..data_tmp")
        os.rename(self.folder / "..data_tmp", self.folder / "..data")
        tops = {pathlib.PurePath(name).parts[0] for name in files}
        for name in tops:
            if not (self.folder / name).is_symlink():
                os.symlink(f"..data/{name}", self.folder / name)
        for path in self.folder.iterdir():
            if not path.name.startswith("..") and path.name not in tops:
                path.unlink()
        for path in before:
            shutil.rmtree(path)


class Repository:
    """A Git repository with one commit after the other."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *args):
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "advice.detachedHead=false"]
        return subprocess.run(["git", *who, *map(str, args)], cwd=self.folder, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, files):
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "c")
        return self.git("rev-parse", "HEAD")


class Synced:
    """A link that points to a worktree of one commit, as git-sync keeps it; the one before goes away."""

    def __init__(self, repository, root):
        self.repository, self.root = repository, pathlib.Path(root)
        self.root.mkdir()
        self.link = self.root / "current"

    def show(self, commit):
        before = os.path.realpath(self.link) if self.link.is_symlink() else None
        self.repository.git("worktree", "add", "-q", "--detach", self.root / commit, commit)
        os.symlink(commit, self.root / "next")
        os.rename(self.root / "next", self.link)
        if before:
            self.repository.git("worktree", "remove", "--force", before)
