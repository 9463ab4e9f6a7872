"""The server's settings, version and defaults, as the reference answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from tests import calls
from tests.web.client import TestClient

from lictor import admin
from lictor.admin import ResultStorageBlocks, iso_duration, shown_settings
from lictor.db import Database, Tx
from lictor.settings import read

WRITABLE = "00000000-0000-4000-8000-000000000001"
READ_ONLY = "00000000-0000-4000-8000-000000000002"


def capabilities(tx: Tx, id: str) -> Sequence[str] | None:
    return {WRITABLE: ["read-path", "write-path"], READ_ONLY: ["read-path"]}.get(id)


@pytest.fixture
def client(db: Database) -> TestClient:
    return calls.client(db, admin.router, blocks=ResultStorageBlocks(capabilities))


def test_the_version_is_that_of_the_api(client: TestClient) -> None:
    assert client.get("/admin/version").json == "3.9.1"


def test_no_default_result_storage(client: TestClient) -> None:
    assert client.get("/admin/storage").json == {"default_result_storage_block_id": None}
    assert client.delete("/admin/storage").status == 204


def test_the_default_result_storage_is_kept_until_it_is_cleared(client: TestClient) -> None:
    chosen = {"default_result_storage_block_id": WRITABLE}

    for _ in range(2):
        answer = client.put("/admin/storage", json={**chosen, "unknown": 1})
        assert (answer.status, answer.json) == (200, chosen)
    assert client.get("/admin/storage").json == chosen
    assert client.delete("/admin/storage").status == 204
    assert client.get("/admin/storage").json == {"default_result_storage_block_id": None}


@pytest.mark.parametrize(
    ("id", "status", "detail"),
    [
        (calls.NOWHERE, 404, f"Block document {calls.NOWHERE} not found."),
        (READ_ONLY, 422, f"Block document {READ_ONLY} cannot be used for result storage."),
    ],
)
def test_blocks_that_cannot_keep_results(client: TestClient, id: str, status: int, detail: str) -> None:
    answer = client.put("/admin/storage", json={"default_result_storage_block_id": id})

    assert (answer.status, answer.json) == (status, {"detail": detail})


@pytest.mark.parametrize(("body", "type"), [({}, "missing"), ({"default_result_storage_block_id": None}, "uuid_type")])
def test_bodies_that_cannot_be_read(client: TestClient, body: object, type: str) -> None:
    assert calls.errors(client.put("/admin/storage", json=body)) == [
        (type, ["body", "default_result_storage_block_id"])
    ]


def test_the_settings_have_the_reference_s_shape_and_defaults(client: TestClient) -> None:
    shown = client.get("/admin/settings").json

    assert {"home", "api", "client", "server", "worker"} <= set(shown)
    assert shown["server"]["api"]["default_limit"] == 200
    assert shown["server"]["api"]["csrf_token_expiration"] == "PT1H"
    assert shown["server"]["database"]["connection_url"] == "**********"
    assert shown["server"]["services"]["db_vacuum"]["enabled"] == ["events", "flow_runs"]
    assert shown["server"]["services"]["db_vacuum"]["event_retention_overrides"] == {
        "prefect.flow-run.heartbeat": "P7D"
    }
    assert shown["server"]["services"]["late_runs"]["after_seconds"] == "PT15S"
    assert shown["server"]["tasks"]["scheduling"]["pending_task_timeout"] == "PT0S"


def test_the_settings_are_those_in_use_and_secrets_are_masked() -> None:
    shown = shown_settings(
        read(
            {
                "LICTOR_HOME": "/srv/lictor",
                "PREFECT_SERVER_API_PORT": "4300",
                "PREFECT_SERVER_API_AUTH_STRING": "admin:open-sesame",
                "PREFECT_SERVER_DATABASE_PASSWORD": "open-sesame",
                "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "90",
            }
        )
    )

    assert shown["home"] == "/srv/lictor"
    assert shown["server"]["api"]["port"] == 4300
    assert shown["server"]["api"]["auth_string"] == "**********"
    assert shown["server"]["services"]["late_runs"]["after_seconds"] == "PT1M30S"
    assert "open-sesame" not in str(shown)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        ({}, "PT0S"),
        ({"days": 90}, "P90D"),
        ({"hours": 1}, "PT1H"),
        ({"days": 1, "seconds": 3661}, "P1DT1H1M1S"),
        ({"milliseconds": 1500}, "PT1.5S"),
        ({"milliseconds": 10}, "PT0.01S"),
    ],
)
def test_durations(duration: dict[str, float], text: str) -> None:
    assert iso_duration(timedelta(**duration)) == text
