"""The real Lua scripts, assembled as the build does (protocol/queue/scripts/embed.cmake)."""
import pathlib
import re

DIR = pathlib.Path(__file__).resolve().parents[2] / "protocol" / "queue" / "scripts"
NAMES = ("look fence clear open permit enqueue claim settle beat reap control trim audit shared wipe").split()
CONSTANTS = re.compile(r"^local ([A-Z_0-9, ]+) = ([-0-9e, ]+)\n", re.M)


def fold(text):
    """Puts the values of constants in the places of their names."""
    values = {}
    for names, numbers in CONSTANTS.findall(text):
        values.update(zip(names.split(", "), numbers.split(", ")))
    text = CONSTANTS.sub("", text)
    for name, value in values.items():
        text = re.sub(rf"(?<![A-Za-z0-9_]){name}(?![A-Za-z0-9_])", value, text)
    return text


def assemble(name):
    own = (DIR / f"{name}.lua").read_text()
    shebang, parts = "#!lua", []
    for line in own.splitlines()[:2]:
        if line.startswith("--! flags "):
            shebang += " flags=" + line[len("--! flags "):]
        elif line.startswith("--! uses ") and line != "--! uses none":
            parts = line[len("--! uses "):].split()
    return fold(shebang + "\n" + "".join((DIR / f"{p}.lua").read_text() for p in parts) + own)


TEXTS = {name: assemble(name) for name in NAMES}
