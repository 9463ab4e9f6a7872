"""Runs of schedules that piled up while no worker ran: which start when one is back, and what becomes of the others."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from tests.deployments.http import CRON, Api

from lictor.db import Database
from lictor.flow_runs import transitions
from lictor.flow_runs.catch_up import MESSAGE, CatchUp
from lictor.flow_runs.loops import LateRuns, OvertakenRuns
from lictor.kit.catch_up import Policy, parsed
from lictor.states.types import StateCreate

HOUR = 3600
LATEST = ["catch-up:latest_only"]


@pytest.fixture
def api(db: Database) -> Api:
    return Api(db)


def down(api: Api, *schedules: dict[str, Any], **more: Any) -> str:
    """A deployment with a run each minute, of which none was taken for an hour."""
    id = api.deploy(*(schedules or (CRON,)), **more)
    api.schedule()
    api.later(HOUR)
    api.schedule()
    return id


def skip(api: Api) -> int:
    return asyncio.run(OvertakenRuns(api.db, api.orchestration).run_once())


def names(api: Api, id: str) -> Counter[str]:
    """The states of the runs that were due, and how many of each."""
    return Counter(run.state_name for run in api.runs(id) if run.expected_start_time <= api.now)


def propose(api: Api, run_id: str, type: str) -> Any:
    api.later(0.001)
    return api.http.post(f"/flow_runs/{run_id}/set_state", json={"state": {"type": type}}).json


def due(api: Api, id: str) -> list[str]:
    return [run.id for run in api.runs(id) if run.expected_start_time <= api.now]


def test_all_runs_start_unless_somebody_says_otherwise(api: Api) -> None:
    id = down(api, tags=["catch-up:none such", "other"])
    assert skip(api) == 0
    assert names(api, id) == {"Scheduled": 60}
    assert propose(api, due(api, id)[0], "PENDING")["status"] == "ACCEPT"


@pytest.mark.parametrize(
    ("policy", "left"), [("latest_only", 1), ("max_queued=1", 1), ("max_queued=7", 7), ("all", 60)]
)
def test_the_newest_are_left_and_the_others_are_skipped_with_the_reason(api: Api, policy: str, left: int) -> None:
    id = down(api, tags=[f"catch-up:{policy}"])
    assert skip(api) == 60 - left
    runs = due(api, id)
    assert [run.state_name for run in api.runs(id)][:61] == ["Skipped"] * (60 - left) + ["Scheduled"] * (left + 1)
    assert skip(api) == 0
    if left == 60:
        return
    first = api.http.get(f"/flow_runs/{runs[0]}").json
    assert (first["state_type"], first["state"]["message"]) == ("CANCELLED", MESSAGE)
    assert propose(api, runs[-left], "PENDING")["status"] == "ACCEPT"
    told = "select count(*) from events where event = 'prefect.flow-run.Skipped'"
    assert api.value(told) == 60 - left


def test_late_runs_and_those_that_wait_for_a_slot_are_skipped_too(api: Api) -> None:
    id = api.deploy(CRON, tags=LATEST, concurrency_limit=1)
    api.schedule()
    api.later(120)
    second = due(api, id)[1]
    holder = api.http.post(f"/deployments/{id}/create_flow_run", json={}).json["id"]
    assert propose(api, holder, "PENDING")["status"] == "ACCEPT"
    assert propose(api, second, "PENDING")["state"]["name"] == "AwaitingConcurrencySlot"
    assert skip(api) == 1
    api.later(60)
    asyncio.run(LateRuns(api.db, api.orchestration, timedelta()).run_once())
    assert skip(api) == 1
    assert [run.state_name for run in api.runs(id) if run.auto_scheduled][:4] == [
        "Skipped",
        "Skipped",
        "Late",
        "Scheduled",
    ]
    # Whose retry waits has begun.
    api.execute("update flow_run set run_count = 1 where state_name = 'Late'")
    api.later(60)
    assert skip(api) == 0


def test_what_people_made_or_put_off_is_not_skipped(api: Api) -> None:
    id = api.deploy(CRON, tags=LATEST)
    api.schedule()
    api.later(90)
    mine = api.http.post(f"/deployments/{id}/create_flow_run", json={}).json["id"]
    later = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2026-05-05T00:00:00Z"}}
    put_off = api.runs(id)[0].id
    api.http.post(f"/flow_runs/{put_off}/set_state", json={"state": later, "force": True})
    api.later(120)
    assert skip(api) == 2
    assert propose(api, mine, "PENDING")["status"] == "ACCEPT"
    assert api.http.get(f"/flow_runs/{put_off}").json["state_type"] == "SCHEDULED"


def test_runs_of_other_parameters_are_other_work(api: Api) -> None:
    there, here = ({"schedule": CRON, "parameters": {"at": at}, "slug": at} for at in ("there", "here"))
    id = down(api, there, here, {"schedule": {"cron": "*/2 * * * *"}, "parameters": {"at": "here"}}, tags=LATEST)
    assert skip(api) == 148
    left = [api.http.get(f"/flow_runs/{run}").json for run in due(api, id)]
    assert sorted(run["parameters"]["at"] for run in left if run["state_type"] == "SCHEDULED") == ["here", "there"]


def test_the_server_s_policy_gives_way_to_the_deployment_s_tag_and_that_to_the_setting_that_names_it(
    db: Database,
) -> None:
    api = Api(db, CatchUp(Policy(2), {"f/named": Policy()}))
    plain = down(api, name="plain")
    tagged = down(api, name="tagged", tags=["catch-up:max_queued=1", "catch-up:max_queued=3"])
    named = down(api, name="named", tags=LATEST)
    skip(api)
    left = [names(api, id)["Scheduled"] for id in (plain, tagged, named)]
    assert left == [2, 3, 60]


def test_a_run_in_somebody_s_hand_is_skipped_when_it_would_start(api: Api) -> None:
    id = down(api, tags=LATEST)
    runs = due(api, id)
    answer = propose(api, runs[-2], "PENDING")
    assert (answer["status"], answer["state"]["name"], answer["details"]["reason"]) == ("REJECT", "Skipped", MESSAGE)
    assert propose(api, runs[-3], "RUNNING")["state"]["name"] == "Skipped"
    assert propose(api, runs[-1], "PENDING")["status"] == "ACCEPT"
    # What is done with force is done.
    forced = {"state": {"type": "PENDING"}, "force": True}
    assert api.http.post(f"/flow_runs/{runs[0]}/set_state", json=forced).json["status"] == "ACCEPT"


def test_of_runs_that_many_workers_want_at_once_while_others_are_skipped_one_starts(api: Api) -> None:
    id = down(api, tags=LATEST)
    runs, at = due(api, id), api.now

    def take(order: list[str]) -> list[str]:
        got = []
        for run in order:
            wanted = StateCreate("PENDING")
            outcome = api.db.write_now(transitions.set_state, api.orchestration, run, wanted)
            got += [run] if outcome.result.status == "ACCEPT" else []
        return got

    jobs: list[Callable[[], Any]] = [
        lambda: take(runs),
        lambda: take(runs[::-1]),
        lambda: skip(api),
        lambda: take(runs[30:] + runs[:30]),
    ]
    with ThreadPoolExecutor(len(jobs)) as pool:
        outcomes = [one.result() for one in [pool.submit(job) for job in jobs]]
    taken = [run for outcome in outcomes if isinstance(outcome, list) for run in outcome]
    assert (taken, api.now) == ([runs[-1]], at)
    assert names(api, id) == {"Skipped": 59, "Pending": 1}


@pytest.mark.parametrize("text", ["", "latest", "max_queued=0", "max_queued=x", "max_queued=-1"])
def test_what_is_no_policy(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text}$"):
        parsed(text)


@pytest.mark.parametrize("text", ["all", "latest_only", "max_queued=2"])
def test_a_policy_is_written_as_it_is_read(text: str) -> None:
    assert str(parsed(text)) == text
