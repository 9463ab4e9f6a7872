"""Bodies with several mistakes: all are told, each in its field's place. Recorded are type, place and words of each."""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .common import ZERO


def told(s: Session, method: str, path: str, *bodies: Any) -> None:
    for body in bodies:
        answer = s.request(method, path, body)
        errors = answer.body.get("exception_detail", []) if isinstance(answer.body, dict) else []
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['type']}, {e['msg'][:120]}" for e in errors]
        s.steps.append({"step": f"{len(s.steps) + 1:02d} {method} {path}", "status": answer.status, "body": lines})


@scenario
def variables(s: Session) -> None:
    told(
        s,
        "POST",
        "/variables/",
        {"name": "Bad Name!", "value": "x" * 6000},
        {"tags": 5, "value": "x" * 6000, "name": "Bad Name!"},
        {"unknown": 1, "name": "x" * 300, "value": 1, "tags": "x"},
        {"name": 5, "tags": [1, "a", None], "other": 1},
        {"value": "x" * 6000, "unknown": 1},
    )
    told(s, "PATCH", f"/variables/{ZERO}", {"name": "A", "value": "x" * 6000, "tags": [1]})
    told(s, "PATCH", "/variables/name/a", {"tags": 1, "value": "x" * 6000, "name": "A"})


@scenario
def flow_runs(s: Session) -> None:
    policy = {"retry_type": 5, "resuming": "q", "pause_keys": [1], "retries": "x", "retry_delay_seconds": 1.5}
    told(
        s,
        "POST",
        "/flow_runs/",
        {"flow_id": "x", "name": 5, "empirical_policy": policy, "parameters": 5, "unknown": 1},
        {"deployment_id": "x", "tags": [1], "labels": {"a": [], "b": None}, "state": {"name": 5}, "context": None},
        {"empirical_policy": {"max_retries": "x", "retry_delay_seconds": "y"}, "flow_id": ZERO, "name": "a"},
    )
    told(s, "PATCH", f"/flow_runs/{ZERO}", {"job_variables": 5, "name": 5, "empirical_policy": policy, "unknown": 1})
    told(
        s, "POST", f"/deployments/{ZERO}/create_flow_run", {"tags": 5, "state": {"type": "X"}, "parameters": 5, "a": 1}
    )
    told(
        s,
        "POST",
        "/flow_runs/filter",
        {"sort": "NOPE", "flow_runs": {"id": {"any_": ["x", 5]}, "unknown": 1, "tags": {"all_": 5}}, "limit": "x"},
        {"limit": -1, "sort": "NOPE", "flows": 5},
        {"limit": 100_000, "offset": -1},
        {"work_pools": {"name": 1}, "flows": {"name": {"any_": "x"}, "id": 5}, "offset": -1, "limit": None},
    )


@scenario
def task_runs(s: Session) -> None:
    policy = {"retry_delay": [1] * 60, "retry_jitter_factor": -1, "retries": "x"}
    told(
        s,
        "POST",
        "/task_runs/",
        {"flow_run_id": "x", "task_key": "k", "dynamic_key": "0", "empirical_policy": policy},
        {"cache_key": "x" * 2001, "task_key": 5, "empirical_policy": {"retry_jitter_factor": -1}, "id": "x"},
        {"task_inputs": {"a": [{"input_type": "task_run", "id": "x"}, 5]}, "cache_key": "x" * 2001, "dynamic_key": 5},
        {"empirical_policy": {"max_retries": "x", "retry_delay_seconds": [1]}, "tags": 5, "task_key": "k"},
    )
    told(
        s,
        "POST",
        "/task_runs/filter",
        {"limit": "x", "task_runs": {"name": {"any_": 5}, "start_time": {"before_": "x"}}, "sort": 5, "offset": -1},
        {"deployments": 5, "flow_runs": {"tags": {"all_": [1]}}, "flows": 5, "limit": "x"},
    )
    told(s, "POST", "/task_runs/paginate", {"page": 0, "task_runs": 5, "sort": "x", "limit": "x"})


@scenario
def deployments(s: Session) -> None:
    both = {"concurrency_limit": 1, "global_concurrency_limit_id": ZERO}
    told(
        s,
        "POST",
        "/deployments/",
        {"name": "a/b", "flow_id": "x", "concurrency_limit": 0, "job_variables": 5, "unknown": 1},
        {"tags": [1], "paused": "q", "name": 5, **both},
        {"tags": [1], "name": "a", "parameters": [1], "parameter_openapi_schema": {"type": "nope"}},
        {"name": 5, "parameters": {}, "parameter_openapi_schema": {"type": "nope"}, "enforce_parameter_schema": True},
        {
            "name": 5,
            "parameters": {"a": "x"},
            "parameter_openapi_schema": {"properties": {"a": {"type": "integer"}}},
            "enforce_parameter_schema": True,
        },
        {
            "version_info": {"type": 5},
            "concurrency_options": {"collision_strategy": "NOPE", "grace_period_seconds": 5},
            "parameters": {},
            "name": "a",
            "flow_id": "x",
        },
    )
    told(
        s,
        "PATCH",
        f"/deployments/{ZERO}",
        {"tags": [1], "paused": "q", "concurrency_limit": 0, "unknown": 1},
        {"tags": [1], **both},
        {"schedules": [{"schedule": {"interval": -1, "timezone": 5}, "max_scheduled_runs": 0, "slug": 5}, 5]},
    )


