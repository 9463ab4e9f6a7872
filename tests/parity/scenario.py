"""A scenario: a function that sends requests, run against the reference to record and against Lictor to compare.

    @scenario
    def read_back(s: Session) -> None:
        s.post("/flows/", {"name": "$uniq"}, save="flow")
        s.get("/flows/{flow.id}")

In paths and bodies `{flow.id}` is a value of an earlier answer, `$uniq` a text no other scenario has, `$now+60` an
instant (the same one everywhere in the scenario) and `$id:event` a new id that is called `event` in what is recorded.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from .normalise import Clock, Normaliser

CLIENT = {"User-Agent": "prefect/3.9.1 (API 0.8.4)", "X-PREFECT-API-VERSION": "0.8.4"}
COMPARED_HEADERS = (
    "content-type",
    "location",
    "allow",
    "retry-after",
    "content-disposition",
    "access-control-allow-origin",
)
GROUPS: tuple[str, ...] = (
    "root_admin",
    "csrf_disabled",
    "csrf_enabled",
    "auth",
    "http",
    "flows",
    "flows_filter",
    "flow_runs",
    "flow_runs_bad",
    "flow_runs_filter",
    "flow_runs_read",
    "flow_runs_verbs",
    "task_runs",
    "task_runs_bad",
    "task_runs_filter",
    "task_run_events",
    "task_workers",
    "run_services",
    "events",
    "events_emitted",
    "logs",
    "variables",
    "concurrency_v1",
    "concurrency_v2",
    "artifacts",
    "block_types",
    "block_documents",
    "saved_searches",
    "observed_states",
    "ui",
    "dashboard",
    "collections",
    "work_pools",
    "work_queues",
    "automations",
    "automations_fired",
    "deployments_needed",
    "deployments",
    "deployment_runs",
    "deployment_schedules",
    "several_mistakes",
)
MISSING: Any = object()
LOST = 599  # stands for a connection that broke instead of an answer
POLL_SECONDS = 20.0


@dataclass
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass
class Scenario:
    name: str
    play: Callable[[Session], None]


@dataclass
class Group:
    name: str
    env: dict[str, str]
    scenarios: list[Scenario]


def scenario(play: Callable[[Session], None]) -> Callable[[Session], None]:
    """Marks a function of a group's module as a scenario."""
    play.scenario = Scenario(play.__name__, play)  # type: ignore[attr-defined]
    return play


def load(name: str) -> Group:
    module = importlib.import_module(f".scenarios.{name}", __package__)
    found = [value.scenario for value in vars(module).values() if hasattr(value, "scenario")]
    own = [one for one in found if one.play.__module__ == module.__name__]
    return Group(name, dict(getattr(module, "ENV", {})), own)


class Broken(Exception):
    """A later step needs a value that an earlier answer did not have."""


