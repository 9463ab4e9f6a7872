"""Flows, as the reference answers."""

from __future__ import annotations

import asyncio

import pytest
from tests import calls
from tests.web.client import TestClient

from lictor import flows
from lictor.db import Database, sql
from lictor.kit import clock, ids

RUN = sql(
    "test.flows.run",
    None,
    """
    insert into flow_run (id, created, updated, name, flow_id, parent_task_run_id, state_type)
    values (:id, :now, :now, :name, :flow_id, {uuid:parent}, :type)
    """,
)
TASK_RUN = sql(
    "test.flows.task_run",
    None,
    """
    insert into task_run (id, created, updated, name, flow_run_id, task_key, dynamic_key)
    values (:id, :now, :now, 't', :flow_run_id, 'k', '0')
    """,
)
DEPLOYMENT = sql(
    "test.flows.deployment",
    None,
    "insert into deployment (id, created, updated, name, flow_id) values (:id, :now, :now, :name, :flow_id)",
)
RUNS = sql("test.flows.runs", None, "select name, parent_task_run_id from flow_run order by name")
TOMBSTONES = sql("test.flows.tombstones", str, "select run_id from run_tombstone")
DEPLOYMENTS = sql("test.flows.deployments", int, "select count(*) from deployment")


@pytest.fixture
def client(db: Database) -> TestClient:
    return calls.client(db, flows.router)


def create(client: TestClient, name: str, **more: object) -> dict[str, object]:
    answer = client.post("/flows/", json={"name": name, **more})
    assert answer.status == 201, answer
    return answer.json


def a_run(db: Database, flow: dict[str, object], name: str, parent: str | None = None, type: str | None = None) -> str:
    id = ids.new()
    params = {"id": id, "now": clock.now(), "name": name, "flow_id": flow["id"], "parent": parent, "type": type}
    db.write_now(lambda tx: tx.run(RUN, **params))
    return id


def test_a_flow_is_made_once_and_then_found(client: TestClient, db: Database) -> None:
    made = create(client, "f", tags=["a", "a"], labels={"i": 1, "b": True, "x": 1.5, "s": "t"})

    again = client.post("/flows/", json={"name": "f", "tags": ["z"], "labels": {"other": 1}})

    assert made["tags"] == ["a", "a"]
    assert made["labels"] == {"i": 1, "b": True, "x": 1.5, "s": "t"}
    assert (again.status, again.json) == (200, made)
    assert client.get(f"/flows/{made['id']}").json == made
    assert client.get("/flows/name/f").json == made
    assert calls.event_names(db) == ["prefect.flow.created"]
    assert calls.last_event(db) == {
        "event": "prefect.flow.created",
        "id": f"prefect.flow.{made['id']}",
        "resource": {"prefect.resource.id": f"prefect.flow.{made['id']}", "prefect.resource.name": "f"},
        "payload": {"name": "f", "tags": ["a", "a"], "labels": {"i": 1, "b": True, "x": 1.5, "s": "t"}},
    }


def test_defaults(client: TestClient) -> None:
    made = create(client, "f")

    assert (made["tags"], made["labels"]) == ([], {})
    assert create(client, "g", labels=None)["labels"] is None


def test_of_many_at_once_one_makes_the_flow(db: Database) -> None:
    async def register() -> list[bool]:
        new = flows.FlowCreate("f")
        answers = await asyncio.gather(*(flows.get_or_insert(db, new) for _ in range(8)))
        assert len({answer.value.id for answer in answers}) == 1
        return [answer.created for answer in answers]

    assert sorted(asyncio.run(register())) == [False] * 7 + [True]
    assert calls.event_names(db) == ["prefect.flow.created"]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"name": "a/b"}, [("string_pattern_mismatch", ["body", "name"])]),
        ({"name": ""}, [("string_pattern_mismatch", ["body", "name"])]),
        ({}, [("missing", ["body", "name"])]),
        ({"name": "q", "foo": 1}, [("extra_forbidden", ["body", "foo"])]),
        ({"name": None, "tags": None}, [("string_type", ["body", "name"]), ("list_type", ["body", "tags"])]),
        (
            {"name": "f", "labels": {"x": None}},
            [
                ("bool_type", ["body", "labels", "x", "bool"]),
                ("int_type", ["body", "labels", "x", "int"]),
                ("float_type", ["body", "labels", "x", "float"]),
                ("string_type", ["body", "labels", "x", "str"]),
            ],
        ),
    ],
)
def test_what_cannot_be_a_flow(client: TestClient, body: object, found: object) -> None:
    assert calls.errors(client.post("/flows/", json=body)) == found


def test_a_patch_changes_tags(client: TestClient, db: Database) -> None:
    made = create(client, "f", tags=["a"])

    assert client.patch(f"/flows/{made['id']}", json={}).status == 204
    assert client.get(f"/flows/{made['id']}").json["tags"] == ["a"]
    assert client.patch(f"/flows/{made['id']}", json={"tags": ["n"]}).status == 204
    assert client.get(f"/flows/{made['id']}").json["tags"] == ["n"]
    assert calls.event_names(db) == ["prefect.flow.created"] + ["prefect.flow.updated"] * 2
    assert calls.errors(client.patch(f"/flows/{made['id']}", json={"name": "x"})) == [
        ("extra_forbidden", ["body", "name"])
    ]


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_one_that_is_not_there(client: TestClient, method: str) -> None:
    answer = client.request(method, f"/flows/{calls.NOWHERE}", **({"json": {}} if method == "PATCH" else {}))

    assert (answer.status, answer.json) == (404, {"detail": "Flow not found"})
    assert client.get("/flows/name/none").json == {"detail": "Flow not found"}


