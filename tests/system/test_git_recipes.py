"""The recipes of deploy/git, carried out: the jobs of a pull request, line by line, and the comment that they keep."""
import json
import os
import pathlib
import subprocess
import sys

import pytest
import yaml

from harness.folders import Repository
from harness.forge import Forge
from harness.markdown import Rendered

GIT = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "git"
EVENT = {"pull_request": {"number": 5}}
MARKER = "<!-- sluice plan -->\n"

# Stands in for docker: the same programs, with the folders and the environment that the container would have, and no other.
DOCKER = """#!{python}
import os, sys
words, volumes, env, folder = sys.argv[2:], {{}}, {{"PATH": "{bin}"}}, "/"
assert sys.argv[1] == "run"
while words[0].startswith("--"):
    option = words.pop(0)
    if option == "--rm":
        continue
    value = words.pop(0)
    if option == "--volume":
        host, inside, how = value.split(":")
        assert how == "ro", value
        volumes[inside] = host
    elif option == "--env":
        env.update({{value: os.environ[value]}} if value in os.environ else {{}})
    elif option == "--workdir":
        folder = value
    else:
        assert (option, value) == ("--network", "none"), option
assert words.pop(0) == "registry.example.com/sluice:0.1.0"
def outside(path):
    for inside, host in volumes.items():
        if path == inside or path.startswith(inside + "/"):
            return host + path[len(inside):]
    return path
os.chdir(outside(folder))
os.execvpe(words[0], [outside(word) for word in words], env)
"""


@pytest.fixture
def forge():
    it = Forge()
    yield it
    it.close()


def comment(env, file, *args):
    return subprocess.run([sys.executable, GIT / "sluice-comment", file, *args], env={"PATH": os.environ["PATH"], "COMMENT_PAUSE_S": "0.01", **env},
                          capture_output=True, text=True, check=False)


# ---- the comment ----

@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_one_comment_is_made_changed_and_left_alone(forge, tmp_path, kind):
    env = forge.github(EVENT, tmp_path) if kind == "github" else forge.gitlab()
    plan = tmp_path / "plan.md"
    for i in range(150):
        forge.add(f"words {i}")
    forge.add(MARKER + "not by us")  # nor to be taken for ours
    plan.write_text("one\n")
    done = comment(env, plan)
    assert done.returncode == 0 and "was made" in done.stdout and forge.own() == [MARKER + "one"], done
    plan.write_text("two\n")
    assert "was changed" in comment(env, plan).stdout and forge.own() == [MARKER + "two"]
    forge.add("later")
    writes = len([m for m, _ in forge.asked if m != "GET"])
    assert "is as it should be" in comment(env, plan).stdout and len([m for m, _ in forge.asked if m != "GET"]) == writes
    assert comment(env, plan, "--name", "other").returncode == 0 and forge.own() == [MARKER + "two", "<!-- sluice other -->\ntwo"]
    assert forge.comments[150]["body"] == MARKER + "not by us"


def test_what_is_too_long_for_a_comment_is_cut_at_a_line(forge, tmp_path):
    plan = tmp_path / "plan.md"
    plan.write_text("€ line\n" * 20000)
    assert comment(forge.github(EVENT, tmp_path), plan).returncode == 0
    body, = forge.own()
    assert 64000 < len(body) < 65536 and body.rstrip().endswith("all of it.") and "€ line\n\n… cut here" in body


def test_what_may_pass_is_tried_again_and_what_does_not_is_told(forge, tmp_path):
    env = forge.github(EVENT, tmp_path)
    plan = tmp_path / "plan.md"
    plan.write_text("one")
    forge.busy = 2
    assert comment(env, plan).returncode == 0 and forge.own() == [MARKER + "one"]
    forge.refuses = True
    done = comment(env, plan)
    assert done.returncode == 1 and "403" in done.stderr and "not accessible" in done.stderr and "forge-token" not in done.stderr
    forge.close()
    done = comment(env, plan)
    assert done.returncode == 1 and "comments" in done.stderr and "Traceback" not in done.stderr


