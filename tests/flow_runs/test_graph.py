"""Both graphs of a flow run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests import calls
from tests.rows import a_flow, a_flow_run, a_state, a_task_run, insert
from tests.web.client import TestClient

from lictor.db import Database, Tx
from lictor.flow_runs import list_routes
from lictor.kit import ids
from lictor.settings import Settings
from lictor.settings.tree import FlowRunGraph

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

KEYS_OF_NODE = "kind id label state_type start_time end_time parents children encapsulating artifacts"
KEYS_OF_DEPENDENCY = (
    "id name upstream_dependencies state expected_start_time start_time end_time total_run_time estimated_run_time "
    "untrackable_result"
)


@pytest.fixture
def client(db: Database) -> TestClient:
    return calls.client(db, list_routes.router)


def used(*run_ids: str, type: str = "task_run") -> list[dict[str, str]]:
    return [{"input_type": type, "id": run_id} for run_id in run_ids]


def fill(tx: Tx) -> dict[str, str]:
    """load → clean → (report, a subflow run in which nothing is shown), and a task that was never timed."""
    flow = a_flow(tx, "parent")
    run = a_flow_run(tx, flow, "RUNNING", name="r", expected_start_time=NOON, start_time=NOON)
    at = [NOON + index * MINUTE for index in range(9)]
    load = a_task_run(tx, run, "COMPLETED", name="load", start_time=at[1], end_time=at[2])
    clean = a_task_run(
        tx, run, "COMPLETED", name="clean", expected_start_time=at[2],
        task_inputs={"a": used(load), "b": used(load), "c": [{"input_type": "constant", "type": "int"}]},
    )  # fmt: skip
    inputs = {"x": used(clean, load), "__parents__": used(clean), "y": used(ids.new())}
    report = a_task_run(tx, run, "RUNNING", name="report", start_time=at[4], task_inputs=inputs)
    standin = a_task_run(tx, run, "PENDING", name="standin", start_time=at[5], task_inputs={"x": used(clean)})
    a_task_run(tx, run, "PENDING", name="after", start_time=at[6], task_inputs={"x": used(standin)})
    a_task_run(tx, run, None, name="untimed")
    sub = a_flow_run(
        tx, a_flow(tx, "child"), "FAILED", name="s", parent_task_run_id=standin, expected_start_time=at[5],
        end_time=at[8],
    )  # fmt: skip
    return {"run": run, "load": load, "clean": clean, "report": report, "standin": standin, "sub": sub}


def named(graph: dict[str, Any]) -> dict[str, Any]:
    assert [id for id, _ in graph["nodes"]] == [node["id"] for _, node in graph["nodes"]]
    return {node["label"]: node for _, node in graph["nodes"]}


def edges(node: dict[str, Any], kind: str) -> set[str]:
    assert len(node[kind]) == len({edge["id"] for edge in node[kind]})
    return {edge["id"] for edge in node[kind]}


def test_nodes_and_edges(db: Database, client: TestClient) -> None:
    of = db.write_now(fill)
    graph = client.get(f"/flow_runs/{of['run']}/graph-v2").json
    nodes = named(graph)

    assert list(nodes) == ["load", "clean", "report", "child / s", "after"]
    assert list(nodes["load"]) == (
        [
            "kind",
            "id",
            "label",
            "state_type",
            "start_time",
            "end_time",
            "parents",
            "children",
            "encapsulating",
            "artifacts",
        ]
    )
    assert edges(nodes["clean"], "parents") == {of["load"]}
    assert edges(nodes["clean"], "children") == {of["report"], of["sub"]}
    assert edges(nodes["report"], "parents") == {of["clean"], of["load"]}
    assert edges(nodes["report"], "encapsulating") == {of["clean"]}
    assert nodes["child / s"]["kind"] == "flow-run"
    assert (nodes["child / s"]["id"], nodes["child / s"]["state_type"]) == (of["sub"], "FAILED")
    assert nodes["after"]["parents"] == []
    assert graph["root_node_ids"] == [of["load"], nodes["after"]["id"]]


def test_times_of_nodes(db: Database, client: TestClient) -> None:
    of = db.write_now(fill)
    graph = client.get(f"/flow_runs/{of['run']}/graph-v2").json
    nodes = named(graph)

    def times(label: str) -> tuple[str, str]:
        return nodes[label]["start_time"], nodes[label]["end_time"]

    assert times("clean") == ("2026-03-01T12:02:00Z", "2026-03-01T12:02:00Z")
    assert times("child / s") == ("2026-03-01T12:05:00Z", "2026-03-01T12:08:00Z")
    assert times("report") == ("2026-03-01T12:04:00Z", None)
    assert (graph["start_time"], graph["end_time"]) == ("2026-03-01T12:00:00Z", None)


def test_since_leaves_out_what_had_ended(db: Database, client: TestClient) -> None:
    of = db.write_now(fill)
    graph = client.get(f"/flow_runs/{of['run']}/graph-v2?since=2026-03-01T12:02:30Z").json
    nodes = named(graph)
    assert list(nodes) == ["report", "child / s", "after"]
    assert edges(nodes["report"], "parents") == {of["clean"], of["load"]}
    assert graph["root_node_ids"] == [nodes["after"]["id"]]


def test_artifacts_and_states(db: Database, client: TestClient) -> None:
    of = db.write_now(fill)

    def body(tx: Tx) -> None:
        def artifact(minute: int, **columns: Any) -> str:
            created = NOON + minute * MINUTE
            return insert(tx, "artifact", created=created, updated=created, flow_run_id=of["run"], **columns)

        artifact(0, key="k", type="markdown", data='"old"')
        latest = artifact(1, key="k", type="markdown", data='"new"')
        artifact(2, type="progress", data="50.5", task_run_id=of["load"])
        artifact(3, type="result", data={})
        artifact(4, data="1")
        common = {"created": NOON, "updated": NOON, "key": "k", "latest_id": latest}
        insert(tx, "artifact_collection", **common)
        a_state(tx, "flow_run", of["run"], "PENDING", timestamp=NOON)

    db.write_now(body)
    graph = client.get(f"/flow_runs/{of['run']}/graph-v2").json

    assert [(one["key"], one["is_latest"], one["data"]) for one in graph["artifacts"]] == [
        ("k", False, None), ("k", True, None)
    ]  # fmt: skip
    [progress] = named(graph)["load"]["artifacts"]
    assert list(progress) == ["id", "created", "key", "type", "is_latest", "data"]
    assert (progress["type"], progress["data"], progress["is_latest"]) == ("progress", 50.5, True)
    assert [state["name"] for state in graph["states"]] == ["Pending", "Running"]
    assert list(graph["states"][0]) == ["id", "timestamp", "type", "name"]


def test_limits(db: Database) -> None:
    of = db.write_now(fill)
    path = f"/flow_runs/{of['run']}/graph-v2"
    client = calls.client(db, list_routes.router, settings=Settings(flow_run_graph=FlowRunGraph(max_nodes=4)))
    answer = client.get(path)
    detail = {"detail": f"The graph of flow run {of['run']} has more than 4 nodes."}
    assert (answer.status, answer.json) == (400, detail)
    assert client.get(f"{path}?since=2026-03-01T12:02:30Z").status == 200
    enough = calls.client(db, list_routes.router, settings=Settings(flow_run_graph=FlowRunGraph(max_nodes=5)))
    assert enough.get(path).status == 200


def test_the_first_version(db: Database, client: TestClient) -> None:
    of = db.write_now(fill)
    graph = {node["name"]: node for node in client.get(f"/flow_runs/{of['run']}/graph").json}
    assert set(graph) == {"load", "clean", "report", "standin", "after", "untimed"}
    assert graph["clean"]["upstream_dependencies"] == [{"input_type": "task_run", "id": of["load"]}]
    assert {one["id"] for one in graph["report"]["upstream_dependencies"]} >= {of["clean"], of["load"]}
    assert graph["load"]["state"]["type"] == "COMPLETED"
    assert graph["untimed"]["state"] is None
    assert " ".join(graph["load"]) == KEYS_OF_DEPENDENCY


def test_unknown_runs(client: TestClient) -> None:
    new, old = (client.get(f"/flow_runs/{calls.NOWHERE}/{path}") for path in ("graph-v2", "graph"))
    assert (new.status, new.json) == (404, {"exception_message": f"Flow run {calls.NOWHERE} not found"})
    assert (old.status, old.json) == (404, {"exception_message": f"Flow run with id {calls.NOWHERE} not found"})
