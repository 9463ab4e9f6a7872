"""Automations: what is taken, what is refused, and what is answered. What they do is in `automations_fired`."""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .common import NOT_IDS, ZERO, bad_bodies

TRIGGER = {"type": "event", "posture": "Reactive", "expect": ["$uniq.happened"]}
TEMPLATE = {
    "job_configuration": {"image": "{{ image }}"},
    "variables": {"type": "object", "properties": {"image": {"type": "string"}}, "required": ["image"]},
}
SOME = "11111111-1111-4111-8111-111111111111"


def make(s: Session, trigger: Any = TRIGGER, actions: Any = (), **more: Any) -> None:
    s.post("/automations/", {"name": "$uniq", "trigger": trigger, "actions": list(actions), **more}, save="made")


@scenario
def create_and_read(s: Session) -> None:
    make(s, description="d", tags=["b", "a"], enabled=False)
    s.get("/automations/{made.id}")
    s.get(f"/automations/{ZERO}")
    for id in NOT_IDS[:2]:
        s.get(f"/automations/{id}")


@scenario
def bodies(s: Session) -> None:
    bad_bodies(s, "POST", "/automations/")
    make(s, nonsense=1)
    make(s, actions=[5])
    make(s, name=None)
    make(s, tags="a", enabled="maybe", description=None)
    bad_bodies(s, "PATCH", f"/automations/{ZERO}")
    s.put(f"/automations/{ZERO}", {"name": "x"})


@scenario
def event_triggers(s: Session) -> None:
    make(s, {"posture": "Reactive"})
    make(s, {**TRIGGER, "match": {"a": "b", "c": ["d", "!e*"]}, "match_related": {"x": "y"}, "within": "PT1M"})
    make(
        s,
        {"type": "event", "posture": "Proactive", "after": ["a"], "for_each": ["b"], "match_related": [{}, {"c": "d"}]},
    )
    make(s, {**TRIGGER, "id": SOME, "threshold": "5", "within": 0.5, "unknown": 1})
    for change in (
        {"posture": None},
        {"posture": "Metric"},
        {"posture": "Proactive", "within": 5.0},
        {"within": None},
        {"within": -1.0},
        {"within": "soon"},
        {"match": {"a": 1}},
        {"expect": "a", "threshold": "x"},
        {"type": "metric"},
    ):
        make(s, {**TRIGGER, **change})
    make(s, {"type": "event"})
    make(s, 5)


@scenario
def composite_triggers(s: Session) -> None:
    for within in (None, 10, "PT1H"):
        make(s, {"type": "compound", "triggers": [TRIGGER, TRIGGER], "require": "all", "within": within})
        make(s, {"type": "sequence", "triggers": [TRIGGER, TRIGGER], "within": within})
    for require in (1, 2, "2", "any"):
        make(s, {"type": "compound", "triggers": [TRIGGER, TRIGGER], "require": require, "within": 5.0})
    for require in (0, 3):
        make(s, {"type": "compound", "triggers": [TRIGGER, TRIGGER], "require": require, "within": 5.0})
    make(s, {"type": "compound", "triggers": [TRIGGER], "require": "any"})
    inner = {"type": "sequence", "triggers": [TRIGGER], "within": 1.0}
    make(s, {"type": "compound", "triggers": [inner, TRIGGER], "require": "all", "within": 5.0})


@scenario
def actions(s: Session) -> None:
    for kind in ("do-nothing", "cancel-flow-run", "delete-flow-run", "suspend-flow-run", "resume-flow-run"):
        make(s, actions=[{"type": kind}])
    make(s, actions=[{"type": "change-flow-run-state", "state": "FAILED", "name": "n", "message": "m", "force": True}])
    make(s, actions=[{"type": "change-flow-run-state", "state": "BROKEN"}])
    for kind, key in (
        ("run-deployment", "deployment_id"),
        ("pause-deployment", "deployment_id"),
        ("resume-deployment", "deployment_id"),
        ("pause-work-queue", "work_queue_id"),
        ("resume-work-queue", "work_queue_id"),
        ("pause-work-pool", "work_pool_id"),
        ("resume-work-pool", "work_pool_id"),
        ("pause-automation", "automation_id"),
        ("resume-automation", "automation_id"),
    ):
        make(s, actions=[{"type": kind, key: SOME}])
        make(s, actions=[{"type": kind, "source": "inferred"}])
        make(s, actions=[{"type": kind}])
        make(s, actions=[{"type": kind, "source": "inferred", key: SOME}])
    make(s, actions=[], actions_on_trigger=[{"type": "do-nothing"}], actions_on_resolve=[{}])
    make(s, actions=[{"deployment_id": SOME}])


@scenario
def templates_in_actions(s: Session) -> None:
    block = {"block_document_id": SOME}
    for body in ("plain", "{{ event.id }}", "{{ x", "{% for a in b %}" * 3 + "{% endfor %}" * 3):
        make(s, actions=[{"type": "send-notification", **block, "body": body}])
    for payload in ("{{ x }}", {"message": "{{ x }}"}, None, "{{ x", [1]):
        make(s, actions=[{"type": "call-webhook", **block, "payload": payload}])
    for parameters in (
        {"a": "{{ x }}", "b": {"c": ["{{ y }} z", {"d": "{% if e %}f{% endif %}"}]}},
        {"a": "{{ x "},
        {"a": {"__prefect_kind": "jinja"}},
        {"a": {"__prefect_kind": "json", "value": "{"}},
        {"a": {"__prefect_kind": "json", "value": {"__prefect_kind": "jinja", "template": "{{ 1 }}"}}},
    ):
        make(s, actions=[{"type": "run-deployment", "deployment_id": SOME, "parameters": parameters}])
    make(s, actions=[{"type": "run-deployment", "deployment_id": SOME, "schedule_after": 60}])
    make(s, actions=[{"type": "run-deployment", "deployment_id": SOME, "schedule_after": -1}])


