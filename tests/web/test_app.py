"""The application from outside: what is answered before, around and instead of an endpoint."""

from __future__ import annotations

import base64
import gzip
import logging
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import pytest
from msgspec import Raw, Struct, field
from tests.web.client import TestClient

from lictor import settings as settings_of
from lictor.app import build
from lictor.kit import errors
from lictor.web import Created, Embedded, Header, Query, Reply, Request, Router, Streaming
from lictor.web.asgi import App, WebSettings

ID = "5f0f0e0a-4d5c-4b4a-8f1a-0123456789ab"
router = Router(tag="Things")


class Greeting:
    text = "hello"


class Thing(Struct, forbid_unknown_fields=True):
    name: str
    at: datetime | None = None


class Patch(Embedded):
    name: str = "default"
    tags: list[str] = field(default_factory=list)


@router.get("/health")
def health() -> bool:
    return True


@router.get("/hello")
async def hello(greeting: Greeting) -> str:
    return greeting.text


@router.post("/things/", also=(201,))
def create(body: Thing) -> Created[Thing]:
    return Created(body, body.name != "old")


@router.get("/things/{id:uuid}")
def read(id: str) -> str:
    return id


@router.get("/things/{name}")
def by_name(name: str) -> str:
    return f"name {name}"


@router.get("/things/fixed")
def fixed() -> str:
    return "fixed"


@router.delete("/things/{id:uuid}", status=204)
async def delete(id: str) -> None:
    return None


@router.post("/patch")
def patch(body: Patch) -> Awaitable[Patch]:
    async def later() -> Patch:
        return body

    return later()


@router.get("/echo")
def echo(
    request: Request,
    page_token: Annotated[str | None, Query("page-token")] = None,
    x_thing: Annotated[int, Header()] = 1,
) -> list[Any]:
    return [page_token, x_thing, request.client_version, request.base_url]


@router.get("/big")
def big() -> list[str]:
    return ["x" * 50] * 100


@router.get("/file")
def file() -> Streaming:
    async def chunks() -> AsyncIterator[str]:
        yield "a,b\n"
        yield "1,2\n"

    return Streaming(chunks(), "text/csv", {"Content-Disposition": "attachment; filename=x.csv"})


@router.get("/raw")
def raw() -> Reply:
    return Reply("plain", 203, {"X-One": "1"}, "text/plain")


RAISED: dict[str, Exception] = {
    "detail": errors.NotFound("Thing not found"),
    "object": errors.ObjectNotFound("Thing with id 1 not found"),
    "conflict": errors.Conflict(),
    "locked": errors.Locked("Full", retry_after=2.5),
    "unavailable": errors.Unavailable(),
    "http": errors.HTTPError(418, ["a", "b"]),
    "bug": RuntimeError("secret"),
}


@router.get("/raise/{name}")
def fail(name: str) -> None:
    raise RAISED[name]


def client(settings: WebSettings | None = None, **options: Any) -> TestClient:
    return TestClient(App([router], {Greeting: Greeting()}, settings, **options))


def test_services_are_given_by_type() -> None:
    assert client().get("/hello").json == "hello"


def test_a_parameter_that_nothing_can_give_is_found_by_a_check() -> None:
    with pytest.raises(TypeError, match="greeting"):
        App([router]).check()


def test_everything_that_the_server_s_endpoints_ask_for_is_there(tmp_path: Path) -> None:
    settings = settings_of.read({"PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite:///{tmp_path}/x.db"}, {})
    build(settings).check()


def test_an_operation_is_declared_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        App([router, router], {Greeting: Greeting()})


def test_created_tells_new_from_old() -> None:
    assert client().post("/things/", json={"name": "new"}).status == 201
    assert client().post("/things/", json={"name": "old"}).status == 200


