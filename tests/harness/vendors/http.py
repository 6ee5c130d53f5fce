"""HTTP/1.1 as a vendor's front end speaks it, for one vendor per listening port.

A Call is a request that was read in full, a Reply what it is answered with. One request per turn of the loop is
taken in, so that the arrival of the next one is noted in time.
"""
import asyncio
import gzip
import json
import socket
import time
import urllib.parse

REASONS = {200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 207: "Multi-Status", 400: "Bad Request",
           401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict", 413: "Payload Too Large",
           422: "Unprocessable Entity", 429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway"}


class Call:
    """One received request. t, wall: when its last byte was read (monotonic, unix); end_t: when it was answered."""

    def __init__(self, t, wall, method, target, headers, raw):
        self.t, self.wall, self.end_t = t, wall, None
        self.method, self.headers = method, headers
        self.path, _, query = target.partition("?")  # not unquoted: a segment may hold an encoded slash
        self.query_pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
        self.query = dict(self.query_pairs)
        self.sent_bytes = len(raw)
        self.raw = gzip.decompress(raw) if headers.get("content-encoding", "").lower() == "gzip" else raw
        self.op = None       # the name of the matched endpoint
        self.args = {}       # what its path named
        self.keys = []       # (kind, key) of the records in it
        self.status = None   # what it was answered with; None: the connection was cut
        self._doc = None

    @property
    def doc(self):
        """The JSON body; ValueError when it is none."""
        if self._doc is None:
            self._doc = json.loads(self.raw)
        return self._doc

    @property
    def form(self):
        return dict(urllib.parse.parse_qsl(self.raw.decode(), keep_blank_values=True))

    @property
    def content_type(self):
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    def __repr__(self):
        return f"<{self.method} {self.path} {self.op} -> {self.status}>"


class Reply:
    """body: bytes, text, None, or a JSON value. cut: the connection is dropped instead."""

    def __init__(self, status=200, body=None, headers=None, cut=False, delay_s=0.0):
        self.status, self.body, self.headers = status, body, dict(headers or {})
        self.cut, self.delay_s = cut, delay_s

    def encoded(self):
        body, kind = self.body, "application/json"
        if body is None:
            body = b""
        elif isinstance(body, bytes):
            kind = "text/csv"
        elif isinstance(body, str):
            body, kind = body.encode(), "text/html" if body.startswith("<") else "text/plain"
        else:
            body = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        head = {"Content-Type": kind, **self.headers}
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'X')}"]
        if self.status != 204:
            lines.append(f"Content-Length: {len(body)}")
            lines += [f"{name}: {value}" for name, value in head.items()]
        else:
            lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body if self.status != 204 else b"")


class Connection(asyncio.Protocol):
    """Keep-alive, Content-Length and chunked bodies, Expect: 100-continue."""

    def __init__(self, vendor):
        self.vendor, self.buffer, self.transport = vendor, bytearray(), None
        self.continued = self.busy = False
        self.current = None

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.vendor.connections.add(self)

    def connection_lost(self, _reason):
        self.vendor.connections.discard(self)
        if self.current:
            self.vendor.leave(self.current)
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
        headers = {name.strip().lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
        if headers.get("expect", "").lower() == "100-continue" and not self.continued:
            self.continued = True
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body, used = self.body(end + 4, headers)
        if body is None:
            return
        del self.buffer[:used]
        self.continued, self.busy = False, True
        method, target = lines[0].split()[:2]
        call = (time.monotonic(), time.time(), method, target, headers, body)
        asyncio.get_running_loop().call_soon(self.take_in, call)

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

    def take_in(self, parts):
        self.current = call = Call(*parts)
        reply = self.vendor.receive(call)
        if self.transport.is_closing():
            self.vendor.leave(call)
        elif reply.delay_s:
            asyncio.get_running_loop().call_later(reply.delay_s, self.answer, call, reply)
        else:
            self.answer(call, reply)

    def answer(self, call, reply):
        if self.current is not call:
            return
        self.vendor.leave(call)
        self.current, self.busy = None, False
        if reply.cut:
            self.transport.abort()
            return
        if not self.transport.is_closing():
            self.transport.write(reply.encoded())
            if self.buffer:
                self.next_request()
