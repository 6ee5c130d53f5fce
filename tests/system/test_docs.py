"""The configuration that the documentation shows is one that `sluice check` accepts."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOP = "settings sources models destinations connectors syncs alerts".split()
SECRET = "${file:/run/secrets/crm_token}"


def examples():
    """The YAML blocks that are whole projects or parts of one, each with the page and line it stands in."""
    for page in ("README.md", "protocol/config/README.md", "scheduler/map/README.md"):
        text = (ROOT / page).read_text()
        for found in re.finditer(r"```yaml\n(.*?)```", text, re.S):
            yield pytest.param(found[1], id=f"{page}:{text.count(chr(10), 0, found.start()) + 1}")


def whole(block):
    """The block as a project: what it leaves out comes from the smallest project there is."""
    parts = {"sources": "sources: {warehouse: {type: postgres, url: postgresql:///x}}",
             "models": "models: {m: {source: warehouse, primary_key: id, table: m}}",
             "destinations": "destinations: {d: {type: webhook, url: 'http://127.0.0.1/'}}",
             "syncs": "syncs: {s: {model: m, destination: d, mappings: all}}"}
    if block.startswith("mappings:"):
        parts["syncs"] = "syncs:\n  s:\n    model: m\n    destination: d\n" + re.sub("^", "    ", block, flags=re.M)
        return "\n".join(parts.values())
    given = [word for word in TOP if re.search(f"^{word}:", block, re.M)]
    assert given, "neither a project nor mappings: give the block another language than yaml"
    if "models" in given:
        parts = {}
    if "destinations" in given:
        parts.pop("syncs", None)  # the sync that is filled in knows its own destination only
    return "\n".join([block] + [text for word, text in parts.items() if word not in given])


@pytest.mark.parametrize("block", examples())
def test_an_example_of_the_documentation_passes_check(lab, block):
    (lab.project_dir / "token").write_text("t\n")
    (lab.project_dir / "sluice.yaml").write_text(whole(block.replace(SECRET, "${file:token}")))
    names = re.findall(r"\$\{(\w+)\}", block)
    env = {name: "http://127.0.0.1/" if name.endswith("_URL") else "1" for name in names}
    done = lab.command("check", env={**env, "WAREHOUSE_URL": "postgresql:///x", "BUS_URL": "redis://127.0.0.1"})
    assert done.rc == 0, done.text


def test_every_command_and_option_of_help_is_in_the_readme(lab):
    text = (ROOT / "README.md").read_text()
    commands = re.findall(r"^  (\w+) ", lab.command("--help").out, re.M)
    assert len(commands) > 6
    for name in commands:
        assert f"`sluice {name}" in text, name
        for option in re.findall(r"(--\w+)", lab.command(name, "--help").out.split("Options:")[1]):
            assert option in text, f"{name} {option}"


@pytest.mark.parametrize("page", sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("**/*.md") if "build" not in p.parts))
def test_links_between_pages_lead_somewhere(page):
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", text, re.M)}
    for anchor in re.findall(r"\]\(#([^)]+)\)", text):
        assert anchor in anchors, anchor
