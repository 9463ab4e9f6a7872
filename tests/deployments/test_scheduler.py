"""What the scheduler makes, and what it leaves alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests.deployments.http import CRON, HORIZON, HOURLY, START, Api

from lictor.db import Tx
from lictor.db.statement import composed
from lictor.deployments import scheduler
from lictor.deployments.loops import Scheduler
from lictor.deployments.scheduler import Due, Horizon, Plan
from lictor.kit import ids


def test_runs_are_made_as_far_ahead_as_the_reference_makes_them(api: Api) -> None:
    id = api.deploy(HOURLY, tags=["t"], parameters={"a": 1}, labels={"l": 1}, version="2")
    assert api.schedule() == 1
    assert api.dates(id) == ["04 11:00", "04 12:00", "04 13:00"]
    (first, *_) = api.runs(id)
    run = api.http.get(f"/flow_runs/{first.id}").json
    schedule = api.read(id)["schedules"][0]
    assert run["idempotency_key"] == f"scheduled {id} {schedule['id']} 2026-05-04 11:00:00+00:00"
    assert run["tags"] == ["auto-scheduled", "t"]
    assert run["parameters"] == {"a": 1}
    assert run["labels"] == {"l": 1, "prefect.flow.id": run["flow_id"], "prefect.deployment.id": id}
    assert run["created_by"] == {"id": schedule["id"], "type": "SCHEDULE", "display_value": "CronSchedule"}
    assert (run["auto_scheduled"], run["deployment_version"], run["job_variables"]) == (True, "2", {})
    assert run["next_scheduled_start_time"] == run["expected_start_time"] == "2026-05-04T11:00:00Z"
    assert run["state"]["message"] == "Flow run scheduled"
    assert run["state"]["state_details"]["scheduled_time"] == "2026-05-04T11:00:00Z"
    assert run["state"]["id"] == run["state_id"]


def test_a_schedule_has_parameters_and_a_name_of_its_own(api: Api) -> None:
    id = api.deploy({"schedule": HOURLY, "parameters": {"b": 2}, "slug": "s"}, parameters={"a": 1, "b": 1})
    api.schedule()
    run = api.http.get(f"/flow_runs/{api.runs(id)[0].id}").json
    assert run["parameters"] == {"a": 1, "b": 2}
    assert run["created_by"]["display_value"] == "s"


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"min_time": 3.6e16}, 422),
        ({"min_time": 8.6e13, "max_runs": 3}, 200),
        ({"min_time": -86_399_999_913_600, "max_runs": 3}, 200),
        ({"min_time": -86_399_999_913_601}, 422),
        ({"start_time": "0001-01-01T00:00:00", "end_time": "0001-01-02T00:00:00", "max_runs": 3}, 200),
        ({"start_time": "9999-12-31T20:00:00", "max_runs": 3}, 200),
        ({"min_runs": 2**62, "max_runs": -1}, 200),
    ],
)
def test_runs_may_be_asked_for_at_the_ends_of_time(api: Api, asked: dict[str, Any], status: int) -> None:
    for schedule in (HOURLY, {"interval": 3600}, {"rrule": "FREQ=HOURLY"}):
        id = api.deploy(schedule)
        assert api.http.post(f"/deployments/{id}/schedule", json=asked).status == status


def test_nothing_is_read_or_written_again_until_it_is_due(api: Api) -> None:
    id = api.deploy(CRON)
    assert api.schedule() == 1
    assert len(api.runs(id)) == 61
    events = len(api.events())
    assert api.schedule() == 0
    api.later(60)
    assert api.schedule() == 1
    assert len(api.runs(id)) == 62
    api.later(600)
    api.schedule()
    assert len({run.expected_start_time for run in api.runs(id)}) == len(api.runs(id)) == 72
    assert len(api.events()) == events


def test_time_without_a_server_is_not_made_up_for(api: Api) -> None:
    id = api.deploy(HOURLY)
    api.schedule()
    api.later(86400)
    api.schedule()
    assert api.dates(id) == ["04 11:00", "04 12:00", "04 13:00", "05 11:00", "05 12:00", "05 13:00"]


def test_what_is_inactive_or_paused_gets_no_runs(api: Api) -> None:
    id = api.deploy({"schedule": HOURLY, "active": False})
    paused = api.deploy(HOURLY, name="paused", paused=True)
    assert api.schedule() == 0
    schedule = api.read(id)["schedules"][0]["id"]
    assert api.http.patch(f"/deployments/{id}/schedules/{schedule}", json={"active": True}).status == 204
    assert api.http.post(f"/deployments/{paused}/resume_deployment").status == 200
    api.schedule()
    assert len(api.runs(id)) == len(api.runs(paused)) == 3
    assert api.http.patch(f"/deployments/{id}/schedules/{schedule}", json={"active": False}).status == 204
    api.patch(paused, paused=True)
    assert not api.runs(id)
    assert not api.runs(paused)
    assert api.schedule() == 0


@pytest.mark.parametrize(("verb", "paused"), [("resume", False), ("pause", True)])
def test_who_pauses_what_is_paused_or_resumes_what_is_not_changes_nothing(api: Api, verb: str, paused: bool) -> None:
    id = api.deploy(HOURLY, paused=paused)
    before = api.read(id), len(api.events())
    api.now += timedelta(minutes=1)
    assert api.http.post(f"/deployments/{id}/{verb}_deployment").status == 200
    assert (api.read(id), len(api.events())) == before


@pytest.mark.parametrize("change", ["patch", "upsert", "schedule", "pause", "delete schedule", "delete"])
def test_a_change_removes_the_runs_that_were_planned_in_its_transaction(api: Api, change: str) -> None:
    id = api.deploy(HOURLY)
    schedule = api.read(id)["schedules"][0]["id"]
    api.schedule()
    api.later(3600)  # the first run is late
    match change:
        case "patch":
            api.patch(id, parameters={"a": 1})
        case "upsert":
            api.deploy({"cron": "30 * * * *"})
        case "schedule":
            api.http.patch(f"/deployments/{id}/schedules/{schedule}", json={"schedule": {"cron": "30 * * * *"}})
        case "pause":
            api.http.post(f"/deployments/{id}/pause_deployment")
        case "delete schedule":
            api.http.delete(f"/deployments/{id}/schedules/{schedule}")
        case "delete":
            api.http.delete(f"/deployments/{id}")
    left = [] if change in ("pause", "delete schedule", "delete") else ["04 11:00"]
    assert api.dates(id) == left
    api.schedule()
    made = {"patch": ["04 12:00", "04 13:00", "04 14:00"], "upsert": ["04 11:30", "04 12:30", "04 13:30"]}
    made["schedule"] = made["upsert"]
    assert api.dates(id) == left + made.get(change, [])


def test_parameters_of_a_change_reach_the_runs_that_are_planned(api: Api) -> None:
    id = api.deploy(HOURLY)
    api.schedule()
    api.patch(id, parameters={"new": 1})
    api.schedule()
    assert api.http.get(f"/flow_runs/{api.runs(id)[0].id}").json["parameters"] == {"new": 1}


def test_a_run_that_is_under_way_already_is_not_made_again_for_new_schedules(api: Api) -> None:
    id = api.deploy(HOURLY)
    api.schedule()
    first = api.runs(id)[0]
    answer = api.http.post(f"/flow_runs/{first.id}/set_state", json={"state": {"type": "PENDING"}})
    assert answer.json["status"] == "ACCEPT"
    api.later(1)
    api.deploy(HOURLY)
    api.schedule()
    assert api.dates(id) == ["04 11:00", "04 12:00", "04 13:00"]
    assert api.runs(id)[0].id == first.id


def test_a_run_that_was_put_off_keeps_its_date_from_being_made_again(api: Api) -> None:
    id = api.deploy(HOURLY)
    api.schedule()
    made = api.runs(id)
    api.execute("update flow_run set expected_start_time = {ts:at} where id = :id", at=api.now, id=made[1].id)
    api.execute("delete from flow_run where id = :id", id=made[2].id)
    assert api.audit() == 1
    api.schedule()
    assert [run.id for run in api.runs(id) if run.idempotency_key == made[1].idempotency_key] == [made[1].id]
    assert {run.idempotency_key for run in api.runs(id)} == {run.idempotency_key for run in made}
    assert api.value("select count(*) from flow_run_state") == len(made)


def test_two_schedules_that_meet_make_a_run_each(api: Api) -> None:
    id = api.deploy(HOURLY, {"cron": "0 */2 * * *"})
    api.schedule()
    assert api.dates(id).count("04 12:00") == 2


def test_a_run_in_the_queue_for_a_slot_survives_a_change_but_not_the_deployment(api: Api) -> None:
    id = api.deploy(HOURLY)
    api.schedule()
    run = api.runs(id)[0].id
    api.execute("update flow_run set state_name = 'AwaitingConcurrencySlot' where id = :id", id=run)
    api.patch(id, description="x")
    assert [one.id for one in api.runs(id)] == [run]
    api.http.delete(f"/deployments/{id}")
    assert not api.runs(id)


def test_runs_that_disappear_are_made_again(api: Api) -> None:
    id = api.deploy(HOURLY)
    kept = api.deploy(HOURLY, name="kept")
    api.schedule()
    for run in api.runs(id):
        api.http.delete(f"/flow_runs/{run.id}")
    assert api.schedule() == 0
    assert api.audit() == 1
    assert api.audit() == 0
    assert api.schedule() == 1
    assert len(api.runs(id)) == len(api.runs(kept)) == 3


def test_the_date_of_a_deleted_run_in_the_middle_stays_free(api: Api) -> None:
    id = api.deploy(HOURLY)
    api.schedule()
    api.http.delete(f"/flow_runs/{api.runs(id)[0].id}")
    assert api.audit() == 0
    api.schedule()
    assert api.dates(id) == ["04 12:00", "04 13:00"]


def test_runs_that_wait_follow_their_deployment_to_another_pool(api: Api) -> None:
    for pool in "ab":
        api.http.post("/work_pools/", json={"name": pool, "type": "process"})
    id = api.deploy(HOURLY, work_pool_name="a")
    api.schedule()
    manual = api.http.post(f"/deployments/{id}/create_flow_run", json={}).json
    assert manual["work_pool_name"] == "a"
    api.patch(id, work_pool_name="b")
    api.schedule()
    pools = {api.http.get(f"/flow_runs/{run.id}").json["work_pool_name"] for run in api.runs(id)}
    assert pools == {"b"}
    assert len(api.runs(id)) == 4


def test_a_schedule_that_makes_no_sense_does_not_hold_up_others(api: Api) -> None:
    api.deploy(HOURLY, name="broken")
    text = (
        """update deployment_schedule set schedule = '{"cron": "0 0 * * *", "timezone": "Nowhere", "day_or": true}'"""
    )
    api.execute(text)
    id = api.deploy(HOURLY)
    api.schedule()
    assert len(api.runs(id)) == 3


def test_a_round_takes_no_more_than_a_batch(api: Api) -> None:
    flow = api.flow()
    for number in range(5):
        api.deploy(HOURLY, name=f"d{number}", flow_id=flow)
    api.scheduler.batch = 2
    assert api.schedule() == 5
    assert api.value("select count(*) from flow_run") == 15


def test_a_transaction_plans_as_many_deployments_as_the_setting_says(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    planned, carry_out = [], scheduler.carry_out

    def noted(tx: Tx, plans: list[Plan]) -> int:
        planned.append(len(plans))
        return carry_out(tx, plans)

    monkeypatch.setattr(scheduler, "carry_out", noted)
    api.scheduler = Scheduler(api.db, HORIZON, batch=2)
    for number in range(5):
        api.deploy(HOURLY, name=f"d{number}")
    assert api.schedule() == 5
    assert planned == [2, 2, 1]
    assert api.scheduler.batch == 8


def test_the_names_of_runs_that_are_made_together_begin_alike(api: Api) -> None:
    for name in "ab":
        api.deploy(CRON, name=name)
    api.schedule()
    names = set(api.db.read_now(lambda tx: tx.all(composed(str, "select name from flow_run"))))
    assert len(names) == 122
    assert len({name.partition("-")[0] for name in names}) <= 4


def test_a_transaction_inserts_as_many_runs_as_the_setting_says(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    made, carry_out = [], scheduler.carry_out

    def noted(tx: Tx, plans: list[Plan]) -> int:
        made.append(carry_out(tx, plans))
        return made[-1]

    monkeypatch.setattr(scheduler, "carry_out", noted)
    api.scheduler = Scheduler(api.db, HORIZON, insert_batch=6)
    for number in range(5):
        api.deploy(HOURLY, name=f"d{number}")
    api.schedule()
    assert made == [6, 6, 3]


def due(schedule: dict[str, Any], planned: list[datetime] | None = None, until: datetime = START) -> Due:
    return Due(ids.new(), ids.new(), 0, msgspec.Raw(msgspec.json.encode(schedule)), planned or [], until)


def test_a_plan_goes_on_where_the_last_one_ended() -> None:
    first = scheduler.plan(due({**CRON, "timezone": None, "day_or": True}), HORIZON, START)
    assert len(first.new) == 61
    assert first.due == first.planned[-1] - timedelta(hours=1)
    later = first.due + timedelta(seconds=1)
    again = scheduler.plan(
        due({**CRON, "timezone": None, "day_or": True}, first.planned, first.planned[-1]), HORIZON, later
    )
    assert again.new == [first.planned[-1] + timedelta(minutes=1)]
    assert again.planned == [date for date in first.planned if date > later] + again.new


def test_schedules_that_say_the_same_share_their_dates_but_not_what_they_have() -> None:
    planned = [START + timedelta(hours=1, minutes=59, seconds=30)]
    found = [
        due(HOURLY),
        due(HOURLY, until=START - timedelta(days=1)),
        due(HOURLY, planned, planned[-1]),
        due({"cron": "never"}),
        due({"cron": "0 12 * * *"}),
    ]
    plans = scheduler.plan_all(found, HORIZON, START)
    assert plans == [scheduler.plan(one, HORIZON, START) for one in found]
    assert [len(one.new) for one in plans] == [3, 3, 2, 0, 3]


def test_schedules_of_one_rhythm_are_written_one_after_the_other() -> None:
    found = [due(schedule) for schedule in (CRON, HOURLY, {"cron": "never"}, {"cron": "0 12 * * *"}, CRON, HOURLY)]
    plans = scheduler.plan_all(found, HORIZON, START)
    order = [found.index(one.of) for one in scheduler.alike_together(plans)]
    assert order == [2, 0, 4, 1, 5, 3]


def test_no_more_runs_are_made_than_the_most_and_none_beyond_the_horizon() -> None:
    each_second = {"interval": 1.0, "anchor_date": "2026-01-01T00:00:00Z", "timezone": "UTC"}
    plan = scheduler.plan(due(each_second), HORIZON, START)
    assert len(plan.new) == 100
    assert START < plan.due < plan.new[-1]
    yearly = {"cron": "0 0 1 1 *", "timezone": None, "day_or": True}
    plan = scheduler.plan(due(yearly), HORIZON, START)
    assert not plan.new
    assert plan.due == START + timedelta(days=1)
    short = Horizon(3, 100, timedelta(minutes=1), timedelta(minutes=2))
    assert len(scheduler.plan(due({**CRON, "timezone": None, "day_or": True}), short, START).new) == 2


def test_dates_up_to_the_last_change_are_never_planned() -> None:
    at = datetime(2026, 5, 4, 11, tzinfo=UTC)
    plan = scheduler.plan(due({**HOURLY, "timezone": None, "day_or": True}, until=at), HORIZON, START)
    assert plan.new[0] == at + timedelta(hours=1)
