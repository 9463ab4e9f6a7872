"""What holds for every route: paths, methods, bodies, media types."""

from __future__ import annotations

import gzip

from ..scenario import Session, scenario
from .common import JSON, NOT_IDS, ZERO, bad_bodies, flow


@scenario
def slashes(s: Session) -> None:
    for method, path in (
        ("POST", "/flows"),
        ("POST", "/flow_runs"),
        ("POST", "/task_runs"),
        ("POST", "/logs"),
        ("POST", "/variables"),
        ("PUT", "/saved_searches"),
        ("POST", "/flows/filter/"),
        ("POST", "/flow_runs/count/"),
        ("GET", "/health/"),
        ("GET", "/flow_run_states?flow_run_id=" + ZERO),
        ("GET", "/task_run_states?task_run_id=" + ZERO),
        ("GET", f"/flows/{ZERO}/"),
        ("GET", "/observed-states/?limit=1"),
        ("POST", "/events/"),
        ("DELETE", f"/variables/{ZERO}/"),
        ("PATCH", f"/flow_runs/{ZERO}/labels/"),
        ("GET", "/flows/name/a%2Fb/"),
        ("POST", "/flows/filter//"),
        ("GET", "/flows//"),
    ):
        s.send(method, path, {} if method != "GET" else None)


@scenario
def unknown_routes(s: Session) -> None:
    for path in ("/no-such-route", "/flows/a/b/c", "/flow_runs/x/y", "/flows/name", "/flows/name/", "/flow", "/FLOWS/"):
        s.get(path)
        s.post(path, {})


@scenario
def wrong_methods(s: Session) -> None:
    for method, path in (
        ("GET", "/flows/"),
        ("PUT", "/flows/"),
        ("DELETE", "/flows/"),
        ("GET", "/flows/filter"),
        ("PUT", f"/flows/{ZERO}"),
        ("POST", f"/flows/{ZERO}"),
        ("GET", "/flow_runs/"),
        ("GET", "/flow_runs/filter"),
        ("PUT", f"/flow_runs/{ZERO}"),
        ("GET", f"/flow_runs/{ZERO}/set_state"),
        ("POST", f"/flow_runs/{ZERO}/graph"),
        ("POST", f"/flow_runs/{ZERO}/labels"),
        ("PUT", f"/flow_runs/{ZERO}/input/key"),
        ("POST", "/flow_run_states/"),
        ("DELETE", f"/flow_run_states/{ZERO}"),
        ("GET", "/task_runs/"),
        ("PUT", f"/task_runs/{ZERO}"),
        ("GET", "/logs/"),
        ("DELETE", "/logs/filter"),
        ("GET", "/variables/"),
        ("POST", "/variables/name/x"),
        ("POST", "/saved_searches/"),
        ("GET", "/saved_searches/filter"),
        ("POST", "/observed-states"),
        ("GET", "/events"),
        ("PUT", "/events"),
        ("TRACE", "/flows/"),
    ):
        s.send(method, path)


@scenario
def head_and_options(s: Session) -> None:
    for path in ("/health", "/flows/", f"/flows/{ZERO}", "/admin/version", "/observed-states", "/no-such-route"):
        s.send("HEAD", path)
        s.send("OPTIONS", path)
    ask = {"Origin": "http://example.org", "Access-Control-Request-Method": "POST"}
    s.send("OPTIONS", "/flows/", headers=ask)
    s.send("OPTIONS", "/flows/", headers={**ask, "Access-Control-Request-Headers": "content-type,x-other"})
    s.get("/health", headers={"Origin": "http://example.org"})
    s.post("/flows/", {}, headers={"Origin": "http://example.org"})


@scenario
def ids_in_paths(s: Session) -> None:
    flow(s)
    for bad in NOT_IDS:
        s.get(f"/flows/{bad}")
        s.patch(f"/flows/{bad}", {})
        s.post(f"/flow_runs/{bad}/set_state", {"state": {"type": "RUNNING"}})
    upper = s.saved["flow"]["id"].upper()
    plain = s.saved["flow"]["id"].replace("-", "")
    for form in (upper, plain, "{" + upper + "}", "urn:uuid:" + upper):
        answer = s.request("GET", f"/flows/{form}")
        step = f"{len(s.steps) + 1:02d} GET /flows/<another form>"
        s.steps.append({"step": step, "status": answer.status})


@scenario
def media_types(s: Session) -> None:
    for media in (
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/vnd.api+json",
        "application/problem+json",
        "application/jsonx",
        "text/plain",
        "text/html",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
        "json",
        "",
        None,
    ):
        s.post("/flows/", {"name": "$uniq"}, headers={"Content-Type": media}, only="status")
        s.post("/flows/count", {"flows": 1}, headers={"Content-Type": media}, masked=("$",))
    s.post("/flows/", raw=b'{"name": "$uniq"}', headers={"Content-Type": "text/plain"})


@scenario
def required_body(s: Session) -> None:
    bad_bodies(s, "POST", "/flows/")


@scenario
def optional_body(s: Session) -> None:
    for path in ("/flows/count", "/flow_runs/count", "/task_runs/count", "/variables/count"):
        for raw in (None, b"", b"null", b"{}", b"[]", b"{", b"1", b'"x"', b"[{}]"):
            s.post(
                path,
                raw=raw,
                headers=JSON if raw else None,
                masked=("$",) if raw in (None, b"", b"null", b"{}") else (),
            )


@scenario
def list_body(s: Session) -> None:
    bad_bodies(s, "POST", "/logs/")
    s.post("/logs/", [])
    s.post("/logs/", {})
    s.post("/logs/", [1, None, "x", {}])


@scenario
def unusual_json(s: Session) -> None:
    for raw in (
        b'{"name": "$", "name": "$uniq-duplicate-key"}',
        b'  \n {"name": "$uniq-white-space"}  \n',
        b'\xef\xbb\xbf{"name": "$uniq-bom"}',
        b'{"name": "$uniq-\xc3\xa9-\xf0\x9f\x91\x8b"}',
        b'{"name": "$uniq-\\ud83d\\udc4b"}',
        b'{"name": "$uniq-\\ud83d"}',
        b'{"name": "$uniq-\xff"}',
        b'{"name": "$uniq-\\u0000-zero"}',
        b'{"name": "$uniq-nan", "labels": {"a": NaN}}',
        b'{"name": "$uniq-inf", "labels": {"a": Infinity}}',
        b'{"name": "$uniq-big", "labels": {"a": 123456789012345678901234567890}}',
        b'{"name": "$uniq-exp", "labels": {"a": 1e400}}',
        b'{"name": "$uniq-trailing"} x',
        b"{name: 1}",
        b'{"name": "$uniq-deep", "labels": ' + b"[" * 60 + b"]" * 60 + b"}",
    ):
        s.post("/flows/", raw=raw, headers=JSON)


@scenario
def gzip_body(s: Session) -> None:
    packed = gzip.compress(b'{"name": "gzip-name"}', mtime=0)
    s.post("/flows/", raw=packed, headers={**JSON, "Content-Encoding": "gzip"}, only="status")


@scenario
def text_with_zero_bytes(s: Session) -> None:
    s.post("/flows/", {"name": "$uniq\u0000"}, only="status")
    s.post("/variables/", {"name": "$uniq", "value": "a\u0000b"}, only="status")
    s.post("/logs/", [{"name": "$uniq", "level": 20, "message": "a\u0000b", "timestamp": "$now"}])
    s.post("/logs/filter", {"logs": {"text": {"query": "$uniq"}}})
