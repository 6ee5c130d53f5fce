"""Slack: chat.postMessage. HTTP 200 with ok false for errors, 429 with Retry-After for one message a second and channel.

From: docs.slack.dev chat.postMessage and rate-limits. Messages are kept under kind messages:CHANNEL by running number.
"""
from .auth import bearer
from .http import Reply
from .vendor import Vendor, route
from .windows import Limit

MESSAGE = {"token", "channel", "text", "blocks", "attachments", "thread_ts", "mrkdwn", "unfurl_links", "unfurl_media", "username",
           "icon_emoji", "icon_url", "metadata", "parse", "reply_broadcast", "link_names", "as_user"}


def fields_of(call):
    try:
        return call.doc if call.content_type == "application/json" else call.form
    except ValueError:
        return {}


class Slack(Vendor):
    NAME = "slack"
    SETTINGS = {"token": "xoxb-token", "channels": None}  # that exist; None: any

    def documented_limits(self):
        return [Limit("channel", 1, 1.0, scope=lambda call: fields_of(call).get("channel"))]

    def credential(self, call):
        return bearer(call) or (call.content_type != "application/json" and call.form.get("token")) or None

    def failed(self, error):
        return Reply(200, {"ok": False, "error": error})

    def unauthorized(self, _call, why):
        return self.failed({"missing": "not_authed", "expired": "token_expired"}.get(why, "invalid_auth"))

    def throttled(self, call, _kind=None):
        limit = self.limit("channel")
        return Reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": str(int(limit.reset_s(call)) + 1 if limit else 1)})

    def bad_request(self, _call, _text):
        return self.failed("invalid_arguments")

    def body_error(self, _call, code):
        return self.failed(code or "internal_error")

    @route("POST", "/api/chat.postMessage", "post")
    def post(self, call):
        self.need(call, call.content_type in ("application/json", "application/x-www-form-urlencoded"),
                  f"content type {call.content_type!r}")
        message = fields_of(call)
        channel = message.get("channel")
        self.only(call, message, MESSAGE, "the message")
        self.need(call, channel, "no channel")
        if not any(message.get(name) for name in ("text", "blocks", "attachments")):
            return self.failed("no_text")
        if len(message.get("text", "")) > 40_000:
            return self.failed("msg_too_long")
        if self.set.channels is not None and channel not in self.set.channels:
            return self.failed("channel_not_found")
        self.admit(call, None, [message.get("text")])
        refusal = self.refusal(message.get("text")) or self.refusal(channel)
        if refusal:
            return self.failed(refusal[0] or "restricted_action")
        self.append(f"messages:{channel}", dict(message))
        return Reply(200, {"ok": True, "channel": channel, "ts": f"{call.wall:.6f}", "message": dict(message)})
