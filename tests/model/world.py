"""A small world around the real scripts: a redis-server, a scheduler with a spool, workers, a receiving end.

True time is the receiving end's and the workers' own monotonic clock; the server's clock may jump against
it. Everything random comes from one generator, so a seed tells the whole story.
"""
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import redis

import scripts

PR_SET_PDEATHSIG = 1


class Server:
    """redis-server on a unix socket in a folder of its own; dies with this process."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sluice-model-"))
        self.process = None
        self.start()

    def start(self):
        libc = ctypes.CDLL(None)
        socket = self.dir / "redis.sock"
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(self.dir),
             "--maxmemory-policy", "noeviction", "--logfile", "redis.log"],
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
        self.redis = redis.Redis(unix_socket_path=str(socket))
        deadline = time.monotonic() + 10
        while True:
            try:
                self.redis.ping()
                break
            except redis.exceptions.RedisError:
                if time.monotonic() > deadline:
                    raise
                os.sched_yield()
        self.scripts = {name: self.redis.register_script(text) for name, text in scripts.TEXTS.items()}

    def kill(self):
        self.redis.close()
        self.process.kill()
        self.process.wait()

    def restart(self):
        """Comes back with what was last saved, if anything was."""
        self.kill()
        (self.dir / "redis.sock").unlink(missing_ok=True)
        self.start()

    def stop(self):
        self.kill()
        shutil.rmtree(self.dir)


class Queue:
    """The calls of queue.h as the C side makes them; `clock` goes along with each."""

    def __init__(self, server, quota):
        self.server, self.key = server, "sluice:{%s}" % quota

    def __call__(self, name, clock, *args):
        return self.server.scripts[name](keys=[self.key], args=[clock, *args])

    def results(self, after="0-0", count=1000):
        reply = self.server.redis.xread({self.key + ":results": after}, count=count)
        return [(i.decode(), f[b"b"].decode(), f[b"s"].decode(), f[b"v"]) for i, f in reply[0][1]] if reply else []


def ordset(records, planned):
    """The text of protocol/wire/ordset.h."""
    if len(records) == planned:
        return ""
    text, i = [], 0
    while i < len(records):
        k = i
        while k + 1 < len(records) and records[k + 1] == records[k] + 1:
            k += 1
        text.append(str(records[i]) if k == i else f"{records[i]}-{records[k]}")
        i = k + 1
    return ",".join(text)


def ordset_read(text, planned):
    if not text:
        return tuple(range(planned))
    out = []
    for piece in text.split(","):
        first, _, last = piece.partition("-")
        out += range(int(first), int(last or first) + 1)
    return tuple(out)


def unpack(data, at=0):
    """As much msgpack as a result made by the scripts holds. Gives the value and where it ends."""
    c = data[at]
    if c < 0x80:
        return c, at + 1
    if 0xa0 <= c < 0xc0:
        n, at = c - 0xa0, at + 1
        return data[at:at + n].decode(), at + n
    if c in (0xd9, 0xda):
        size = 1 if c == 0xd9 else 2
        n, at = int.from_bytes(data[at + 1:at + 1 + size], "big"), at + 1 + size
        return data[at:at + n].decode(), at + n
    if 0xcc <= c <= 0xcf:
        size = 1 << (c - 0xcc)
        return int.from_bytes(data[at + 1:at + 1 + size], "big"), at + 1 + size
    assert 0x90 <= c < 0xa0, hex(c)
    out, at = [], at + 1
    for _ in range(c - 0x90):
        value, at = unpack(data, at)
        out.append(value)
    return out, at


class Receiver:
    """The destination: sees every request at its true instant and judges the limits and the lanes."""

    def __init__(self):
        self.seen = {}  # kind, group -> [(instant, amount)]
        self.epoch_start = 0

    def request(self, instant, records, group):
        for counted in (0, group):
            self.seen.setdefault(("requests", counted), []).append((instant, 1))
            if records:
                self.seen.setdefault(("records", counted), []).append((instant, records))

    def worst(self, kind, per, group):
        """The fullest window (t - per, t]: amount and the requests in it."""
        events = sorted(self.seen.get((kind, group), []))
        worst, total, first = (0, 0), 0, 0
        for i, (t, n) in enumerate(events):
            total += n
            while events[first][0] <= t - per:
                total -= events[first][1]
                first += 1
            worst = max(worst, (total, i - first + 1))
        return worst
