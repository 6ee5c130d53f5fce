"""bench/sink.c as a receiver for volume: it keeps the version of every record and notices any that goes back.

Models for it have a bigint `id` as their key, a bigint `version` that grows with every change of a row, and, to be
measured, a bigint `at`: the microseconds of the machine's monotonic clock at which the row was changed.
"""
import hashlib
import json
import os
import pathlib
import subprocess
import tempfile
import urllib.request

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench"


def compiled(name, *sources, flags=()):
    """A program of one or a few C files, made once per machine and text."""
    paths = [BENCH / s for s in sources]
    texts = b"".join(p.read_bytes() for p in sorted({*paths, *BENCH.glob("*.h")}))
    base = pathlib.Path(tempfile.gettempdir()) / f"sluice-tests-{os.getuid()}"
    base.mkdir(exist_ok=True)
    program = base / f"{name}-{hashlib.sha256(texts).hexdigest()[:16]}"
    if not program.exists():
        making = pathlib.Path(tempfile.mkdtemp(dir=base)) / name
        subprocess.run(["cc", "-O2", "-o", making, *paths, *flags], check=True)
        making.rename(program)
        making.parent.rmdir()
    return program


class VersionSink:
    """Dies with the test's process."""

    def __init__(self, port=0, address="127.0.0.1"):
        program = compiled("sink", "sink.c", "versions.c")
        self.address = address
        self.process = subprocess.Popen([program, str(port), "versions", address], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    @property
    def url(self):
        return f"http://{self.address}:{self.port}/in"

    def ask(self, method, path):
        request = urllib.request.Request(f"http://{self.address}:{self.port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    def stats(self):
        return json.loads(self.ask("GET", "/stats"))

    def rows(self):
        """{id: version} of what the destination holds."""
        return {int(i): int(v) for i, v in (line.split() for line in self.ask("GET", "/rows").splitlines())}

    def latencies_ms(self):
        """Of every upsert, from its `at` to its arrival; sorted."""
        return sorted(int(line) / 1000 for line in self.ask("GET", "/latencies").splitlines())

    def forget_latencies(self):
        self.ask("POST", "/forget-latencies")

    def answer(self, status):
        """How it answers from now on; only with 200 it takes records."""
        self.ask("POST", f"/answer/{status}")

    def delay(self, delay_ms):
        """How long it takes for each answer from now on."""
        self.ask("POST", f"/delay/{delay_ms}")

    def times_s(self):
        """When each request came that was taken, on the clock of time.monotonic()."""
        return [int(line) / 1e6 for line in self.ask("GET", "/times").splitlines()]

    def reset_counts(self):
        """Forgets how much came and when, not what it holds."""
        self.ask("POST", "/forget-counts")

    def reset(self):
        self.ask("POST", "/reset")

    def assert_in_order(self):
        """No record went back to an older version, and every one could be read."""
        stats = self.stats()
        assert not stats["back"], f"{stats['back']} went back (id, version before, version): {self.ask('GET', '/back').splitlines()[:10]}"
        assert not stats["strange"], f"{stats['strange']} records could not be read"

    def close(self):
        self.process.kill()
        self.process.wait(20)
        self.process.stdout.close()
