"""Blocks that send something, against a server of the test's own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tests.blocks import making
from tests.web.client import TestClient

from lictor.blocks import notifying
from lictor.blocks.addresses import public_address
from lictor.blocks.calling import CallFailed, call_webhook, notify
from lictor.blocks.encryption import Cipher
from lictor.db import Database


class Endpoint:
    """Answers everything with one status; what it was sent is in `requests`. With `silent` it never answers."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.status = 204
        self.text = b""
        self.silent = threading.Event()
        self.released = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                sent = {"method": self.command, "path": self.path, "body": body, "headers": dict(self.headers)}
                endpoint.requests.append(sent)
                if endpoint.silent.is_set():
                    endpoint.released.wait(30)
                    return
                self.send_response(endpoint.status)
                self.send_header("X-Answer", "yes")
                self.send_header("Content-Length", str(len(endpoint.text)))
                self.end_headers()
                self.wfile.write(endpoint.text)

            do_GET = do_POST = do_PUT = answer  # noqa: N815 - the names that http.server looks for

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint()
    yield found
    found.close()


def a_block(client: TestClient, slug: str, data: dict[str, Any], *capabilities: str) -> str:
    schema = making.a_schema(client, making.a_type(client, slug), capabilities=list(capabilities))
    return making.a_document(client, schema, "mine", data=data)["id"]


def call(db: Database, cipher: Cipher, id: str, payload: Any = None, timeout: float = 20) -> Any:
    return asyncio.run(call_webhook(db, cipher, id, payload, timeout=timeout))


def send(db: Database, cipher: Cipher, id: str, subject: str | None = "S", timeout: float = 20) -> Any:
    return asyncio.run(notify(db, cipher, id, subject, "B", timeout=timeout))


def test_a_webhook_is_called_with_a_text(db: Database, client: TestClient, cipher: Cipher, endpoint: Endpoint) -> None:
    id = a_block(client, "webhook", {"url": f"{endpoint.url}/in?a=1", "headers": {"X-Key": "k"}})

    answer = call(db, cipher, id, "a text")

    assert (answer.status, answer.body, answer.headers["x-answer"]) == (204, "", "yes")
    assert (answer.block.name, answer.block.type_slug) == ("mine", "webhook")
    [sent] = endpoint.requests
    assert (sent["method"], sent["path"], sent["body"], sent["headers"]["X-Key"]) == ("POST", "/in?a=1", b"a text", "k")


def test_a_webhook_is_called_with_json(db: Database, client: TestClient, cipher: Cipher, endpoint: Endpoint) -> None:
    endpoint.status, endpoint.text = 500, b"x" * 5000
    id = a_block(client, "webhook", {"url": endpoint.url, "method": "PUT", "verify": False})

    answer = call(db, cipher, id, {"a": [1]})

    assert (answer.status, answer.body) == (500, "x" * 1000)
    assert (endpoint.requests[0]["method"], json.loads(endpoint.requests[0]["body"])) == ("PUT", {"a": [1]})


def test_a_webhook_that_never_answers(db: Database, client: TestClient, cipher: Cipher, endpoint: Endpoint) -> None:
    endpoint.silent.set()
    id = a_block(client, "webhook", {"url": endpoint.url})

    with pytest.raises(CallFailed, match=r"Webhook call failed: no answer within 0.3 seconds"):
        call(db, cipher, id, timeout=0.3)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (None, "its URL is not an HTTP or HTTPS URL"),
        ("ftp://x/", "its URL is not an HTTP or HTTPS URL"),
        ("http://127.0.0.1:1/", "Webhook call failed"),
        ("http://[::1", "Webhook call failed"),
    ],
)
def test_a_webhook_that_cannot_be_called(
    db: Database, client: TestClient, cipher: Cipher, url: str | None, words: str
) -> None:
    id = a_block(client, "webhook", {"url": url})

    with pytest.raises(CallFailed, match=words) as failed:
        call(db, cipher, id)

    assert failed.value.block is not None
    assert failed.value.block.name == "mine"


