"""What a schedule may ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests import calls
from tests.deployments.http import HOURLY

from lictor import flows
from lictor.db import Database
from lictor.deployments import routes
from lictor.settings import read


@pytest.mark.parametrize("most", [None, 60])
def test_a_schedule_may_ask_for_as_many_runs_as_the_settings_say(db: Database, most: int | None) -> None:
    variables = {"PREFECT_DEPLOYMENT_SCHEDULE_MAX_SCHEDULED_RUNS": str(most)} if most else {}
    http = calls.client(db, flows.router, routes.router, settings=read(variables))
    flow_id = http.post("/flows/", json={"name": "f"}).json["id"]
    least = most or 50

    def asked(method: str, path: str, body: Callable[[int], Any], place: list[str | int], good: int) -> None:
        """422 for one more than there may be, which says where; that many are fine."""
        bad = http.request(method, path, json=body(least + 1))
        assert calls.errors(bad) == [("value_error", ["body", *place, "max_scheduled_runs"])]
        said = bad.json["exception_detail"][0]["msg"]
        assert said == f"Value error, `max_scheduled_runs` must be less than or equal to {least}."
        assert http.request(method, path, json=body(least)).status == good

    def one(runs: int, slug: str = "a") -> dict[str, Any]:
        return {"schedule": HOURLY, "max_scheduled_runs": runs, "slug": slug}

    made = {"name": "d", "flow_id": flow_id}
    asked("POST", "/deployments/", lambda runs: {**made, "schedules": [one(runs)]}, ["schedules", 0], 201)
    path = f"/deployments/{http.get('/deployments/name/f/d').json['id']}"
    asked("PATCH", path, lambda runs: {"schedules": [one(runs)]}, ["schedules", 0], 204)
    asked("POST", f"{path}/schedules", lambda runs: [one(1, "b"), one(runs, "c")], [1], 201)
    last = http.get(f"{path}/schedules").json[0]
    asked("PATCH", f"{path}/schedules/{last['id']}", lambda runs: {"max_scheduled_runs": runs}, [], 204)
    assert least in [each["max_scheduled_runs"] for each in http.get(f"{path}/schedules").json]