@scenario
def schedules(s: Session) -> None:
    zone = {"timezone": "X/Y"}
    told(
        s,
        "POST",
        f"/deployments/{ZERO}/schedules",
        [
            {"schedule": None, "max_scheduled_runs": 0},
            {"schedule": {"cron": "nope", "timezone": "Nope/X"}, "max_scheduled_runs": -1, "parameters": 5},
        ],
        [{"schedule": {"rrule": "nope", **zone}, "active": "q", "max_scheduled_runs": 0, "unknown": 1}],
        [{"schedule": {"interval": -5, **zone}, "max_scheduled_runs": "z"}],
        [{"schedule": {"interval": 0, "anchor_date": "x", "cron": "x"}, "slug": 5, "replaces": 5}],
        [{"schedule": {"cron": "nope", "day_or": "q"}, "active": None}, {"active": 5}, 5],
    )
    told(
        s,
        "PATCH",
        f"/deployments/{ZERO}/schedules/{ZERO}",
        {"schedule": {"cron": "nope", **zone}, "max_scheduled_runs": 0, "active": "q"},
        {"max_scheduled_runs": 0, "schedule": {"rrule": "nope", "timezone": 5}, "unknown": 1},
    )


@scenario
def work_pools(s: Session) -> None:
    undeclared = {"job_configuration": {"a": "{{ nope }}"}, "variables": {"properties": {}}}
    told(
        s,
        "POST",
        "/work_pools/",
        {"name": "", "type": 5, "base_job_template": {"x": 1}, "concurrency_limit": -1},
        {"concurrency_limit": "x", "name": "a/b%", "type": "p", "base_job_template": {"x": 1}, "unknown": 1},
        {"base_job_template": undeclared, "is_paused": "q", "storage_configuration": {"unknown": 1}},
    )
    told(s, "PATCH", "/work_pools/a", {"base_job_template": undeclared, "is_paused": "q", "description": 5})
    told(s, "POST", "/work_pools/a/queues", {"name": "a/b", "priority": 0, "concurrency_limit": -1, "filter": 5})
    told(s, "PATCH", "/work_pools/a/queues/b", {"priority": "x", "name": 5, "last_polled": "x", "unknown": 1})
    told(s, "POST", "/work_queues/", {"priority": 0, "name": "a/b", "is_paused": 5})
    told(s, "POST", "/work_pools/filter", {"offset": "x", "work_pools": {"name": 5, "type": {"any_": 5}}, "limit": "x"})
    told(s, "POST", "/work_pools/a/get_scheduled_flow_runs", {"limit": "x", "scheduled_before": "x"})


@scenario
def blocks(s: Session) -> None:
    told(
        s,
        "POST",
        "/block_types/",
        {"logo_url": 5, "name": "a/b", "slug": "BAD SLUG"},
        {"slug": "BAD", "unknown": 1, "description": 5},
    )
    told(s, "POST", "/block_schemas/", {"block_type_id": "x", "fields": 5, "capabilities": [1], "version": 5})
    told(
        s,
        "POST",
        "/block_documents/",
        {"name": "Bad N", "data": 5, "block_schema_id": "x", "block_type_id": ZERO},
        {"block_type_id": 5, "data": 5, "name": "a/b"},
        {"data": 5, "block_type_id": 5},
        {"is_anonymous": True, "name": "A", "data": 5, "unknown": 1},
    )
    told(s, "PATCH", f"/block_documents/{ZERO}", {"merge_existing_data": "q", "data": 5, "block_schema_id": "x"})
    told(s, "POST", "/block_documents/filter", {"sort": "X", "limit": "x", "include_secrets": "q", "block_types": 5})


@scenario
def artifacts(s: Session) -> None:
    told(
        s,
        "POST",
        "/artifacts/",
        {"flow_run_id": "x", "key": "Bad Key", "data": 1, "metadata_": 5},
        {"metadata_": {"a": 5}, "type": 5, "key": "Bad Key", "unknown": 1},
    )
    told(s, "PATCH", f"/artifacts/{ZERO}", {"metadata_": {"a": 5}, "description": 5, "unknown": 1})
    told(
        s,
        "POST",
        "/artifacts/filter",
        {"flow_runs": 5, "artifacts": {"id": 5, "key": {"any_": 5}}, "offset": -1, "sort": 5, "limit": "x"},
    )
    told(s, "POST", "/artifacts/count", {"flow_runs": 5, "artifacts": {"id": 5}, "deployments": 5})
    told(s, "POST", "/artifacts/latest/filter", {"flow_runs": 5, "artifacts": {"latest_id": 5}, "sort": 5})


