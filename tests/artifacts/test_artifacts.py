"""Artifacts and the newest of each key, as the reference answers."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any
from uuid import UUID

import msgspec
import pytest
from tests import calls, rows
from tests.web.client import TestClient

from lictor.artifacts import routes, store
from lictor.artifacts.loops import Orphans
from lictor.artifacts.types import ArtifactCreate, ArtifactPage, CollectionPage
from lictor.db import Database, Tx, sql
from lictor.kit import ids

RELATED = sql("test.artifacts.related", None, "select related from events order by position")
LATEST = sql("test.artifacts.latest", str, "select latest_id from artifact_collection")


@pytest.fixture
def client(db: Database) -> TestClient:
    return calls.client(db, routes.router)


def create(client: TestClient, key: str | None = "k", **more: Any) -> dict[str, Any]:
    answer = client.post("/artifacts/", json={"key": key, **more})
    assert answer.status == 201, answer
    return answer.json


def latest(client: TestClient, key: str = "k") -> dict[str, Any]:
    return client.get(f"/artifacts/{key}/latest").json


def test_an_artifact_is_made_and_read(client: TestClient, db: Database) -> None:
    made = create(client, type="table", data=[{"z": 1, "a": None}], description="d", metadata_={"m": "x" * 501})

    assert made["metadata_"] == {"m": "x" * 500 + "..."}
    assert client.get(f"/artifacts/{made['id']}").json == made
    shown = latest(client)
    assert shown["id"] != made["id"]  # the collection's
    assert {**shown, "id": made["id"]} == made
    assert calls.last_event(db)["payload"] == {
        "key": "k",
        "type": "table",
        "data": [{"z": 1, "a": None}],
        "description": "d",
    }


def test_the_columns_of_a_table_keep_their_order(client: TestClient) -> None:
    answer = client.post("/artifacts/", json={"data": [{"zz": 1, "a": 2, "m": 3}]})

    text = client.get(f"/artifacts/{answer.json['id']}").text
    assert text.index('"zz"') < text.index('"a"') < text.index('"m"')


@pytest.mark.parametrize("data", [None, "x", 0, -1.5, True, [], {}, "é", {"a": "\u0001"}, 10**30])
def test_any_json_is_data(client: TestClient, data: Any) -> None:
    made = create(client, None, data=data)

    assert json.loads(client.get(f"/artifacts/{made['id']}").body)["data"] == data


@pytest.mark.parametrize("body", [b'{"data": "\xff"}', b'{"data": "\\ud800"}', b'{"data": 01}'])
def test_what_is_no_json(client: TestClient, body: bytes) -> None:
    answer = client.post("/artifacts/", content=body, headers={"Content-Type": "application/json"})

    assert answer.status in (400, 422)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"key": "A"}, [("value_error", ["body", "key"])]),
        ({"metadata_": {"k": 1}}, [("string_type", ["body", "metadata_", "k"])]),
        ({"flow_run_id": "x"}, [("uuid_parsing", ["body", "flow_run_id"])]),
        ({"unknown": 1}, [("extra_forbidden", ["body", "unknown"])]),
    ],
)
def test_what_cannot_be_an_artifact(client: TestClient, body: Any, found: Any) -> None:
    assert calls.errors(client.post("/artifacts/", json=body)) == found


def test_the_newest_of_a_key_is_shown_until_it_goes(client: TestClient, db: Database) -> None:
    made = [create(client, data=number, type="t", metadata_={"n": str(number)}) for number in range(3)]
    collection = latest(client)["id"]
    assert latest(client)["data"] == 2

    assert client.delete(f"/artifacts/{made[1]['id']}").status == 204
    assert latest(client)["data"] == 2
    assert client.delete(f"/artifacts/{made[2]['id']}").status == 204
    shown = latest(client)
    assert (shown["id"], shown["data"], shown["metadata_"], shown["created"]) == (
        collection,
        0,
        {"n": "0"},
        made[0]["created"],
    )
    assert client.delete(f"/artifacts/{made[0]['id']}").status == 204
    assert client.get("/artifacts/k/latest").status == 404
    assert client.delete(f"/artifacts/{made[0]['id']}").status == 404

    actions = ["created", "updated", "updated", "updated", "deleted"]
    assert calls.event_names(db) == [f"prefect.artifact-collection.{action}" for action in actions]


def test_a_patch_shows_in_the_newest(client: TestClient) -> None:
    old, new = create(client, data=1), create(client, data=2, description="d")

    assert client.patch(f"/artifacts/{old['id']}", json={"data": "old"}).status == 204
    assert latest(client)["data"] == 2
    assert client.patch(f"/artifacts/{new['id']}", json={"data": None, "metadata_": {"a": "b"}}).status == 204

    for shown in (latest(client), client.get(f"/artifacts/{new['id']}").json):
        assert (shown["data"], shown["metadata_"], shown["description"]) == (None, {"a": "b"}, "d")
        assert shown["updated"] > new["updated"]
    assert client.patch(f"/artifacts/{calls.NOWHERE}", json={}).status == 404


def test_events_name_the_runs(client: TestClient, db: Database) -> None:
    made = create(client, flow_run_id=calls.NOWHERE, task_run_id=calls.NOWHERE)

    [row] = db.read_now(lambda tx: tx.all(RELATED))
    assert msgspec.json.decode(row[0]) == [
        {"prefect.resource.id": f"prefect.artifact.{made['id']}", "prefect.resource.role": "latest"},
        {"prefect.resource.id": f"prefect.flow-run.{calls.NOWHERE}", "prefect.resource.role": "flow-run"},
        {"prefect.resource.id": f"prefect.task-run.{calls.NOWHERE}", "prefect.resource.role": "task-run"},
    ]


def test_writers_of_one_key_at_once(db: Database) -> None:
    def write() -> None:
        for _ in range(5):
            db.write_now(store.insert, ArtifactCreate(key="k"))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    [shown] = db.read_now(lambda tx: tx.all(LATEST))
    assert db.read_now(store.get, shown).key == "k"
    assert len(calls.event_names(db)) == 20
    assert calls.event_names(db).count("prefect.artifact-collection.created") == 1


def test_lists(client: TestClient, db: Database) -> None:
    def a_run(tx: Any) -> tuple[str, str]:
        run = rows.a_flow_run(tx, rows.a_flow(tx, "mine"))
        return run, rows.a_task_run(tx, run)

    run, task = db.write_now(a_run)
    create(client, "a", type="markdown", flow_run_id=run)
    create(client, "a", type="table", flow_run_id=run, task_run_id=task)
    create(client, "b", type=None)
    create(client, None, type="markdown")

    def found(place: str = "", **asked: Any) -> int:
        listed = client.post(f"/artifacts{place}/filter", json={"sort": "CREATED_DESC", **asked}).json
        assert client.post(f"/artifacts{place}/count", json=asked).json == len(listed)
        return len(listed)

    assert (found(), found("/latest")) == (4, 2)
    assert found(artifacts={"key": {"exists_": False}}) == 1
    assert found(artifacts={"type": {"not_any_": ["table"]}}) == 2  # as the reference: no type is not "not a table"
    assert found(artifacts={"key": {"like_": "A"}}) == 2
    assert (found(flows={"name": {"any_": ["mine"]}}), found("/latest", flows={"name": {"any_": ["mine"]}})) == (2, 1)
    assert found(flow_runs={"id": {"any_": [run]}}) == 2
    assert (found(task_runs={}), found("/latest", task_runs={"id": {"any_": [task]}})) == (1, 1)
    assert found(deployments={}) == 0


def test_artifacts_of_runs_that_are_gone_are_swept(db: Database) -> None:
    def fill(tx: Tx) -> list[str]:
        kept = rows.a_flow_run(tx, rows.a_flow(tx))
        runs = [kept, ids.new(), ids.new(), None]
        return [
            store.insert(tx, ArtifactCreate(key="k", flow_run_id=None if run is None else UUID(run))).id for run in runs
        ]

    of_kept, _, _, of_none = db.write_now(fill)
    service = Orphans(db, 1, 60.0)
    assert [asyncio.run(service.run_once()) for _ in range(3)] == [1, 1, 0]
    left = db.read_now(store.page, ArtifactPage(limit=10))
    assert {artifact.id for artifact in left} == {of_kept, of_none}
    [shown] = db.read_now(store.page_latest, CollectionPage(limit=10))
    assert shown.latest_id == of_none
