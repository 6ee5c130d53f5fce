"""What all vendors share: endpoints, credentials, limits, faults, refused keys, the objects kept and the violations seen.

A vendor's module derives from Vendor, declares its endpoints with @route and says in which form it refuses. Handlers run on
the loop's thread under the hub's lock, the public methods on any thread.
"""
import collections
import copy
import hashlib
import re
import time
import traceback
import urllib.parse

from .auth import Tokens
from .faults import Faults
from .http import Reply
from .objects import Objects

HEX64 = re.compile(r"[0-9a-f]{64}\Z")


class Refused(Exception):
    """Ends a handler with this answer."""

    def __init__(self, reply):
        super().__init__(reply.status)
        self.reply = reply


class Violation:
    """Something the client must not do. kind: limit, malformed, size, auth, hash, order or server (our own bug)."""

    def __init__(self, kind, vendor, op, text):
        self.kind, self.vendor, self.op, self.text, self.t = kind, vendor, op, text, time.monotonic()

    def __repr__(self):
        return f"<{self.vendor} {self.op}: {self.kind}: {self.text}>"


def route(method, path, op, auth=True, counted=True):
    """An endpoint. {name} in the path stands for a segment. counted: it takes from limits, and faults for any op hit it."""
    def mark(function):
        pattern = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)) + r"\Z")
        function.routes = getattr(function, "routes", []) + [(method, pattern, op, auth, counted)]
        return function
    return mark


