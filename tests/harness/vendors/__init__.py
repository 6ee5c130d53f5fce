"""Fake vendors for the system tests; see README.md in this folder."""
from .auth import make_key
from .faults import Answer, BodyError, Cut, NotFound, Short, Shuffled, Silent, Slow, Throttle, Unauthorized, html
from .http import Reply
from .server import NAMES, Vendors

__all__ = ["Answer", "BodyError", "Cut", "NAMES", "NotFound", "Reply", "Short", "Shuffled", "Silent", "Slow", "Throttle",
           "Unauthorized", "Vendors", "html", "make_key"]