@dataclass
class Session:
    """Plays one scenario; `steps` are its normalised requests and answers."""

    client: httpx.Client
    haste: float = 1.0
    unique: str = field(default_factory=lambda: f"u{uuid.uuid4().int % 10**12:012d}")
    steps: list[dict[str, Any]] = field(default_factory=list)
    saved: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        started = datetime.now(UTC)
        base = str(self.client.base_url).split("/api")[0]
        self.masks = Normaliser(self.unique, started, base)
        self.clock = Clock(started, self.masks.name_instant)

    def rest(self, seconds: float) -> None:
        """Wait for what the reference does a while after it has answered; who is in haste waits a part of that."""
        time.sleep(seconds * self.haste)

    def get(self, path: str, body: Any = MISSING, **more: Any) -> Answer:
        return self.send("GET", path, body, **more)

    def post(self, path: str, body: Any = MISSING, **more: Any) -> Answer:
        return self.send("POST", path, body, **more)

    def put(self, path: str, body: Any = MISSING, **more: Any) -> Answer:
        return self.send("PUT", path, body, **more)

    def patch(self, path: str, body: Any = MISSING, **more: Any) -> Answer:
        return self.send("PATCH", path, body, **more)

    def delete(self, path: str, body: Any = MISSING, **more: Any) -> Answer:
        return self.send("DELETE", path, body, **more)

    def send(
        self,
        method: str,
        path: str,
        body: Any = MISSING,
        *,
        save: str | None = None,
        raw: bytes | None = None,
        headers: Mapping[str, str | None] | None = None,
        only: str | None = None,
        pick: str | None = None,
        masked: Iterable[str] = (),
        unordered: Iterable[str] = (),
    ) -> Answer:
        """Sends and records one step.

        `only="status"` leaves the body out, for steps that merely prepare; `pick="name"` keeps of a list (or of the
        `results` of a page) only this key of each item.
        """
        answer = self.request(method, path, body, raw=raw, headers=headers)
        if save is not None:
            self._save(save, answer.body)
        self.masks.next_step()
        step: dict[str, Any] = {"step": f"{len(self.steps) + 1:02d} {method} {path}"}
        if body is not MISSING:
            step["sent"] = body
        if raw is not None:
            step["sent_raw"] = raw[:200].decode("latin-1")
        if headers:
            step["sent_headers"] = dict(headers)
        step["status"] = answer.status
        if only != "status":
            step["headers"] = self._headers(answer)
            kept = _pick(answer.body, pick) if pick else answer.body
            step["body"] = self.masks.body(kept, masked=masked, unordered=unordered)
        self.steps.append(step)
        return answer

    def poll(self, path: str, until: Callable[[Answer], bool], **more: Any) -> Answer:
        """Reads again until the answer is as wanted (or the deadline has passed), then records it once."""
        deadline = time.monotonic() + POLL_SECONDS
        while not until(self.request("GET", path)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.send("GET", path, **more)

    def request(
        self,
        method: str,
        path: str,
        body: Any = MISSING,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """Sends without recording."""
        sent = {**CLIENT, **(headers or {})}
        content = None if raw is None else raw.replace(b"$uniq", self.unique.encode())
        if body is not MISSING:
            content = json.dumps(self.fill(body)).encode()
            sent.setdefault("Content-Type", "application/json")
        kept = {name: self.fill(value) for name, value in sent.items() if value is not None}
        for _ in range(2):  # after a 500 the reference drops the connection, which shows at the next request
            with contextlib.suppress(httpx.TransportError):
                reply = self.client.request(method, self.fill(path), content=content, headers=kept)
                return Answer(reply.status_code, _decode(reply), reply.headers)
        return Answer(LOST, None, {})

    def fill(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self.fill(key): self.fill(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.fill(item) for item in value]
        if not isinstance(value, str):
            return value
        value = value.replace("$uniq", self.unique)
        value = re.sub(r"\$now([+-][\d.]+)?", lambda match: self.clock.resolve(match.group(1) or ""), value)
        value = re.sub(r"\$id:(\w+)", lambda match: self._new_id(match.group(1)), value)
        return re.sub(r"\{([a-z_]\w*(?:\.\w+)*)\}", lambda match: self._look_up(match.group(1)), value)

    def _new_id(self, name: str) -> str:
        key = f"$id:{name}"
        if key not in self.saved:
            self.saved[key] = str(uuid.uuid4())
            self.masks.name_id(self.saved[key], name)
        return str(self.saved[key])

    def _look_up(self, path: str) -> str:
        value: Any = self.saved
        for part in path.split("."):
            try:
                value = value[int(part)] if isinstance(value, list) else value[part]
            except (KeyError, IndexError, TypeError, ValueError):
                raise Broken(f"no earlier answer has {{{path}}}") from None
        return str(value)

    def _save(self, name: str, body: Any) -> None:
        self.saved[name] = body
        if isinstance(body, dict):
            self.masks.name_id(body.get("id"), name)

    def _headers(self, answer: Answer) -> dict[str, str]:
        return {name: self.masks.text(answer.headers[name]) for name in COMPARED_HEADERS if name in answer.headers}


def _pick(body: Any, key: str) -> Any:
    if isinstance(body, dict) and isinstance(body.get("results"), list):
        return {**body, "results": _pick(body["results"], key)}
    if not isinstance(body, list):
        return body
    return [item[key] if isinstance(item, dict) and key in item else item for item in body]


def _decode(reply: httpx.Response) -> Any:
    if not reply.content:
        return None
    if reply.headers.get("content-type", "").startswith("application/json"):
        try:
            return json.loads(reply.content)
        except ValueError:
            return {"<not JSON>": reply.text}
    return {"<text>": reply.text}


def play(client: httpx.Client, one: Scenario, haste: float = 1.0) -> tuple[list[dict[str, Any]], str | None]:
    """The steps of a scenario and, where it could not go on, why."""
    session = Session(client, haste)
    try:
        one.play(session)
    except Broken as broken:
        return session.steps, str(broken)
    return session.steps, None
