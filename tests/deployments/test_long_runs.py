"""The scheduler over a day, and a deployment's limit under a crowd: nothing is missed, made twice or stuck."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from tests.deployments.http import Api

from lictor.deployments import scheduler
from lictor.deployments.schedule_types import parsed

BY_DAY = "FREQ=MINUTELY;BYHOUR=6,7,8,9,10,11,12,13,14,15,16,17;INTERVAL=1"
BARE = ("FREQ=MINUTELY;INTERVAL=5", "FREQ=HOURLY;BYMINUTE=7", "FREQ=WEEKLY;INTERVAL=2", "FREQ=DAILY;BYHOUR=7")
OLD = "DTSTART:20200101T000000Z\nRRULE:FREQ=MINUTELY;INTERVAL=5"
MINUTE = timedelta(minutes=1)


def rounds(api: Api, until: datetime) -> int:
    """Rounds of the scheduler, two an hour, as the clock moves on; how much memory is in use then, in blocks."""
    while api.now < until:
        asyncio.run(api.scheduler.run_once())
        api.later(1800)
    gc.collect()
    return sys.getallocatedblocks()


def test_a_minutely_rule_of_a_day_misses_no_minute_and_has_none_twice(api: Api) -> None:
    id = api.deploy({"rrule": BY_DAY, "timezone": "UTC"})
    begun = api.now
    early = rounds(api, begun + timedelta(hours=6))
    assert rounds(api, begun + timedelta(hours=24)) - early < 5_000
    dates = [run.expected_start_time for run in api.runs(id) if run.expected_start_time <= api.now]
    first = begun.replace(minute=1, second=0)
    every = (first + MINUTE * number for number in range(24 * 60))
    assert dates == [date for date in every if 6 <= date.hour <= 17]


def test_seventy_rules_and_crons_cost_little_and_keep_their_phase(api: Api) -> None:
    rules = [{"rrule": BARE[number % len(BARE)], "timezone": "UTC"} for number in range(28)]
    rules += [{"rrule": OLD, "timezone": "UTC"}] * 2
    crons = [{"cron": f"{number} * * * *"} for number in range(40)]
    ids = [api.deploy(one, name=str(number)) for number, one in enumerate(rules + crons)]
    begun = time.process_time()
    api.schedule()
    assert time.process_time() - begun < 4  # a quarter of it is seen where nothing else runs
    assert all(api.runs(id) for id in ids)
    for minutes in (1, 30, 120):
        api.later(minutes * 60)
        begun = time.process_time()
        api.schedule()
        assert time.process_time() - begun < 2
    # As after a restart: the dates of a rule come from the rule alone.
    fortnights = [run.expected_start_time for run in api.runs(ids[2])]
    assert {later - earlier for earlier, later in pairwise(fortnights)} == {timedelta(weeks=2)}
    api.now += timedelta(weeks=7)
    api.schedule()
    again = [run.expected_start_time for run in api.runs(ids[2])]
    assert {(later - earlier) % timedelta(weeks=2) for earlier, later in pairwise(again)} == {timedelta()}


def test_the_dates_of_a_look_are_worked_out_quickly(api: Api) -> None:
    """What a round does outside the database."""
    start = datetime(2026, 5, 4, tzinfo=UTC)
    begun = time.process_time()
    for rule in (BY_DAY, *BARE, OLD):
        schedule = parsed(f'{{"rrule": {rule!r}, "timezone": "UTC"}}'.replace("'", '"').encode())
        assert next(iter(scheduler.dates(schedule, start, start + timedelta(days=100)))) >= start
    assert time.process_time() - begun < 0.5


CHILDREN = 30


@pytest.mark.parametrize("patient", [True, False], ids=["as handed out", "all at once"])
def test_many_children_of_a_limited_deployment_all_finish(api: Api, patient: bool) -> None:
    """A parent starts them by `run_deployment`; the worker takes what it is handed, or proposes whatever there is."""
    id = api.deploy(concurrency_limit=1, work_pool_name=a_pool(api))
    parent = api.http.post("/flow_runs/", json={"flow_id": api.flow(), "state": {"type": "RUNNING"}}).json["id"]
    children = [child(api, id, parent, number) for number in range(CHILDREN)]
    finished: list[str] = []
    for _ in range(CHILDREN + 5):
        api.later(1)
        wanted = handed_out(api, 10) if patient else [one for one in children if one not in finished]
        running = [one for one in wanted if propose(api, one, "PENDING") == "Pending"]
        assert len(running) <= 1
        for one in running:
            assert propose(api, one, "RUNNING") == "Running"
            assert propose(api, one, "COMPLETED") == "Completed"
        finished += running
    assert finished == children
    turned_away = "select count(*) from flow_run_state where name = 'AwaitingConcurrencySlot'"
    assert not patient or api.value(turned_away) == 0


def a_pool(api: Api) -> str:
    api.http.post("/work_pools/", json={"name": "p", "type": "process"})
    return "p"


def child(api: Api, deployment_id: str, parent: str, number: int) -> str:
    api.later(0.01)
    body: dict[str, Any] = {"flow_run_id": parent, "task_key": "d", "dynamic_key": str(number), "name": f"d-{number}"}
    task = api.http.post("/task_runs/", json=body).json["id"]
    answer = api.http.post(f"/deployments/{deployment_id}/create_flow_run", json={"parent_task_run_id": task})
    assert answer.status == 201, answer
    return str(answer.json["id"])


def handed_out(api: Api, limit: int) -> list[str]:
    ahead = (api.now + timedelta(seconds=10)).isoformat()
    body = {"limit": limit, "scheduled_before": ahead}
    return [one["flow_run"]["id"] for one in api.http.post("/work_pools/p/get_scheduled_flow_runs", json=body).json]


def propose(api: Api, run_id: str, state: str) -> str:
    api.later(0.001)
    sent = {"state": {"type": state}}
    headers = {"User-Agent": "prefect/3.9.1 (API 0.8.4)"}
    return str(api.http.post(f"/flow_runs/{run_id}/set_state", json=sent, headers=headers).json["state"]["name"])
