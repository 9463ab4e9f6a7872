"""Reads through the HTTP API, and nothing else, everything that a script made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

Json = dict[str, Any]
PAGE = 200


@dataclass
class Made:
    """All rows that belong to one script, as the server gave them."""

    flows: list[Json]
    flow_runs: list[Json]
    task_runs: list[Json]
    states: dict[str, list[Json]]
    graphs: dict[str, Json]
    logs: list[Json]


class Collector:
    """Sees what appears on a server after it was made: earlier runs of the same flows are left out."""

    def __init__(self, api: str, script: str) -> None:
        self.script = script
        self.http = httpx.Client(base_url=api, timeout=30, headers={"X-PREFECT-API-VERSION": "0.8.4"})
        self.earlier = {run["id"] for run in [*self.flow_runs(), *self.orphans()]}

    def __enter__(self) -> Collector:
        return self

    def __exit__(self, *raised: object) -> None:
        self.http.close()

    def flows(self) -> list[Json]:
        named = list(self.pages("/flows/filter", {"flows": {"name": {"like_": f"{self.script}."}}, "sort": "NAME_ASC"}))
        return [flow for flow in named if flow["name"].startswith(f"{self.script}.")]

    def flow_runs(self) -> list[Json]:
        if not (ids := [flow["id"] for flow in self.flows()]):
            return []
        body = {"flows": {"id": {"any_": ids}}, "sort": "EXPECTED_START_TIME_ASC"}
        return self.new(self.pages("/flow_runs/filter", body))

    def orphans(self) -> list[Json]:
        """Task runs outside of flows, known by their name."""
        body = {"task_runs": {"flow_run_id": {"is_null_": True}, "name": {"like_": f"{self.script}."}}}
        return self.new(self.pages("/task_runs/filter", body))

    def task_runs(self, flow_run_ids: list[str]) -> list[Json]:
        if not flow_run_ids:
            return []
        body = {"flow_runs": {"id": {"any_": flow_run_ids}}, "sort": "EXPECTED_START_TIME_ASC"}
        return list(self.pages("/task_runs/filter", body))

    def logs(self, flow_run_ids: list[str]) -> list[Json]:
        if not flow_run_ids:
            return []
        body = {"logs": {"flow_run_id": {"any_": flow_run_ids}}, "sort": "TIMESTAMP_ASC"}
        return list(self.pages("/logs/filter", body))

    def everything(self) -> Made:
        flow_runs = self.flow_runs()
        ids = [run["id"] for run in flow_runs]
        task_runs = [*self.task_runs(ids), *self.orphans()]
        states = {id: self.get("/flow_run_states/", flow_run_id=id) for id in ids}
        states |= {run["id"]: self.get("/task_run_states/", task_run_id=run["id"]) for run in task_runs}
        graphs = {id: self.get(f"/flow_runs/{id}/graph-v2") for id in ids}
        return Made(self.flows(), flow_runs, task_runs, states, graphs, self.logs(ids))

    def counts(self) -> Json:
        """How much there is, at the cost of a few requests: what to wait for before everything is read."""
        ids = [run["id"] for run in self.flow_runs()]
        task_runs = [*self.task_runs(ids), *self.orphans()]
        unfinished = sum(run["state_type"] in ("PENDING", "RUNNING") for run in task_runs)
        return {
            "flow_runs": len(ids),
            "task_runs": len(task_runs),
            "unfinished_task_runs": unfinished,
            "logs": len(self.logs(ids)),
        }

    def wait_for(self, counts: Json, seconds: float) -> Json:
        """Asks until the server shows these counts, or the time is over; the last counts seen."""
        deadline = time.monotonic() + seconds
        while (seen := self.counts()) != counts and time.monotonic() < deadline:
            time.sleep(0.1)
        return seen

    def wait_until_quiet(self, still_for: float, seconds: float) -> Json:
        """Asks until nothing has changed for a while, for servers of which nothing is known yet."""
        deadline = time.monotonic() + seconds
        seen, since = self.counts(), time.monotonic()
        while time.monotonic() - since < still_for and time.monotonic() < deadline:
            time.sleep(0.5)
            if (now := self.counts()) != seen:
                seen, since = now, time.monotonic()
        return seen

    def new(self, rows: Iterator[Json]) -> list[Json]:
        earlier: set[str] = getattr(self, "earlier", set())
        return [row for row in rows if row["id"] not in earlier]

    def get(self, path: str, **query: str) -> Any:
        return self.read("GET", path, params=query)

    def pages(self, path: str, body: Json) -> Iterator[Json]:
        offset = 0
        while rows := self.read("POST", path, json=body | {"limit": PAGE, "offset": offset}):
            yield from rows
            offset += PAGE
            if len(rows) < PAGE:
                return

    def read(self, method: str, path: str, **how: Any) -> Any:
        response = self.http.request(method, path, **how)
        # The reference on SQLite answers 503 while another request writes; its clients ask again, and so does this one.
        deadline = time.monotonic() + 20
        while response.status_code == httpx.codes.SERVICE_UNAVAILABLE and time.monotonic() < deadline:
            time.sleep(0.2)
            response = self.http.request(method, path, **how)
        response.raise_for_status()
        return response.json()
