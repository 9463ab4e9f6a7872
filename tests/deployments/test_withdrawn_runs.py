"""Very many planned runs that go with their deployment, or as it is paused: the answer does not wait for all of them to
be deleted, and nobody sees or starts any of the rest."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from tests import rows
from tests.asking import ask
from tests.calls import NOWHERE
from tests.conftest import StartServer
from tests.deployments.http import CRON, START, Api
from tests.processes import until

from lictor import flows, tallies
from lictor.db import Tx, Where, open_database
from lictor.db.statement import composed
from lictor.deployments import changes
from lictor.deployments.store import delete_of_flows
from lictor.flow_runs import planned, purging, withdrawals
from lictor.flow_runs.loops import LateRuns, OvertakenRuns
from lictor.flows import Going
from lictor.logs import LogSweeper
from lictor.ui import flow_runs as runs_in_short
from lictor.ui import flows as flows_in_short

AT_ONCE, BATCH, RUNS = 3, 2, 10
T = TypeVar("T")


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planned, "AT_ONCE", AT_ONCE)
    monkeypatch.setattr(planned, "IN_BACKGROUND", BATCH)


@pytest.fixture
def id(api: Api) -> str:
    """A deployment with runs that are due, the first of them first, and one that has begun."""
    api.http.post("/work_pools/", json={"name": "p", "type": "process"})
    assert api.http.post("/work_queues/", json={"name": "old", "filter": {}}).status == 201
    id = api.deploy(work_pool_name="p")
    flow_id, queue_id = api.read(id)["flow_id"], api.read(id)["work_queue_id"]
    for number in range(RUNS):
        a_planned_run(api, id, flow_id, number, work_queue_id=queue_id)
    running = {"deployment_id": id, "run_count": 1, "work_queue_id": queue_id, "expected_start_time": START}
    api.db.write_now(rows.a_flow_run, flow_id, "RUNNING", name="begun", **running)
    return id


def a_planned_run(api: Api, deployment_id: str, flow_id: str, number: int, **columns: Any) -> str:
    at = START + timedelta(seconds=number - 100)
    more = {"expected_start_time": at, "next_scheduled_start_time": at, "auto_scheduled": True, **columns}
    return api.db.write_now(
        rows.a_flow_run, flow_id, "SCHEDULED", name=str(number), deployment_id=deployment_id, **more
    )


def names(api: Api) -> list[str]:
    """All runs that are in the table."""
    return api.db.read_now(lambda tx: tx.all(composed(str, "select name from flow_run order by expected_start_time")))


def a_run_left(api: Api) -> str:
    return str(api.value("select cast(id as text) from flow_run where state_type = 'SCHEDULED' order by name limit 1"))


def polls(api: Api, id: str) -> list[Any]:
    """What each kind of poll hands out, with nothing to hold it back; one of the queues has a filter."""
    queue_ids = api.db.read_now(lambda tx: tx.all(composed(str, "select id from work_queue")))
    before = {"scheduled_before": (START + timedelta(days=1)).isoformat()}
    return [
        *api.http.post("/work_pools/p/get_scheduled_flow_runs", json=before).json,
        *api.http.post("/deployments/get_scheduled_flow_runs", json={"deployment_ids": [id], **before}).json,
        *(
            one
            for queue_id in queue_ids
            for one in api.http.post(f"/work_queues/{queue_id}/get_runs", json=before).json
        ),
    ]


def seen(api: Api, **body: Any) -> list[str]:
    """The names in a list, which its count agrees with, and a numbered page."""
    found = sorted(run["name"] for run in api.http.post("/flow_runs/filter", json=body).json)
    assert api.http.post("/flow_runs/count", json=body).json == len(found)
    page = api.http.post("/flow_runs/paginate", json=body).json
    assert (page["count"], sorted(run["name"] for run in page["results"])) == (len(found), found)
    return found


def purge(api: Api) -> int:
    return asyncio.run(purging.Purge(api.db, api.orchestration).run_once())


def test_the_answer_does_not_wait_for_all_of_them(api: Api, id: str) -> None:
    assert api.http.delete(f"/deployments/{id}").status == 204
    assert names(api) == [*map(str, range(AT_ONCE, RUNS)), "begun"]  # those due first are gone
    assert api.db.read_now(purging.left) == RUNS - AT_ONCE

    assert purge(api) == RUNS - AT_ONCE
    assert names(api) == ["begun"]
    assert api.db.read_now(withdrawals.find_all) == []
    assert purge(api) == 0


def test_a_few_go_with_the_answer(api: Api, id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planned, "AT_ONCE", RUNS + 1)
    api.http.delete(f"/deployments/{id}")
    assert names(api) == ["begun"]
    assert api.db.read_now(withdrawals.find_all) == []


def test_nobody_is_handed_one_and_nobody_sees_one(api: Api, id: str) -> None:
    assert len(polls(api, id)) == 4 * RUNS
    api.http.delete(f"/deployments/{id}")

    assert polls(api, id) == []
    assert seen(api) == ["begun"]
    assert seen(api, flow_runs={"state": {"type": {"any_": ["SCHEDULED"]}}}) == []
    assert seen(api, flow_runs={"deployment_id": {"any_": [id]}}) == ["begun"]
    assert seen(api, work_pools={"name": {"any_": ["p"]}}) == ["begun"]
    assert seen(api, flow_runs={"start_time": {"is_null_": False}}) == []
    assert api.http.get(f"/flow_runs/{a_run_left(api)}").status == 404
    flow_id = str(api.value("select cast(id as text) from flow"))
    assert [run.id for run in api.db.read_now(runs_in_short.history, runs_in_short.FlowRunHistory())] == [
        str(api.value("select cast(id as text) from flow_run where name = 'begun'"))
    ]
    assert api.db.read_now(flows_in_short.next_runs, [flow_id]) == {flow_id: None}


def test_runs_of_others_are_handed_out_meanwhile(api: Api, id: str) -> None:
    other = api.deploy(name="other", flow_id=api.read(id)["flow_id"], work_pool_name="p")
    queue_id = api.read(other)["work_queue_id"]
    a_planned_run(api, other, api.read(id)["flow_id"], 50, work_queue_id=queue_id)
    a_planned_run(api, NOWHERE, api.read(id)["flow_id"], 51, work_queue_id=queue_id)
    api.http.delete(f"/deployments/{id}")
    names = Counter(one.get("flow_run", one)["name"] for one in polls(api, other))
    assert names == {"50": 4, "51": 3}
    assert seen(api) == ["50", "51", "begun"]


def test_who_had_one_in_hand_is_told_that_it_is_gone(api: Api, id: str) -> None:
    api.http.delete(f"/deployments/{id}")
    run_id = a_run_left(api)
    for state in ("PENDING", "RUNNING", "CANCELLED"):
        answer = api.http.post(f"/flow_runs/{run_id}/set_state", json={"state": {"type": state}, "force": True})
        assert answer.status == 404, answer
    gone = api.http.post(f"/flow_runs/{NOWHERE}/set_state", json={"state": {"type": "PENDING"}})
    assert str(answer.json).replace(run_id, NOWHERE) == str(gone.json)
    assert purge(api) == RUNS - AT_ONCE


def test_services_leave_them_alone(api: Api, id: str) -> None:
    api.http.delete(f"/deployments/{id}")
    before = api.value("select count(*) from flow_run_state")
    assert asyncio.run(LateRuns(api.db, api.orchestration, timedelta(seconds=15)).run_once()) == 0
    assert asyncio.run(OvertakenRuns(api.db, api.orchestration).run_once()) == 0
    assert api.value("select count(*) from flow_run_state") == before


def test_a_run_that_had_begun_goes_on(api: Api, id: str) -> None:
    begun = str(api.value("select cast(id as text) from flow_run where name = 'begun'"))
    api.http.delete(f"/deployments/{id}")
    retry = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}
    assert api.http.post(f"/flow_runs/{begun}/set_state", json=retry).json["status"] == "ACCEPT"
    assert [one.get("flow_run", one)["name"] for one in polls(api, id)] == ["begun"] * 3
    purge(api)
    assert api.http.get(f"/flow_runs/{begun}").json["deployment_id"] == id
    assert names(api) == ["begun"]


def test_whoever_comes_next_goes_on_where_somebody_stopped(api: Api, id: str) -> None:
    api.http.delete(f"/deployments/{id}")
    [withdrawn] = api.db.read_now(withdrawals.find_all)
    assert api.db.write_now(planned.delete_withdrawn, withdrawn) == BATCH
    assert len(names(api)) == RUNS - AT_ONCE - BATCH + 1
    assert polls(api, id) == []
    assert seen(api) == ["begun"]
    assert purge(api) == RUNS - AT_ONCE - BATCH
    assert names(api) == ["begun"]


def test_a_server_that_is_started_after_one_was_killed_goes_on(start_server: StartServer, database_url: str) -> None:
    def of_database(body: Callable[[Tx], T]) -> T:
        db = open_database(database_url)
        try:
            return db.write_now(body)
        finally:
            db.close()

    def fill(tx: Tx) -> str:
        flow_id = rows.a_flow(tx)
        id = rows.a_deployment(tx, flow_id)
        tx.run(
            composed(None, MANY),
            flow_id=flow_id,
            deployment_id=id,
            at=START,
            first="00000000-0000-7000-8000-00000000",
            count=1_300,
        )
        return id

    id = of_database(fill)
    killed = start_server("--no-services")
    assert ask.delete(f"{killed.api_url}/deployments/{id}").status_code == 204
    killed.kill()
    assert of_database(purging.left) == 300
    server = start_server("--log-level", "INFO")
    assert ask.post(f"{server.api_url}/flow_runs/count", json={}).json() == 0
    until(lambda: "are gone" in server.log)
    server.stop()
    assert of_database(purging.left) == of_database(lambda tx: tx.count("from flow_run r", Where())) == 0


MANY = """
    with recursive n (i) as (select 1 union all select i + 1 from n where i < {int:count})
    insert into flow_run (
        id, created, updated, name, flow_id, deployment_id, state_type, state_name, expected_start_time,
        next_scheduled_start_time
    )
    select cast({text:first} || cast(1000 + i as text) as {uuid_type}), {ts:at}, {ts:at}, 'run', {uuid:flow_id},
        {uuid:deployment_id}, 'SCHEDULED', 'Scheduled', {ts:at}, {ts:at} from n
