"""Notifications by the blocks of the SDK: from a block's fields to a sender of the library apprise."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lictor.blocks.addresses import public_address
from lictor.kit.lazy import lazy

apprise = lazy("apprise")

CUSTOM_WEBHOOK = "custom-webhook"
SENDER_NAME = "Prefect Notifications"  # what people who get them know them by

Data = Mapping[str, Any]
Fields = dict[str, Any]

_PLACEHOLDER = re.compile(r"{{\s*([\w.\-\[\]$]+)\s*}}")
_GOVERNMENT_SLACK = re.compile(
    r"^https?://(hooks\.slack-gov\.com)/services/([A-Z0-9]+)/([A-Z0-9]+)/([A-Z0-9]+)/?$", re.I
)


class NotSent(Exception):
    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class Message(NamedTuple):
    subject: str | None
    body: str


class Sending(NamedTuple):
    """What apprise makes a sender of (a URL, or a schema with arguments), and the message as that one takes it."""

    target: str | Fields
    message: Message
    webhook_url: str | None = None


def send(type_slug: str, data: Data, message: Message, timeout: float) -> None:
    """Blocks until it is sent. Raises NotSent; no single wait for the other side is longer than the time-out."""
    sender = SENDERS.get(type_slug)
    if sender is None:
        raise NotSent(
            f"Blocks of the type {type_slug!r} can only be used by clients: the server runs no code of theirs"
        )
    with _Log() as log:
        try:
            sending = sender(data, message)
            plugin = apprise.Apprise.instantiate(sending.target, asset=_asset(), suppress_exceptions=False)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise NotSent(f"The notification block was invalid: {error!r}") from None
        if plugin is None:
            raise NotSent("The notification block was invalid: nothing can be sent to its URL", log.text())
        if sending.webhook_url:
            plugin.webhook_url = sending.webhook_url
        plugin.socket_connect_timeout = plugin.socket_read_timeout = timeout
        subject, body = sending.message
        kind = data.get("notify_type") or "info"
        if not plugin.notify(body=body, title=subject or "", notify_type=apprise.NotifyType(kind)):
            raise NotSent("Notification failed", log.text())


def custom_request(data: Data, message: Message) -> Fields:
    """The request of a custom webhook, with `{{subject}}`, `{{body}}`, `{{name}}` and its own secrets filled in."""
    if data.get("form_data") is not None and data.get("json_data") is not None:
        raise NotSent("The notification block was invalid: both `Form Data` and `JSON Data` provided")
    values = {
        **(data.get("secrets") or {}),
        "subject": "null" if message.subject is None else message.subject,
        "body": message.body,
        "name": data.get("name", ""),
    }
    form = data.get("form_data")
    request = {
        "url": data.get("url"),
        "params": data.get("params"),
        "content" if isinstance(form, str) else "data": form,
        "json": data.get("json_data"),
        "headers": data.get("headers"),
        "cookies": data.get("cookies"),
    }
    filled = {name: _filled(value, values) for name, value in request.items() if value is not None}
    filled["headers"] = {"user-agent": SENDER_NAME, **filled.get("headers", {})}
    return {"method": data.get("method", "POST"), **filled}


def _filled(template: Any, values: Data) -> Any:
    match template:
        case str():
            return _PLACEHOLDER.sub(lambda found: str(_value(found[1], values)), template)
        case dict():
            return {name: _filled(value, values) for name, value in template.items()}
        case list():
            return [_filled(value, values) for value in template]
    return template


def _value(name: str, values: Data) -> Any:
    if name not in values:
        raise NotSent(f"The notification block was invalid: there is no value for {name!r}")
    return values[name]


def _by_url(data: Data, message: Message) -> Sending:
    url = str(data["url"])
    if not data.get("allow_private_urls", True):
        public_address(url)
    return Sending(url, message)


def _slack(data: Data, message: Message) -> Sending:
    government = _GOVERNMENT_SLACK.match(str(data["url"]))
    sending = _by_url(data, message)
    if government is None:
        return sending
    host, *tokens = government.groups()
    plugin: Fields = {"schema": "slack"} | dict(zip(("token_a", "token_b", "token_c"), tokens, strict=True))
    return Sending(plugin, message, f"https://{host}/services")


def _teams(data: Data, message: Message) -> Sending:
    sending = _by_url(data, message)
    plugin = apprise.NotificationManager()["workflow"].parse_native_url(sending.target)
    if not plugin:
        raise ValueError("Invalid Microsoft Teams Workflow URL provided.")
    plugin |= {"include_image": data.get("include_image", True), "wrap": data.get("wrap", True)}
    return Sending(plugin, message)


def _pager_duty(data: Data, message: Message) -> Sending:
    details = data.get("custom_details")
    if message.subject:
        # The text is a detail of its own, else the two would become one title.
        details = {**(details or {}), "Prefect Notification Body": message.body}
        message = Message(message.subject, " ")
    plugin = {
        "schema": "pagerduty",
        "apikey": data["api_key"],
        "integrationkey": data["integration_key"],
        "source": data.get("source", "Prefect"),
        "component": data.get("component", "Notification"),
        "group": data.get("group"),
        "class_id": data.get("class_id"),
        "region_name": data.get("region_name", "us"),
        "click": data.get("clickable_url"),
        "include_image": data.get("include_image", True),
        "details": details,
    }
    return Sending(plugin, message)


def _twilio(data: Data, message: Message) -> Sending:
    plugin = {
        "schema": "twilio",
        "account_sid": data["account_sid"],
        "auth_token": data["auth_token"],
        "source": data["from_phone_number"],
        "targets": data["to_phone_numbers"],
    }
    return Sending(plugin, message)


def _opsgenie(data: Data, message: Message) -> Sending:
    marks = {"target_user": "@", "target_team": "#", "target_schedule": "*", "target_escalation": "^"}
    plugin = {
        "schema": "opsgenie",
        "apikey": data["apikey"],
        "targets": [f"{mark}{target}" for name, mark in marks.items() for target in data.get(name) or ()],
        "region_name": data.get("region_name", "us"),
        "details": data.get("details"),
        "priority": data.get("priority", 3),
        "alias": data.get("alias"),
        "entity": data.get("entity"),
        "batch": data.get("batch", False),
        "tags": data.get("tags"),
        "action": "new",
    }
    return Sending(plugin, message)


def _mattermost(data: Data, message: Message) -> Sending:
    plugin = {
        "schema": "mmost",
        "token": data["token"],
        "fullpath": data.get("path"),
        "host": data["hostname"],
        "user": data.get("botname"),
        "targets": data.get("channels"),
        "include_image": data.get("include_image", False),
        "port": data.get("port", 8065),
        "secure": data.get("secure", False),
    }
    return Sending(plugin, message)


def _discord(data: Data, message: Message) -> Sending:
    names = ("webhook_id", "webhook_token", "botname", "avatar_url")
    flags = ("tts", "include_image", "avatar")
    plugin = {"schema": "discord", **{name: data.get(name) for name in names}}
    return Sending(plugin | {name: bool(data.get(name)) for name in flags}, message)


def _sendgrid(data: Data, message: Message) -> Sending:
    plugin = {
        "schema": "sendgrid",
        "apikey": data["api_key"],
        "from_email": data["sender_email"],
        "targets": data["to_emails"],
    }
    return Sending(plugin, message)


SENDERS: dict[str, Callable[[Data, Message], Sending]] = {
    "slack-webhook": _slack,
    "ms-teams-webhook": _teams,
    "pager-duty-webhook": _pager_duty,
    "twilio-sms": _twilio,
    "opsgenie-webhook": _opsgenie,
    "mattermost-webhook": _mattermost,
    "discord-webhook": _discord,
    "sendgrid-email": _sendgrid,
}


def _asset() -> Any:
    return apprise.AppriseAsset(app_id=SENDER_NAME, app_desc=SENDER_NAME, app_url="https://prefect.io")


class _Log(logging.Handler):
    """What apprise says in this thread: several notifications may be on their way."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._lines.append(self.format(record))

    def text(self) -> str:
        return "\n".join(self._lines)

    def __enter__(self) -> _Log:
        logging.getLogger("apprise").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)
