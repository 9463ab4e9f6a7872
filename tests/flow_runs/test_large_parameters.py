"""Large parameters of runs stand in a table of their own: every answer has them, no transition writes them again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.architecture.test_plans import steps
from tests.deployments.http import CRON, Api

from lictor.db import Database, Tx
from lictor.db.statement import composed
from lictor.flow_runs import aside, store
from lictor.flow_runs.loops import OvertakenRuns

LARGE = {"text": 'ä"\n' * 4_000, "list": [1, 2.5, None], "": {}}
OTHER = {"text": "other" * 1_000}
SMALL = {"text": "x" * (aside.LARGE - len('{"text":""}'))}


@pytest.fixture
def api(db: Database) -> Api:
    return Api(db)


def made(api: Api, parameters: dict[str, Any], **more: Any) -> Any:
    body = {"flow_id": api.flow(), "state": {"type": "SCHEDULED"}, "parameters": parameters, **more}
    answer = api.http.post("/flow_runs/", json=body)
    assert answer.json["parameters"] == parameters
    return answer.json


def shown(api: Api, run_id: str) -> Any:
    return api.http.get(f"/flow_runs/{run_id}").json["parameters"]


def stand_aside(api: Api) -> int:
    """How many parameters do."""
    found: int = api.value("select count(*) from flow_run_parameters")
    return found


def test_every_answer_with_a_run_has_its_parameters(api: Api) -> None:
    api.http.post("/work_pools/", json={"name": "p", "type": "process"})
    deployment = api.deploy(work_pool_name="p", parameters=OTHER)
    more = {"deployment_id": deployment, "work_pool_name": "p", "idempotency_key": "k"}
    run = made(api, LARGE, **more)
    assert stand_aside(api) == 1
    answers = [
        api.http.get(f"/flow_runs/{run['id']}").json,
        api.http.post("/flow_runs/", json={"flow_id": run["flow_id"], "idempotency_key": "k"}).json,
        api.http.post("/flow_runs/filter", json={}).json[0],
        api.http.post("/flow_runs/filter", json={"sort": "START_TIME_DESC", "limit": 1}).json[0],
        api.http.post("/flow_runs/paginate", json={"sort": "NAME_ASC"}).json["results"][0],
        api.http.post("/work_pools/p/get_scheduled_flow_runs", json={}).json[0]["flow_run"],
        api.http.post("/deployments/get_scheduled_flow_runs", json={"deployment_ids": [deployment]}).json[0],
    ]
    assert [answer["parameters"] for answer in answers] == [LARGE] * len(answers)
    of_deployment = api.http.post(f"/deployments/{deployment}/create_flow_run", json={"parameters": {"more": 1}}).json
    assert of_deployment["parameters"] == OTHER | {"more": 1} == shown(api, of_deployment["id"])
    assert stand_aside(api) == 2


def test_small_parameters_stay_in_the_row_and_reading_them_looks_nowhere_else(api: Api, dialect: str) -> None:
    run, large = made(api, SMALL)["id"], made(api, SMALL | {"one": "more"})["id"]
    assert stand_aside(api) == 1
    assert (shown(api, run), shown(api, large)) == (SMALL, SMALL | {"one": "more"})
    if dialect == "sqlite":
        here, there = (api.db.read_now(lambda tx, id=id: counted(tx, id)) for id in (run, large))
        assert here < there


def counted(tx: Tx, run_id: str) -> int:
    """Steps of so many reads that a few more for each show."""
    return steps(tx, lambda tx: [store.get(tx, run_id) for _ in range(500)])


def test_parameters_that_change_move_with_their_size(api: Api) -> None:
    run = made(api, SMALL)["id"]
    for parameters, aside_then in ((LARGE, 1), (OTHER, 1), (SMALL, 0), ({}, 0), (LARGE, 1)):
        assert api.http.patch(f"/flow_runs/{run}", json={"parameters": parameters}).status == 204
        assert (shown(api, run), stand_aside(api)) == (parameters, aside_then)
    assert api.http.patch(f"/flow_runs/{run}", json={"name": "new"}).status == 204
    assert shown(api, run) == LARGE


def test_runs_of_a_schedule_have_theirs_and_leave_none_behind(api: Api) -> None:
    id = api.deploy({"schedule": CRON, "parameters": LARGE}, {"schedule": CRON, "parameters": {"a": 1}, "slug": "s"})
    api.schedule()
    found = [shown(api, run.id) for run in api.runs(id)]
    assert found.count(LARGE) == found.count({"a": 1}) == len(found) / 2 == stand_aside(api) > 0
    api.patch(id, schedules=[])
    assert (api.runs(id), stand_aside(api)) == ([], 0)


@pytest.mark.parametrize("gone", ["flow_runs/{run}", "flows/{flow}"])
def test_a_run_that_is_deleted_takes_its_parameters_along(api: Api, gone: str) -> None:
    run = made(api, LARGE)
    other = made(api, OTHER, flow_id=api.flow("other"))["id"]
    assert api.http.delete("/" + gone.format(run=run["id"], flow=run["flow_id"])).status == 204
    assert api.value("select flow_run_id from flow_run_parameters") == other
    assert stand_aside(api) == 1


def test_runs_of_other_large_parameters_are_other_work(api: Api) -> None:
    """And of the same ones the same, also where older runs have them in their row."""
    there, here = ({"schedule": CRON, "parameters": {"at": at * 5_000}, "slug": at} for at in ("t", "h"))
    id = api.deploy(there, here, tags=["catch-up:latest_only"])
    api.schedule()
    api.later(600)
    api.schedule()
    oldest = api.runs(id)[0].id
    api.execute("update flow_run set parameters = {json:own} where id = :id", own=shown(api, oldest), id=oldest)
    assert asyncio.run(OvertakenRuns(api.db, api.orchestration).run_once()) == 18
    runs = [run.id for run in api.runs(id) if run.expected_start_time <= api.now and run.state_type == "SCHEDULED"]
    assert sorted(shown(api, run)["at"][0] for run in runs) == ["h", "t"]


@pytest.mark.only_on("sqlite")
def test_a_transition_does_not_write_parameters_again(api: Api, database_url: str) -> None:
    """PostgreSQL never does."""
    run = made(api, {"text": "x" * 500_000})["id"]
    log = Path(database_url.removeprefix("sqlite:///") + "-wal")
    before = log.stat().st_size
    assert before > 500_000
    for state in ("PENDING", "RUNNING", "COMPLETED"):
        api.later(1)
        answer = api.http.post(f"/flow_runs/{run}/set_state", json={"state": {"type": state}})
        assert answer.json["status"] == "ACCEPT"
    assert len(shown(api, run)["text"]) == 500_000
    # Of each page that changed the log has a copy: these are some fifty, and parameters would be 360 more.
    assert 0 < log.stat().st_size - before < 500_000


def test_parameters_of_rows_from_before_are_still_read(api: Api) -> None:
    run = made(api, LARGE)["id"]
    api.execute("delete from flow_run_parameters")
    api.db.write_now(set_in_row, run)
    assert shown(api, run) == LARGE


def set_in_row(tx: Tx, run_id: str) -> None:
    tx.run(composed(None, "update flow_run set parameters = {json:own} where id = :id"), own=LARGE, id=run_id)