"""


def test_a_run_with_the_key_of_one_of_them_is_made_anew(api: Api, id: str) -> None:
    body = {"flow_id": api.read(id)["flow_id"], "idempotency_key": "k"}
    kept = a_planned_run(api, id, body["flow_id"], 60, idempotency_key="k")
    assert api.http.post("/flow_runs/", json=body).json["id"] == kept
    api.http.delete(f"/deployments/{id}")
    answer = api.http.post("/flow_runs/", json=body)
    assert (answer.status, answer.json["id"] != kept) == (201, True)
    assert api.http.post("/flow_runs/", json=body).json["id"] == answer.json["id"]
    purge(api)
    assert seen(api) == sorted(["begun", answer.json["name"]])


def test_logs_go_with_them(api: Api, id: str) -> None:
    logged = api.db.read_now(lambda tx: tx.all(composed(str, "select id from flow_run")))
    for run_id in logged:
        api.execute(LOG, at=START, id=run_id)
    api.http.delete(f"/deployments/{id}")
    assert api.value("select count(*) from run_tombstone") == AT_ONCE
    purge(api)
    asyncio.run(LogSweeper(api.db).run_once())
    assert api.value("select count(*) from log") == 1
    assert api.value("select r.name from flow_run r join log l on l.flow_run_id = r.id") == "begun"


LOG = """
    insert into log (created, name, level, message, timestamp, flow_run_id)
    values ({ts:at}, 'l', 20, 'm', {ts:at}, {uuid:id})"""


def test_several_deployments_have_one_measure_together(api: Api, id: str) -> None:
    flow_id = api.read(id)["flow_id"]
    others = [api.deploy(name=name, flow_id=flow_id) for name in "xyz"]
    for other in others:
        a_planned_run(api, other, flow_id, 70)
    ids = sorted([id, *others])
    assert api.db.write_now(changes.delete_all, ids) == ids
    assert len(names(api)) == RUNS + len(others) - AT_ONCE + 1
    assert seen(api) == ["begun"]
    assert purge(api) == RUNS + len(others) - AT_ONCE
    assert (names(api), api.db.read_now(withdrawals.find_all)) == (["begun"], [])


def test_tallies_stay_right_and_settle_again(api: Api, id: str) -> None:
    api.later(86400)
    settle(api)
    assert api.value("select count(*) from flow_run_unsettled where open") > 0
    api.http.delete(f"/deployments/{id}")
    purge(api)
    api.execute("update flow_run set state_type = 'COMPLETED', state_name = 'Completed'")
    api.db.write_now(lambda tx: tallies.touch_flow_runs(tx, tx.all(composed(str, "select id from flow_run"))))
    settle(api)
    assert api.db.read_now(tallies.check) == []
    assert api.value("select count(*) from flow_run_unsettled") == 0
    assert seen(api) == ["begun"]


def test_a_task_that_waited_for_a_run_is_counted_anew(api: Api, id: str) -> None:
    def a_parent(tx: Tx) -> str:
        flow_id = rows.a_flow(tx)
        run_id = rows.a_flow_run(tx, flow_id, "COMPLETED", expected_start_time=START - timedelta(days=1))
        return rows.a_task_run(tx, run_id, "COMPLETED", expected_start_time=START - timedelta(days=1))

    parent, run_id = api.db.write_now(a_parent), a_run_left(api)
    api.execute("update flow_run set parent_task_run_id = {uuid:parent} where id = {uuid:id}", parent=parent, id=run_id)
    settle(api)
    assert api.db.read_now(tallies.check) == []
    api.http.delete(f"/deployments/{id}")
    purge(api)
    settle(api)
    assert api.db.read_now(tallies.check) == []


def settle(api: Api) -> None:
    while api.db.write_now(tallies.settle, api.now):
        pass


def piled_up(api: Api) -> str:
    """A deployment whose schedule goes on, with more runs that nobody took than are deleted at once."""
    id = api.deploy(CRON)
    api.schedule()
    api.later(600)
    api.schedule()
    assert len(api.runs(id)) == 71
    return id


PAUSES: dict[str, Callable[[Api, str], Any]] = {
    "pause": lambda api, id: api.http.post(f"/deployments/{id}/pause_deployment"),
    "delete schedule": lambda api, id: api.http.delete(
        f"/deployments/{id}/schedules/{api.read(id)['schedules'][0]['id']}"
    ),
}


@pytest.mark.parametrize("how", PAUSES)
def test_what_piled_up_goes_likewise_and_all_that_was_to_come_at_once(api: Api, how: str) -> None:
    id = piled_up(api)
    manual = api.http.post(f"/deployments/{id}/create_flow_run", json={"name": "manual"}).json["id"]
    assert PAUSES[how](api, id).status in (200, 204)

    assert {run.expected_start_time > api.now for run in api.runs(id)} == {False}
    assert len(api.runs(id)) == 10 - AT_ONCE + 1
    assert seen(api) == ["manual"]
    body = {"deployment_ids": [id], "scheduled_before": api.now.isoformat()}
    assert [run["id"] for run in api.http.post("/deployments/get_scheduled_flow_runs", json=body).json] == [manual]
    late = LateRuns(api.db, api.orchestration, timedelta(0))
    assert asyncio.run(late.run_once()) == 1
    assert purge(api) == 10 - AT_ONCE
    assert [run.id for run in api.runs(id)] == [manual]


def test_a_deployment_that_goes_on_at_once_has_its_runs(api: Api) -> None:
    id = piled_up(api)
    api.http.post(f"/deployments/{id}/pause_deployment")
    api.later(1)
    api.http.post(f"/deployments/{id}/resume_deployment")
    api.schedule()
    planned_anew = [run.id for run in api.runs(id) if run.expected_start_time > api.now]
    assert len(planned_anew) == 61
    assert len(seen(api)) == 61
    api.later(120)
    assert purge(api) == 10 - AT_ONCE
    assert [run.id for run in api.runs(id)] == planned_anew


def test_a_deployment_that_is_deleted_after_it_was_paused_keeps_none(api: Api) -> None:
    id = piled_up(api)
    api.http.post(f"/deployments/{id}/create_flow_run", json={"name": "manual"})
    api.http.post(f"/deployments/{id}/pause_deployment")
    [paused] = api.db.read_now(withdrawals.find_all)
    api.http.delete(f"/deployments/{id}")
    while api.db.write_now(planned.delete_withdrawn, paused) == BATCH:  # by who read it before
        pass
    purge(api)
    assert (api.runs(id), api.db.read_now(withdrawals.find_all)) == ([], [])


def test_nobody_is_handed_a_run_of_a_deleted_flow(api: Api, id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "MOST_RUNS", 5)
    flow_id = api.read(id)["flow_id"]
    api.db.write_now(flows.delete, Going(delete_deployments=delete_of_flows), flow_id)
    assert len(names(api)) == RUNS + 1
    assert polls(api, id) == []
    assert purge(api) == RUNS + 1
    assert (names(api), api.db.read_now(withdrawals.find_all)) == ([], [])


def test_the_service_is_called_as_soon_as_there_is_something_to_do(api: Api, id: str) -> None:
    told: list[str] = []
    api.db.listen(told.append)
    api.http.delete(f"/deployments/{id}")
    assert withdrawals.TOPIC in told


def test_a_run_that_begins_while_it_is_deleted_is_kept_with_its_logs(api: Api, id: str) -> None:
    """It is looked at once more: whoever found it did so before."""
    run_id = a_run_left(api)
    api.execute(LOG, at=START, id=run_id)

    def delete(tx: Tx) -> None:
        find = planned.PLANNED.find
        found = [one for one in tx.all(find, deployment_id=id, limit=100, now=None, old=START) if one.id == run_id]
        tx.run(composed(None, "update flow_run set state_type = 'PENDING' where id = :id"), id=run_id)
        planned.delete_found(tx, planned.PLANNED, found, None)

    api.db.write_now(delete)
    assert len(names(api)) == RUNS + 1
    assert api.value("select count(*) from run_tombstone") == 0
