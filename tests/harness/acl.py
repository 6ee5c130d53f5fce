"""What the programs ask of Redis, read from their sources, and users that may do just so much, as deploy/redis/README.md writes them."""
import re

from .lab import ROOT

SCRIPTS = ROOT / "protocol" / "queue" / "scripts"
README = ROOT / "deploy" / "redis" / "README.md"

# Which scripts a program calls (protocol/queue: scheduler.c, worker.c, shared.c), and what it says besides.
CALLS = {
    "scheduler": (("look", "fence", "clear", "wipe", "open", "permit", "enqueue", "control", "reap", "trim", "shared"),
                  {"evalsha", "eval", "xread", "rpush", "ltrim"}),
    "worker": (("claim", "settle", "beat", "shared"), {"evalsha", "eval", "blpop", "rpush", "ltrim"}),
}


def commands_of(script):
    """Those that a script or one of the parts that it uses may call."""
    text = (SCRIPTS / f"{script}.lua").read_text(encoding="utf-8")
    found = set()
    for name in re.findall(r"\bcall\(([^,)]+)", text):
        found.update(word.lower() for word in re.findall(r"'([A-Z]+)'", name))
    for parts in re.findall(r"^--! uses (.+)$", text, re.M):
        for part in parts.split():
            found |= commands_of(part)
    return found


def commands_needed(program):
    scripts, besides = CALLS[program]
    return besides.union(*(commands_of(script) for script in scripts))


def documented(program):
    """The rules of the user sluice-PROGRAM, as one has to type them; of a server alone."""
    text = README.read_text(encoding="utf-8").replace("\\\n", " ")
    line = re.search(rf"^    user sluice-{program} (.+)$", text, re.M)
    return line[1].split()


def commands_documented(program):
    return {rule[1:] for rule in documented(program) if rule.startswith("+")}


def make_user(client, program, password, more=()):
    rules = [rule for rule in documented(program) if not rule.startswith(">")]
    client.execute_command("ACL", "SETUSER", f"sluice-{program}", "reset", *rules, f">{password}", *more)