@pytest.mark.parametrize("zone", [UTC, ZoneInfo("UTC"), ZoneInfo("Etc/UTC")])
def test_instants_are_written_with_z(zone: Any) -> None:
    clock = Router()

    @clock.get("/now")
    def now() -> list[datetime]:
        return [datetime(2026, 1, 2, 3, 4, 5, 6, zone), datetime(2026, 1, 2, tzinfo=zone)]

    assert TestClient(App([clock])).get("/now").json == ["2026-01-02T03:04:05.000006Z", "2026-01-02T00:00:00Z"]


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (f"/things/{ID}", ID),
        (f"/things/{ID.upper()}", ID),
        (f"/things/{ID.replace('-', '')}", ID),
        ("/things/fixed", "fixed"),
        ("/things/other", "name other"),
    ],
)
def test_fixed_segments_go_before_ids_before_names(path: str, answer: str) -> None:
    assert client().get(path).json == answer


def test_an_empty_answer_has_no_body_and_no_type() -> None:
    answer = client().delete(f"/things/{ID}")
    assert (answer.status, answer.body, answer.headers) == (204, b"", {})


@pytest.mark.parametrize("path", ["/nope", "/nope/", "/", ""])
def test_unknown_paths(path: str) -> None:
    answer = client().get(path)
    assert (answer.status, answer.json) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize("method", ["PUT", "HEAD", "OPTIONS"])
def test_wrong_methods(method: str) -> None:
    answer = client().request(method, "/hello")
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


def test_a_path_lists_the_methods_of_all_that_match_it() -> None:
    assert client().put(f"/things/{ID}").headers["allow"] == "DELETE, GET"


@pytest.mark.parametrize(
    ("path", "location"),
    [("/things?x=1", "http://test/api/things/?x=1"), ("/hello/", "http://test/api/hello")],
)
def test_a_slash_too_few_or_too_many_is_redirected(path: str, location: str) -> None:
    answer = client().post(path, json={})
    assert (answer.status, answer.headers["location"]) == (307, location)


def test_a_redirect_keeps_the_scheme_that_the_proxy_saw() -> None:
    answer = client().get("/hello/", headers={"x-forwarded-proto": "https", "x-forwarded-host": "lictor.example"})
    assert answer.headers["location"] == "https://lictor.example/api/hello"


@pytest.mark.parametrize(
    ("name", "status", "body"),
    [
        ("detail", 404, {"detail": "Thing not found"}),
        ("object", 404, {"exception_message": "Thing with id 1 not found"}),
        (
            "conflict",
            409,
            {"detail": errors.Conflict.default_message()},
        ),
        ("locked", 423, {"detail": "Full"}),
        ("unavailable", 503, {"exception_message": "Service Unavailable"}),
        ("http", 418, {"detail": ["a", "b"]}),
        ("bug", 500, {"exception_message": "Internal Server Error"}),
    ],
)
def test_errors_are_answered_in_the_shapes_of_the_reference(name: str, status: int, body: Any) -> None:
    answer = client().get(f"/raise/{name}")
    assert (answer.status, answer.json) == (status, body)


def test_a_lock_says_when_to_come_back() -> None:
    assert client().get("/raise/locked").headers["retry-after"] == "2.5"


def test_a_bug_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        client().get("/raise/bug")
    assert "RuntimeError: secret" in caplog.text


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"name":null,"tags":null,"other":1}'])
def test_absent_and_null_mean_the_default_of_embedded_parameters(body: bytes) -> None:
    assert client().post("/patch", content=body).json == {"name": "default", "tags": []}


def test_defaults_are_not_shared_between_requests() -> None:
    first, second = (client().post("/patch", content=b'{"tags":null}') for _ in range(2))
    assert first.json == second.json == {"name": "default", "tags": []}


def test_null_is_as_good_as_absent_where_something_is_required() -> None:
    strict = Router()

    class Required(Embedded):
        since: datetime | None

    @strict.post("/")
    def since(body: Required) -> None: ...

    since.__annotations__["body"] = Required
    answer = TestClient(App([strict])).post("/", json={"since": None})
    assert answer.json["exception_detail"] == [
        {"type": "missing", "loc": ["body", "since"], "msg": "Field required", "input": None}
    ]


