"""What browsers get: pages, their parts, and what they need to know first."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.web.client import Answer, TestClient

from lictor.dashboard import serving
from lictor.dashboard.finding import within
from lictor.dashboard.serving import Dashboard, DashboardSettings
from lictor.web import Router
from lictor.web.asgi import App, WebSettings

PAGE = {"accept": "text/html,application/xhtml+xml"}

router = Router()


@router.get("/health")
def health() -> bool:
    return True


Serve = Callable[..., TestClient]


@pytest.fixture
def serve(files: Path) -> Serve:
    def start(**settings: Any) -> TestClient:
        found = within(files, "")
        assert found is not None
        dashboard = Dashboard(DashboardSettings(**{"directories": found.bundles, **settings}))
        return TestClient(App([router], settings=WebSettings(auth_string="a:b"), fallback=dashboard), base="")

    return start


def get(client: TestClient, path: str, **headers: str) -> Answer:
    return client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


def page(client: TestClient, path: str, **headers: str) -> Answer:
    return get(client, path, **PAGE, **headers)


@pytest.mark.parametrize(("path", "title"), [("/v2/", "ui-v2"), ("/v2/runs/flow-run/1", "ui-v2"), ("/runs", "ui")])
def test_whatever_a_browser_navigates_to_is_the_page(serve: Serve, path: str, title: str) -> None:
    answer = page(serve(), path)
    assert (answer.status, f"<title>{title}</title>" in answer.text) == (200, True)
    assert answer.headers["cache-control"] == "no-cache"


def test_a_part_that_is_not_there_is_not_the_page(serve: Serve) -> None:
    for path in ("/assets/gone-x0.js", "/v2/assets/gone-x0.js", "/v2/dashboard"):
        assert get(serve(), path, accept="*/*").status == 404


def test_the_api_is_not_the_dashboard_s(serve: Serve) -> None:
    client = serve()
    assert page(client, "/api/health").json is True
    assert page(client, "/api/nothing").status == 401


@pytest.mark.parametrize(
    ("settings", "cookie", "path", "location"),
    [
        ({}, "", "/", "/v2/"),
        ({}, "prefect_ui_version=v2", "/?a=b", "/v2/?a=b"),
        ({}, "x=1; prefect_ui_version=v1", "/", None),
        ({}, "prefect_ui_version=v3", "/", "/v2/"),
        ({"preferred": "v1"}, "", "/", None),
        ({"preferred": "v1"}, "prefect_ui_version=v2", "/", "/v2/"),
        ({}, "prefect_ui_version=v1", "/v2/", None),
        ({}, "", "/runs", None),
        ({}, "", "/v2", "/v2/"),
        ({"base": "/prefect"}, "", "/prefect/", "/prefect/v2/"),
        ({"base": "/prefect"}, "", "/prefect", "/prefect/"),
        ({"base": "/prefect"}, "", "/", "/prefect/"),
        ({"base": "/prefect/v2"}, "", "/prefect/", "/prefect/v2/"),
    ],
)
def test_which_dashboard_the_front_page_leads_to(
    serve: Serve, settings: dict[str, Any], cookie: str, path: str, location: str | None
) -> None:
    answer = page(serve(**settings), path, cookie=cookie)
    assert answer.headers.get("location") == location
    assert answer.status == (200 if location is None else 307)


def test_where_there_is_one_dashboard_the_other_s_pages_lead_to_it(serve: Serve, files: Path) -> None:
    only_v1 = serve(directories={"v1": files / "ui"})
    assert page(only_v1, "/v2/runs").headers["location"] == "/runs"
    assert page(only_v1, "/").status == 200
    only_v2 = serve(directories={"v2": files / "ui-v2"})
    assert page(only_v2, "/runs").headers["location"] == "/v2/runs"
    assert get(only_v2, "/ui-settings").json["available_uis"] == ["v2"]
    assert get(only_v2, "/assets/plain-x2.js").status == 404


def test_a_redirect_never_leads_to_another_host(serve: Serve, files: Path) -> None:
    only_v1 = serve(directories={"v1": files / "ui"})
    assert page(only_v1, "/v2//evil.example/x").headers["location"] == "/evil.example/x"


def test_without_any_the_front_page_says_how_to_get_one(serve: Serve) -> None:
    client = serve(directories={})
    answer = page(client, "/")
    assert (answer.status, "lictor ui fetch" in answer.text) == (404, True)
    assert get(client, "/assets/x.js").json == {"detail": "Not Found"}


@pytest.mark.parametrize(
    ("base", "prefix", "path", "filled_in"),
    [
        ("", "", "/assets/index-x1.js", ""),
        ("", "", "/v2/assets/index-x1.js", "/v2"),
        ("/prefect", "", "/prefect/v2/assets/index-x1.js", "/prefect/v2"),
        ("", "/stripped", "/v2/assets/index-x1.js", "/stripped/v2"),
        ("/prefect", "/stripped", "/prefect/assets/index-x1.js", "/stripped/prefect"),
        ("", '/"><script>', "/v2/assets/index-x1.js", "/v2"),
    ],
)
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_the_base_is_filled_in(serve: Serve, base: str, prefix: str, path: str, filled_in: str, encoding: str) -> None:
    client = serve(base=base)
    for _ in range(2):
        answer = get(client, path, accept_encoding=encoding, x_forwarded_prefix=prefix)
        body = gzip.decompress(answer.body) if encoding == "gzip" else answer.body
        assert body.startswith(f'const base = "{filled_in}";'.encode())


def test_one_bundle_serves_several_prefixes_but_not_any_number(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MOST_PREFIXES", 2)
    client = serve()
    found = [
        get(client, "/v2/assets/index-x1.js", x_forwarded_prefix=prefix).text.split('"')[1]
        for prefix in ("/a", "/b", "/c", "/a", "")
    ]
    assert found == ["/a/v2", "/b/v2", "/v2", "/a/v2", "/v2"]


def test_parts_with_hashed_names_are_kept_for_good(serve: Serve) -> None:
    client = serve()
    answer = get(client, "/v2/assets/plain-x2.js", accept_encoding="gzip, br")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert int(answer.headers["content-length"]) == len(answer.body) < 1000


def test_images_are_not_packed_again(serve: Serve) -> None:
    answer = get(serve(), "/logo.png", accept_encoding="gzip")
    assert (answer.body, answer.headers.get("content-encoding")) == (b"\x89PNG", None)


def test_a_browser_that_has_it_already_is_told_so(serve: Serve) -> None:
    client = serve()
    first = page(client, "/v2/")
    again = page(client, "/v2/", if_none_match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    other = page(client, "/v2/", if_none_match=first.headers["etag"], x_forwarded_prefix="/p")
    assert other.status == 200, "under another prefix it is another page"


def test_head_answers_without_a_body(serve: Serve) -> None:
    answer = serve().request("HEAD", "/v2/", headers=PAGE)
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


def test_only_reading_is_allowed(serve: Serve) -> None:
    answer = serve().post("/v2/")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_icons_are_found_without_their_directory(serve: Serve) -> None:
    assert get(serve(), "/favicon.ico").body == b"\x00\x01icon"


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/v2/../../secret.txt",
        "/v2/..%2f..%2fsecret.txt",
        "/v2/%2e%2e/%2e%2e/secret.txt",
        "/v2//etc/passwd",
        "//etc/passwd",
        "/v2/assets/../../../secret.txt",
        "/v2/..\\..\\secret.txt",
        "/v2/\x00",
        "/v2/index.html/../../../secret.txt",
    ],
)
def test_there_is_no_way_out_of_the_directory(serve: Serve, path: str) -> None:
    answer = get(serve(), path)
    assert answer.status == 404
    assert "not for browsers" not in answer.text


def test_what_a_browser_is_told_before_anybody_logs_in(serve: Serve) -> None:
    answer = get(serve(auth=True, csrf=True), "/ui-settings")
    assert answer.json == {
        "api_url": "/api",
        "csrf_enabled": True,
        "auth": "BASIC",
        "flags": [],
        "default_ui": "v2",
        "available_uis": ["v1", "v2"],
        "v1_base_url": "/",
        "v2_base_url": "/v2",
    }
    assert answer.headers["cache-control"] == "no-store"


def test_the_api_is_where_the_dashboard_came_from(serve: Serve) -> None:
    told = get(serve(), "/ui-settings", x_forwarded_prefix="/p").json
    assert (told["api_url"], told["v1_base_url"], told["v2_base_url"]) == ("/p/api", "/p", "/p/v2")
    told = get(serve(base="/prefect", api_base="/prefect/api"), "/prefect/ui-settings").json
    assert (told["api_url"], told["v2_base_url"]) == ("/prefect/api", "/prefect/v2")
    told = get(serve(api_url="https://api.example/api"), "/ui-settings").json
    assert told["api_url"] == "https://api.example/api"


def test_pages_may_talk_to_this_server_and_the_api_alone(serve: Serve) -> None:
    policy = page(serve(), "/v2/").headers["content-security-policy"]
    assert "connect-src 'self';" in policy
    assert "img-src 'self' data: blob:;" in policy
    elsewhere = serve(api_url="https://api.example:8443/api", image_sources="https://charts.example ; x")
    policy = page(elsewhere, "/v2/").headers["content-security-policy"]
    assert "connect-src 'self' https://api.example:8443;" in policy
    assert "img-src 'self' data: blob: https://charts.example x;" in policy
