"""What proxies do to a request on its way, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.web.client import TestClient

from lictor.kit import clock
from lictor.web import Router, Socket
from lictor.web.asgi import App, WebSettings
from lictor.web.notices import EVERY

router = Router()


@router.get("/things/")
def things() -> str:
    return "things"


@router.websocket("/events/in")
async def events(socket: Socket) -> None:
    await socket.close(4000, "heard")


def client(**settings: Any) -> TestClient:
    return TestClient(App([router], settings=WebSettings(**settings)))


@pytest.mark.parametrize("path", ["/api//things/", "//api/things/", "/api/things//", "///api///things///"])
def test_doubled_slashes_count_as_one(path: str) -> None:
    assert client().get(path, root=True).json == "things"


def test_a_websocket_at_a_url_that_ended_in_a_slash_is_found() -> None:
    with client().websocket("//events/in") as socket:
        socket.handshake()
        assert socket.receive()["code"] == 4000


@pytest.mark.parametrize(
    ("headers", "location"),
    [
        ({}, "http://test/api/things/"),
        ({"x-forwarded-prefix": "/prefect"}, "http://test/prefect/api/things/"),
        ({"x-forwarded-prefix": "/a/b-c/"}, "http://test/a/b-c/api/things/"),
        ({"x-forwarded-prefix": "/a, /b"}, "http://test/a/api/things/"),
        (
            {"x-forwarded-prefix": "/p", "x-forwarded-host": "host.example", "x-forwarded-proto": "https"},
            "https://host.example/p/api/things/",
        ),
        ({"x-forwarded-prefix": "//evil.example"}, "http://test/api/things/"),
        ({"x-forwarded-prefix": '/"><script>'}, "http://test/api/things/"),
        ({"x-forwarded-prefix": "/../x"}, "http://test/api/things/"),
        ({"x-forwarded-prefix": "/"}, "http://test/api/things/"),
    ],
)
def test_redirects_lead_to_where_the_client_sees_the_api(headers: dict[str, str], location: str) -> None:
    answer = client().get("/things", headers={"host": "test", **headers})
    assert (answer.status, answer.headers["location"]) == (307, location)


def test_an_upgrade_that_was_lost_on_the_way_is_told_once_in_ten_minutes(caplog: pytest.LogCaptureFixture) -> None:
    asked = client()
    for _ in range(5):
        assert asked.get("/events/in").status == 404
    (said,) = caplog.records
    assert said.getMessage().startswith("GET /api/events/in came without `Upgrade: websocket`")
    later = clock.now() + EVERY
    clock.set_source(lambda: later)
    asked.get("/events/in")
    assert caplog.records[1].getMessage().endswith("(4 more since this was last said)")


def test_wrong_credentials_are_told_once_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    guarded = client(auth_string="admin:secret")
    guarded.get("/things/")
    assert not caplog.records, "a dashboard where nobody has logged in is nothing to tell of"
    for _ in range(3):
        guarded.get("/things/", headers={"authorization": "Bearer admin:guess"})
    (said,) = caplog.records
    assert "guess" not in said.getMessage()
    assert "secret" not in said.getMessage()