def test_deleting_takes_runs_and_deployments_along(client: TestClient, db: Database) -> None:
    gone, other = create(client, "gone"), create(client, "other")
    run = a_run(db, gone, "run")
    task_run = ids.new()
    now = clock.now()
    db.write_now(lambda tx: tx.run(TASK_RUN, id=task_run, now=now, flow_run_id=run))
    db.write_now(lambda tx: tx.run(DEPLOYMENT, id=ids.new(), now=now, name="d", flow_id=gone["id"]))
    a_run(db, other, "subflow", task_run)

    assert client.delete(f"/flows/{gone['id']}").status == 204

    assert db.read_now(lambda tx: [tuple(row) for row in tx.all(RUNS)]) == [("subflow", None)]
    assert db.read_now(lambda tx: tx.all(TOMBSTONES)) == [run]
    assert db.read_now(lambda tx: tx.one(DEPLOYMENTS)) == 0
    assert calls.last_event(db)["event"] == "prefect.flow.deleted"
    assert client.delete(f"/flows/{gone['id']}").status == 404


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, ["a", "b", "c"]),
        ({"flows": None, "flow_runs": None, "sort": None, "limit": None}, ["a", "b", "c"]),
        ({"sort": "NAME_DESC", "limit": 1, "offset": 1}, ["b"]),
        ({"sort": "CREATED_DESC"}, ["c", "b", "a"]),
        ({"sort": "UPDATED_DESC"}, ["a", "c", "b"]),
        ({"flows": {"name": {"like_": "A"}}}, ["a"]),
        ({"flows": {"tags": {"all_": ["t"]}}}, ["a"]),
        ({"flows": {"deployment": {"is_null_": True}}}, ["a", "c"]),
        ({"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}, ["b"]),
        ({"flow_runs": {"name": {"any_": ["run-a", "run-b"]}}, "flows": {"name": {"any_": ["a", "c"]}}}, ["a"]),
        ({"deployments": {"name": {"any_": ["d"]}}}, ["b"]),
        ({"work_pools": {"name": {"any_": ["none"]}}}, []),
        ({"task_runs": {"name": {"any_": ["none"]}}}, []),
    ],
)
def test_lists(client: TestClient, db: Database, asked: dict[str, object], names: list[str]) -> None:
    a, b, _ = create(client, "a", tags=["t"]), create(client, "b"), create(client, "c")
    client.patch(f"/flows/{a['id']}", json={})
    a_run(db, a, "run-a", type="COMPLETED")
    a_run(db, b, "run-b", type="RUNNING")
    db.write_now(lambda tx: tx.run(DEPLOYMENT, id=ids.new(), now=clock.now(), name="d", flow_id=b["id"]))

    assert [one["name"] for one in client.post("/flows/filter", json=asked).json] == names
    if not {"limit", "sort", "offset"} & set(asked):
        assert client.post("/flows/count", json=asked).json == len(names)
        page = client.post("/flows/paginate", json={**asked, "limit": 2}).json
        assert [one["name"] for one in page["results"]] == names[:2]
        assert {key: page[key] for key in ("count", "limit", "pages", "page")} == {
            "count": len(names),
            "limit": 2,
            "pages": (len(names) + 1) // 2,
            "page": 1,
        }


@pytest.mark.parametrize(
    ("path", "asked", "found"),
    [
        ("filter", {"sort": "X", "offset": -1}, [("greater_than_equal", "offset"), ("enum", "sort")]),
        ("paginate", {"page": 0}, [("greater_than_equal", "page")]),
        ("bulk_delete", {"limit": 51}, [("less_than_equal", "limit")]),
        ("bulk_delete", {"limit": 0}, [("greater_than_equal", "limit")]),
    ],
)
def test_lists_that_cannot_be_asked_for(client: TestClient, path: str, asked: object, found: object) -> None:
    answer = client.post(f"/flows/{path}", json=asked)

    assert [(type, loc[1]) for type, loc in calls.errors(answer)] == found


def test_bulk_delete(client: TestClient, db: Database) -> None:
    made = {name: create(client, name)["id"] for name in ("a", "b", "c")}

    def deleted(asked: dict[str, object]) -> list[str]:
        answer = client.post("/flows/bulk_delete", json=asked)
        assert answer.status == 200
        return answer.json["deleted"]

    assert deleted({"flows": {"name": {"any_": ["none"]}}}) == []
    assert deleted({"flows": {"name": {"any_": ["b"]}}}) == [made["b"]]
    assert deleted({"limit": 1}) == [made["a"]]
    assert client.post("/flows/bulk_delete").json == {"deleted": [made["c"]]}
    assert calls.event_names(db)[3:] == ["prefect.flow.deleted"] * 3
