"""A webhook receiver that verifies what it is sent.

It keeps what a destination would hold (per sync and key), logs every request with its arrival time, notices
keys that are in flight twice and idempotency keys that name two different sets of records, and misbehaves on
demand. It runs on its own thread; every public method may be called from the test's thread.
"""
import asyncio
import collections
import gzip
import json
import socket
import threading
import time

from .arrival import StampedSocket

PAUSE_S = 0.005  # between two looks at a condition


def wait_until(condition, deadline_s=30.0, what="the condition", pause_s=PAUSE_S):
    """Returns the condition's first true value; fails the test when the deadline passes."""
    end = time.monotonic() + deadline_s
    tick = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {deadline_s} s in vain for {what}"
        tick.wait(pause_s)


def never_within(condition, seconds):
    """True when the condition stayed false for the whole time."""
    end = time.monotonic() + seconds
    tick = threading.Event()
    while time.monotonic() < end:
        if condition():
            return False
        tick.wait(PAUSE_S)
    return True


class Answer:
    """What the receiver does with a request. cut: 'before' or 'after' applying it, the connection is dropped."""

    def __init__(self, status=200, body="{}", headers=None, refused=None, cut=None):
        self.status, self.body, self.headers = status, body, headers or {}
        self.refused = refused  # indexes that a 2xx does not accept; None: none
        self.cut = cut

    @property
    def applies(self):
        return self.cut == "after" or (self.cut is None and self.status < 300)


ACCEPT = Answer()
CUT_BEFORE = Answer(cut="before")
CUT_AFTER = Answer(cut="after")


def refuse(status, message="refused", **headers):
    return Answer(status, json.dumps({"message": message}), {k.replace("_", "-"): v for k, v in headers.items()})


def record_errors(*errors):
    """errors: (index, message, retryable)."""
    body = {"errors": [{"index": i, "message": m, "retryable": r} for i, m, r in errors]}
    return Answer(200, json.dumps(body), refused={i for i, _, _ in errors})


def key_text(key):
    return json.dumps(key, sort_keys=True, separators=(",", ":"))


class Request:
    """One received request. t: when its last byte came in, whoever read it when; end_t: when it was answered."""

    def __init__(self, t, path, headers, raw):
        self.t, self.end_t = t, None
        self.path, self.headers, self.raw = path, headers, raw
        text = gzip.decompress(raw) if headers.get("content-encoding") == "gzip" else raw
        self.text = text
        self.doc = json.loads(text)
        self.records = self.doc["records"]
        self.sync = self.doc["sync"]
        self.keys = [key_text(r["key"]) for r in self.records]
        self.answer = None

    @property
    def ids(self):
        return [r["key"].get("id") for r in self.records]

    @property
    def idempotency_key(self):
        return self.headers.get("idempotency-key")


