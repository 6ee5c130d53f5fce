"""`sluice completion`: the shells themselves complete commands, options and names."""
import os
import pty
import select
import shutil
import subprocess

import pytest

from harness.sink import wait_until


@pytest.fixture
def project(lab, sink):
    lab.customers(3)
    lab.project({"m": {"sql": "select * from c"}}, {"hook": {"url": sink.url}, "other": {"url": sink.url}},
                {"customers_to_crm": {"model": "m", "destination": "hook"}, "customers_to_mail": {"model": "m", "destination": "other"}})
    return lab


def environment(lab):
    return {**os.environ, "PATH": f"{lab.bin}:{os.environ['PATH']}", "HOME": str(lab.root), "TERM": "dumb", "LC_ALL": "C.UTF-8"}


def commands_of(lab):
    found = lab.command("--help").out.split("Commands:")[1]
    return [line.split()[0] for line in found.splitlines() if line.startswith("  ")]


def options_of(lab, command):
    return [w.rstrip(",") for line in lab.command(command, "--help").out.split("Options:")[1].splitlines() for w in line.split()[:2] if w.startswith("--")]


def bash(lab, line, cwd=None):
    """What bash's own machinery offers for the line, as if TAB were pressed at its end."""
    script = """
source <(sluice completion bash) || exit 9
read -ra COMP_WORDS <<< "$1"; [[ $1 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_LINE=$1; COMP_POINT=${#1}
call=$(complete -p sluice); [[ $call =~ -F\\ ([a-z_]+) ]] || exit 8
"${BASH_REMATCH[1]}" sluice "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
    done = subprocess.run(["bash", "--norc", "-c", script, "bash", line], cwd=cwd or lab.project_dir, env=environment(lab), capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done
    return sorted(done.stdout.split())


def fish(lab, line, cwd=None):
    done = subprocess.run(["fish", "--no-config", "-c", f"source (sluice completion fish | psub); complete -C '{line}'"], cwd=cwd or lab.project_dir,
                          env=environment(lab), capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done
    return sorted({row.split("\t")[0].strip() for row in done.stdout.splitlines()})


def zsh(lab, line, wanted):
    """A zsh with a terminal, in which the line is typed and ^T lists what there is: until all that is wanted stands there."""
    master, slave = pty.openpty()
    child = subprocess.Popen(["zsh", "-f", "-i"], cwd=lab.project_dir, env={**environment(lab), "PS1": "ready> ", "COLUMNS": "80", "LINES": "200"},
                             stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    said = ""

    def has(text):
        nonlocal said
        if select.select([master], [], [], 0.2)[0]:
            said += os.read(master, 65536).decode(errors="replace")
        return all(t in said for t in text)

    def send(text, *until):
        nonlocal said
        said = ""
        os.write(master, text.encode())
        wait_until(lambda: has(until), 30, f"{[t for t in until if t not in said]} of zsh, which said {said!r}")
    try:
        wait_until(lambda: has(["ready> "]), 30, "zsh")
        send("autoload -U compinit && compinit -u -D && source <(sluice completion zsh) && LISTMAX=1000 && print loa''ded\n", "loaded")
        send("bindkey '^T' list-choices; print bou''nd\n", "bound")
        send(line + "\x14", *wanted)
    finally:
        child.kill()
        child.wait()
        os.close(master)


needs_fish = pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
needs_zsh = pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
shells = pytest.mark.parametrize("shell", [bash, pytest.param(fish, marks=needs_fish)])


@shells
def test_every_command_and_each_of_its_options(project, shell):
    commands = commands_of(project)
    assert len(commands) > 15 and set(commands) <= set(shell(project, "sluice "))
    assert {"run", "runs"} <= set(shell(project, "sluice ru")) and "status" not in shell(project, "sluice ru")
    for command in commands:
        want = set(options_of(project, command))
        got = {w for w in shell(project, f"sluice {command} --") if w.startswith("--")}
        assert got >= want and not got - want - {"--version"}, (command, got ^ want)


@shells
def test_names_of_the_project_are_offered_where_they_belong(project, shell):
    run = project.good_run().runs[0]["run"]
    assert shell(project, "sluice run customers_to_") == ["customers_to_crm", "customers_to_mail"]
    assert shell(project, "sluice run --full customers_to_c") == ["customers_to_crm"]
    assert shell(project, "sluice forget 7 --sync customers_to_m") == ["customers_to_mail"]
    assert run in shell(project, "sluice approve ") and run in shell(project, "sluice errors --run ")
    assert shell(project, "sluice pause --destination o") == ["other"]
    assert shell(project, "sluice init --connector hubs") == ["hubspot"]
    assert shell(project, "sluice token --role op") == ["operator"]
    assert shell(project, "sluice state ex") == ["export"]
    assert shell(project, "sluice completion f") == ["fish"]
    assert "customers_to_crm" in shell(project, f"sluice -C {project.project_dir} run ", cwd=project.root)


@shells
def test_outside_of_a_project_there_are_no_names_and_no_words(project, shell):
    assert shell(project, "sluice run customers", cwd=project.root / "out") == []
    assert "run" in shell(project, "sluice ", cwd=project.root / "out")


@shells
def test_folders_and_files(project, shell):
    (project.project_dir / "plans").mkdir()
    (project.project_dir / "plans" / "one.plan").write_text("")
    assert [w.rstrip("/") for w in shell(project, "sluice -C pla")] == ["plans"]
    assert "plans/one.plan" in shell(project, "sluice apply plans/o")


@needs_zsh
def test_zsh_offers_the_same(project):
    zsh(project, "sluice ", ["validate the project folder", *(f"{command} " for command in commands_of(project))])
    zsh(project, "sluice run --", options_of(project, "run"))
    zsh(project, "sluice run customers_to_", ["customers_to_crm", "customers_to_mail"])
    zsh(project, "sluice init --connector h", ["hubspot", "http"])
    zsh(project, "sluice token --role ", ["operator", "viewer"])


def test_tab_in_a_bash_with_a_terminal(project):
    master, slave = pty.openpty()
    child = subprocess.Popen(["bash", "--norc", "-i"], cwd=project.project_dir, env={**environment(project), "PS1": "ready> "}, stdin=slave, stdout=slave,
                             stderr=slave, start_new_session=True)
    os.close(slave)
    said = ""

    def has(text):
        nonlocal said
        if select.select([master], [], [], 0.2)[0]:
            said += os.read(master, 65536).decode(errors="replace")
        return text in said
    try:
        os.write(master, b"source <(sluice completion bash); echo loa''ded\n")
        wait_until(lambda: has("loaded"), 30, "bash")
        os.write(master, b"echo sluice; sluice che\tk --he\t\n")
        wait_until(lambda: has("validate") or has("Validate the project folder."), 30, "the help of check")
    finally:
        child.kill()
        child.wait()
        os.close(master)


@pytest.mark.parametrize("args", [[], ["tcsh"]])
def test_bad_usage(lab, args):
    done = lab.command("completion", *args)
    assert done.rc == 64 and "bash" in done.err