@scenario
def events(s: Session) -> None:
    labels = {"prefect.resource.id": "x"}
    told(
        s,
        "POST",
        "/events",
        [{"id": "z", "occurred": "x", "event": 5, "resource": {}}],
        [
            {
                "occurred": "2024-01-01T00:00:00Z",
                "event": "a",
                "resource": {"x": "y"},
                "related": [{"a": "b"}, labels, {"prefect.resource.id": 5}, 5, {**labels, "prefect.resource.role": ""}],
                "id": "z",
                "payload": 5,
            }
        ],
        [{"id": "z", "payload": [], "resource": labels}, {"follows": "x", "related": [{}], "event": "a"}],
    )
    told(
        s,
        "POST",
        "/events/filter",
        {"limit": -1, "filter": {"occurred": {"since": "x"}, "text": {"query": "x" * 300}, "order": "Q"}},
    )


@scenario
def automations(s: Session) -> None:
    trigger = {"type": "event", "posture": "Reactive"}
    jinja = {"x": {"__prefect_kind": "jinja", "template": "{{ a"}}
    selected = {"type": "run-deployment", "source": "selected"}
    told(
        s,
        "POST",
        "/automations/",
        {"name": 5, "trigger": {**trigger, "within": -5, "threshold": "x", "posture": "Nope"}, "actions": []},
        {"name": "a", "trigger": {**trigger, "posture": "Proactive", "within": 5, "threshold": "x"}, "tags": 5},
        {"name": "a", "trigger": {**trigger, "within": None, "threshold": "x"}, "actions": 5, "enabled": "q"},
        {"actions": [{**selected, "schedule_after": -5, "parameters": jinja}], "trigger": trigger, "unknown": 1},
        {"actions": [{"type": "call-webhook", "block_document_id": "x", "payload": "{{ a"}], "trigger": trigger},
        {"actions": [{"type": "call-webhook", "payload": None}], "trigger": trigger, "tags": [1]},
        {"actions": [{"type": "send-notification", "subject": "{{ a", "body": "{{ b"}], "trigger": trigger},
        {"actions": [{"type": "change-flow-run-state", "state": "NOPE", "name": 5}], "trigger": 5, "enabled": "q"},
        {"trigger": {"type": "compound", "triggers": [], "require": 5, "within": "x"}, "actions": [], "name": 5},
    )
    told(s, "PUT", f"/automations/{ZERO}", {"enabled": "q", "trigger": {"within": -5}, "actions": [5], "name": "a"})
    told(s, "POST", "/automations/filter", {"automations": {"name": 5}, "offset": -1, "sort": 5, "limit": "x"})


@scenario
def limits(s: Session) -> None:
    told(s, "POST", "/concurrency_limits/", {"concurrency_limit": "x", "tag": 5}, {"concurrency_limit": -1, "tag": 5})
    told(s, "POST", "/concurrency_limits/increment", {"task_run_id": "x", "names": [5, "a"]})
    told(
        s,
        "POST",
        "/v2/concurrency_limits/",
        {"name": "a/b", "limit": -1, "active": "q", "slot_decay_per_second": -1},
        {"unknown": 1, "active_slots": -1, "denied_slots": "x"},
    )
    told(
        s, "PATCH", "/v2/concurrency_limits/a", {"slot_decay_per_second": -1, "limit": "x", "name": "a/b", "active": 5}
    )
    told(s, "POST", "/v2/concurrency_limits/increment", {"slots": 0, "names": [5], "mode": "x"})


@scenario
def small_ones(s: Session) -> None:
    told(s, "POST", "/flows/", {"labels": {"x": [1]}, "tags": 5, "name": "a/b"})
    told(s, "PATCH", f"/flows/{ZERO}", {"tags": [1, 2], "unknown": 1})
    told(s, "POST", "/flows/filter", {"sort": 5, "flows": {"id": 5, "name": {"like_": 5}}, "limit": "x", "offset": -1})
    told(s, "POST", "/logs/", [{"name": 5, "level": "x", "message": 5, "timestamp": "x"}, {"level": 1}, 5])
    told(s, "PUT", "/saved_searches/", {"name": 5, "filters": [{"object": 1}, 5]})
    told(s, "POST", "/variables/filter", {"variables": {"name": {"any_": 5}, "tags": 5}, "sort": 5, "limit": "x"})
    told(s, "POST", "/logs/filter", {"logs": {"level": {"ge_": "x"}, "timestamp": 5}, "limit": "x", "sort": 5})
