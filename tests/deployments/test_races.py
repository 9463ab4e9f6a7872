"""The scheduler beside those who change what it schedules: no run twice, none of a schedule that is gone, and none
without a deployment."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

from tests.calls import NOWHERE
from tests.deployments.http import CRON, HORIZON, HOURLY, Api
from tests.processes import until

from lictor.db import Database
from lictor.deployments import changes, scheduler, upsert
from lictor.deployments.schedule_types import CronSchedule
from lictor.deployments.types import DeploymentCreate, DeploymentScheduleCreate, DeploymentUpdate
from lictor.kit import clock
from lictor.kit.errors import NotFound, Unavailable

TWICE = """
    select count(*) from (
        select 1 from flow_run where auto_scheduled group by deployment_id, expected_start_time having count(*) > 1
    ) twice
"""
STRAY = """
    select count(*) from flow_run r where r.auto_scheduled and r.next_scheduled_start_time > :now and not exists (
        select 1 from deployment_schedule s join deployment d on d.id = s.deployment_id
        where cast(s.id as text) = r.created_by ->> 'id' and s.active and not d.paused and d.id = r.deployment_id
    )
"""


def schedulers(db: Database, stop: threading.Event) -> int:
    """Rounds without a pause, as two leaders at once would make them; the time between reading and writing varies."""
    made = 0
    while not stop.is_set():
        found = db.read_now(scheduler.due, 100)
        plans = [scheduler.plan(one, HORIZON, clock.now()) for one in found]
        if random.random() < 0.5:
            time.sleep(random.random() * 0.01)
        if plans:
            made += patiently(lambda: db.write_now(scheduler.carry_out, plans))  # noqa: B023 - called at once
    return made


def patiently(work: Callable[[], int]) -> int:
    deadline = time.monotonic() + 30
    while True:
        try:
            return work()
        except Unavailable:
            assert time.monotonic() < deadline


def beside_schedulers(db: Database, work: Callable[[], None]) -> int:
    stop = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        rounds = [pool.submit(schedulers, db, stop) for _ in range(2)]
        try:
            work()
        finally:
            stop.set()
        return sum(one.result(60) for one in rounds)


def creation(flow_id: str, *crons: str) -> DeploymentCreate:
    schedules = [DeploymentScheduleCreate(schedule=CronSchedule(cron)) for cron in crons]
    return DeploymentCreate(name="d", flow_id=UUID(flow_id), schedules=schedules)


def test_redeploying_beside_the_scheduler_makes_no_run_twice(api: Api) -> None:
    flow_id = api.flow()
    clock.reset()

    def redeploy() -> None:
        for number in range(40):
            api.db.write_now(upsert.insert_or_update, creation(flow_id, ("* * * * *", "*/2 * * * *")[number % 2]))
            time.sleep(random.random() * 0.01)

    assert beside_schedulers(api.db, redeploy) > 0
    api.schedule()
    assert api.value(TWICE) == 0
    assert api.value(STRAY, now=clock.now()) == 0
    assert api.value("select count(*) from flow_run") > 20


def test_pausing_and_changing_beside_the_scheduler_leaves_no_run_of_the_old_plan(api: Api) -> None:
    id = api.deploy(CRON)
    clock.reset()

    def change() -> None:
        for number in range(30):
            step = (changes.pause, changes.resume)[number % 2]
            api.db.write_now(step, id)
            if number % 2 == 0:
                assert api.value("select count(*) from flow_run") == 0
            else:
                if number == 1:  # the schedulers come in between at least once
                    until(lambda: api.value("select count(*) from flow_run"), within=30)
                api.db.write_now(changes.update, id, DeploymentUpdate(tags=[str(number)]))

    assert beside_schedulers(api.db, change) > 0
    api.schedule()
    assert api.value(TWICE) == 0
    assert api.value(STRAY, now=clock.now()) == 0
    tags = {tuple(api.http.get(f"/flow_runs/{run.id}").json["tags"]) for run in api.runs(id)[:5]}
    assert tags == {("auto-scheduled", "29")}


def test_a_deleted_deployment_leaves_no_run(api: Api) -> None:
    flow_id = api.flow()
    clock.reset()

    def make_and_delete() -> None:
        for _ in range(30):
            made = api.db.write_now(upsert.insert_or_update, creation(flow_id, "* * * * *")).value
            time.sleep(random.random() * 0.005)
            api.db.write_now(changes.delete, made.id)

    beside_schedulers(api.db, make_and_delete)
    assert api.value("select count(*) from flow_run") == 0
    assert api.value("select count(*) from deployment_schedule") == 0


def test_a_plan_of_an_older_revision_is_not_carried_out(api: Api) -> None:
    id = api.deploy(HOURLY)
    plans = [scheduler.plan(one, HORIZON, api.now) for one in api.db.read_now(scheduler.due, 10)]
    api.patch(id, description="changed meanwhile")
    assert api.db.write_now(scheduler.carry_out, plans) == 0
    assert not api.runs(id)
    plans = [scheduler.plan(one, HORIZON, api.now) for one in api.db.read_now(scheduler.due, 10)]
    assert api.db.write_now(scheduler.carry_out, plans) == 3
    assert api.db.write_now(scheduler.carry_out, plans) == 0
    assert len(api.runs(id)) == 3


def test_a_clock_that_is_behind_makes_no_date_again(api: Api) -> None:
    """The scheduler may run on another machine than the change that made it begin anew."""
    id = api.deploy(HOURLY)
    api.schedule()
    api.later(3600 - 30)  # 11:00 exactly: that run is not in the future any more, and stays
    api.deploy(HOURLY)
    api.now -= timedelta(minutes=5)
    assert api.schedule() == 0
    api.later(301)
    api.schedule()
    assert api.dates(id) == ["04 11:00", "04 12:00", "04 13:00", "04 14:00"]
    assert api.value(TWICE) == 0


def test_changes_at_once_of_one_deployment_follow_each_other(api: Api) -> None:
    id = api.deploy(HOURLY, {"cron": "30 * * * *"})
    clock.reset()

    def one(number: int) -> None:
        for turn in range(8):
            match (number + turn) % 4:
                case 0:
                    api.db.write_now(changes.pause, id)
                case 1:
                    api.db.write_now(changes.resume, id)
                case 2:
                    api.db.write_now(changes.update, id, DeploymentUpdate(description=str(turn)))
                case 3:
                    with contextlib.suppress(NotFound):
                        api.db.write_now(changes.delete, NOWHERE)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(one, number) for number in range(4)]:
            done.result(60)
    changes_told = [event for event in api.events() if event.event == "prefect.deployment.updated"]
    assert changes_told
