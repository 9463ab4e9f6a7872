"""What automations do: which events fire them, and what their own events tell of that."""

from __future__ import annotations

import time
from typing import Any

from ..scenario import Session, scenario
from .common import run, set_state

ENV = {
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "true",
}
DEADLINE = 45.0
SETTLED = 1.5  # nothing more comes
KNOWN = 1.0  # the reference knows a new automation a moment after it answered
BY_ID = ["prefect.resource.id"]
REACTIVE = {"type": "event", "posture": "Reactive"}
PROACTIVE = {"type": "event", "posture": "Proactive"}


def automate(s: Session, trigger: dict[str, Any], *actions: dict[str, Any], save: str = "a", **more: Any) -> None:
    body = {"name": f"$uniq-{save}", "trigger": trigger, "actions": list(actions), **more}
    s.post("/automations/", body, save=save, only="status")
    s.rest(KNOWN)


def happen(s: Session, *names: str, resource: str = "r", related: Any = (), at: str = "$now", **labels: str) -> None:
    """Events of these names, one after the other, of one resource."""
    body = [
        {
            "occurred": at,
            "event": f"$uniq.{name}",
            "resource": {"prefect.resource.id": f"$uniq.{resource}", **labels},
            "related": list(related),
            "id": f"$id:{name}{len(s.steps)}x{number}",
        }
        for number, name in enumerate(names)
    ]
    s.post("/events", body, only="status")


def told(s: Session, save: str = "a", *, count: int, most: int | None = None) -> None:
    """Record the events that tell of an automation's firings and actions, when there are `count` (the first `most`)."""
    deadline = time.monotonic() + DEADLINE
    while len(_told(s, save)) < count and time.monotonic() < deadline:
        time.sleep(0.2)
    if most is None:
        s.rest(SETTLED)
    found = sorted(_told(s, save), key=lambda event: event["occurred"])[:most]
    kept = sorted((_kept(event) for event in found), key=repr)
    s.masks.next_step()
    s.steps.append({"step": f"{len(s.steps) + 1:02d} told of {save}", "status": 200, "body": s.masks.body(kept)})


def _told(s: Session, save: str) -> list[dict[str, Any]]:
    filter = {
        "event": {"prefix": ["prefect.automation.triggered", "prefect.automation.action."]},
        "resource": {"id": [f"prefect.automation.{{{save}.id}}"]},
    }
    answer = s.request("POST", "/events/filter", {"filter": filter, "limit": 50})
    return list(answer.body["events"]) if answer.status == 200 else []


def _kept(event: dict[str, Any]) -> dict[str, Any]:
    payload = {key: value for key, value in event["payload"].items() if key != "invocation"}
    if payload.get("triggering_event"):
        payload["triggering_event"] = {
            key: value for key, value in payload["triggering_event"].items() if key in ("event", "resource", "payload")
        }
    return {
        "event": event["event"],
        "resource": event["resource"],
        "related": [labels["prefect.resource.role"] for labels in event["related"]],
        "payload": payload,
        "follows": event["follows"] is not None,
    }


@scenario
def reactive(s: Session) -> None:
    automate(s, {**REACTIVE, "expect": ["$uniq.a"]}, {"type": "do-nothing"})
    automate(s, {**REACTIVE, "expect": ["$uniq.*"]}, save="star")
    automate(s, {**REACTIVE, "expect": ["$uniq.other"]}, save="other")
    happen(s, "a", "b", "a")
    told(s, count=6)
    told(s, "star", count=3)
    told(s, "other", count=0)


@scenario
def thresholds(s: Session) -> None:
    automate(s, {**REACTIVE, "expect": ["$uniq.a"], "threshold": 3, "within": 60})
    automate(s, {**REACTIVE, "expect": ["$uniq.a"], "threshold": 2}, save="no_time")
    automate(s, {**REACTIVE, "expect": ["$uniq.a"], "threshold": 2, "within": 60, "for_each": BY_ID}, save="each")
    happen(s, "a", "a", resource="one")
    happen(s, "a", resource="two")
    happen(s, "a", "a", resource="one")
    told(s, count=1)
    told(s, "no_time", count=2)
    told(s, "each", count=1)


