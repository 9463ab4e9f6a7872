"""Task runs that clients report by events: in order, out of order, twice, and what cannot be recorded."""

from __future__ import annotations

from typing import Any

from ..scenario import Answer, Session, scenario
from .common import RESULT, ZERO, run

NAMES = {"PENDING": "Pending", "RUNNING": "Running", "COMPLETED": "Completed", "FAILED": "Failed"}


def event(
    s: Session,
    type: str,
    seconds: int,
    *,
    name: str | None = None,
    id: str | None = None,
    task: str = "task",
    flow_run: str | None = "run",
    previous: str | None = None,
    details: dict[str, Any] | None = None,
    data: Any = None,
    run_fields: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The event that the SDK sends for a transition of a task run, `seconds` after a fixed instant."""
    occurred = f"2024-05-01T10:00:{seconds:02d}.000001Z"
    shown = name or NAMES[type]
    task_run = {
        "name": f"$uniq-{task}",
        "task_key": "$uniq-key",
        "dynamic_key": f"$uniq-{task}",
        "empirical_policy": {"max_retries": 0, "retry_delay_seconds": 0.0, "retries": 0, "retry_delay": 0},
        "tags": ["t"],
        "labels": {"l": 1},
        "task_inputs": {"x": []},
        "run_count": 0 if type == "PENDING" else 1,
        "flow_run_run_count": 1,
        "expected_start_time": "2024-05-01T10:00:00.000001Z",
        **(run_fields or {}),
    }
    if type != "PENDING":
        task_run["start_time"] = "2024-05-01T10:00:01.000001Z"
    if type in ("COMPLETED", "FAILED"):
        task_run |= {"end_time": occurred, "total_run_time": 1.5}
    state = {"type": type, "name": shown, "message": f"m {shown}", "state_details": details or {}, "data": data}
    related = [] if flow_run is None else [related_run(flow_run)]
    return {
        "occurred": occurred,
        "event": f"prefect.task-run.{shown}",
        "resource": {
            "prefect.resource.id": f"prefect.task-run.$id:{task}",
            "prefect.resource.name": f"$uniq-{task}",
            "prefect.run-count": str(task_run["run_count"]),
            "prefect.state-message": f"m {shown}",
            "prefect.state-name": shown,
            "prefect.state-timestamp": occurred.replace("Z", "+00:00"),
            "prefect.state-type": type,
            "prefect.orchestration": "client",
        },
        "related": related,
        "payload": {
            "intended": {"from": previous, "to": type},
            "initial_state": previous
            and {"type": previous, "name": NAMES[previous], "message": "", "state_details": {}},
            "validated_state": state,
            "task_run": task_run,
        },
        "id": id or f"$id:{task}_{type.lower()}",
    }


def related_run(flow_run: str) -> dict[str, str]:
    id = flow_run if flow_run == ZERO else f"{{{flow_run}.id}}"
    return {
        "prefect.resource.id": f"prefect.flow-run.{id}",
        "prefect.resource.role": "flow-run",
        "prefect.resource.name": "r",
    }


def reaches(name: str, states: int | None = None) -> Any:
    def check(answer: Answer) -> bool:
        return answer.status == 200 and answer.body["state_name"] == name

    return check


def read_all(s: Session, states: int, task: str = "task", name: str = "Completed") -> None:
    """Reads the run when it has this state, and its history when that has as many states as were sent."""
    s.poll(f"/task_runs/$id:{task}", reaches(name))
    s.poll(f"/task_run_states/?task_run_id=$id:{task}", lambda answer: len(answer.body or []) >= states)


LIFE = ("PENDING", "RUNNING", "COMPLETED")


def life(s: Session, **more: Any) -> list[dict[str, Any]]:
    return [event(s, type, number, **more) for number, type in enumerate(LIFE)]


@scenario
def in_order(s: Session) -> None:
    run(s, labels={"of": "run"})
    for one in life(s):
        s.post("/events", [one])
    read_all(s, 3)
    s.get("/task_run_states/$id:task_running")


@scenario
def in_one_batch(s: Session) -> None:
    run(s)
    s.post("/events", life(s))
    read_all(s, 3)
    s.get("/flow_runs/{run.id}/graph-v2")
    s.get("/flow_runs/{run.id}/graph")


@scenario
def in_reverse(s: Session) -> None:
    run(s)
    for one in reversed(life(s)):
        s.post("/events", [one])
    read_all(s, 3)


@scenario
def twice(s: Session) -> None:
    run(s)
    for one in life(s) + life(s):
        s.post("/events", [one])
    read_all(s, 3)
    s.post("/task_runs/count", {"task_runs": {"name": {"like_": "$uniq"}}})


@scenario
def running_first(s: Session) -> None:
    run(s)
    pending, running, completed = life(s)
    s.post("/events", [running])
    s.poll("/task_runs/$id:task", reaches("Running"))
    s.post("/events", [completed, pending])
    read_all(s, 3)


@scenario
def equal_times(s: Session) -> None:
    """Two states at one instant: the second does not replace the first."""
    run(s)
    s.post("/events", [event(s, "RUNNING", 1)])
    s.poll("/task_runs/$id:task", reaches("Running"))
    s.post("/events", [event(s, "COMPLETED", 1)])
    s.post("/events", life(s, task="after"))
    s.poll("/task_runs/$id:after", reaches("Completed"), only="status")
    s.get("/task_run_states/?task_run_id=$id:task")
    s.get("/task_runs/$id:task")


@scenario
def without_flow_run(s: Session) -> None:
    for one in life(s, flow_run=None):
        s.post("/events", [one])
    read_all(s, 3)


@scenario
def unknown_flow_run(s: Session) -> None:
    run(s)
    s.post("/events", [event(s, "RUNNING", 1, task="lost", flow_run=ZERO)])
    s.post("/events", life(s))
    read_all(s, 3)
    s.get("/task_runs/$id:lost")
    s.get("/task_run_states/?task_run_id=$id:lost")


@scenario
def late_states_of_results(s: Session) -> None:
    run(s)
    pending, running, _ = life(s)
    completed = event(s, "COMPLETED", 2, data=RESULT, details={"cache_key": "c", "untrackable_result": True})
    s.post("/events", [pending, running, completed])
    read_all(s, 3)
    s.get("/task_run_states/$id:task_completed")


@scenario
def retries_and_names(s: Session) -> None:
    run(s)
    s.post("/events", life(s)[:2])
    waiting = event(s, "RUNNING", 2, name="AwaitingRetry", id="$id:waiting")
    waiting["payload"]["validated_state"] |= {
        "type": "SCHEDULED",
        "state_details": {"scheduled_time": "2024-05-01T12:00:00Z"},
    }
    retrying = event(s, "RUNNING", 3, name="Retrying", id="$id:retrying", run_fields={"run_count": 2})
    failed = event(s, "FAILED", 4, run_fields={"run_count": 2})
    s.post("/events", [waiting, retrying, failed])
    read_all(s, 5, name="Failed")


@scenario
def known_by_its_keys(s: Session) -> None:
    """A task run that exists with these keys under another id keeps its id."""
    run(s)
    body = {"flow_run_id": "{run.id}", "task_key": "$uniq-key", "dynamic_key": "$uniq-task", "name": "$uniq-old"}
    s.post("/task_runs/", body, save="old")
    s.post("/events", life(s))
    s.poll("/task_run_states/$id:task_completed", lambda answer: answer.status == 200)
    s.get("/task_runs/$id:task")
    s.get("/task_runs/{old.id}")
    s.get("/task_run_states/?task_run_id={old.id}")


@scenario
def server_side_events_are_not_recorded(s: Session) -> None:
    run(s)
    other = event(s, "RUNNING", 1, task="server")
    other["resource"]["prefect.orchestration"] = "server"
    none = event(s, "RUNNING", 1, task="nobody")
    del none["resource"]["prefect.orchestration"]
    named = event(s, "RUNNING", 1, task="named")
    named["event"] = "prefect.tasks.Running"
    s.post("/events", [other, none, named])
    s.post("/events", life(s))
    read_all(s, 3)
    for task in ("server", "nobody", "named"):
        s.get(f"/task_runs/$id:{task}")


@scenario
def labels_come_from_the_client(s: Session) -> None:
    run(s, labels={"of": "run"})
    s.post("/events", life(s, run_fields={"labels": {"a": "x", "n": 1.5}}))
    read_all(s, 3)


@scenario
def then_set_state(s: Session) -> None:
    """A run that came by events can be changed over HTTP."""
    run(s, state={"type": "RUNNING"})
    s.post("/events", life(s)[:2])
    s.poll("/task_runs/$id:task", reaches("Running"))
    s.post("/task_runs/$id:task/set_state", {"state": {"type": "CANCELLED"}, "force": True})
    s.get("/task_runs/$id:task")
    s.patch("/task_runs/$id:task", {"name": "$uniq-new"})
    s.delete("/task_runs/$id:task")
    s.get("/task_runs/$id:task")


@scenario
def events_badly(s: Session) -> None:
    good = {
        "occurred": "2024-05-01T10:00:00Z",
        "event": "$uniq.event",
        "resource": {"prefect.resource.id": "$uniq"},
        "related": [],
        "payload": {},
        "id": "$id:event",
    }
    s.post("/events", [good])
    s.post("/events", [])
    for more in (
        {"occurred": None},
        {"occurred": "x"},
        {"occurred": "2024-05-01T10:00:00"},
        {"occurred": 1714557600},
        {"event": None},
        {"event": 1},
        {"event": ""},
        {"resource": None},
        {"resource": {}},
        {"resource": {"prefect.resource.id": ""}},
        {"resource": {"prefect.resource.id": None}},
        {"resource": {"prefect.resource.id": 1}},
        {"resource": {"prefect.resource.id": "x", "other": 1}},
        {"resource": []},
        {"related": None},
        {"related": {}},
        {"related": [{}]},
        {"related": [{"prefect.resource.id": "x"}]},
        {"related": [{"prefect.resource.id": "x", "prefect.resource.role": ""}]},
        {"related": [{"prefect.resource.id": "x", "prefect.resource.role": "r"}]},
        {"related": [1]},
        {"payload": None},
        {"payload": []},
        {"id": None},
        {"id": "x"},
        {"follows": "x"},
        {"follows": None},
        {"unknown": 1},
    ):
        s.post("/events", [{**good, **more}])
    for key in good:
        s.post("/events", [{name: value for name, value in good.items() if name != key}])
    s.post("/events", good)
    s.post("/events", [good, {**good, "id": "x"}])
    s.post("/events")


@scenario
def event_limits(s: Session) -> None:
    good = {
        "occurred": "2024-05-01T10:00:00Z",
        "event": "$uniq.event",
        "resource": {"prefect.resource.id": "$uniq"},
        "related": [],
        "payload": {},
        "id": "$id:event",
    }
    related = {"prefect.resource.id": "x", "prefect.resource.role": "r"}
    for about, more in (
        ("event of 1024", {"event": "x" * 1024}),
        ("event of 1025", {"event": "x" * 1025}),
        ("100 related", {"related": [related] * 100}),
        ("101 related", {"related": [related] * 101}),
        ("500 labels", {"resource": {"prefect.resource.id": "x", **{f"l{number}": "v" for number in range(499)}}}),
        ("501 labels", {"resource": {"prefect.resource.id": "x", **{f"l{number}": "v" for number in range(500)}}}),
    ):
        answer = s.request("POST", "/events", [{**good, **more}])
        errors = answer.body["exception_detail"] if answer.status == 422 else None
        told = [{key: error[key] for key in ("type", "loc", "msg")} for error in errors] if errors else None
        s.steps.append({"step": f"{len(s.steps) + 1:02d} POST /events, {about}", "status": answer.status, "body": told})


@scenario
def broken_payloads_are_dropped(s: Session) -> None:
    """Last of the group, because the reference tries them again for a while and holds up what comes after."""
    run(s)
    for number, broken in enumerate(({}, {"validated_state": {}}, {"validated_state": {"type": "X"}, "task_run": {}})):
        one = event(s, "RUNNING", 1, task=f"broken{number}")
        one["payload"] = broken
        s.post("/events", [one])
        s.get(f"/task_runs/$id:broken{number}")
    one = event(s, "RUNNING", 1, task="named")
    one["resource"]["prefect.resource.id"] = "prefect.task-run.not-an-id"
    s.post("/events", [one])