def test_query_headers_and_who_is_asking() -> None:
    headers = {"user-agent": "prefect/3.4.11 (API 0.8.4)", "x-thing": "7"}
    assert client().get("/echo?page-token=a%20b", headers=headers).json == ["a b", 7, [3, 4, 11], "http://test"]
    assert client().get("/echo").json == [None, 1, None, "http://test"]


@pytest.mark.parametrize(
    ("version", "status", "detail"),
    [
        ("0.8.4", 200, None),
        ("9.9.9", 200, None),
        ("", 200, None),
        ("0.7.9", 400, "The request specified API version 0.7.9 but this server requires version 0.8.0 or higher."),
        (
            "abc",
            400,
            "Invalid X-PREFECT-API-VERSION header format.Expected header in format 'x.y.z' but received abc",
        ),
    ],
)
def test_the_version_of_the_api_that_a_client_speaks(version: str, status: int, detail: str | None) -> None:
    answer = client().get("/hello", headers={"x-prefect-api-version": version})
    assert answer.status == status
    assert detail is None or answer.json == {"detail": detail}
    assert client().get("/health", headers={"x-prefect-api-version": version}).status == 200


def basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    "headers", [{}, basic("admin:wrong"), {"authorization": "Bearer x"}, {"authorization": "Basic é"}]
)
def test_without_authorization_nothing_is_told(headers: dict[str, str]) -> None:
    guarded = client(WebSettings(auth_string="admin:pass"))
    for path in ("/hello", "/nope", "/openapi.json"):
        answer = guarded.get(path, headers=headers)
        assert (answer.status, answer.json) == (401, {"exception_message": "Unauthorized"})
    assert guarded.get("/health").status == 200


@pytest.mark.parametrize("headers", [basic("admin:pass"), {"authorization": "Bearer admin:pass"}])
def test_with_authorization(headers: dict[str, str]) -> None:
    assert client(WebSettings(auth_string="admin:pass")).get("/hello", headers=headers).status == 200


async def holds(token: str, client: str) -> bool:
    return (token, client) == ("t", "c")


@pytest.mark.parametrize(
    ("headers", "status", "detail"),
    [
        ({}, 403, "Missing CSRF token."),
        ({"prefect-csrf-token": "t"}, 403, "Missing client identifier."),
        ({"prefect-csrf-token": "x", "prefect-csrf-client": "c"}, 403, "Invalid CSRF token or client identifier."),
        ({"prefect-csrf-token": "t", "prefect-csrf-client": "c"}, 200, None),
    ],
)
def test_csrf_tokens_guard_what_changes_something(headers: dict[str, str], status: int, detail: str | None) -> None:
    guarded = client(csrf=holds)
    answer = guarded.post("/patch", headers=headers)
    assert answer.status == status
    assert detail is None or answer.json == {"detail": detail}
    assert guarded.get("/hello").status == 200


def test_a_preflight_is_answered_for_any_path() -> None:
    headers = {
        "origin": "http://x",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type, foo",
    }
    answer = client().request("OPTIONS", "/nope", headers=headers)
    assert (answer.status, answer.text) == (200, "OK")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY"
    assert answer.headers["access-control-allow-headers"] == "content-type, foo"
    assert answer.headers["access-control-max-age"] == "600"


def test_only_allowed_origins_are_named() -> None:
    some = client(WebSettings(cors_origins=("http://good",)))
    assert some.get("/hello", headers={"origin": "http://good"}).headers["access-control-allow-origin"] == "http://good"
    assert "access-control-allow-origin" not in some.get("/hello", headers={"origin": "http://bad"}).headers
    asked = {"origin": "http://bad", "access-control-request-method": "POST"}
    assert some.request("OPTIONS", "/hello", headers=asked).status == 400


def test_large_answers_are_compressed_where_that_is_accepted() -> None:
    answer = client().get("/big", headers={"accept-encoding": "gzip, deflate"})
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body) == client().get("/big").body
    assert int(answer.headers["content-length"]) == len(answer.body) < 500