@scenario
def labels(s: Session) -> None:
    flow = [{"prefect.resource.id": "$uniq.flow", "prefect.resource.role": "flow", "color": "red"}]
    cases = {
        "id": {"match": {"prefect.resource.id": "$uniq.r*"}},
        "list": {"match": {"prefect.resource.id": ["$uniq.x", "$uniq.r"], "size": "large"}},
        "negated": {"match": {"size": "!small"}},
        "negated_too": {"match": {"size": ["!large", "!small"]}},
        "missing": {"match": {"weight": "!heavy"}},
        "related": {"match_related": {"prefect.resource.role": "flow", "color": "r*d"}},
        "related_twice": {"match_related": [{"color": "red"}, {"prefect.resource.id": "$uniq.nobody"}]},
        "each_related": {"for_each": ["related:flow:color", "size", "nothing"]},
    }
    for name, match in cases.items():
        automate(s, {**REACTIVE, "expect": ["$uniq.a"], **match}, save=name)
    happen(s, "a", related=flow, size="large")
    for name in cases:
        told(s, name, count=0 if name in ("missing", "related_twice") else 1)


@scenario
def after(s: Session) -> None:
    waits = {**REACTIVE, "after": ["$uniq.start"], "expect": ["$uniq.end"], "within": 60}
    automate(s, waits)
    automate(s, {**REACTIVE, "after": ["$uniq.end"], "expect": ["$uniq.end"], "within": 60}, save="same")
    happen(s, "end", "start", "end", "end")
    told(s, count=1)
    told(s, "same", count=1)


@scenario
def times(s: Session) -> None:
    automate(s, {**REACTIVE, "expect": ["$uniq.a"], "threshold": 2, "within": 10})
    automate(s, {**REACTIVE, "expect": ["$uniq.b"], "threshold": 2, "within": 10}, save="apart")
    happen(s, "a", at="$now-30")
    happen(s, "a", at="$now-25")
    happen(s, "b", at="$now-30")
    happen(s, "b", at="$now-15")
    told(s, count=1)
    told(s, "apart", count=0)


@scenario
def composites(s: Session) -> None:
    a, b, c = ({**REACTIVE, "expect": [f"$uniq.{name}"]} for name in "abc")
    compound = {"type": "compound", "triggers": [a, b], "within": 60}
    automate(s, {**compound, "require": "all"}, {"type": "do-nothing"}, save="all")
    automate(s, {**compound, "require": "any"}, save="any")
    automate(s, {**compound, "require": 1, "within": None}, save="one")
    automate(s, {"type": "sequence", "triggers": [a, b], "within": 60}, save="sequence")
    automate(s, {"type": "sequence", "triggers": [b, a], "within": 60}, save="reversed")
    inner = {"type": "sequence", "triggers": [a, b], "within": 60}
    automate(s, {"type": "compound", "triggers": [inner, c], "require": "all", "within": 60}, save="nested")
    for name in "abc":
        happen(s, name)
    told(s, "all", count=3)
    for name in ("any", "one"):
        told(s, name, count=2)
    for name in ("sequence", "nested"):
        told(s, name, count=1)
    told(s, "reversed", count=0)


@scenario
def proactive(s: Session) -> None:
    automate(s, {**PROACTIVE, "expect": ["$uniq.a"], "within": 10}, {"type": "do-nothing"})
    waits = {**PROACTIVE, "after": ["$uniq.start"], "expect": ["$uniq.end"], "within": 10, "for_each": BY_ID}
    automate(s, waits, {"type": "cancel-flow-run"}, save="after")
    happen(s, "start", resource="well")
    happen(s, "start", resource="ill")
    happen(s, "end", resource="well")
    told(s, count=3, most=3)
    told(s, "after", count=3)


@scenario
def state_actions(s: Session) -> None:
    run(s, state={"type": "RUNNING"})
    trigger = {**REACTIVE, "expect": ["$uniq.a"]}
    for name, action in {
        "nothing": {"type": "do-nothing"},
        "cancel": {"type": "cancel-flow-run"},
        "refused": {"type": "change-flow-run-state", "state": "RUNNING"},
        "change": {"type": "change-flow-run-state", "state": "FAILED", "name": "Sad", "message": "m", "force": True},
        "resume": {"type": "resume-flow-run"},
        "suspend": {"type": "suspend-flow-run"},
        "delete": {"type": "delete-flow-run"},
        "delete_again": {"type": "delete-flow-run"},
    }.items():
        automate(s, {**trigger, "expect": [f"$uniq.{name}"]}, action, save=name)
        s.post("/events", [_of_run(name)], only="status")
        told(s, name, count=3)
        s.get("/flow_runs/{run.id}", only="status")


