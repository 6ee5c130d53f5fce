"""How a test makes a vendor misbehave: each fault answers instead of the vendor, or spoils the vendor's own answer.

A fault with `applied` lets the vendor do its work first, so that the client cannot know whether it was done.
"""
import email.utils
import time

from .http import Reply

HTML_502 = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"


class Fault:
    """instead(): a Reply that replaces the work, or None. spoil(): the Reply that replaces the vendor's."""

    def instead(self, _vendor, _call):
        return None

    def spoil(self, _vendor, _call, reply):
        return reply


class Throttle(Fault):
    """The vendor's own throttling answer. retry_after: 'vendor' (as it documents), None (no header), seconds;
    as_date: the header is an HTTP date. kind: which limit is named, where the vendor names one ('day', 'concurrency' …)."""

    def __init__(self, retry_after="vendor", as_date=False, kind=None):
        self.retry_after, self.as_date, self.kind = retry_after, as_date, kind

    def instead(self, vendor, call):
        reply = vendor.throttled(call, self.kind)
        if self.retry_after != "vendor":
            for name in [n for n in reply.headers if n.lower() == "retry-after"]:
                del reply.headers[name]
            if self.as_date:  # dates have whole seconds: never earlier than asked for
                reply.headers["Retry-After"] = email.utils.formatdate(time.time() + self.retry_after + 1, usegmt=True)
            elif self.retry_after is not None:
                reply.headers["Retry-After"] = str(self.retry_after)
        return reply


class Answer(Fault):
    """A fixed answer. applied: the vendor does its work before."""

    def __init__(self, status, body=None, headers=None, applied=False):
        self.reply = (status, body, headers)
        self.applied = applied

    def instead(self, _vendor, _call):
        return None if self.applied else Reply(*self.reply)

    def spoil(self, _vendor, _call, _reply):
        return Reply(*self.reply)


def html(status=502, applied=False):
    return Answer(status, HTML_502.replace("502 Bad Gateway", f"{status} error"), applied=applied)


class Cut(Fault):
    """The connection is dropped after the body was read, with the work done or not."""

    def __init__(self, applied=True):
        self.applied = applied

    def instead(self, _vendor, _call):
        return None if self.applied else Reply(cut=True)

    def spoil(self, _vendor, _call, _reply):
        return Reply(cut=True)


class Slow(Fault):
    """The work is done at once, the answer comes later."""

    def __init__(self, seconds):
        self.seconds = seconds

    def spoil(self, _vendor, _call, reply):
        reply.delay_s += self.seconds
        return reply


class Unauthorized(Fault):
    def instead(self, vendor, call):
        return vendor.unauthorized(call, "expired")


class NotFound(Fault):
    """As a thing answers that was created a moment ago."""

    def instead(self, vendor, call):
        return vendor.not_found(call)


class Silent(Fault):
    """A success without content, and nothing was written."""

    def instead(self, vendor, call):
        return vendor.silent(call)


class BodyError(Fault):
    """An error in the body of the vendor's usual success status, with the code given."""

    def __init__(self, code=None):
        self.code = code

    def instead(self, vendor, call):
        return vendor.body_error(call, self.code)


class Short(Fault):
    """The work is done, but the answer's last `missing` results are left out."""

    def __init__(self, missing=1):
        self.missing = missing

    def spoil(self, vendor, _call, reply):
        results = vendor.results_of(reply)
        del results[len(results) - self.missing:]
        return reply


class Shuffled(Fault):
    """The work is done, but the answer's results come in reverse order."""

    def spoil(self, vendor, _call, reply):
        vendor.results_of(reply).reverse()
        return reply


class Faults:
    """What a test asked for, in the order it asked: each is used up by the calls it applies to."""

    def __init__(self):
        self.planned = []

    def add(self, fault, times, op, when):
        self.planned.append([fault, times, {op} if isinstance(op, str) else op, when])

    def take(self, call, counted):
        """The first that fits; outside the limits (token endpoints) only one planned for that very endpoint."""
        for plan in self.planned:
            fault, times, ops, when = plan
            if (counted if ops is None else call.op in ops) and (when is None or when(call)):
                plan[1] = times - 1
                if plan[1] <= 0:
                    self.planned.remove(plan)
                return fault
        return None

    def clear(self):
        self.planned.clear()

    def count(self):
        return sum(times for _, times, _, _ in self.planned)