class Vendor(Objects):
    NAME = ""
    GZIP = False     # whether compressed requests are documented
    RESULTS = ()     # where a success keeps its results, as keys into the body
    TOKEN_PATH = None
    SETTINGS = {}    # this vendor's own, with their defaults
    COMMON = {
        "token": None,          # the access token or key it accepts from the start
        "token_life_s": 3600.0,  # of tokens from its token endpoint
        "token_requests": None,  # each token ends after this many requests
        "limits": {},           # name -> (amount, window_s), amount, or None for off
        "tolerance_s": None,    # of windows, see windows.py
        "latency_s": 0.0,       # every answer takes this long
        "keep_bodies": True,    # the log keeps what was sent
    }

    def __init_subclass__(cls):
        cls.ENDPOINTS = [(*entry, function.__name__) for base in reversed(cls.__mro__) for function in vars(base).values()
                         for entry in getattr(function, "routes", ())]

    def __init__(self, hub, alias, settings):
        known = {**self.COMMON, **self.SETTINGS}
        assert settings.keys() <= known.keys(), f"{self.NAME} knows {sorted(known)}, not {sorted(settings.keys() - known.keys())}"
        super().__init__()
        self.hub, self.alias, self.port = hub, alias, None
        self.set = type("Settings", (), {**known, **settings})
        self.tokens = Tokens(self.set.token, life_s=self.set.token_life_s, requests=self.set.token_requests)
        self.connections, self.log = set(), []
        self.faults, self.refusals, self.poisoned = Faults(), {}, set()
        self.known_hashes = {}
        self.overlaps, self._in_flight = [], collections.Counter()
        self.in_flight = self.most_in_flight = 0
        self.limits = [limit for limit in map(self._overridden, self.documented_limits()) if limit]
        names = {limit.name for limit in self.documented_limits()}
        assert self.set.limits.keys() <= names, f"{self.NAME} has {sorted(names)}, not {sorted(self.set.limits.keys() - names)}"
        self.start()

    # ---- what a vendor says of itself ----

    def start(self):
        """Further state of the vendor."""

    def documented_limits(self):
        return []

    def credential(self, call):
        """The token or key in the documented place, or None."""
        raise NotImplementedError

    def unauthorized(self, call, why):
        raise NotImplementedError

    def throttled(self, call, kind=None):
        raise NotImplementedError

    def bad_request(self, call, text):
        raise NotImplementedError

    def too_large(self, call, text):
        return self.bad_request(call, text)

    def not_found(self, call):
        return Reply(404, {"message": "not found"})

    def poisoned_reply(self, call, key):
        return self.bad_request(call, f"a record is invalid: {key}")

    def silent(self, _call):
        return Reply(200, b"")

    def body_error(self, call, code):
        raise NotImplementedError(f"{self.NAME} has no errors in the body of a success")

    def headers(self, _call):
        """Of every answer to an authorized call."""
        return {}

    def advance(self):
        """Brings asynchronous work up to now."""

    # ---- the test's side ----

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def token_url(self):
        return self.url + self.TOKEN_PATH

    def objects(self, kind):
        """key -> fields, as the vendor holds them now."""
        with self.hub.lock:
            self.advance()
            return copy.deepcopy(self.kept[kind])

    def kinds(self):
        with self.hub.lock:
            return sorted(kind for kind, table in self.kept.items() if table)

    def put(self, kind, key, fields):
        """An object that was there before, with an id of its own where the vendor gives ids."""
        with self.hub.lock:
            self.store(kind, key, fields)

    def fail(self, fault, times=1, op=None, when=None):
        """The next `times` calls (of that endpoint or set of endpoints, for which when(call) holds) meet the fault."""
        with self.hub.lock:
            self.faults.add(fault, times, op, when)

    def refuse(self, key, error=None, times=None):
        """The record with this key is refused in the vendor's way; error: the vendor's code; times: then accepted again."""
        with self.hub.lock:
            self.refusals[str(key)] = [error, float("inf") if times is None else times]

    def poison(self, key):
        """Any request that holds the record with this key is refused as a whole."""
        with self.hub.lock:
            self.poisoned.add(str(key))

    def pardon(self, *keys):
        """Ends refuse() and poison() for these keys, or for all."""
        with self.hub.lock:
            for key in [str(k) for k in keys] or [*self.refusals, *self.poisoned]:
                self.refusals.pop(key, None)
                self.poisoned.discard(key)

    def expire_tokens(self):
        with self.hub.lock:
            self.tokens.expire()

    def expect_hashes(self, field, clear_texts):
        """From now on a hash in this field that is of none of these (normalised) texts is a violation."""
        with self.hub.lock:
            self.known_hashes[field] = {hashlib.sha256(t.encode()).hexdigest(): t for t in clear_texts}

    @property
    def violations(self):
        return [v for v in self.hub.violations if v.vendor == self.alias]

    def calls(self, *ops):
        with self.hub.lock:
            return [call for call in self.log if not ops or call.op in ops]

    # ---- for handlers ----

    def violate(self, call, kind, text):
        self.hub.violations.append(Violation(kind, self.alias, call.op or f"{call.method} {call.path}", text))

    def malformed(self, call, text, reply=None, kind="malformed"):
        """Records what is wrong with the request and ends it in the vendor's way."""
        self.violate(call, kind, text)
        raise Refused(reply or self.bad_request(call, text))

    def oversized(self, call, text):
        self.malformed(call, text, self.too_large(call, text), "size")

    def need(self, call, condition, text):
        if not condition:
            self.malformed(call, text)

    def json_body(self, call, *types, most_bytes=None, kind=dict):
        """The body, which has to be JSON of this kind and not above the size; its content type one of types."""
        if most_bytes is not None and len(call.raw) > most_bytes:
            self.oversized(call, f"{len(call.raw)} bytes in one request, at most {most_bytes}")
        self.need(call, call.content_type in (types or ("application/json",)), f"content type {call.content_type!r}")
        self.need(call, self.GZIP or "content-encoding" not in call.headers, "compressed requests are not documented")
        try:
            doc = call.doc
        except ValueError as error:
            self.malformed(call, f"the body is not JSON: {error}")
        self.need(call, isinstance(doc, kind), f"the body is not a JSON {kind.__name__}")
        return doc

    def only(self, call, doc, names, what):
        """An object that may have no other fields than these: an unknown one would be refused, or dropped silently."""
        self.need(call, isinstance(doc, dict), f"{what} is no object")
        unknown = doc.keys() - names
        self.need(call, not unknown, f"{what} has unknown fields {sorted(unknown)}")

    def array(self, call, doc, name, most, least=1):
        """doc[name], which has to be an array of least..most elements."""
        values = doc.get(name)
        self.need(call, isinstance(values, list), f"{name} is not an array")
        self.need(call, len(values) >= least, f"{name} is empty")
        if len(values) > most:
            self.oversized(call, f"{len(values)} {name} in one request, at most {most}")
        return values

    def admit(self, call, kind, keys, unique=True):
        """Notes which records the call holds; refuses it for a duplicate (where the vendor does) or a poisoned one. None: a record
        without a key of its own. kind None: they may be in several calls at once."""
        keys = [str(key) for key in keys if key is not None]
        for key in keys if kind is not None else ():
            call.keys.append((kind, key))
            self._in_flight[(kind, key)] += 1
        if unique and len(set(keys)) != len(keys):
            twice = next(key for key, count in collections.Counter(keys).items() if count > 1)
            self.malformed(call, f"the key {twice!r} stands twice in one request")
        counts = collections.Counter(call.keys)
        self.overlaps += [place for place, count in counts.items() if self._in_flight[place] > count]
        for key in keys:
            if key in self.poisoned:
                raise Refused(self.poisoned_reply(call, key))

    def refusal(self, key):
        """None, or the list [vendor's code or None] when the test wants this record refused now."""
        plan = self.refusals.get(str(key))
        if plan is None or plan[1] <= 0:
            return None
        plan[1] -= 1
        return [plan[0]]

    def check_hash(self, call, field, value):
        """False when a value is no lower-case hex SHA-256, or, where the test named them, of an unexpected text."""
        if not isinstance(value, str) or not HEX64.match(value):
            self.violate(call, "hash", f"{field} is not a lower-case hex SHA-256")
            return False
        if value == hashlib.sha256(b"").hexdigest():
            self.violate(call, "hash", f"{field} is the hash of the empty text")
            return False
        if field in self.known_hashes and value not in self.known_hashes[field]:
            self.violate(call, "hash", f"{field} {value} is the hash of none of the expected texts")
        return True

    def limit(self, name):
        return next((limit for limit in self.limits if limit.name == name), None)

    def results_of(self, reply):
        place = reply.body
        for name in self.RESULTS:
            place = place[name]
        assert isinstance(place, list), f"{self.NAME}'s answer has no results: {reply.body}"
        return place

    # ---- the loop's side ----

    def receive(self, call):
        with self.hub.lock:
            try:
                reply = self._answered(call)
            except Refused as refused:
                reply = refused.reply
            except Exception:  # a bug of this server must not look like the client's
                self.violate(call, "server", traceback.format_exc())
                reply = Reply(500, {"message": "bug of the fake server"})
            reply.delay_s += self.set.latency_s
            call.status, call._doc = None if reply.cut else reply.status, None
            if not self.set.keep_bodies:
                call.raw = b""
            return reply

    def leave(self, call):
        """The call was answered or given up."""
        with self.hub.lock:
            if call.end_t is not None:
                return
            call.end_t = time.monotonic()
            self.in_flight -= 1
            for place in call.keys:
                self._in_flight[place] -= 1
                if not self._in_flight[place]:
                    del self._in_flight[place]
            for limit in call.charged:
                limit.release(call)

    def _answered(self, call):
        call.charged = []
        self.log.append(call)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        handler, auth, counted = self._find(call)
        call.charged = [limit for limit in self.limits if counted and limit.covers(call)]
        over = [limit for limit in call.charged if not limit.charge(call)]
        for limit in over:
            self.violate(call, "limit", f"exceeded {limit!r}")
        fault = self.faults.take(call, counted)
        reply = fault.instead(self, call) if fault else None
        if not reply and over:
            return self.throttled(call, over[0].name)
        self.advance()
        if not reply and auth:
            reply = self._authorize(call)
        if reply:
            return reply
        reply = handler(call)
        reply.headers = {**self.headers(call), **reply.headers}
        return fault.spoil(self, call, reply) if fault else reply

    def _find(self, call):
        for method, pattern, op, auth, counted, name in self.ENDPOINTS:
            match = method == call.method and pattern.match(call.path)
            if match:
                call.op = op
                call.args = {part: urllib.parse.unquote(value) for part, value in match.groupdict().items()}
                return getattr(self, name), auth, counted
        self.violate(call, "malformed", f"no such endpoint: {call.method} {call.path}")
        raise Refused(self.not_found(call))

    def _authorize(self, call):
        token = self.credential(call)
        if token is None:
            self.violate(call, "auth", "no credentials in the documented place")
            return self.unauthorized(call, "missing")
        state = self.tokens.use(token)
        return None if state == "ok" else self.unauthorized(call, state)

    def _overridden(self, limit):
        limit.tolerance_s = limit.tolerance_s if self.set.tolerance_s is None else self.set.tolerance_s
        change = self.set.limits.get(limit.name, limit)
        if change is None:
            return None
        if isinstance(change, tuple):
            limit.amount, limit.window_s = change
        elif change is not limit:
            limit.amount = change
        return limit

    @route("GET", "/_objects/{kind}", "_objects", auth=False, counted=False)
    def _show_objects(self, call):
        return Reply(200, self.objects(call.args["kind"]))

    @route("GET", "/_objects", "_kinds", auth=False, counted=False)
    def _show_kinds(self, _call):
        return Reply(200, self.kinds())

    @route("GET", "/_violations", "_violations", auth=False, counted=False)
    def _show_violations(self, _call):
        return Reply(200, [repr(v) for v in self.violations])
