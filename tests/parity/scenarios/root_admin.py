"""Health, version, hello, ready; admin: version, settings, the default result storage."""

from __future__ import annotations

from ..scenario import Session, scenario
from .common import ZERO, bad_bodies

ROUTES = ("/health", "/version", "/hello", "/ready", "/admin/version", "/admin/storage")


@scenario
def read(s: Session) -> None:
    for path in ROUTES:
        s.get(path)
    s.get("/admin/settings", only="status")


@scenario
def other_methods(s: Session) -> None:
    for path in ROUTES:
        s.send("HEAD", path)
        s.post(path, {})
        s.get(path + "/")
    s.delete("/admin/version")
    s.put("/admin/settings", {})


@scenario
def api_versions(s: Session) -> None:
    for version in (
        "0.8.4",
        "0.8.3",
        "0.8.0",
        "0.8",
        "0.8.0.1",
        "0.7.9",
        "0.9.0",
        "1.0.0",
        "9.9.9",
        "abc",
        "a.b.c",
        "",
        "0.8.x",
    ):
        s.get("/hello", headers={"X-PREFECT-API-VERSION": version})
    for version in ("0.7.9", "abc", None):
        for path in ROUTES:
            s.get(path, headers={"X-PREFECT-API-VERSION": version})
        s.post("/flows/count", {"flows": {"id": {"any_": []}}}, headers={"X-PREFECT-API-VERSION": version})
        s.get("/no-such-route", headers={"X-PREFECT-API-VERSION": version})


@scenario
def storage(s: Session) -> None:
    s.put("/admin/storage", {"default_result_storage_block_id": ZERO})
    s.put("/admin/storage", {"default_result_storage_block_id": "not-an-id"})
    s.put("/admin/storage", {"default_result_storage_block_id": None})
    s.put("/admin/storage", {"default_result_storage_block_id": 1})
    s.put("/admin/storage", {"unknown": 1})
    s.put("/admin/storage", {"default_result_storage_block_id": ZERO, "unknown": 1})
    s.put("/admin/storage", {})
    s.get("/admin/storage")
    s.delete("/admin/storage")
    s.delete("/admin/storage")
    s.get("/admin/storage")


@scenario
def storage_bad_bodies(s: Session) -> None:
    bad_bodies(s, "PUT", "/admin/storage")