def test_private_addresses_can_be_ruled_out(
    db: Database, client: TestClient, cipher: Cipher, endpoint: Endpoint
) -> None:
    id = a_block(client, "webhook", {"url": endpoint.url, "allow_private_urls": False})

    with pytest.raises(CallFailed, match=r"resolves to the private address 127\.0\.0\.1"):
        call(db, cipher, id)

    assert endpoint.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/",
        "http://10.1.2.3:80/x",
        "https://[::1]/",
        "http://169.254.169.254/",
        "http://[::ffff:10.0.0.1]/",
    ],
)
def test_private_addresses(url: str) -> None:
    with pytest.raises(ValueError, match="private address"):
        public_address(url)


def test_a_public_address_stands_in_the_place_of_its_name() -> None:
    assert public_address("https://user:pw@8.8.8.8:444/a?b") == (
        "https://user:pw@8.8.8.8:444/a?b",
        "8.8.8.8:444",
        "8.8.8.8",
    )


def test_what_is_no_webhook_and_what_is_not_there(db: Database, client: TestClient, cipher: Cipher) -> None:
    id = a_block(client, "thing", {})

    with pytest.raises(CallFailed, match="The referenced block was not a webhook block"):
        call(db, cipher, id)
    with pytest.raises(CallFailed, match="The referenced block was not a notification block"):
        send(db, cipher, id)
    with pytest.raises(CallFailed, match="Block document not found"):
        call(db, cipher, "00000000-0000-4000-8000-000000000000")


def test_a_notification_goes_through_apprise(
    db: Database, client: TestClient, cipher: Cipher, endpoint: Endpoint
) -> None:
    url = endpoint.url.replace("http://", "json://")
    id = a_block(client, "slack-webhook", {"url": url, "notify_type": "warning"}, "notify")

    assert send(db, cipher, id).type_slug == "slack-webhook"

    sent = json.loads(endpoint.requests[0]["body"])
    assert (sent["title"], sent["message"], sent["type"]) == ("S", "B", "warning")


def test_a_mattermost_message(db: Database, client: TestClient, cipher: Cipher, endpoint: Endpoint) -> None:
    endpoint.status = 200
    data = {"hostname": "127.0.0.1", "port": endpoint.server.server_port, "token": "token", "channels": ["c"]}
    id = a_block(client, "mattermost-webhook", data, "notify")

    send(db, cipher, id)

    assert endpoint.requests[0]["path"] == "/hooks/token"
    assert "B" in json.loads(endpoint.requests[0]["body"])["text"]


def test_a_notification_that_is_turned_away(
    db: Database, client: TestClient, cipher: Cipher, endpoint: Endpoint
) -> None:
    endpoint.status = 403
    id = a_block(client, "slack-webhook", {"url": endpoint.url.replace("http://", "json://")}, "notify")

    with pytest.raises(CallFailed, match="Notification failed") as failed:
        send(db, cipher, id)

    assert "403" in failed.value.log


def test_a_notification_that_is_never_answered(
    db: Database, client: TestClient, cipher: Cipher, endpoint: Endpoint
) -> None:
    endpoint.silent.set()
    id = a_block(client, "slack-webhook", {"url": endpoint.url.replace("http://", "json://")}, "notify")

    with pytest.raises(CallFailed, match=r"Notification failed"):
        send(db, cipher, id, timeout=0.5)


@pytest.mark.parametrize(
    ("slug", "data", "words"),
    [
        ("slack-webhook", {}, "The notification block was invalid: KeyError"),
        ("slack-webhook", {"url": "http://example.com/"}, "nothing can be sent to its URL"),
        ("slack-webhook", {"url": "http://127.0.0.1/", "allow_private_urls": False}, "private address"),
        ("ms-teams-webhook", {"url": "http://example.com/"}, "Invalid Microsoft Teams Workflow URL"),
        (
            "twilio-sms",
            {"account_sid": "", "auth_token": "", "from_phone_number": "", "to_phone_numbers": []},
            "invalid",
        ),
        ("my-own", {}, "can only be used by clients"),
    ],
)
def test_notification_blocks_that_cannot_be_used(
    db: Database, client: TestClient, cipher: Cipher, slug: str, data: dict[str, Any], words: str
) -> None:
    id = a_block(client, slug, data, "notify")

    with pytest.raises(CallFailed, match=words):
        send(db, cipher, id)


