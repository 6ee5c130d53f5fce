"""Time that is only counted, and Redis servers whose processor time is real.

Everything that happens at one (virtual) millisecond is sent to the servers at once, each caller over its own connection,
and the replies may cause more within the same millisecond. So a server gets the commands that it would get, with as many
connections and as little pipelining; how long that takes on this machine plays no part.
"""
import collections
import heapq
import pathlib
import select
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from scripts_redis import Redis, Replies, encode  # noqa: E402

START_MS = 1_700_000_000_000
CLIENTS_MAX = 19_900  # descriptors of a process end at 20,000 on many machines
REPLY_S = 20


class Wire:
    """One connection; replies come in the order of the calls."""

    def __init__(self, server):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(server.folder / "s"))
        self.replies = Replies(self.sock)
        self.out, self.waiting = [], []
        server.wires.append(self)

    def ask(self, *words):
        self.sock.sendall(encode(*words))
        return self.replies.one()

    def close(self):
        self.sock.close()


class Server(Redis):
    """A redis-server and its wake list: who waits there, and how many calls lie there that nobody waited for."""

    def __init__(self):
        super().__init__("--maxclients", str(CLIENTS_MAX))
        self.quotas, self.waits, self.listed, self.wires = {}, set(), 0, []
        self.scheduler, self.poll, self.by_fd = Wire(self), select.epoll(), {}

    def waiting(self, worker):
        """A connection of its own for the worker's waits."""
        wire = Wire(self)
        wire.client = wire.ask("CLIENT", "ID")
        self.by_fd[wire.sock.fileno()] = worker
        self.poll.register(wire.sock, select.EPOLLIN)
        return wire

    def served(self):
        """Whom Redis chose, which is the one that waits longest, and for which quota."""
        ready = self.poll.poll(REPLY_S, 1)
        assert ready, "a call on the wake list reached nobody"
        worker = self.by_fd[ready[0][0]]
        self.waits.discard(worker)
        return worker, worker.waits[self].replies.one()[1].decode()

    def give_up(self, worker):
        """The wait ends as if its time had come."""
        wire = worker.waits[self]
        while not self.ask("CLIENT", "UNBLOCK", wire.client, "TIMEOUT"):
            pass  # Redis has not read the call yet
        assert wire.replies.one() is None
        self.waits.discard(worker)

    def stop(self):
        for wire in self.wires:
            wire.close()
        self.poll.close()
        super().stop()

    def lose(self, worker):
        wire = worker.waits[self]
        self.waits.discard(worker)
        self.ask("CLIENT", "KILL", "ID", wire.client)  # so that it is known who gets the next call
        self.poll.unregister(wire.sock)
        del self.by_fd[wire.sock.fileno()]
        wire.close()


class World:
    def __init__(self):
        self.now, self.events, self.order, self.dirty = START_MS, [], 0, []
        self.counts = collections.Counter()

    def at(self, when_ms, what, *args):
        self.order += 1
        heapq.heappush(self.events, (when_ms, self.order, what, args))

    def after(self, ms, what, *args):
        self.at(self.now + ms, what, *args)

    def send(self, wire, kind, data, then=None):
        """then(reply) is called within this millisecond."""
        self.counts[kind] += 1
        if not wire.out:
            self.dirty.append(wire)
        wire.out.append(data)
        wire.waiting.append(then)

    def script(self, wire, quota, name, *args, then=None, kind=None):
        self.send(wire, kind or name, quota.server.call(name, quota.name, self.now, *args), then)

    def flush(self):
        while self.dirty:
            sent = [(wire, wire.waiting) for wire in self.dirty]
            for wire, _ in sent:
                wire.sock.sendall(b"".join(wire.out))
                wire.out, wire.waiting = [], []
            self.dirty = []
            for wire, waiting in sent:
                for then in waiting:
                    reply = wire.replies.one()
                    if then:
                        then(reply)

    def run(self, until_ms):
        while self.events and self.events[0][0] <= until_ms:
            self.now = self.events[0][0]
            while self.events and self.events[0][0] == self.now:
                _, _, what, args = heapq.heappop(self.events)
                what(*args)
            self.flush()
        self.now = until_ms
