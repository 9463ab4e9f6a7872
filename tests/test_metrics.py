"""What monitoring is told: exact figures of runs and limits, and how the services of the process fare."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from prometheus_client.parser import text_string_to_metric_families
from tests import calls, rows
from tests.web.client import Answer, TestClient

from lictor import metrics, tallies
from lictor.app import assemble
from lictor.concurrency import routes as concurrency_routes
from lictor.concurrency.slots import Waits
from lictor.db import Database, Tx
from lictor.kit import clock
from lictor.loops import Leases, Service, Supervisor
from lictor.metrics import Rounds
from lictor.settings import Settings, read

NOW = datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC)


def told(answer: Answer) -> dict[str, float]:
    """The samples, each by its name and the values of its labels."""
    assert answer.status == 200, answer
    families = text_string_to_metric_families(answer.text)
    samples = [each for family in families for each in family.samples]
    return {" ".join((each.name, *labels(each.labels))): each.value for each in samples}


def labels(told: dict[str, str]) -> list[str]:
    """Their values; the type of a state comes before its name."""
    return [told[name] for name in sorted(told, reverse=True)]


def scraped(db: Database, rounds: Rounds | None = None) -> dict[str, float]:
    return told(calls.client(db, metrics.router, rounds=rounds or Rounds()).get("/metrics"))


def settings_with(**variables: str) -> Settings:
    return read({name.upper(): value for name, value in variables.items()})


def test_it_is_answered_only_where_the_setting_says_so(db: Database) -> None:
    assert TestClient(assemble(Settings(), db)).get("/metrics").status == 404
    for variable in ("prefect_server_metrics_enabled", "prefect_api_enable_metrics"):
        answer = TestClient(assemble(settings_with(**{variable: "true"}), db)).get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=")
        assert {"python_info", "process_cpu_seconds_total", "lictor_flow_runs_due"} <= {
            name.partition(" ")[0] for name in told(answer)
        }


def test_it_asks_for_the_secret_as_all_else_does(db: Database) -> None:
    guarded = settings_with(prefect_server_metrics_enabled="true", prefect_server_api_auth_string="admin:pass")
    client = TestClient(assemble(guarded, db))
    assert client.get("/metrics").status == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer admin:pass"}).status == 200


def test_a_process_of_services_tells_it_too(db: Database) -> None:
    only = settings_with(prefect_server_metrics_enabled="true", lictor_role="services")
    client = TestClient(assemble(only, db))
    assert told(client.get("/metrics"))["lictor_flow_runs_due"] == 0
    assert client.get("/flows/").status == 404


def test_runs_are_counted_by_state_those_long_over_and_those_to_come(db: Database) -> None:
    clock.set_source(lambda: NOW)

    def fill(tx: Tx) -> None:
        flow_id = rows.a_flow(tx)
        for number in range(300):
            at = NOW - timedelta(days=1 + number / 100)
            rows.a_flow_run(tx, flow_id, "FAILED" if number % 100 == 0 else "COMPLETED", expected_start_time=at)
        rows.a_flow_run(tx, flow_id, "FAILED/TimedOut", expected_start_time=NOW - timedelta(minutes=5))
        rows.a_flow_run(tx, flow_id, "RUNNING", expected_start_time=NOW - timedelta(days=2))
        for state, minutes in (("SCHEDULED", 30), ("SCHEDULED/Late", -4), ("SCHEDULED/AwaitingRetry", -1)):
            at = NOW + timedelta(minutes=minutes)
            rows.a_flow_run(tx, flow_id, state, expected_start_time=at, next_scheduled_start_time=at)
        rows.a_flow_run(tx, flow_id)

    db.write_now(fill)
    before = scraped(db)
    while db.write_now(tallies.settle, NOW):
        pass
    samples = scraped(db)

    runs = {name: value for name, value in samples.items() if name.startswith("lictor_flow_runs")}
    assert runs == {
        "lictor_flow_runs COMPLETED Completed": 297,
        "lictor_flow_runs FAILED Failed": 3,
        "lictor_flow_runs FAILED TimedOut": 1,
        "lictor_flow_runs RUNNING Running": 1,
        "lictor_flow_runs SCHEDULED Scheduled": 1,
        "lictor_flow_runs SCHEDULED Late": 1,
        "lictor_flow_runs SCHEDULED AwaitingRetry": 1,
        "lictor_flow_runs  ": 1,
        "lictor_flow_runs_due": 2,
        "lictor_flow_runs_due_seconds": 240,
    }
    assert runs.items() <= before.items()


def test_slots_are_told_by_limit(db: Database) -> None:
    client = calls.client(db, concurrency_routes.router, metrics.router, rounds=Rounds(), waits=Waits())
    for name, active in (('with "quotes"', True), ("off", False)):
        made = client.post("/v2/concurrency_limits/", json={"name": name, "limit": 5, "active": active})
        assert made.status == 201
    taken = client.post("/v2/concurrency_limits/increment", json={"names": ['with "quotes"'], "slots": 2})
    assert taken.status == 200
    samples = told(client.get("/metrics"))
    assert {name: value for name, value in samples.items() if "limit" in name} == {
        'lictor_concurrency_limit_slots with "quotes"': 5,
        'lictor_concurrency_limit_slots_taken with "quotes"': 2,
    }


class Idle(Service):
    name = "idle"

    async def run_once(self) -> int:
        return 0


def test_services_are_told_by_the_process_that_leads_them(db: Database) -> None:
    supervisor = Supervisor([Idle(5)], Leases(db, ["idle"], length=3600))
    rounds = Rounds(supervisor.health)
    assert "lictor_service_failures idle" not in scraped(db, rounds)

    async def lead() -> None:
        await supervisor.start()
        async with asyncio.timeout(5):
            while not all(service.last_run for service in supervisor.health()):
                await asyncio.sleep(0.01)
        later = clock.now() + timedelta(seconds=76)
        clock.set_source(lambda: later)

    client = calls.client(db, metrics.router, rounds=rounds)
    client.runner.run(lead())
    samples = told(client.get("/metrics"))
    assert 76 <= samples["lictor_service_round_age_seconds idle"] < 80
    assert samples["lictor_service_failures idle"] == 0
    client.runner.run(supervisor.stop())