def _of_run(name: str) -> dict[str, Any]:
    return {
        "occurred": "$now",
        "event": f"$uniq.{name}",
        "resource": {"prefect.resource.id": "prefect.flow-run.{run.id}"},
        "id": f"$id:{name}",
    }


@scenario
def nothing_to_infer(s: Session) -> None:
    kinds = ("run-deployment", "pause-deployment", "pause-work-pool", "resume-work-queue", "pause-automation")
    automate(s, {**REACTIVE, "expect": ["$uniq.a"]}, *({"type": kind, "source": "inferred"} for kind in kinds))
    happen(s, "a")
    told(s, count=1 + 2 * len(kinds))


@scenario
def deployment_actions(s: Session) -> None:
    s.post("/work_pools/", {"name": "$uniq", "type": "t"}, save="pool", only="status")
    s.post("/flows/", {"name": "$uniq"}, save="flow", only="status")
    schema = {"type": "object", "properties": {"p": {"type": "integer"}}}
    deployment = {
        "name": "$uniq-d",
        "flow_id": "{flow.id}",
        "work_pool_name": "$uniq",
        "parameter_openapi_schema": schema,
    }
    s.post("/deployments/", {**deployment, "work_pool_name": "$uniq"}, save="d", only="status")
    chosen = {"deployment_id": "{d.id}"}
    automate(
        s,
        {**REACTIVE, "expect": ["$uniq.a"]},
        {"type": "run-deployment", **chosen, "parameters": {"p": "{{ event.resource['size'] | int }}"}},
        {"type": "run-deployment", **chosen, "parameters": {"p": "not a number: {{ event.id }}"}},
        {"type": "run-deployment", "deployment_id": "11111111-1111-4111-8111-111111111111"},
        {"type": "pause-deployment", **chosen},
        {"type": "resume-deployment", **chosen},
        {"type": "pause-deployment", "deployment_id": "11111111-1111-4111-8111-111111111111"},
        {"type": "pause-work-pool", "work_pool_id": "{pool.id}"},
        {"type": "pause-work-queue", "work_queue_id": "{pool.default_queue_id}"},
        {"type": "pause-work-pool", "work_pool_id": "11111111-1111-4111-8111-111111111111"},
        {"type": "pause-work-queue", "work_queue_id": "11111111-1111-4111-8111-111111111111"},
        {"type": "pause-automation", "automation_id": "11111111-1111-4111-8111-111111111111"},
    )
    happen(s, "a", size="5")
    told(s, count=23)
    runs = {"deployments": {"id": {"any_": ["{d.id}"]}}}
    answer = s.request("POST", "/flow_runs/filter", runs)
    kept = [{key: one[key] for key in ("parameters", "state_name", "auto_scheduled")} for one in answer.body]
    made = [one["created_by"]["type"] for one in answer.body]
    s.steps.append({"step": f"{len(s.steps) + 1:02d} runs", "status": 200, "body": [kept, made]})
    s.get("/work_pools/$uniq", only="status")


@scenario
def template_that_fails(s: Session) -> None:
    s.post("/flows/", {"name": "$uniq"}, save="flow", only="status")
    s.post("/deployments/", {"name": "$uniq-d", "flow_id": "{flow.id}"}, save="d", only="status")
    action = {"type": "run-deployment", "deployment_id": "{d.id}", "parameters": {"p": "{{ 1 / 0 }}"}}
    automate(s, {**REACTIVE, "expect": ["$uniq.a"]}, action)
    happen(s, "a")
    told(s, count=3)


@scenario
def actions_on_trigger(s: Session) -> None:
    on_trigger = [{"type": "pause-automation", "source": "inferred"}]
    automate(s, {**REACTIVE, "expect": ["$uniq.a"]}, {"type": "do-nothing"}, actions_on_trigger=on_trigger)
    happen(s, "a")
    told(s, count=5)
    s.get("/automations/{a.id}")
    happen(s, "a")
    told(s, count=5)


@scenario
def flow_run_states(s: Session) -> None:
    run(s)
    match = {"prefect.resource.id": "prefect.flow-run.{run.id}"}
    automate(s, {**REACTIVE, "expect": ["prefect.flow-run.Completed"], "match": match})
    automate(s, {**REACTIVE, "after": ["prefect.flow-run.Pending"], "expect": ["prefect.flow-run.Completed"],
                 "match": match, "within": 60}, save="after")  # fmt: skip
    for type in ("PENDING", "RUNNING", "COMPLETED"):
        set_state(s, type)
    told(s, count=1)
    told(s, "after", count=0)  # the run was Pending before
