"""`sluice alerts test`: what reaches chats, hooks, pagers and mailboxes."""
import base64
import hashlib
import hmac
import json
import ssl

import pytest

from harness.mailbox import Mailbox, free_port
from harness.receiver import Receiver
from harness.redis import certificates

SECRETS = {"CHAT_URL": "http://127.0.0.1:{}/chat-3f9a", "HOOK_URL": "http://127.0.0.1:{}/hook", "HOOK_KEY": "sign-8d2b4a", "PAGER_KEY": "page-77aa",
           "MAIL_PASSWORD": "mail-pw-5c"}


@pytest.fixture
def receiver():
    server = Receiver()
    yield server
    server.close()


@pytest.fixture
def mailbox():
    box = Mailbox(password="mail-pw-5c")
    yield box
    box.close()


def project(lab, sink, alerts):
    lab.simple(sink)
    lab.write(json.dumps({"alerts": alerts}), "alerts.yaml")


def environment(receiver):
    return {name: value.format(receiver.server_port) for name, value in SECRETS.items()}


def no_secret_in(text, receiver):
    found = [s for s in [*SECRETS.values(), "chat-3f9a"] if s.format(receiver.server_port) in text]
    assert not found, found


def test_a_test_message_reaches_every_receiver(lab, sink, receiver, mailbox):
    project(lab, sink, {
        "chat": {"type": "slack", "url": "${CHAT_URL}"},
        "hook": {"type": "webhook", "url": "${HOOK_URL}", "sign": {"secret": "${HOOK_KEY}"}},
        "pager": {"type": "pagerduty", "url": f"http://127.0.0.1:{receiver.server_port}/pager", "routing_key": "${PAGER_KEY}"},
        "mail": {"type": "email", "smtp": f"smtp://127.0.0.1:{mailbox.port}", "user": "sluice", "password": "${MAIL_PASSWORD}",
                 "from": "sluice@example.org", "to": ["ana@example.org", "ben@example.org"]}})
    done = lab.command("alerts", "test", env=environment(receiver))
    assert done.rc == 0, done
    no_secret_in(done.text, receiver)
    ((_, chat, _),) = receiver.of("/chat-3f9a")
    assert chat["text"].startswith("*Sluice: this is a test*\n")
    ((headers, hook, body),) = receiver.of("/hook")
    assert hook["event"] == "test" and hook["alert"] == "hook" and hook["sync"] is None and hook["run"] is None
    assert headers["X-Sluice-Signature"] == "sha256=" + hmac.new(b"sign-8d2b4a", body, hashlib.sha256).hexdigest()
    events = [event for _, event, _ in receiver.of("/pager")]
    assert [e["event_action"] for e in events] == ["trigger", "resolve"] and len({e["dedup_key"] for e in events}) == 1
    assert events[0]["routing_key"] == "page-77aa" and events[0]["payload"]["severity"] == "info"
    (envelope,), (mail,) = mailbox.envelopes, mailbox.mails()
    assert mailbox.authenticated == [True] and envelope.mail_from == "sluice@example.org" and envelope.rcpt_tos == ["ana@example.org", "ben@example.org"]
    assert mail["Subject"] == "Sluice: this is a test" and mail["To"] == "ana@example.org, ben@example.org"
    assert mail["From"].addresses[0].addr_spec == "sluice@example.org" and mail["Message-ID"] and mail["Date"].datetime.year >= 2026
    assert "reaches you" in mail.get_content() and not mail.defects
    base64.b64decode(mail.get_payload(), validate=False)


def test_what_came_back_is_said(lab, sink, receiver, mailbox):
    port = mailbox.port
    mail = {"type": "email", "smtp": f"smtp://127.0.0.1:{port}", "from": "sluice@example.org", "to": "ana@example.org"}
    project(lab, sink, {
        "chat": {"type": "slack", "url": "${CHAT_URL}"},
        "gone": {"type": "webhook", "url": f"http://127.0.0.1:{free_port()}/"},
        "mail": {**mail, "user": "sluice", "password": "wrong-pw-1"},
        "far": {**mail, "smtp": f"smtp://localhost.:{port}", "user": "sluice", "password": "${MAIL_PASSWORD}"}})
    receiver.status, receiver.answer = 404, b"no_service"
    done = lab.command("alerts", "test", "--json", env=environment(receiver))
    assert done.rc == 2
    no_secret_in(done.text, receiver)
    assert "wrong-pw-1" not in done.text
    by_name = {line["alert"]: line for line in done.lines}
    assert by_name["chat"] == {"alert": "chat", "type": "slack", "sent": False, "status": 404, "error": "answered with status 404", "answer": "no_service"}
    assert not by_name["gone"]["sent"] and "onnect" in by_name["gone"]["error"]
    assert not by_name["mail"]["sent"] and by_name["mail"]["status"] == 535
    assert not by_name["far"]["sent"], "a password must not go in the clear to another machine"
    assert not mailbox.envelopes
    receiver.status = 200
    only = lab.command("alerts", "test", "chat", env=environment(receiver))
    assert only.rc == 0 and len(only.out.splitlines()) == 1 and "sent: no_service" in only.out


def test_a_password_goes_over_starttls_to_a_server_that_is_known(lab, sink, tmp_path):
    authority, certificate, key = certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    box = Mailbox(password="mail-pw-5c", tls=context)
    mail = {"type": "email", "smtp": f"smtp://localhost:{box.port}", "user": "sluice", "password": "${MAIL_PASSWORD}",
            "from": "sluice@example.org", "to": "ana@example.org"}
    project(lab, sink, {"known": {**mail, "ca_file": str(authority)}, "unknown": mail})
    done = lab.command("alerts", "test", "--json", env={"MAIL_PASSWORD": "mail-pw-5c"})
    box.close()
    by_name = {line["alert"]: line for line in done.lines}
    assert done.rc == 2 and by_name["known"]["sent"] and not by_name["unknown"]["sent"], done
    assert "certificate" in by_name["unknown"]["error"] and len(box.envelopes) == 1 and box.authenticated == [True]


def test_what_cannot_be_tested_is_said(lab, sink):
    project(lab, sink, {"chat": {"type": "slack", "url": "http://127.0.0.1:1/"}})
    assert "no alert chad" in lab.command("alerts", "test", "chad").err
    assert lab.command("alerts", "test", "chad").rc == 64
    assert lab.command("alerts", "list").rc == 64 and lab.command("alerts").rc == 64
    lab.simple(sink)
    lab.write("alerts: {}\n", "alerts.yaml")
    done = lab.command("alerts", "test")
    assert done.rc == 64 and "no `alerts`" in done.err
