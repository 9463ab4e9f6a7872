"""What a server has acknowledged, and whether it still knows it."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from bench.http import Answer, Connection
from bench.servers import Server

CHECKERS = 4
PAGE = 200
LATEST = 300


@dataclass(slots=True)
class Journal:
    """Facts that a client may rely on. What was sent but not answered may be there or not, and is not noted."""

    flow_id: str = ""
    states: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))  # flow run: {state id: type}
    logs: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # flow run: messages
    events: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))  # task run: {event id: name}
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0  # connections that ended before the answer
    problems: list[str] = field(default_factory=list)
    noted: dict[str, None] = field(default_factory=dict)  # runs that there are facts of, those noted last at the end

    def answered(self, answer: Answer, what: str) -> bool:
        """Count an answer; whether it acknowledges. 503 may happen while the server is in trouble, nothing else may."""
        self.statuses[answer.status] += 1
        if answer.status >= 300 and answer.status != 503:
            self.problems.append(f"{what}: {answer.status} {answer.body[:500]!r}")
        return answer.status < 300

    def note_state(self, run_id: str, state: dict[str, Any]) -> None:
        self.states[run_id][state["id"]] = state["type"]
        self._noted(run_id)

    def note_logs(self, run_id: str, messages: Iterable[str]) -> None:
        self.logs[run_id] += messages
        self._noted(run_id)

    def note_events(self, events: Iterable[dict[str, Any]]) -> None:
        for event in events:
            run_id = event["resource"]["prefect.resource.id"].removeprefix("prefect.task-run.")
            self.events[run_id][event["id"]] = event["resource"]["prefect.state-name"]
            self._noted(run_id)

    def _noted(self, run_id: str) -> None:
        self.noted.pop(run_id, None)
        self.noted[run_id] = None

    def latest(self) -> list[str]:
        """The runs that something was noted of last. Were it all since the last check, the next one would take longer
        than this one while traffic goes on, and so on."""
        return list(self.noted)[-LATEST:]

    @property
    def event_ids(self) -> set[str]:
        return {event_id for known in self.events.values() for event_id in known}

    async def check(self, server: Server, runs: Iterable[str] | None = None) -> None:
        """Assert through the API that all facts (or those of some runs) are there, each once."""
        chosen = set(self.noted if runs is None else runs)
        checks: list[Callable[[Connection], Awaitable[None]]] = []
        checks += [partial(self._check_states, run) for run in chosen & set(self.states)]
        checks += [partial(self._check_logs, run) for run in chosen & set(self.logs)]
        checks += [partial(self._check_events, run) for run in chosen & set(self.events)]
        left = iter(checks)

        async def checker() -> None:
            link = server.connection(timeout=30)
            for check in left:
                await check(link)
            await link.close()

        async with asyncio.TaskGroup() as group:
            for _ in range(CHECKERS):
                group.create_task(checker())
        assert not self.problems, self.problems[:5]

    async def _check_states(self, run_id: str, link: Connection) -> None:
        known = dict(self.states[run_id])
        run = await fetch(link, f"/api/flow_runs/{run_id}")
        history = await fetch(link, f"/api/flow_run_states/?flow_run_id={run_id}")
        self._compare("flow run", run_id, known, {state["id"]: state["type"] for state in history})
        self._once("flow run", run_id, [state["name"] for state in history])
        # a transition in flight may have come between the two answers, so the run may lag behind
        if run["state_id"] not in {state["id"] for state in history}:
            self.problems.append(f"flow run {run_id}: its state {run['state_id']} is not in its history")

    async def _check_events(self, run_id: str, link: Connection) -> None:
        known = dict(self.events[run_id])
        run = await fetch(link, f"/api/task_runs/{run_id}")
        history = await fetch(link, f"/api/task_run_states/?task_run_id={run_id}")
        self._compare("task run", run_id, known, {state["id"]: state["name"] for state in history})
        self._once("task run", run_id, [state["name"] for state in history])
        newest = max(history, key=_instant, default={"name": None})
        if len(known) == len(history) and run["state_name"] != newest["name"]:
            self.problems.append(f"task run {run_id} shows {run['state_name']}, its newest state is {newest['name']}")

    async def _check_logs(self, run_id: str, link: Connection) -> None:
        known = Counter(self.logs[run_id])
        stored: Counter[str] = Counter()
        body: dict[str, Any] = {"logs": {"flow_run_id": {"any_": [run_id]}}, "sort": "TIMESTAMP_ASC", "limit": PAGE}
        while page := (await fetch(link, "/api/logs/filter", body | {"offset": stored.total()})):
            stored.update(line["message"] for line in page)
        if lost := known - stored:
            self.problems.append(f"flow run {run_id}: {lost.total()} acknowledged log lines are lost")
        if doubled := [message for message, count in stored.items() if count > 1]:
            self.problems.append(f"flow run {run_id}: {len(doubled)} log lines are there twice")

    def _compare(self, kind: str, run_id: str, known: dict[str, str], stored: dict[str, str]) -> None:
        lost = {fact: what for fact, what in known.items() if stored.get(fact) != what}
        if lost:
            self.problems.append(f"{kind} {run_id}: acknowledged but not there: {lost}; there: {stored}")

    def _once(self, kind: str, run_id: str, names: list[str]) -> None:
        if len(names) != len(set(names)):
            self.problems.append(f"{kind} {run_id}: a state is there twice: {names}")


async def fetch(link: Connection, path: str, body: Any = None) -> Any:
    """GET, or POST when there is a body; the answer must be 200."""
    answer = await (link.get(path) if body is None else link.post(path, body))
    assert answer.status == 200, f"{path}: {answer.status} {answer.body[:500]!r}"
    return answer.json()


def _instant(state: dict[str, Any]) -> datetime:
    # Not the text: an instant on the full second is written without a fraction, and would come last.
    return datetime.fromisoformat(state["timestamp"])
