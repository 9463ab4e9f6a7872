"""Filters against real rows: every key of every filter, and the neighbours of each entity."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests.rows import a_deployment, a_flow, a_flow_run, a_task_run, a_work_pool, a_work_queue

from lictor.db import Database, Tx
from lictor.db.statement import composed
from lictor.filters import (
    DeploymentFilter,
    FlowFilter,
    FlowRunFilter,
    TaskRunFilter,
    WorkPoolFilter,
    WorkQueueFilter,
    where_for,
)
from lictor.filters.across import Root
from lictor.kit import ids

KINDS = {
    "flows": FlowFilter,
    "flow_runs": FlowRunFilter,
    "task_runs": TaskRunFilter,
    "deployments": DeploymentFilter,
    "work_pools": WorkPoolFilter,
    "work_pool_queues": WorkQueueFilter,
}
TABLES: dict[Root, str] = {
    "flow": "flow f",
    "flow_run": "flow_run r",
    "task_run": "task_run t",
    "deployment": "deployment d",
    "work_pool": "work_pool p",
    "work_queue": "work_queue q",
}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CREATOR = ids.new()
HOUR = timedelta(hours=1)


def fill(tx: Tx) -> dict[str, str]:
    """Two flows, one with a deployment on a queue; runs in several states; one is a subflow of another."""
    found: dict[str, str] = {}
    pool = found["pool"] = a_work_pool(tx, "pool", "process")
    queue = found["queue"] = a_work_queue(tx, pool, "Queue-1")
    other = found["other-pool"] = a_work_pool(tx, "other", "docker")
    found["other-queue"] = a_work_queue(tx, other, "spare")
    flow = found["flow"] = a_flow(tx, "Etl-Flow", tags=["etl", "daily"])
    bare = found["bare"] = a_flow(tx, "bare")
    deployment = found["deployment"] = a_deployment(
        tx, flow, "nightly", tags=["prod"], work_queue_id=queue, work_queue_name="Queue-1", paused=True
    )
    late = a_flow_run(
        tx, flow, "SCHEDULED/Late", name="late", tags=["a", "b"], deployment_id=deployment, work_queue_id=queue,
        work_queue_name="Queue-1", expected_start_time=NOON, next_scheduled_start_time=NOON, flow_version="1",
        created_by={"id": CREATOR, "type": "DEPLOYMENT", "display_value": None}, idempotency_key="k1",
    )  # fmt: skip
    running = a_flow_run(
        tx, bare, "RUNNING", name="running", tags=["a"], start_time=NOON + HOUR, expected_start_time=NOON
    )
    done = a_flow_run(
        tx, bare, "COMPLETED", name="50%_done", start_time=NOON, end_time=NOON + HOUR, expected_start_time=NOON,
        deployment_id=ids.new(), flow_version="2", idempotency_key="k2",
    )  # fmt: skip
    task = a_task_run(tx, running, "RUNNING", name="task", tags=["x"], expected_start_time=NOON, start_time=NOON)
    standin = a_task_run(tx, running, "PENDING", name="standin", expected_start_time=NOON + HOUR)
    alone = a_task_run(tx, None, "COMPLETED", name="alone", expected_start_time=NOON, end_time=NOON)
    child = a_flow_run(tx, bare, None, name="child", parent_task_run_id=standin, expected_start_time=NOON + HOUR)
    return found | {
        "late": late, "running": running, "done": done, "child": child, "task": task, "standin": standin, "alone": alone
    }  # fmt: skip


@pytest.fixture
def rows(db: Database) -> dict[str, str]:
    return db.write_now(fill)


def matching(db: Database, rows: dict[str, str], root: Root, **filters: Any) -> str:
    """The names of the rows of `root` that the filters let through, in order; `$name` in a filter is a row's id."""
    text = json.dumps(filters)
    for name, id in rows.items():
        text = text.replace(f'"${name}"', f'"{id}"')
    given = {key: msgspec.json.decode(json.dumps(value), type=KINDS[key]) for key, value in json.loads(text).items()}
    where = where_for(root, **given)  # type: ignore[arg-type]
    table = TABLES[root]
    statement = composed(str, f"select {table[-1]}.id from {table} where {where.text()}")
    ids_found = db.read_now(lambda tx: tx.all(statement, **where.params))
    assert len(ids_found) == db.read_now(lambda tx: tx.count(f"from {table}", where))
    return " ".join(sorted(name for name, id in rows.items() if id in ids_found))


