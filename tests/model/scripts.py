"""The real Lua scripts, assembled as the build does (protocol/queue/scripts/embed.cmake)."""
import pathlib

DIR = pathlib.Path(__file__).resolve().parents[2] / "protocol" / "queue" / "scripts"
NAMES = ("look fence clear open permit enqueue claim settle beat reap control trim audit").split()


def assemble(name):
    own = (DIR / f"{name}.lua").read_text()
    shebang, parts = "#!lua", []
    for line in own.splitlines()[:2]:
        if line.startswith("--! flags "):
            shebang += " flags=" + line[len("--! flags "):]
        elif line.startswith("--! uses ") and line != "--! uses none":
            parts = line[len("--! uses "):].split()
    return shebang + "\n" + "".join((DIR / f"{p}.lua").read_text() for p in parts) + own


TEXTS = {name: assemble(name) for name in NAMES}
