"""deploy/git/sluice-sync: a branch in a folder that a scheduler watches, commit by commit, or as it was."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from harness.folders import Repository
from harness.lab import RUN_DEADLINE_S
from harness.service import Service
from harness.sink import wait_until

SYNC = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "git" / "sluice-sync"
GOOD = {"shop/sluice.yaml": "sources: {w: {type: postgres, url: '${W_URL}'}}\n"}
BAD = {"shop/sluice.yaml": "sources: {w: {type: postgress, url: '${W_URL}'}}\n"}


class Synced:
    def __init__(self, lab):
        self.lab, self.root = lab, lab.root / "synced"
        self.repository = Repository(lab.root / "repository")

    def command(self, *args):
        return ["sh", SYNC, "--repo", f"file://{self.repository.folder}", "--root", self.root, *args]

    def env(self, **env):
        return {"PATH": f"{self.lab.bin}:{os.environ['PATH']}", "HOME": str(self.lab.root), **env}

    def sync(self, *args, **env):
        return subprocess.run(self.command(*args), capture_output=True, text=True, check=False, env=self.env(**env))

    def in_force(self):
        return os.readlink(self.root / "current").split("/")[-1]

    def trees(self):
        return set(os.listdir(self.root / "trees"))


@pytest.fixture
def synced(lab):
    return Synced(lab)


def test_each_commit_as_a_whole_and_the_one_before_stays_for_its_readers(synced):
    first = synced.repository.commit({**GOOD, "shop/old.sql": "select 1"})
    done = synced.sync()
    assert done.returncode == 0 and f"nothing -> {first}" in done.stderr and synced.in_force() == first, done
    assert (synced.root / "current/shop/old.sql").read_text() == "select 1" and not (synced.root / "current/.git").exists()
    done = synced.sync()
    assert done.returncode == 0 and not done.stderr and synced.trees() == {first}, "there is nothing new"
    synced.repository.git("rm", "-q", "shop/old.sql")
    second, third = synced.repository.commit({}), synced.repository.commit({"shop/new.sql": "select 2"})
    assert synced.sync().returncode == 0 and synced.in_force() == third and synced.trees() == {first, third}
    assert not (synced.root / "current/shop/old.sql").exists() and second != third
    fourth = synced.repository.commit({"a": "b"})
    assert synced.sync().returncode == 0 and synced.trees() == {third, fourth}


def test_what_cannot_be_fetched_leaves_what_was(synced):
    first = synced.repository.commit(GOOD)
    assert synced.sync().returncode == 0
    done = synced.sync("--branch", "nowhere")
    assert done.returncode == 1 and "nowhere of the repository cannot be fetched" in done.stderr and synced.in_force() == first
    synced.repository.folder.rename(synced.lab.root / "away")
    assert synced.sync().returncode == 1 and synced.in_force() == first
    (synced.lab.root / "away").rename(synced.repository.folder)
    second = synced.repository.commit({"a": "b"})
    assert synced.sync().returncode == 0 and synced.in_force() == second


def test_a_server_that_does_not_answer_is_given_up(synced):
    synced.repository.commit(GOOD)
    assert synced.sync().returncode == 0
    done = synced.sync("--repo", "ssh://nobody@localhost/x", GIT_SSH_COMMAND="sleep 600 #", SYNC_PATIENCE_S="1")
    assert done.returncode == 1 and "cannot be fetched" in done.stderr, done


def test_history_that_was_rewritten_is_refused(synced):
    first = synced.repository.commit(GOOD)
    second = synced.repository.commit({"a": "b"})
    assert synced.sync().returncode == 0
    synced.repository.git("reset", "-q", "--hard", first)
    done = synced.sync()
    assert done.returncode == 1 and f"{first} is refused: it does not follow {second}" in done.stderr and synced.in_force() == second, done
    other = synced.repository.commit({"a": "c"})
    assert synced.sync().returncode == 1 and synced.in_force() == second
    assert synced.sync("--rewound").returncode == 0 and synced.in_force() == other


def test_only_signed_commits_are_taken(synced):
    keys = synced.lab.root / "keys"
    keys.mkdir()
    for name in ("ours", "theirs"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name], check=True)
    signers = keys / "signers"
    signers.write_text("release@example.org " + (keys / "ours.pub").read_text())

    def signed(key, text):
        synced.repository.git("config", "user.signingkey", keys / key)
        synced.repository.git("config", "gpg.format", "ssh")
        synced.repository.git("config", "commit.gpgsign", "true")
        return synced.repository.commit({"a": text})
    ours = signed("ours", "1")
    assert synced.sync("--signers", signers).returncode == 0 and synced.in_force() == ours
    theirs = signed("theirs", "2")
    done = synced.sync("--signers", signers)
    assert done.returncode == 1 and f"{theirs} is refused" in done.stderr and synced.in_force() == ours and synced.trees() == {ours}, done
    synced.repository.git("config", "commit.gpgsign", "false")
    synced.repository.commit({"a": "3"})
    assert synced.sync("--signers", signers).returncode == 1 and synced.in_force() == ours
    last = signed("ours", "4")
    assert synced.sync("--signers", signers).returncode == 0 and synced.in_force() == last, "whoever signs takes over what is before it"


def test_a_project_with_mistakes_never_comes_into_force(synced):
    first = synced.repository.commit(GOOD)
    assert synced.sync("--check", "--path", "shop").returncode == 0
    bad = synced.repository.commit(BAD)
    done = synced.sync("--check", "--path", "shop")
    assert done.returncode == 1 and "sluice.yaml:1:" in done.stderr and f"{bad} is refused: sluice check" in done.stderr, done
    assert synced.in_force() == first
    good = synced.repository.commit(GOOD)
    assert synced.sync("--check", "--path", "shop").returncode == 0 and synced.in_force() == good


@pytest.mark.parametrize("args, words", [(("--depth", "1"), "unknown option --depth"), (("--every", "1m"), "number of seconds"), (("--every", "0"), "number of seconds"),
                                         (("--path", "../x"), "within the repository"), (("--branch", "-x"), "is a name"),
                                         (("--signers", "/nowhere"), "cannot be read"), (("--repo",), "needs a value")])
def test_bad_usage_is_said(synced, args, words):
    done = synced.sync(*args)
    assert done.returncode == 64 and words in done.stderr and not synced.root.exists(), done


def test_a_kill_at_any_step_leaves_a_whole_commit_in_force(synced):
    """Its helpers are replaced by ones that kill it: before each step, and after it."""
    first = synced.repository.commit(GOOD)
    assert synced.sync().returncode == 0
    bin_ = synced.lab.root / "killers"
    bin_.mkdir()
    for tool in ("tar", "mv", "ln", "sync", "rm", "basename"):
        for when in ("before", "after"):
            second = synced.repository.commit({"a": tool + when, "b/c": "d"})
            real = subprocess.run(["which", tool], capture_output=True, text=True, check=True).stdout.strip()
            stub = bin_ / tool
            stub.write_text("#!/bin/sh\n" + ("" if when == "before" else f"{real} \"$@\"\n") + "kill -9 $PPID\n")
            stub.chmod(0o755)
            done = synced.sync(PATH=f"{bin_}:{synced.lab.bin}:{os.environ['PATH']}")
            stub.unlink()
            assert done.returncode in (-9, 0, 1), done
            assert synced.in_force() in (first, second)
            want = synced.repository.git("show", f"{synced.in_force()}:a") if synced.in_force() == second else None
            assert (synced.root / "current/shop/sluice.yaml").exists() and (want is None or (synced.root / "current/a").read_text() == want)
            assert synced.sync().returncode == 0 and synced.in_force() == second and synced.trees() <= {first, second}
            first = second


def test_a_scheduler_takes_what_it_brings(lab, sinks, synced):
    one, two = sinks(), sinks()
    lab.customers(10)

    def project(sink, **sync):
        return {"shop/sluice.yaml": json.dumps({
            "settings": {"state_dir": str(lab.state_dir), "listen": "127.0.0.1:0"},
            "sources": {"w": {"type": "postgres", "url": lab.warehouse_url}},
            "models": {"m": {"source": "w", "primary_key": "id", "sql": "select id, email from c"}},
            "destinations": {"hook": {"type": "webhook", "url": sink.url}},
            "syncs": {"s": {"model": "m", "destination": "hook", "mappings": "all", "schedule": {"every": "1s"}, **sync}}}, indent=1)}
    synced.repository.commit(project(one))
    running = subprocess.Popen(["setpriv", "--pdeathsig=KILL", *map(str, synced.command("--every", "1", "--path", "shop"))], env=synced.env(), start_new_session=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: (synced.root / "current").exists(), RUN_DEADLINE_S, "the first commit")
        assert synced.sync("--path", "shop").returncode == 75, "two would be in each other's way"
        service = Service(lab, None, "--watch", "-C", synced.root / "project")
        service.wait(lambda: len(one.state) == 10, "it runs")
        before = service.get("/api/v1/status")["config"]["revision"]
        synced.repository.commit(project(one, destination="hok"))
        service.wait(lambda: (service.get("/api/v1/status")["reload_error"] or "").count("hok"), "the mistake is told")
        lab.sql("insert into c values (11, 'x')")
        service.wait(lambda: len(one.state) == 11, "the commit before goes on")
        synced.repository.git("revert", "--no-edit", "HEAD")
        service.wait(lambda: service.get("/api/v1/status")["reload_error"] is None, "its revert is taken")
        assert service.get("/api/v1/status")["config"]["revision"] == before
        synced.repository.commit(project(two))
        service.wait(lambda: service.sync("s")["held"], "another target waits for approval")
        service.stop()
    finally:
        running.terminate()
        ended = running.wait(RUN_DEADLINE_S)
    assert not two.state and ended == 0


def test_the_recipes_call_it_as_it_wants_to_be_called(synced):
    """The unit's and the container's own words, with this test's folders in the place of theirs."""
    commit = synced.repository.commit(GOOD)
    values = {"REPOSITORY": f"file://{synced.repository.folder}", "BRANCH": "main", "PROJECT": "shop"}
    places = {"/var/lib/sluice-project": str(synced.root), "/project": str(synced.root)}
    unit = re.search(r"^ExecStart=/usr/local/bin/sluice-sync (.*)$", (SYNC.parent / "sluice-sync.service").read_text(), re.M)[1].split()
    patch = yaml.safe_load((SYNC.parents[1] / "kubernetes/components/git/sync.yaml").read_text())
    first, = [op["value"][0] for op in patch if op["path"].endswith("/initContainers")]
    beside, = [op["value"] for op in patch if op["path"].endswith("/containers/-")]
    assert beside["args"] == [*first["args"], "--every", "60"] and first["command"] == beside["command"] == ["sluice-sync"]
    assert {k: v for k, v in beside.items() if k in first and k not in ("name", "args")} == {k: v for k, v in first.items() if k not in ("name", "args")}
    for words in (unit, first["args"]):
        args = [places.get(word, re.sub(r"\$[({](\w+)[)}]", lambda m: values[m[1]], word)) for word in words]
        done = subprocess.run(["sh", SYNC, *args], capture_output=True, text=True, check=False, env=synced.env())
        assert done.returncode == 0 and synced.in_force() == commit and (synced.root / "project/sluice.yaml").exists(), done
        shutil.rmtree(synced.root)