FLOW_RUNS = [
    ({}, "child done late running"),
    ({"id": {"any_": ["$late", "$done"]}}, "done late"),
    ({"id": {"any_": []}}, ""),
    ({"id": {"not_any_": ["$late"]}}, "child done running"),
    ({"name": {"any_": ["late"]}}, "late"),
    ({"name": {"like_": "LAT"}}, "late"),
    ({"name": {"like_": "0%_d"}}, "done"),
    ({"name": {"like_": "r%g"}}, "running"),
    ({"name": {"like_": "l_te"}}, "late"),
    ({"tags": {"all_": ["a", "b"]}}, "late"),
    ({"tags": {"all_": ["a"]}}, "late running"),
    ({"tags": {"any_": ["b", "c"]}}, "late"),
    ({"tags": {"any_": []}}, ""),
    ({"tags": {"is_null_": True}}, "child done"),
    ({"tags": {"is_null_": False}}, "late running"),
    ({"tags": {"operator": "or_", "any_": ["b"], "is_null_": True}}, "child done late"),
    ({"deployment_id": {"any_": ["$deployment"]}}, "late"),
    ({"deployment_id": {"is_null_": True}}, "child running"),
    ({"deployment_id": {"operator": "or_", "any_": ["$deployment"], "is_null_": True}}, "child late running"),
    ({"work_queue_name": {"any_": ["Queue-1"]}}, "late"),
    ({"work_queue_name": {"is_null_": False}}, "late"),
    ({"state": {"type": {"any_": ["SCHEDULED"]}}}, "late"),
    ({"state": {"type": {"any_": ["SCHEDULED", "RUNNING"]}}}, "late running"),
    ({"state": {"type": {"not_any_": ["SCHEDULED"]}}}, "done running"),
    ({"state": {"name": {"any_": ["Late"]}}}, "late"),
    ({"state": {"name": {"not_any_": ["Late"]}}}, "done running"),
    ({"state": {"operator": "or_", "type": {"any_": ["RUNNING"]}, "name": {"any_": ["Late"]}}}, "late running"),
    ({"state": {"type": {"any_": ["RUNNING"]}, "name": {"any_": ["Late"]}}}, ""),
    ({"flow_version": {"any_": ["1", "3"]}}, "late"),
    ({"start_time": {"after_": "2026-03-01T13:00:00Z"}}, "child running"),
    ({"start_time": {"before_": "2026-03-01T12:00:00Z"}}, "done late"),
    ({"start_time": {"is_null_": True}}, "child late"),
    ({"start_time": {"is_null_": False, "before_": "2026-03-01T15:00:00+03:00"}}, "done"),
    ({"end_time": {"after_": "2026-03-01T13:00:00Z", "before_": "2026-03-01T13:00:00Z"}}, "done"),
    ({"end_time": {"is_null_": True}}, "child late running"),
    ({"expected_start_time": {"after_": "2026-03-01T12:00:01Z"}}, "child"),
    ({"next_scheduled_start_time": {"before_": "2026-03-01T12:00:00Z"}}, "late"),
    ({"parent_flow_run_id": {"any_": ["$running", "$late"]}}, "child"),
    ({"parent_flow_run_id": {"any_": ["$late"]}}, ""),
    ({"parent_task_run_id": {"any_": ["$standin"]}}, "child"),
    ({"parent_task_run_id": {"is_null_": True}}, "done late running"),
    ({"idempotency_key": {"any_": ["k1"]}}, "late"),
    ({"idempotency_key": {"not_any_": ["k1"]}}, "done"),
    ({"created_by": {"id_": [CREATOR]}}, "late"),
    ({"created_by": {"type_": ["DEPLOYMENT", "AUTOMATION"]}}, "late"),
    ({"created_by": {"is_null_": True}}, "child done running"),
    ({"created_by": {"operator": "or_", "type_": ["X"], "is_null_": False}}, "late"),
    ({"operator": "or_", "name": {"any_": ["late"]}, "tags": {"is_null_": True}}, "child done late"),
    ({"operator": "or_", "name": {"any_": ["late"]}, "tags": {}}, "child done late running"),
    ({"name": {"any_": ["late"]}, "tags": {"is_null_": True}}, ""),
]