def test_a_custom_webhook_is_filled_in(db: Database, client: TestClient, cipher: Cipher, endpoint: Endpoint) -> None:
    data = {
        "name": "N",
        "url": f"{endpoint.url}/{{{{ token }}}}",
        "params": {"q": "{{subject}}"},
        "json_data": {"text": "{{name}}: {{ body }}", "list": ["{{token}}", 1]},
        "headers": {"X-Key": "{{token}}"},
        "secrets": {"token": "T"},
    }
    id = a_block(client, "custom-webhook", data, "notify")

    send(db, cipher, id, None)

    [sent] = endpoint.requests
    assert (sent["path"], json.loads(sent["body"])) == ("/T?q=null", {"text": "N: B", "list": ["T", 1]})
    assert (sent["headers"]["X-Key"], sent["headers"]["user-agent"]) == ("T", "Prefect Notifications")


def test_a_custom_webhook_that_answers_with_an_error(
    db: Database, client: TestClient, cipher: Cipher, endpoint: Endpoint
) -> None:
    endpoint.status = 404
    id = a_block(client, "custom-webhook", {"name": "N", "url": endpoint.url, "form_data": {"a": "b"}}, "notify")

    with pytest.raises(CallFailed, match="the webhook answered 404"):
        send(db, cipher, id)

    assert endpoint.requests[0]["body"] == b"a=b"


@pytest.mark.parametrize(
    "data", [{"url": "{{x}}"}, {"url": "http://h/", "form_data": "a", "json_data": {}}, {"url": "file:///etc/passwd"}]
)
def test_custom_webhooks_that_cannot_be_used(
    db: Database, client: TestClient, cipher: Cipher, data: dict[str, Any]
) -> None:
    with pytest.raises(CallFailed):
        send(db, cipher, a_block(client, "custom-webhook", data, "notify"))


SENDERS: dict[str, dict[str, Any]] = {
    "slack-webhook": {"url": "https://hooks.slack.com/services/T12345678/B12345678/abcdefghijabcdefghijabcd"},
    "ms-teams-webhook": {
        "url": "https://prod-1.x.logic.azure.com:443/workflows/643e69f83c8944438d68119179a10a64/triggers/manual/paths/"
        "invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=KODuebWbDGYFr0z0eu-6Rj8aUKz7108W3wrNJZ"
    },
    "pager-duty-webhook": {"api_key": "k" * 20, "integration_key": "i" * 32, "custom_details": {"a": "b"}},
    "twilio-sms": {
        "account_sid": "AC" + "a" * 32,
        "auth_token": "b" * 32,
        "from_phone_number": "18001234567",
        "to_phone_numbers": ["18004242424"],
    },
    "opsgenie-webhook": {"apikey": "a" * 36, "target_user": ["me"], "tags": ["t"], "details": {"k": "v"}},
    "mattermost-webhook": {"hostname": "example.com", "token": "abc", "channels": ["c"]},
    "discord-webhook": {"webhook_id": "1" * 18, "webhook_token": "t" * 68},
    "sendgrid-email": {"api_key": "a" * 20, "sender_email": "a@example.com", "to_emails": ["b@example.com"]},
}


@pytest.mark.parametrize("slug", sorted(notifying.SENDERS))
def test_every_notification_block_makes_a_sender(slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []

    def note(self: Any, body: str, title: str, notify_type: Any, **_: Any) -> bool:
        sent.append((title, body))
        return True

    monkeypatch.setattr(notifying.apprise.NotifyBase, "notify", note)

    notifying.send(slug, SENDERS[slug], notifying.Message("S", "B"), 5)

    assert sent == [("S", " " if slug == "pager-duty-webhook" else "B")]