def test_outside_of_a_pull_request_it_says_so(forge, tmp_path):
    plan = tmp_path / "plan.md"
    plan.write_text("one")
    for env in ({}, {k: v for k, v in forge.gitlab().items() if k != "CI_MERGE_REQUEST_IID"}):
        done = comment(env, plan)
        assert done.returncode == 64 and "is this a job of a pull request?" in done.stderr, done
    done = comment(forge.github({"push": {}}, tmp_path), plan)
    assert done.returncode == 1 and "not started by a pull request" in done.stderr
    assert comment(forge.gitlab(), tmp_path / "nowhere").returncode == 1


# ---- the jobs ----

def project(lab, sink, **sync):
    return yaml.safe_dump({
        "settings": {"state_dir": "${STATE_DIRECTORY:-.sluice}"},
        "sources": {"warehouse": {"type": "postgres", "url": "${WAREHOUSE_URL}"}},
        "models": {"m": {"source": "warehouse", "primary_key": "id", "sql": "select id, email, amount from c"}},
        "destinations": {"hook": {"type": "webhook", "url": sink.url, "bearer": "${HUBSPOT_TOKEN}"}},
        "syncs": {"s": {"model": "m", "destination": "hook", "mode": "mirror", "mappings": ["id", "email"], **sync}}})


class Change:
    """A repository with a branch and a change of it, merged as GitHub merges them to be tested."""

    def __init__(self, lab, before, after):
        self.lab = lab
        self.repository = Repository(lab.root / "repository")
        self.before = self.repository.commit({"sluice/sluice.yaml": before})
        self.repository.git("switch", "-qc", "change")
        self.commit(after)
        self.bin = lab.root / "bin"
        self.bin.mkdir()
        (self.bin / "docker").write_text(DOCKER.format(python=sys.executable, bin=f"{lab.bin}:{os.environ['PATH']}"))
        (self.bin / "docker").chmod(0o755)

    def commit(self, text):
        """Another commit of the change."""
        self.repository.git("switch", "-q", "change")
        self.repository.commit({"sluice/sluice.yaml": text})
        self.head = self.repository.git("rev-parse", "HEAD")

    def checkout(self, name, merged):
        """What a runner has: a clone that is no deeper than it asked for."""
        folder = self.lab.root / name
        if merged:
            self.repository.git("switch", "-q", "--detach", self.before)
            self.repository.git("merge", "-q", "--no-ff", "-m", "merge", "change")
        self.repository.git("branch", "-f", name, "HEAD" if merged else self.head)
        subprocess.run(["git", "clone", "-q", "--depth", "2" if merged else "1", "--branch", name, f"file://{self.repository.folder}", folder], check=True)
        return folder

    def shell(self, script, folder, env, path):
        return subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=folder, capture_output=True, text=True, check=False,
                              env={"PATH": f"{path}:{os.environ['PATH']}", "HOME": str(self.lab.root), "TMPDIR": str(self.lab.root), **env})


def github_job(change, name, forge, checkout):
    """Carries out the steps with a script; gives what they said, each, and the summary."""
    workflow = yaml.safe_load((GIT / "github.yaml").read_text())
    folder = change.checkout(checkout, True)
    os.makedirs(folder / ".github")
    os.symlink(GIT / "sluice-comment", folder / ".github" / "sluice-comment")
    temp = change.lab.root / (checkout + "-temp")
    temp.mkdir()
    values = {"secrets.SLUICE_WAREHOUSE_URL": change.lab.warehouse_url, "github.token": "forge-token"}
    env = {**forge.github(EVENT, change.lab.root), "RUNNER_TEMP": str(temp), "GITHUB_STEP_SUMMARY": str(temp / "summary"), **workflow["env"]}
    env.pop("GITHUB_TOKEN")
    said = {}
    for step in workflow["jobs"][name]["steps"]:
        if "run" in step:
            own = {k: values.get(v.strip("${} "), v) for k, v in step.get("env", {}).items()}
            said[step["name"]] = change.shell(step["run"], folder, {**env, **own}, change.bin)
    summary = temp / "summary"
    return said, summary.read_text() if summary.exists() else ""