def test_flow_runs(db: Database, rows: dict[str, str]) -> None:
    for filter, expected in FLOW_RUNS:
        assert matching(db, rows, "flow_run", flow_runs=filter) == expected, filter


OTHERS: list[tuple[Root, dict[str, Any], str]] = [
    ("task_run", {"task_runs": {"id": {"any_": ["$task"]}}}, "task"),
    ("task_run", {"task_runs": {"name": {"like_": "ST"}}}, "standin"),
    ("task_run", {"task_runs": {"tags": {"all_": ["x"]}}}, "task"),
    ("task_run", {"task_runs": {"tags": {"is_null_": True}}}, "alone standin"),
    ("task_run", {"task_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}}}, "standin task"),
    ("task_run", {"task_runs": {"state": {"name": {"any_": ["Completed"]}}}}, "alone"),
    ("task_run", {"task_runs": {"start_time": {"is_null_": True}}}, "alone standin"),
    ("task_run", {"task_runs": {"end_time": {"before_": "2026-03-01T12:00:00Z"}}}, "alone"),
    ("task_run", {"task_runs": {"expected_start_time": {"after_": "2026-03-01T12:00:01Z"}}}, "standin"),
    ("task_run", {"task_runs": {"subflow_runs": {"exists_": True}}}, "standin"),
    ("task_run", {"task_runs": {"subflow_runs": {"exists_": False}}}, "alone task"),
    ("task_run", {"task_runs": {"subflow_runs": {}}}, "alone standin task"),
    ("task_run", {"task_runs": {"flow_run_id": {}}}, "standin task"),
    ("task_run", {"task_runs": {"flow_run_id": {"is_null_": True}}}, "alone"),
    ("task_run", {"task_runs": {"flow_run_id": {"any_": ["$running"]}}}, "standin task"),
    ("task_run", {}, "alone standin task"),
    ("task_run", {"flow_runs": {}}, "standin task"),
    ("task_run", {"flow_runs": {"id": {"any_": ["$running"]}}}, "standin task"),
    ("task_run", {"flow_runs": {"id": {"any_": ["$late", "$done"]}}}, ""),
    ("task_run", {"flow_runs": {"name": {"any_": ["running"]}}, "flows": {"name": {"any_": ["bare"]}}}, "standin task"),
    ("task_run", {"flows": {"id": {"any_": ["$flow"]}}}, ""),
    ("task_run", {"deployments": {}}, ""),
    ("task_run", {"work_pools": {}}, ""),
    ("flow", {"flows": {"name": {"like_": "etl"}}}, "flow"),
    ("flow", {"flows": {"tags": {"all_": ["daily", "etl"]}}}, "flow"),
    ("flow", {"flows": {"tags": {"is_null_": True}}}, "bare"),
    ("flow", {"flows": {"deployment": {"is_null_": True}}}, "bare"),
    ("flow", {"flows": {"deployment": {"is_null_": False}}}, "flow"),
    ("flow", {"flows": {"id": {"not_any_": ["$flow"]}}}, "bare"),
    ("flow", {"flow_runs": {"id": {"any_": ["$late"]}}}, "flow"),
    ("flow", {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}, "bare"),
    ("flow", {"task_runs": {"name": {"any_": ["task"]}}}, "bare"),
    ("flow", {"task_runs": {}, "flow_runs": {"name": {"any_": ["late"]}}}, ""),
    ("flow", {"deployments": {}}, "flow"),
    ("flow", {"deployments": {"paused": {"eq_": False}}}, ""),
    ("flow", {"work_pools": {"type": {"any_": ["process"]}}}, "flow"),
    ("flow", {"work_pools": {"name": {"any_": ["other"]}}}, ""),
    ("flow_run", {"flows": {}}, "child done late running"),
    ("flow_run", {"flows": {"id": {"any_": ["$flow"]}}}, "late"),
    ("flow_run", {"flows": {"tags": {"all_": ["etl"]}}}, "late"),
    ("flow_run", {"task_runs": {}}, "running"),
    ("flow_run", {"task_runs": {"id": {"any_": ["$task", "$alone"]}}}, "running"),
    ("flow_run", {"task_runs": {"name": {"any_": ["alone"]}}}, ""),
    ("flow_run", {"deployments": {}}, "late"),
    ("flow_run", {"deployments": {"id": {"any_": ["$deployment"]}}, "flow_runs": {"name": {"like_": "a"}}}, "late"),
    ("flow_run", {"deployments": {"id": {"not_any_": ["$deployment"]}}}, ""),
    ("flow_run", {"work_pools": {}}, "late"),
    ("flow_run", {"work_pools": {"name": {"any_": ["pool"]}}}, "late"),
    ("flow_run", {"work_pools": {"name": {"any_": ["other"]}}}, ""),
    ("flow_run", {"work_pool_queues": {}}, "late"),
    ("flow_run", {"work_pool_queues": {"name": {"startswith_": ["qUEUE"]}}}, "late"),
    ("flow_run", {"work_pool_queues": {"id": {"any_": ["$other-queue"]}}}, ""),
    ("deployment", {"deployments": {"name": {"like_": "NIGHT"}}}, "deployment"),
    ("deployment", {"deployments": {"flow_or_deployment_name": {"like_": "etl"}}}, "deployment"),
    ("deployment", {"deployments": {"flow_or_deployment_name": {"like_": "nope"}}}, ""),
    ("deployment", {"deployments": {"paused": {"eq_": True}}}, "deployment"),
    ("deployment", {"deployments": {"tags": {"any_": ["prod"]}}}, "deployment"),
    ("deployment", {"deployments": {"work_queue_name": {"any_": ["Queue-1"]}}}, "deployment"),
    ("deployment", {"deployments": {"concurrency_limit": {"ge_": 5}}}, "deployment"),
    ("deployment", {"flows": {"name": {"any_": ["bare"]}}}, ""),
    ("deployment", {"flow_runs": {"state": {"name": {"any_": ["Late"]}}}}, "deployment"),
    ("deployment", {"task_runs": {}}, ""),
    ("deployment", {"work_pools": {"name": {"any_": ["pool"]}}, "work_pool_queues": {}}, "deployment"),
    ("work_pool", {"work_pools": {"type": {"any_": ["docker"]}}}, "other-pool"),
    ("work_pool", {}, "other-pool pool"),
    ("work_queue", {"work_pool_queues": {"name": {"startswith_": []}}}, "other-queue queue"),
    ("work_queue", {"work_pool_queues": {"name": {"any_": ["Queue-1"]}}}, "queue"),
    ("work_queue", {"work_pools": {"name": {"any_": ["other"]}}}, "other-queue"),
]


def test_other_roots_and_neighbours(db: Database, rows: dict[str, str]) -> None:
    for root, filters, expected in OTHERS:
        assert matching(db, rows, root, **filters) == expected, (root, filters)
