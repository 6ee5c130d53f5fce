"""The real Lua scripts in a real Redis, called many at a time, with the processor time that each kind takes.

The clock of every call is the caller's own (ARGV[1]), so simulated time need not pass.
"""
import ctypes
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "model"))

import scripts  # noqa: E402

PR_SET_PDEATHSIG = 1
START_S = 20


def encode(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


class Failed(Exception):
    """Redis refused a command."""


class Replies:
    """Reads replies from a socket."""

    def __init__(self, sock):
        self.sock, self.data, self.at = sock, b"", 0

    def more(self):
        got = self.sock.recv(1 << 20)
        if not got:
            raise ConnectionError("Redis has gone")
        self.data = self.data[self.at:] + got
        self.at = 0

    def line(self):
        while True:
            end = self.data.find(b"\r\n", self.at)
            if end >= 0:
                line, self.at = self.data[self.at:end], end + 2
                return line
            self.more()

    def one(self):
        line = self.line()
        kind, rest = line[:1], line[1:]
        if kind == b":":
            return int(rest)
        if kind == b"$":
            n = int(rest)
            if n < 0:
                return None
            while len(self.data) - self.at < n + 2:
                self.more()
            text, self.at = self.data[self.at:self.at + n], self.at + n + 2
            return text
        if kind == b"*":
            return None if rest == b"-1" else [self.one() for _ in range(int(rest))]
        if kind == b"-":
            raise Failed(rest.decode())
        return rest


class Redis:
    """A redis-server of its own on a unix socket; it dies with this process."""

    def __init__(self, *options):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="slfleet-"))
        path = self.folder / "s"
        libc = ctypes.CDLL(None)
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(self.folder),
             "--maxmemory-policy", "noeviction", "--logfile", str(self.folder / "log"), *options],
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
        self.sock = self.dial(path)
        self.replies = Replies(self.sock)
        self.digests = {name: self.ask("SCRIPT", "LOAD", text).decode() for name, text in scripts.TEXTS.items()}

    def dial(self, path):
        deadline = time.monotonic() + START_S
        while True:
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.connect(str(path))
                return sock
            except OSError:
                sock.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def stop(self):
        self.sock.close()
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, *words):
        self.sock.sendall(encode(*words))
        return self.replies.one()

    def call(self, script, quota, *args):
        """The bytes of a script's call, for `together`."""
        return encode("EVALSHA", self.digests[script], 1, "sluice:{%s}" % quota, *args)

    def together(self, calls):
        """Sends encoded commands in one go; the replies in their order."""
        out = []
        for i in range(0, len(calls), 500):
            some = calls[i:i + 500]
            self.sock.sendall(b"".join(some))
            out += [self.replies.one() for _ in some]
        return out

    def info(self, section):
        text = self.ask("INFO", section).decode()
        return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)

    def cpu_s(self):
        """Processor seconds of the whole server so far."""
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task")
        return sum(int((t / "schedstat").read_text().split()[0]) for t in tasks.iterdir()) / 1e9

    def memory(self):
        return int(self.info("memory")["used_memory"])


def open_args(epoch, clock, concurrency, limits, permit_ms=10000):
    """Of the script open; limits: (kind, count, per_ms, group)."""
    flat = [x for limit in limits for x in limit]
    return [clock, "s" * 32, epoch, "", permit_ms, clock, "boot", 1, concurrency, 20, 0, len(limits), *flat, 0, 0, 0, 0, 0, 0, 0, 0]


def enqueue_args(epoch, clock, sync, run, destination, first, count, records, payload, cap=1 << 40):
    words = []
    for number in range(first, first + count):
        root = f"{run}.{number}"
        words += [number, root, root, "", "", records, payload, 0, 0, 0]
    return [clock, epoch, sync, run, destination, "f1", 2, cap, count, *words]
