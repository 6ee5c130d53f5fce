"""Manual pages and completions are installed, say everything that the programs can do, and are well formed."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ["sluice.1", "sluice-worker.1", "sluice-scheduler.1", "sluice.yaml.5"]


def page(lab, name):
    """Installed beside the programs; a build that was not installed has them in its own folder."""
    installed = lab.bin.parent / "share" / "man" / f"man{name[-1]}" / name
    if installed.exists():
        return installed
    found = [*ROOT.glob(f"build/*/deploy/man/made/{name}"), *ROOT.glob(f"deploy/man/{name}")]
    assert found, f"there is no {name}"
    return max(found, key=lambda p: p.stat().st_mtime)


def text(lab, name):
    """The page as its source says it, without what only typesets."""
    source = page(lab, name).read_text(encoding="utf-8")
    source = re.sub(r"\\f[BIR]|\\&", "", source).replace("\\-", "-").replace("\\ ", " ").replace("\\(dq", '"').replace("\\e", "\\")
    return re.sub(r"Fl -?(-[a-z])", r"-\1", re.sub(r"\bFl ([A-Za-z])\b", r"-\1", source))


def options(help_text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", help_text))


def test_every_command_and_option_is_in_sluice_1(lab):
    manual = text(lab, "sluice.1")
    commands = re.findall(r"^  ([a-z]+) ", lab.command("--help").out.split("Commands:")[1], re.M)
    assert len(commands) > 20
    for name in commands:
        start = re.search(rf"^\.It \"sluice {name}\b.*$", manual, re.M)
        assert start, name
        section = manual[start.start():].split('\n.It "sluice ', 1)[0]
        want = options(lab.command(name, "--help").out.split("Options:")[1]) - {"--json", "--help", "--directory", "--shard"}
        assert want <= options(section), (name, want - options(section))
    assert {"--json", "--help", "--directory", "--shard"} <= options(manual)


@pytest.mark.parametrize("program", ["sluice-worker", "sluice-scheduler"])
def test_every_option_of_the_other_programs_is_in_their_pages(lab, program):
    said = options(lab.start("--help", program=program).wait().out)
    assert len(said) > 3 and said == options(text(lab, f"{program}.1")), said ^ options(text(lab, f"{program}.1"))


def test_every_key_of_the_reference_is_in_sluice_yaml_5(lab):
    manual = text(lab, "sluice.yaml.5")
    reference = (ROOT / "protocol/config/README.md").read_text(encoding="utf-8")
    keys = set()
    for cell in re.findall(r"^\| (`[^|]*?) \|", reference, re.M):
        keys |= set(re.findall(r"`([^`]+)`", cell))
    assert len(keys) > 80
    assert not [k for k in keys if k.replace("\\|", "|") not in manual]
    headings = re.findall(r"^## (.*)$", reference, re.M)
    assert all(f".Sh {h.upper()}" in manual for h in headings)


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_well_formed(lab, name):
    path = page(lab, name)
    checked = False
    if shutil.which("mandoc"):
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and not done.stdout, done.stdout[:2000]
        shown = subprocess.run(["mandoc", "-T", "utf8", str(path)], capture_output=True, text=True, check=True).stdout
        shown = re.sub(".\x08", "", shown)  # bold and underlined, as printers do it
        assert "NAME" in shown and "SEE" in shown
        checked = True
    if shutil.which("man") and shutil.which("groff"):
        env = {**os.environ, "MANROFFSEQ": "", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(path)], capture_output=True, text=True, check=False, env=env)
        assert done.returncode == 0 and not done.stderr, done.stderr[:2000]
        checked = True
    if not checked:
        pytest.skip("neither mandoc nor groff is installed")


@pytest.mark.parametrize("shell, path", [("bash", "bash-completion/completions/sluice"), ("zsh", "zsh/site-functions/_sluice"),
                                         ("fish", "fish/vendor_completions.d/sluice.fish")])
def test_completions_are_installed(lab, shell, path):
    installed = lab.bin.parent / "share" / path
    if not installed.exists() and not (lab.bin.parent / "share").exists():
        pytest.skip("the programs are not installed")
    assert installed.read_text(encoding="utf-8") == lab.command("completion", shell).out
