"""How long this machine kept a process waiting that wanted to run: what a test of speed has to allow for."""
import subprocess
import sys

# Wakes every millisecond and tells of each time it was late: when it should have run, and by how much.
PROBE = """
import signal, sys, time
late, going = [], True
def stop(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, stop)
before = time.monotonic()
print("ready", flush=True)
while True:
    last = not going  # what kept it waiting until it was stopped counts, too
    time.sleep(0.001)
    now = time.monotonic()
    if now - before > LEAST:
        late.append((before, now - before))
    before = now
    if last:
        break
print(*(f"{t} {s}" for t, s in late), sep="\\n")
"""
LEAST_S = 0.005


class Stalls:
    """with Stalls() as stalls: …; then stalls.within(from, to): seconds in which nothing may have run."""

    def __enter__(self):
        self._probe = subprocess.Popen([sys.executable, "-c", PROBE.replace("LEAST", str(LEAST_S))], stdout=subprocess.PIPE, text=True)
        assert self._probe.stdout.readline() == "ready\n"
        self.pid = self._probe.pid
        return self

    def __exit__(self, *_):
        self._probe.terminate()
        lines = self._probe.communicate(timeout=30)[0].splitlines()
        self.seen = [tuple(map(float, line.split())) for line in lines if line]

    def within(self, begin, end):
        return sum(max(0.0, min(t + s, end) - max(t, begin)) for t, s in self.seen)
