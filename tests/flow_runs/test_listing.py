"""Lists of flow runs over HTTP, as the reference answers."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from tests import calls
from tests.rows import a_flow, a_flow_run, a_state, a_work_pool, a_work_queue
from tests.web.client import TestClient

from lictor import flow_run_states, logs
from lictor.db import Database, Tx
from lictor.flow_runs import list_routes, listing
from lictor.flow_runs.listing import FlowRunSlice
from lictor.flow_runs.types import FlowRunPolicy
from lictor.kit import clock, ids
from lictor.logs import LogCreate

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

FIELDS = (
    "id created updated name flow_id state_id deployment_id deployment_version work_queue_id work_queue_name "
    "flow_version parameters idempotency_key context empirical_policy tags labels parent_task_run_id state_type "
    "state_name run_count expected_start_time next_scheduled_start_time start_time end_time total_run_time "
    "estimated_run_time estimated_start_time_delta auto_scheduled infrastructure_document_id infrastructure_pid "
    "created_by work_pool_id work_pool_name state job_variables"
)


@pytest.fixture
def client(db: Database) -> TestClient:
    return calls.client(db, list_routes.router, flow_run_states.router)


def names(client: TestClient, **body: object) -> list[str]:
    answer = client.post("/flow_runs/filter", json=body)
    assert answer.status == 200, answer
    return [run["name"] for run in answer.json]


def three(tx: Tx) -> None:
    """Runs a, b, c: expected in this order, started in the other, two of them ended."""
    flow = a_flow(tx)
    for index, name in enumerate("abc"):
        a_flow_run(
            tx,
            flow,
            "COMPLETED",
            name=name,
            expected_start_time=NOON + index * MINUTE,
            start_time=NOON + (9 - index) * MINUTE,
            next_scheduled_start_time=NOON + index * MINUTE,
            end_time=NOON + (10 - index) * MINUTE,
        )


def test_a_run_has_all_its_fields_in_order(db: Database, client: TestClient) -> None:
    def body(tx: Tx) -> None:
        queue = a_work_queue(tx, a_work_pool(tx, "pool"), "queue")
        a_flow_run(
            tx,
            a_flow(tx),
            "SCHEDULED/Late",
            name="run",
            work_queue_id=queue,
            work_queue_name="an older name",
            parameters={"a": [1, {"b": None}]},
            tags=["t"],
            labels={"l": 1},
            empirical_policy={"retries": 3, "pause_keys": ["k"]},
            created_by={"id": None, "type": "DEPLOYMENT", "display_value": None},
            expected_start_time=NOON,
            job_variables={"x": 1},
        )

    db.write_now(body)
    [run] = client.post("/flow_runs/filter", json={}).json

    assert " ".join(run) == FIELDS
    assert (run["work_queue_name"], run["work_pool_name"]) == ("queue", "pool")
    assert run["parameters"] == {"a": [1, {"b": None}]}
    assert (run["tags"], run["labels"], run["job_variables"]) == (["t"], {"l": 1}, {"x": 1})
    assert run["created_by"] == {"id": None, "type": "DEPLOYMENT", "display_value": None}
    assert run["empirical_policy"] == {
        "max_retries": 0,
        "retry_delay_seconds": 0.0,
        "retries": 3,
        "retry_delay": None,
        "pause_keys": ["k"],
        "resuming": False,
        "retry_type": None,
    }
    assert (run["state"]["type"], run["state"]["name"], run["state"]["data"]) == ("SCHEDULED", "Late", None)
    assert len(run["state"]["state_details"]) == 18
    assert (run["run_count"], run["auto_scheduled"], run["expected_start_time"]) == (0, False, "2026-03-01T12:00:00Z")


def test_estimates_are_of_the_moment_of_reading(db: Database, client: TestClient) -> None:
    def body(tx: Tx) -> None:
        flow = a_flow(tx)
        entered = {"state_timestamp": NOON}
        a_flow_run(tx, flow, "RUNNING", name="1", total_run_time=1.5, start_time=NOON, **entered)
        a_flow_run(tx, flow, "COMPLETED", name="2", total_run_time=1.5, start_time=NOON + MINUTE,
                   expected_start_time=NOON, **entered)  # fmt: skip
        a_flow_run(tx, flow, "SCHEDULED", name="3", expected_start_time=NOON, **entered)
        a_flow_run(tx, flow, "CRASHED", name="4", expected_start_time=NOON, **entered)
        a_flow_run(tx, flow, "SCHEDULED", name="5", expected_start_time=NOON + 9 * MINUTE, **entered)

    db.write_now(body)
    clock.set_source(lambda: NOON + 2 * MINUTE + timedelta(microseconds=500))
    runs = client.post("/flow_runs/filter", json={"sort": "NAME_ASC"}).json
    late = client.post("/flow_runs/lateness", json={}).json

    assert [run["estimated_run_time"] for run in runs] == [121.5005, 1.5, 0.0, 0.0, 0.0]
    assert [run["estimated_start_time_delta"] for run in runs] == [0.0, 60.0, 120.0005, 0.0, 0.0]
    assert late == pytest.approx((60 + 120.0005) / 5, abs=1e-4)


def test_lateness_of_nothing_is_null(client: TestClient) -> None:
    assert client.post("/flow_runs/lateness").json is None


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("ID_DESC", "cba"),
        ("START_TIME_ASC", "cba"),
        ("START_TIME_DESC", "abc"),
        ("EXPECTED_START_TIME_ASC", "abc"),
        ("EXPECTED_START_TIME_DESC", "cba"),
        ("NAME_ASC", "abc"),
        ("NAME_DESC", "cba"),
        ("NEXT_SCHEDULED_START_TIME_ASC", "abc"),
        ("END_TIME_DESC", "abc"),
    ],
)
def test_sorts(db: Database, client: TestClient, sort: str, expected: str) -> None:
    db.write_now(three)
    assert names(client, sort=sort) == list(expected)


def test_a_run_that_never_began_is_in_the_window_of_its_expected_start(db: Database, client: TestClient) -> None:
    def fill(tx: Tx) -> None:
        flow = a_flow(tx)
        for number in range(50):
            at = NOON + number * MINUTE
            a_flow_run(tx, flow, "COMPLETED", expected_start_time=at - 600 * MINUTE, start_time=at)
        for number in range(4):
            a_flow_run(tx, flow, "CRASHED", name=f"crashed {number}", expected_start_time=NOON + number * MINUTE)
        a_flow_run(tx, flow, "CRASHED", name="elsewhere", expected_start_time=NOON - MINUTE)

    db.write_now(fill)
    window = {"after_": NOON.isoformat(), "before_": (NOON + 3 * MINUTE).isoformat()}
    of_state = {kind: {"type": {"any_": [kind]}} for kind in ("COMPLETED", "CRASHED")}
    for kind, expected in of_state.items():
        runs = {"start_time": window, "state": expected}
        assert client.post("/flow_runs/count", json={"flow_runs": runs}).json == 4, kind
        assert len(names(client, flow_runs=runs, limit=200)) == 4
    crashed = {"start_time": window, "state": of_state["CRASHED"]}
    assert names(client, flow_runs=crashed, sort="START_TIME_DESC") == [f"crashed {n}" for n in (3, 2, 1, 0)]
    assert len(names(client, flow_runs={"start_time": window}, limit=200)) == 8


@pytest.mark.only_on("sqlite")
def test_large_parameters_are_read_for_the_runs_of_the_page_alone(db: Database, client: TestClient) -> None:
    size, count = 512 * 1024, 40

    def fill(tx: Tx) -> None:
        flow = a_flow(tx)
        for number in range(count):
            at = NOON + number * MINUTE
            text = '{"text": "' + "x" * size + '"}'
            a_flow_run(tx, flow, "COMPLETED", parameters=text, expected_start_time=at, start_time=at, end_time=at)

    db.write_now(fill)

    def bytes_read(tx: Tx, sort: str) -> int:
        before = read_by_this_thread()
        wanted = {"sort": sort, "limit": 1, "flow_runs": {"tags": {"all_": []}}}
        [run] = listing.find_slice(tx, msgspec.convert(wanted, FlowRunSlice))
        assert len(bytes(run.parameters)) > size
        return read_by_this_thread() - before

    for sort in ("NAME_ASC", "END_TIME_DESC", "START_TIME_ASC", "EXPECTED_START_TIME_DESC"):
        read = db.read_now(bytes_read, sort)
        assert size < read < 3 * size, f"{sort}: {read} bytes, of {count * size}"


def read_by_this_thread() -> int:
    lines = Path("/proc/thread-self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


def test_pages(db: Database, client: TestClient) -> None:
    db.write_now(three)
    assert names(client) == ["c", "b", "a"]
    assert names(client, limit=1, offset=1) == ["b"]
    assert names(client, limit=0) == []
    assert names(client, sort=None, limit=None, offset=None, flow_runs=None) == ["c", "b", "a"]
    assert client.post("/flow_runs/count", json={"flow_runs": {"name": {"any_": ["a", "b"]}}}).json == 2

    page = client.post("/flow_runs/paginate", json={"page": 2, "limit": 2}).json
    assert [run["name"] for run in page.pop("results")] == ["a"]
    assert page == {"count": 3, "limit": 2, "pages": 2, "page": 2}
    assert client.post("/flow_runs/paginate").json["limit"] == 200


@pytest.mark.parametrize("path", ["filter", "paginate", "count", "lateness"])
def test_a_body_may_be_absent_or_null(client: TestClient, path: str) -> None:
    assert client.post(f"/flow_runs/{path}").status == 200
    assert client.post(f"/flow_runs/{path}", json=None).status == 200


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"flow_runs": {"nope": 1}}, [("extra_forbidden", ["body", "flow_runs", "nope"])]),
        ({"flow_runs": {"id": {"any_": ["x"]}}}, [("uuid_parsing", ["body", "flow_runs", "id", "any_", 0])]),
        ({"sort": "NOPE"}, [("enum", ["body", "sort"])]),
        ({"offset": -1}, [("greater_than_equal", ["body", "offset"])]),
    ],
)
def test_what_is_no_query(client: TestClient, body: object, found: object) -> None:
    assert calls.errors(client.post("/flow_runs/filter", json=body)) == found


def test_a_limit_over_the_maximum(client: TestClient) -> None:
    answer = client.post("/flow_runs/filter", json={"limit": 201})
    assert (answer.status, answer.json) == (422, {"detail": "Invalid limit: must be less than or equal to 200."})


def test_the_old_names_of_a_policy_count_when_the_new_ones_are_not_given() -> None:
    policy = msgspec.json.decode('{"max_retries":2,"retry_delay_seconds":5.0}', type=FlowRunPolicy)
    assert (policy.retries, policy.retry_delay) == (2, 5)
    policy = msgspec.json.decode('{"max_retries":2,"retries":1,"retry_delay":0}', type=FlowRunPolicy)
    assert (policy.retries, policy.retry_delay) == (1, 0)
    with pytest.raises(msgspec.ValidationError, match="whole number"):
        msgspec.json.decode('{"retry_delay_seconds":0.5}', type=FlowRunPolicy)


def test_states_of_a_run(db: Database, client: TestClient) -> None:
    def body(tx: Tx) -> tuple[str, str]:
        run = a_flow_run(tx, a_flow(tx))
        last = a_state(tx, "flow_run", run, "RUNNING", timestamp=NOON + MINUTE, data={"type": "x"})
        a_state(tx, "flow_run", run, "PENDING", timestamp=NOON, message="m", state_details={"retriable": True})
        return run, last

    run, last = db.write_now(body)
    states = client.get(f"/flow_run_states/?flow_run_id={run}").json
    assert [(state["type"], state["message"]) for state in states] == [("PENDING", "m"), ("RUNNING", None)]
    assert states[0]["state_details"]["retriable"] is True
    assert states[1]["data"] == {"type": "x"}
    assert client.get(f"/flow_run_states/{last}").json == states[1]
    assert client.get(f"/flow_run_states/?flow_run_id={ids.new()}").json == []
    missing = client.get(f"/flow_run_states/{calls.NOWHERE}")
    assert (missing.status, missing.json) == (404, {"detail": "Flow run state not found"})
    assert calls.errors(client.get("/flow_run_states/")) == [("missing", ["query", "flow_run_id"])]


def test_logs_as_a_file(db: Database, client: TestClient) -> None:
    task_run = ids.new()

    def body(tx: Tx) -> str:
        run = a_flow_run(tx, a_flow(tx), name="naïve/run")
        of_run = UUID(run)
        written = [LogCreate("l", 20, "last", NOON + MINUTE, of_run, UUID(task_run))]
        written += [LogCreate("l", 20, f'{index} "x"\n, y', NOON, of_run) for index in range(1500)]
        logs.insert(tx, [*written, LogCreate("l", 20, "of another", NOON, UUID(ids.new()))])
        return run

    run = db.write_now(body)
    answer = client.get(f"/flow_runs/{run}/logs/download")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"flow-run-logs.csv\"; filename*=UTF-8''na%C3%AFve%2Frun-logs.csv"
    )
    head, *lines = list(csv.reader(io.StringIO(answer.text, newline="")))
    assert head == ["timestamp", "level", "flow_run_id", "task_run_id", "message"]
    assert [line[4] for line in lines] == [f'{index} "x"\n, y' for index in range(1500)] + ["last"]
    assert lines[0][:4] == ["2026-03-01 12:00:00+00:00", "20", run, ""]
    assert lines[-1][3] == task_run
    assert client.get(f"/flow_runs/{calls.NOWHERE}/logs/download").json == {"detail": "Flow run not found"}