@scenario
def job_variables(s: Session) -> None:
    s.post("/work_pools/", {"name": "$uniq", "type": "t", "base_job_template": TEMPLATE}, save="pool", only="status")
    s.post("/flows/", {"name": "$uniq"}, save="flow", only="status")
    deployment = {"name": "d", "flow_id": "{flow.id}", "work_pool_name": "$uniq", "job_variables": {"image": "a"}}
    s.post("/deployments/", deployment, save="d", only="status")
    for id in (SOME, "{d.id}"):
        for variables in (None, {}, {"image": "b"}, {"image": 5}, {"other": 1}):
            make(s, actions=[{"type": "run-deployment", "deployment_id": id, "job_variables": variables}])


@scenario
def endless_loops(s: Session) -> None:
    every = {**TRIGGER, "expect": ["prefect.flow-run.Running"]}
    inferred, selected = (
        {"type": "run-deployment", "source": "inferred"},
        {"type": "run-deployment", "deployment_id": SOME},
    )
    make(s, every, [inferred])
    make(s, every, [selected])
    make(s, {**every, "match": {"prefect.resource.id": "prefect.flow-run.*"}}, [selected])
    make(s, {**every, "match_related": {"prefect.resource.name": "x"}}, [selected])
    make(s, {**every, "expect": ["prefect.flow-run.Completed"]}, [selected])
    make(s, every, [selected], enabled=False)
    s.patch("/automations/{made.id}", {"enabled": True})
    s.patch("/automations/{made.id}", {"enabled": False})


@scenario
def change(s: Session) -> None:
    make(s)
    for body in ({"enabled": False}, {}, {"enabled": "x", "name": "y"}, {"enabled": None}):
        s.patch("/automations/{made.id}", body)
        s.get("/automations/{made.id}")
    s.put("/automations/{made.id}", {"name": "$uniq-b", "trigger": TRIGGER, "actions": [{"type": "do-nothing"}]})
    s.get("/automations/{made.id}")
    s.put("/automations/{made.id}", {"name": "x", "trigger": TRIGGER, "actions": [], "owner_resource": "a"})
    s.delete("/automations/{made.id}")
    s.get("/automations/{made.id}")
    for method in ("PATCH", "PUT", "DELETE"):
        body = {"PATCH": {"enabled": True}, "PUT": {"name": "x", "trigger": TRIGGER, "actions": []}}.get(method)
        s.send(method, "/automations/{made.id}", **({} if body is None else {"body": body}))


@scenario
def related(s: Session) -> None:
    chosen = "$id:deployment"
    make(
        s, actions=[{"type": "run-deployment", "deployment_id": chosen}], owner_resource="prefect.deployment.$id:owner"
    )
    for whose in ("$id:deployment", "$id:owner", "$id:nobody"):
        s.get(f"/automations/related-to/prefect.deployment.{whose}")
    s.put("/automations/{made.id}", {"name": "$uniq", "trigger": TRIGGER, "actions": []})
    for whose in ("$id:deployment", "$id:owner"):
        s.get(f"/automations/related-to/prefect.deployment.{whose}")
    s.delete("/automations/owned-by/prefect.deployment.$id:deployment")
    s.get("/automations/{made.id}", only="status")
    s.delete("/automations/owned-by/prefect.deployment.$id:owner")
    s.get("/automations/{made.id}")


@scenario
def lists(s: Session) -> None:
    for number, tags in enumerate((["$uniq-t"], ["$uniq-t", "x"], [])):
        s.post(
            "/automations/",
            {"name": f"$uniq-{number}", "trigger": TRIGGER, "actions": [], "tags": tags},
            save=f"a{number}",
            only="status",
        )
    own = {"name": {"any_": [f"$uniq-{number}" for number in range(3)]}}
    for sort in ("NAME_ASC", "NAME_DESC", "CREATED_DESC", "UPDATED_DESC", "NONSENSE"):
        s.post("/automations/filter", {"automations": own, "sort": sort}, pick="name")
    for filter in (
        {**own, "tags": {"all_": ["$uniq-t", "x"]}},
        {"tags": {"any_": ["$uniq-t"]}},
        {**own, "tags": {"is_null_": True}},
        {"id": {"any_": ["{a0.id}", "{a2.id}"]}},
        {**own, "created": {"before_": "$now-3600"}},
        {**own, "nonsense": 1},
        {"operator": "or_", "id": {"any_": ["{a0.id}"]}, "name": {"any_": ["$uniq-1"]}},
    ):
        s.post("/automations/filter", {"automations": filter}, pick="name")
        s.post("/automations/count", {"automations": filter})
    s.post("/automations/filter", {"automations": own, "limit": 1, "offset": 1}, pick="name")
    s.post("/automations/filter", {"automations": own, "limit": 1000})


@scenario
def validate_templates(s: Session) -> None:
    for path in ("/templates/validate", "/automations/templates/validate"):
        for template in (
            "",
            "plain",
            "{{ a|nonsense }}",
            "{{ x",
            "a\n\n{% if %}",
            "{% for a in b %}" * 11 + "{% endfor %}" * 11,
        ):
            s.post(path, template)
        s.post(path)
        s.post(path, 5)