def test_github_checks_without_secrets_and_shows_mistakes_beside_their_lines(lab, sink, forge):
    change = Change(lab, project(lab, sink), project(lab, sink, destination="hok"))
    said, _ = github_job(change, "check", forge, "first")
    assert said["check"].returncode == 78 and "::error file=sluice/sluice.yaml,line=" in said["check"].stdout, said
    change.commit(project(lab, sink))
    said, _ = github_job(change, "check", forge, "second")
    assert said["check"].returncode == 0 and "ok: 1 source" in said["check"].stdout


def test_github_plans_what_changed_into_one_comment(lab, sink, forge):
    lab.customers(20)
    change = Change(lab, project(lab, sink), project(lab, sink, mappings=["id", {"from": "email", "to": "email", "transform": "upper"}]))
    said, summary = github_job(change, "plan", forge, "first")
    assert all(done.returncode == 0 for done in said.values()), said
    body, = forge.own()
    shown = Rendered(body)
    assert shown.row("s")["Changed"] == "20" and "s: mappings" in shown.items and "example.org" not in body
    assert body == (MARKER + summary).rstrip()
    change.commit(project(lab, sink, destination="hook", guard={"max_removed": 0}, identify_by="email"))
    said, _ = github_job(change, "plan", forge, "second")
    assert said["plan"].returncode == 0 and "::notice" in said["plan"].stdout, "that a run would be held is no failure"
    body, = forge.own()
    assert "another target" in body and Rendered(body).row("s")["Added"] == "20"
    change.commit(project(lab, sink, destination="hok"))
    said, _ = github_job(change, "plan", forge, "third")
    assert said["plan"].returncode == 78 and said["comment"].returncode == 0 and "1 mistake" in forge.own()[0] and len(forge.own()) == 1
    assert not sink.log


def test_gitlab_checks_and_plans(lab, sink, forge):
    lab.customers(20)
    jobs = yaml.safe_load((GIT / "gitlab.yaml").read_text())
    change = Change(lab, project(lab, sink), project(lab, sink, mappings=["id"]))
    folder = change.checkout("first", False)
    os.makedirs(folder / "ci")
    os.symlink(GIT / "sluice-comment", folder / "ci" / "sluice-comment")
    env = {**forge.gitlab(), **{k: v for k, v in jobs["variables"].items()}, "CI_MERGE_REQUEST_DIFF_BASE_SHA": change.before}
    done = change.shell("\n".join(jobs["sluice-check"]["script"]), folder, env, lab.bin)
    assert done.returncode == 0 and json.loads((folder / "sluice-check.json").read_text()) == [], done
    script = "\n".join(jobs["sluice-plan"]["script"])
    done = change.shell(script, folder, {**env, **jobs["sluice-plan"]["variables"], "WAREHOUSE_URL": lab.warehouse_url}, lab.bin)
    assert done.returncode == 0, done
    body, = forge.own()
    assert Rendered(body).row("s")["Changed"] == "20" and body == (MARKER + (folder / "plan.md").read_text()).rstrip()
    done = change.shell(script, folder, {**env, **jobs["sluice-plan"]["variables"], "WAREHOUSE_URL": "postgresql://127.0.0.1:1/x"}, lab.bin)
    assert done.returncode == 2 and "cannot be planned" in forge.own()[0]


def test_what_comes_from_a_fork_meets_no_secret():
    workflow = yaml.safe_load((GIT / "github.yaml").read_text())
    check, plan = workflow["jobs"]["check"], workflow["jobs"]["plan"]
    assert list(workflow[True]) == ["pull_request"], "a workflow of pull_request_target would have secrets"
    assert workflow["permissions"] == {"contents": "read"} and "permissions" not in check and "secrets." not in json.dumps(check)
    assert plan["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
    assert plan["permissions"] == {"contents": "read", "pull-requests": "write"} and plan["environment"]
    assert all(step["with"]["persist-credentials"] is False for job in (check, plan) for step in job["steps"] if "checkout" in step.get("uses", ""))
    assert not [step for job in (check, plan) for step in job["steps"] if "${{" in step.get("run", "")], "what others write is no part of a script"
    rules = yaml.safe_load((GIT / "gitlab.yaml").read_text())["sluice-plan"]["rules"]
    assert all("$CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID" in rule["if"] for rule in rules)