def test_bodies_that_are_too_large() -> None:
    small = client(WebSettings(max_body_bytes=10))
    assert small.post("/patch", content=b'{"name":"abc"}').status == 413
    assert small.post("/patch", content=[b'{"name"', b':"abc"}']).status == 413
    assert small.post("/patch", content=b"{}", headers={"content-length": "11"}).status == 413
    assert small.post("/patch", content=[b"{", b"}"]).status == 200


def test_a_body_nested_beyond_reason_is_refused() -> None:
    assert client().post("/patch", content=b'{"x":' * 100_000).status == 400


def test_downloads_are_sent_in_pieces() -> None:
    answer = client().get("/file")
    assert (answer.text, answer.headers["content-type"]) == ("a,b\n1,2\n", "text/csv")
    assert answer.headers["content-disposition"] == "attachment; filename=x.csv"


def test_replies_of_any_kind() -> None:
    answer = client().get("/raw")
    assert (answer.status, answer.text, answer.headers["x-one"]) == (203, "plain", "1")


def test_what_is_outside_of_the_base_path_goes_to_the_fallback() -> None:
    async def fallback(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    assert client(fallback=fallback).get("/dashboard", root=True).status == 299
    assert client(fallback=fallback).get("/hello").status == 200
    assert client(fallback=fallback).get("/openapi.json", root=True).status == 200
    assert client().get("/", root=True).json == {"detail": "Not Found"}


@pytest.mark.parametrize("base", ["/v9/api", "v9/api/", "/"])
def test_the_base_path_is_a_setting(base: str) -> None:
    moved = client(WebSettings(api_base_path=base))
    assert moved.get("/hello").status == 200
    assert moved.get("/" + base.strip("/") + "/hello", root=True).status in (200, 404)


def test_hooks_run_at_start_and_stop() -> None:
    told: list[str] = []

    async def start() -> None:
        told.append("start")

    async def stop() -> None:
        told.append("stop")

    with client(on_start=[start], on_stop=[stop]) as opened:
        opened.get("/hello")
    assert told == ["start", "stop"]


def test_nothing_is_in_flight_after_an_answer() -> None:
    opened = client()
    opened.get("/raise/bug")
    assert opened.app.in_flight == 0


def test_the_document_describes_what_is_built() -> None:
    document = client().get("/openapi.json").json
    operation = document["paths"]["/things/"]["post"]
    assert operation["operationId"] == "create_things__post"
    assert set(operation["responses"]) == {"200", "201", "422", "4XX"}
    assert operation["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Thing"}
    assert document["components"]["schemas"]["Thing"]["required"] == ["name"]
    names = [each["name"] for each in document["paths"]["/echo"]["get"]["parameters"]]
    assert names == ["page-token", "x-thing", "x-prefect-api-version"]
    assert document["paths"]["/patch"]["post"]["requestBody"]["required"] is False


def test_half_a_surrogate_pair_is_refused_and_not_a_bug() -> None:
    answer = client().post("/things/", content=b'{"name":"\\ud800"}')
    assert answer.status == 422
    assert answer.json["request_body"] == {"name": "\ud800"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_json_may_be_in_any_encoding_of_unicode(encoding: str) -> None:
    assert client().post("/things/", content='{"name":"\u00e9"}'.encode(encoding)).json["name"] == "\u00e9"
    answer = client().post("/things/", content='{"name":"\u00e9'.encode(encoding))
    assert answer.json["exception_detail"][0]["type"] == "json_invalid"


def test_half_a_surrogate_pair_in_json_that_is_only_kept_is_refused_too() -> None:
    router = Router()

    @router.post("/keep")
    def keep(body: Kept) -> Kept:
        return body

    answer = TestClient(App([router])).post("/keep", content=b'{"kept":{"a":["\\ud800"]}}')
    assert [(one["type"], one["loc"]) for one in answer.json["exception_detail"]] == [
        ("string_unicode", ["body", "kept"])
    ]


class Kept(Struct):
    kept: Raw
