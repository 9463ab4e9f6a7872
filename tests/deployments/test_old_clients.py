"""What SDKs of years ago send when they deploy."""

from __future__ import annotations

import httpx
from tests.processes import Server


def test_a_schedule_may_say_what_never_had_an_effect(server: Server) -> None:
    with httpx.Client(base_url=server.api_url) as api:
        flow_id = api.post("/flows/", json={"name": "old"}).json()["id"]
        schedule = {"schedule": {"cron": "0 6 * * *"}, "max_active_runs": None, "catchup": False}
        answer = api.post("/deployments/", json={"name": "old", "flow_id": flow_id, "schedules": [schedule]})
        assert answer.status_code == 201, answer.text
        [made] = answer.json()["schedules"]
        assert made["schedule"]["cron"] == "0 6 * * *"
        assert not {"max_active_runs", "catchup"} & set(made)