class Connection(asyncio.Protocol):
    """HTTP/1.1 as far as a POSTing client needs it: keep-alive, Content-Length, chunked, Expect."""

    def __init__(self, sink):
        self.sink, self.buffer, self.transport, self.sock = sink, bytearray(), None, None
        self.continued = False
        self.busy = False     # a request was read and is not answered yet
        self.current = None   # that request, once it was taken in

    def connection_made(self, transport):
        self.transport = transport
        self.sock = transport.get_extra_info("socket")._sock  # asyncio hides what it does not know
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sink.connections.add(self)

    def connection_lost(self, _reason):
        self.sink.connections.discard(self)
        if self.current:
            self.sink.leave(self.current)
            self.current = None

    def data_received(self, data):
        self.buffer += data
        if not self.busy:
            self.next_request()

    def next_request(self):
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        lines = self.buffer[:end].decode("latin1").split("\r\n")
        if lines[0].startswith("HEAD "):  # somebody looks whether there is a receiver
            del self.buffer[:end + 4]
            self.transport.write(b"HTTP/1.1 405 X\r\nAllow: POST\r\nContent-Length: 0\r\n\r\n")
            return
        headers = {k.strip().lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        if headers.get("expect", "").lower() == "100-continue" and not self.continued:
            self.continued = True
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body, used = self.body(end + 4, headers)
        if body is None:
            return
        del self.buffer[:used]
        self.continued, self.busy = False, True
        self.sink.queue(self, (self.sock.arrived, lines[0].split()[1], headers, body))

    def body(self, start, headers):
        """Returns (body, bytes used) or (None, 0) while it is incomplete."""
        if headers.get("transfer-encoding", "").lower() != "chunked":
            length = int(headers.get("content-length", 0))
            if len(self.buffer) - start < length:
                return None, 0
            return bytes(self.buffer[start:start + length]), start + length
        parts = []
        while True:
            line = self.buffer.find(b"\r\n", start)
            if line < 0:
                return None, 0
            size = int(bytes(self.buffer[start:line]).split(b";")[0], 16)
            start = line + 2 + size + 2
            if len(self.buffer) < start:
                return None, 0
            if size == 0:
                return b"".join(parts), start
            parts.append(bytes(self.buffer[line + 2:line + 2 + size]))

    def reply(self, request, answer):
        if self.transport.is_closing():
            return
        self.sink.leave(request)
        self.current, self.busy = None, False
        if answer.cut:
            self.transport.abort()
            return
        body = answer.body.encode()
        head = [f"HTTP/1.1 {answer.status} X", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        head += [f"{k}: {v}" for k, v in answer.headers.items()]
        self.transport.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        if self.buffer:
            self.next_request()


class Sink:
    """behave(request) gives an Answer or None (accept); delay_s is a number or a function of the request."""

    def __init__(self, behave=None, delay_s=0.0, port=0):
        self.behave, self.delay_s, self._port = behave, delay_s, port
        self.tables = collections.defaultdict(dict)  # sync -> key -> fields
        self.events = collections.defaultdict(list)  # sync -> appended (key, fields)
        self.log = []
        self.overlaps = []    # keys that were in flight twice at once
        self.out_of_step = []  # idempotency keys that named two sets of records
        self.in_flight = 0
        self.most_in_flight = 0
        self.connections = set()
        self._keys_in_flight = collections.Counter()
        self._sets = {}
        self._held = None
        self._waiting = collections.deque()  # requests that were read and not yet taken in
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(10)

    # ---- the test's side ----

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/in"

    @property
    def state(self):
        """What the only sync's destination holds."""
        assert len(self.tables) <= 1, "several syncs: use tables"
        return next(iter(self.tables.values()), {})

    def hold(self, chosen=lambda request: True):
        """Requests that arrive from now on are applied, but not answered until release()."""
        self._held = (chosen, [])

    def release(self):
        def answer_all():
            if self._held:
                waiting, self._held = self._held[1], None
                for connection, request in waiting:
                    self._answer(connection, request)
        asyncio.run_coroutine_threadsafe(_call(answer_all), self._loop).result(30)

    def count_held(self):
        return len(self._held[1]) if self._held else 0

    def wait_requests(self, count, deadline_s=60.0):
        wait_until(lambda: len(self.log) >= count, deadline_s, f"{count} requests at the receiver (has {len(self.log)})")

    def sent_since(self, mark):
        """Records of the requests after the mark (an earlier len(log))."""
        return [r for q in self.log[mark:] for r in q.records]

    def ids_since(self, mark):
        return sorted(r["key"]["id"] for r in self.sent_since(mark))

    def accepted(self):
        return [q for q in self.log if q.answer and q.answer.applies]

    def forget(self):
        """Loses what the destination holds, not the log."""
        self.tables.clear()
        self.events.clear()

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    # ---- the loop's side ----

    def _serve(self, started):
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            self._loop.create_server(lambda: Connection(self), sock=StampedSocket().listen_here(self._port), backlog=512))
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        self._loop.run_forever()
        server.close()
        for connection in list(self.connections):
            connection.transport.abort()

    def queue(self, connection, parts):
        """Requests are taken in one per turn of the loop, so that the next one's arrival is noted in time."""
        self._waiting.append((connection, parts))
        if len(self._waiting) == 1:
            self._loop.call_soon(self._take_in)

    def _take_in(self):
        connection, parts = self._waiting[0]
        try:
            request = connection.current = Request(*parts)
            self._arrived(connection, request)
            if connection.transport.is_closing():
                self.leave(request)
        finally:
            self._waiting.popleft()
            if self._waiting:
                self._loop.call_soon(self._take_in)

    def _arrived(self, connection, request):
        self._enter(request)
        answer = (self.behave(request) if self.behave else None) or ACCEPT
        request.answer = answer
        if answer.applies:
            self._apply(request, answer)
        self.log.append(request)
        if self._held and self._held[0](request):
            self._held[1].append((connection, request))
            return
        delay_s = self.delay_s(request) if callable(self.delay_s) else self.delay_s
        if delay_s:
            self._loop.call_later(delay_s, self._answer, connection, request)
        else:
            self._answer(connection, request)

    def _answer(self, connection, request):
        if connection.current is request:
            connection.reply(request, request.answer)

    def _enter(self, request):
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        for key in request.keys:
            place = (request.sync, key)
            self._keys_in_flight[place] += 1
            if self._keys_in_flight[place] > 1:
                self.overlaps.append(place)
        named = frozenset(zip(request.keys, (r["op"] for r in request.records)))
        if self._sets.setdefault(request.idempotency_key, named) != named:
            self.out_of_step.append(request.idempotency_key)

    def leave(self, request):
        if request.end_t is not None:
            return
        request.end_t = time.monotonic()
        self.in_flight -= 1
        for key in request.keys:
            self._keys_in_flight[(request.sync, key)] -= 1

    def _apply(self, request, answer):
        table = self.tables[request.sync]
        for index, (key, record) in enumerate(zip(request.keys, request.records)):
            if answer.refused and index in answer.refused:
                continue
            if record["op"] == "delete":
                table.pop(key, None)
            elif record["op"] == "append":
                self.events[request.sync].append((key, record["fields"]))
            else:
                table[key] = record["fields"]


async def _call(function):
    function()


def most_in_window(events, window_s):
    """events: (time, weight). The greatest weight that any window [t, t + window_s) holds."""
    events = sorted(events)
    most = total = start = 0
    for t, weight in events:
        total += weight
        while events[start][0] <= t - window_s:
            total -= events[start][1]
            start += 1
        most = max(most, total)
    return most


class RefusingPort:
    """An address where nobody listens, and nobody else can start to."""

    def __init__(self):
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/in"

    def close(self):
        self._socket.close()
