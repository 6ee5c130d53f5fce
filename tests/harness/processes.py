"""What runs below a process, and how to end it the hard way. Only processes that a test started are touched."""
import os
import pathlib
import re
import signal

from .sink import wait_until


def _stat(pid):
    """(name, state, parent) of a process; None when it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    name = text[text.index("(") + 1:text.rindex(")")]
    rest = text[text.rindex(")") + 2:].split()
    return name, rest[0], int(rest[1])


def descendants(root):
    """{pid: name} of every living process below root."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            stat = _stat(int(entry))
            if stat and stat[1] != "Z":
                parents[int(entry)] = stat
    found, queue = {}, [root]
    while queue:
        parent = queue.pop()
        for pid, (name, _, above) in parents.items():
            if above == parent and pid not in found:
                found[pid] = name
                queue.append(pid)
    return found


def alive(pid):
    stat = _stat(pid)
    return stat is not None and stat[1] != "Z"


def kill_hard(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def wait_gone(pids, deadline_s=20):
    wait_until(lambda: not any(alive(p) for p in pids), deadline_s, f"the end of processes {list(pids)}")


def memory_kib(pid, field):
    """A line of /proc/PID/status: RssAnon (its own), VmRSS (with mapped pages of files), VmHWM (the most of that so far)."""
    return int(re.search(rf"^{field}:\s+(\d+) kB$", pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8"), re.MULTILINE)[1])


def processor_s(pid):
    """Seconds of processor time that it has used."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
