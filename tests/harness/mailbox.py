"""A real SMTP server that keeps what it is sent."""
import email
import email.policy
import socket

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Mailbox:
    """password: of the user sluice, whoever sends must know it; None: nobody is asked. tls: an SSL context, for STARTTLS that
    must come before the password."""

    def __init__(self, password=None, tls=None):
        self.envelopes, self.authenticated = [], []
        self.password = password
        options = {"authenticator": self._check, "auth_required": True, "auth_require_tls": tls is not None} if password else {}
        if tls:
            options.update(tls_context=tls, require_starttls=True)
        self.controller = Controller(self, hostname="127.0.0.1", port=free_port(), **options)
        self.controller.start()
        self.port = self.controller.port

    def _check(self, server, session, envelope, mechanism, data):
        right = isinstance(data, LoginPassword) and data.login == b"sluice" and data.password == self.password.encode()
        return AuthResult(success=right, handled=False)

    async def handle_DATA(self, server, session, envelope):
        self.authenticated.append(session.authenticated)
        self.envelopes.append(envelope)
        return "250 taken"

    def mails(self):
        return [email.message_from_bytes(e.content, policy=email.policy.default) for e in self.envelopes]

    def close(self):
        self.controller.stop()
