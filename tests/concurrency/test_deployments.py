"""Deployments' limits through the rules about flow runs, over rows of deployments."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from tests import rows
from tests.concurrency.http import Api, run, value
from tests.flow_runs import http

from lictor import flows
from lictor.concurrency.facts import DeploymentSlots, deployment_slots, forget_flows, tag_slots
from lictor.concurrency.loops import Repossessor
from lictor.concurrency.slots import Waits
from lictor.flow_runs.transitions import Orchestration
from lictor.flows import Going
from lictor.kit import ids
from lictor.task_runs import transitions as task_transitions
from lictor.task_runs.transitions import TaskOrchestration

OLD = {"User-Agent": "prefect/3.4.0 (API 0.8.4)"}
NEW = {"User-Agent": "prefect/3.9.1 (API 0.8.4)"}


class Deployed:
    """A deployment with a limit, and its runs."""

    def __init__(self, api: Api, limit: int = 1, **options: Any) -> None:
        self.api = api
        self.http = http.client(api.db, Orchestration(limits=deployment_slots(Waits())))
        self.limit_id = api.limit("d", limit)
        self.flow_id = http.a_flow(self.http)
        columns = {"concurrency_limit_id": self.limit_id, "concurrency_options": options or None}
        self.id = api.db.write_now(rows.a_deployment, self.flow_id, **columns)

    def run(self) -> str:
        body = {"flow_id": self.flow_id, "deployment_id": self.id, "state": {"type": "SCHEDULED"}}
        return str(self.http.post("/flow_runs/", json=body).json["id"])

    def propose(self, run_id: str, state: str, headers: dict[str, str] = NEW) -> Any:
        self.api.later(1)
        path, body = f"/flow_runs/{run_id}/set_state", {"state": {"type": state}}
        answer = self.http.post(path, json=body, headers=headers)
        assert answer.status in (200, 201), answer
        return answer.json

    def taken(self) -> int:
        return self.api.taken("d")


def lease_of(answer: Any) -> Any:
    return answer["state"]["state_details"].get("deployment_concurrency_lease_id")


def test_a_slot_from_pending_to_the_end(api: Api) -> None:
    deployed = Deployed(api)
    first, second = deployed.run(), deployed.run()
    lease = lease_of(deployed.propose(first, "PENDING"))
    assert lease
    waiting = deployed.propose(second, "PENDING")
    assert (waiting["status"], waiting["state"]["name"]) == ("REJECT", "AwaitingConcurrencySlot")
    assert lease_of(deployed.propose(first, "RUNNING")) == lease
    assert deployed.taken() == 1
    deployed.propose(first, "COMPLETED")
    assert deployed.taken() == 0
    assert deployed.propose(second, "PENDING")["status"] == "ACCEPT"


def test_a_new_run_is_cancelled_where_the_deployment_says_so(api: Api) -> None:
    deployed = Deployed(api, collision_strategy="CANCEL_NEW")
    deployed.propose(deployed.run(), "PENDING")
    assert deployed.propose(deployed.run(), "PENDING")["state"]["type"] == "CANCELLED"


def test_a_slot_lost_before_the_start(api: Api) -> None:
    deployed = Deployed(api, collision_strategy="ENQUEUE", grace_period_seconds=60)
    first, second = deployed.run(), deployed.run()
    deployed.propose(first, "PENDING")
    api.later(120)
    deployed.propose(second, "PENDING")
    lost = deployed.propose(first, "RUNNING")
    assert lost["state"]["message"].startswith("Deployment concurrency slot lost during provisioning")
    assert deployed.taken() == 1


def test_a_slot_whose_lease_ran_out_is_kept_if_nobody_took_it(api: Api) -> None:
    deployed = Deployed(api, collision_strategy="ENQUEUE", grace_period_seconds=60)
    first = deployed.run()
    lease = lease_of(deployed.propose(first, "PENDING"))
    api.later(120)
    assert deployed.taken() == 0
    assert lease_of(deployed.propose(first, "RUNNING")) == lease
    assert deployed.taken() == 1


def test_a_client_that_cannot_renew_keeps_its_slot_until_the_end(api: Api) -> None:
    deployed = Deployed(api)
    first = deployed.run()
    deployed.propose(first, "PENDING", OLD)
    deployed.propose(first, "RUNNING", OLD)
    api.later(100_000)
    assert deployed.taken() == 1
    deployed.propose(first, "COMPLETED", OLD)
    assert deployed.taken() == 0


@pytest.mark.parametrize("ending", ["forgotten", "deleted behind our back"])
def test_runs_that_are_deleted_hold_nothing(api: Api, ending: str) -> None:
    deployed = Deployed(api, 2)
    first = deployed.run()
    deployed.propose(first, "PENDING", OLD)
    deployed.propose(first, "RUNNING", OLD)
    task = api.db.write_now(rows.a_task_run, first, "RUNNING")
    api.lease("d", holder={"type": "task_run", "id": task})
    assert deployed.taken() == 2
    if ending == "forgotten":
        assert deployed.http.delete(f"/flow_runs/{first}").status == 204
    else:
        api.later(301)
        run(api.db, "delete from flow_run where id = :id", id=first)
    assert deployed.taken() == 0


def test_limits_that_are_missing_or_switched_off(api: Api) -> None:
    deployed = Deployed(api, 0)
    facts = lambda id: api.db.read_now(lambda tx: DeploymentSlots(tx, Waits()).deployment_limit(id))  # noqa: E731
    assert facts(ids.new()) is None
    assert facts(deployed.id).limit_id == deployed.limit_id
    api.http.patch("/v2/concurrency_limits/d", json={"active": False})
    assert facts(deployed.id).limit_id is None
    api.http.delete("/v2/concurrency_limits/d")
    assert facts(deployed.id).limit_id is None


def test_a_run_without_a_lease_gives_back_a_slot_that_nobody_holds(api: Api) -> None:
    deployed = Deployed(api, 3)
    api.lease("d")
    api.post("increment", names=["d"], slots=1)
    for left in (1, 1):
        api.db.write_now(lambda tx: DeploymentSlots(tx, Waits()).give_back(deployed.id, None))
        assert deployed.taken() == left


def test_the_repossessor_deletes_what_is_over(api: Api) -> None:
    api.limit(limit=5)
    ended = api.db.write_now(rows.a_task_run, None, "RUNNING")
    api.lease(lease_duration=60)
    api.lease(lease_duration=86400, holder={"type": "task_run", "id": ended})
    live = api.lease(lease_duration=86400, holder={"type": "task_run", "id": ids.new()})
    repossessor = Repossessor(api.db, Waits())

    def round() -> int:
        return int(api.http.runner.run(repossessor.run_once()))

    assert round() == 0
    api.later(61)
    text = "update task_run set state_type = 'COMPLETED', state_timestamp = :now where id = :id"
    run(api.db, text, now=api.now, id=ended)
    assert round() == 1
    api.later(3600)
    assert round() == 1
    assert value(api.db, "select count(*) from concurrency_lease") == 1
    assert value(api.db, "select avg_slot_occupancy_seconds from concurrency_limit_v2") > 10
    assert api.renew(live) == 204


def test_what_a_deleted_flow_and_its_tasks_hold_is_free(api: Api) -> None:
    deployed = Deployed(api)
    run = deployed.run()
    deployed.propose(run, "PENDING")
    api.limit("other", 2)
    task = http.a_task(deployed.http, run)
    api.lease("other", holder={"type": "task_run", "id": task})
    api.lease("other", holder={"type": "flow_run", "id": ids.new()})
    assert (deployed.taken(), api.taken("other")) == (1, 2)
    going = Going(partial(forget_flows, Waits()))
    api.db.write_now(flows.delete, going, deployed.flow_id)
    assert (deployed.taken(), api.taken("other")) == (0, 1)


def test_what_a_deleted_task_run_holds_is_free(api: Api) -> None:
    deployed = Deployed(api)
    api.limit("other", 1)
    task = http.a_task(deployed.http, deployed.run())
    api.lease("other", holder={"type": "task_run", "id": task})
    api.db.write_now(task_transitions.delete, TaskOrchestration(limits=tag_slots(Waits())), task)
    assert api.taken("other") == 0
