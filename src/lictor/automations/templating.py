"""What templates in actions see, and how it looks there: as the reference's objects do.

`event`, `automation`, `labels`, `firing`, `firings` and `events` are what the action was queued with; `flow_run`,
`flow`, `deployment`, `task_run`, `work_pool`, `work_queue` and `concurrency_limit` are looked up, the first resource of
that kind in the event, and `variables`; only those that the template names. The state of a run is the one that the
event tells of, whatever has become of it since.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from lictor import flows
from lictor.automations.firing import Firing, Invocation
from lictor.automations.inferring import Failed, event_of, first_of_kind, id_in
from lictor.automations.parameters import maybe_template
from lictor.concurrency import limits
from lictor.db import Tx, sql
from lictor.deployments import store as deployments
from lictor.events.types import RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE, Labels, ReceivedEvent
from lictor.flow_runs import store as flow_runs
from lictor.kit.decoding import decoder
from lictor.kit.errors import LictorError
from lictor.kit.lazy import lazy
from lictor.kit.times import parse
from lictor.task_runs import store as task_runs
from lictor.work_pools import agents
from lictor.work_pools import store as work_pools

if TYPE_CHECKING:
    from lictor.kit import templates
else:
    templates = lazy("lictor.kit.templates")

PAGES = {
    "flow": "flows/flow",
    "flow-run": "runs/flow-run",
    "task-run": "runs/task-run",
    "block-document": "blocks/block",
    "work-pool": "work-pools/work-pool",
    "work-queue": "work-queues/work-queue",
    "concurrency-limit": "concurrency-limits/concurrency-limit",
    "deployment": "deployments/deployment",
    "automation": "automations/automation",
}
DURATIONS = frozenset({"total_run_time", "estimated_run_time", "estimated_start_time_delta", "within"})
FLOW_RUN_ID = re.compile(r"flow-run/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")
STATE_LABELS = ("prefect.state-message", "prefect.state-name", "prefect.state-timestamp", "prefect.state-type")

POOL_NAME = sql("automations.named_pool", str, "select name from work_pool where id = :id")
VARIABLES = sql("automations.variables", None, "select name, value from variable")


class Word(str):
    """A value of an enumeration: it is written `StateType.FAILED`, and equals `FAILED`."""

    kind: str

    @classmethod
    def of(cls, kind: str, value: str) -> Word:
        made = cls(value)
        made.kind = kind
        return made

    @property
    def value(self) -> str:
        return str.__str__(self)

    @property
    def name(self) -> str:
        return self.value

    def __str__(self) -> str:
        return f"{self.kind}.{self.value}"


class View(dict[str, Any]):
    """An object of the API; `kind` is its kind of resource."""

    kind: str | None = None


class Diver:
    """Labels as a tree: `labels.prefect.resource.id`."""

    def __init__(self, labels: Mapping[str, str], value: str = "") -> None:
        self._labels = dict(labels)
        self._value = value

    def __getattr__(self, name: str) -> Diver:
        if name.startswith("_"):
            raise AttributeError(name)
        below = {key[len(name) + 1 :]: value for key, value in self._labels.items() if key.startswith(f"{name}.")}
        if not below and name not in self._labels:
            raise AttributeError(name)
        return Diver(below, self._labels.get(name, ""))

    def __getitem__(self, label: str) -> str:
        return self._labels[label]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._labels.items())

    def __len__(self) -> int:
        return len(self._labels)

    def __str__(self) -> str:
        return self._value


class Resource:
    """A resource of an event."""

    def __init__(self, labels: Labels) -> None:
        self.root = labels

    @property
    def id(self) -> str:
        return self.root[RESOURCE_ID]

    @property
    def name(self) -> str | None:
        return self.root.get(RESOURCE_NAME)

    @property
    def role(self) -> str | None:
        return self.root.get(RESOURCE_ROLE)

    @property
    def labels(self) -> Diver:
        return Diver(self.root)

    def get(self, label: str, default: str | None = None) -> str | None:
        return self.root.get(label, default)

    def items(self) -> Any:
        return self.root.items()

    def keys(self) -> Any:
        return self.root.keys()

    def __getitem__(self, label: str) -> str:
        return self.root[label]

    def __contains__(self, label: str) -> bool:
        return label in self.root

    def __str__(self) -> str:
        return f"root={self.root!r}"

    def __repr__(self) -> str:
        return f"{'RelatedResource' if self.role else 'Resource'}({self})"


class EventView:
    """An event."""

    def __init__(self, event: ReceivedEvent, ui: str | None) -> None:
        self.id = event.id
        self.event = event.event
        self.occurred = event.occurred
        self.received = event.received
        self.follows = event.follows
        self.resource = Resource(event.resource)
        self.related = [Resource(labels) for labels in event.related]
        self.payload = _plain("payload", event.payload)
        self.url = None if ui is None else f"{ui}/events/event/{event.occurred:%Y-%m-%d}/{event.id}"
        self.source = event

    @property
    def involved_resources(self) -> list[Resource]:
        return [self.resource, *self.related]

    @property
    def resource_in_role(self) -> dict[str | None, Resource]:
        return {resource.role: resource for resource in reversed(self.related)}

    @property
    def resources_in_role(self) -> dict[str | None, list[Resource]]:
        roles = {resource.role for resource in self.related}
        return {role: [resource for resource in self.related if resource.role == role] for role in roles}


class Renderer:
    """Renders the templates of actions; `ui` is where people find the dashboard, for links."""

    def __init__(self, ui: str | None) -> None:
        self._ui = None if ui is None else ui.rstrip("/")
        self._templates: Any = None

    def context(self, tx: Tx, invocation: Invocation, sources: list[str]) -> dict[str, Any]:
        """What these templates may see."""
        names: set[str] = set()
        for source in sources:
            if maybe_template(source):
                names |= self._sandbox().names(source)
        event = event_of(invocation)
        firings = list(all_firings(invocation.firing))
        found: dict[str, Any] = {
            "automation": self._automation(invocation),
            "event": None if event is None else EventView(event, self._ui),
            "labels": Diver(invocation.triggering_labels),
            "firing": self._firing(invocation.firing),
            "firings": [self._firing(each) for each in firings],
            "events": [EventView(each, self._ui) for each in map(_event, firings) if each is not None],
        }
        if event is not None:
            found |= {name: look_up(tx, name, event) for name in names & LOOKED_UP.keys()}
            if "variables" in names:
                found["variables"] = {name: msgspec.json.decode(value) for name, value in tx.all(VARIABLES)}
        return found

    def render(self, source: str, context: dict[str, Any]) -> str:
        """Raises Failed for a template that fails."""
        if not maybe_template(source):
            return source
        try:
            text: str = self._sandbox().render(source, context)
        except templates.TemplateError as error:
            words = f"Failed to render template due to the following error: {error.message}"
            raise Failed(
                f"Template rendering failed: {error.message}", template_error=words, template_source=source
            ) from error
        return text

    def _sandbox(self) -> Any:
        if self._templates is None:
            filters = {"ui_url": self._page, "ui_resource_events_url": self._events_page, "flow_run_id": flow_run_id}
            self._templates = templates.Templates(filters, jsonable)
        return self._templates

    def _page(self, thing: Any) -> str | None:
        if self._ui is None:
            return None
        if isinstance(thing, EventView):
            return thing.url
        kind, id = _kind_and_id(thing)
        if kind == "work-pool" and isinstance(thing, View):
            id = str(thing["name"])
        return f"{self._ui}/{PAGES[kind]}/{quote(id, safe='')}" if kind in PAGES else None

    def _events_page(self, thing: Any) -> str | None:
        if self._ui is None:
            return None
        if isinstance(thing, Resource):
            return urljoin(self._ui + "/", f"events?resource={thing.id}")
        kind, id = _kind_and_id(thing)
        return None if kind is None else urljoin(self._ui + "/", f"events?resource=prefect.{kind}.{id}")

    def _automation(self, invocation: Invocation) -> View:
        return _view(invocation.automation, "automation")

    def _firing(self, firing: Firing) -> View:
        view = _view(firing, None)
        event = _event(firing)
        view["triggering_event"] = None if event is None else EventView(event, self._ui)
        view["triggering_firings"] = [self._firing(each) for each in firing.triggering_firings]
        view["trigger_states"] = [Word.of("TriggerState", state) for state in firing.trigger_states]
        return view


def all_firings(firing: Firing) -> Iterator[Firing]:
    """A firing and those that it came of."""
    yield firing
    for each in firing.triggering_firings:
        yield from all_firings(each)


def look_up(tx: Tx, name: str, event: ReceivedEvent) -> View | None:
    """The first thing of a kind in an event, as it is now; None if there is none or it is gone."""
    kind = name.replace("_", "-")
    labels = first_of_kind(event, kind)
    id = None if labels is None else id_in(labels[RESOURCE_ID], kind)
    if labels is None or id is None:
        return None
    try:
        view = _view(LOOKED_UP[name](tx, id), kind)
    except LictorError:
        return None
    if name in ("flow_run", "task_run") and all(label in labels for label in STATE_LABELS):
        view["state"] = _state(labels)
    return view


def _state(labels: Labels) -> View:
    message, name, timestamp, type_ = (labels[label] for label in STATE_LABELS)
    return View(message=message, name=name, timestamp=parse(timestamp), type=Word.of("StateType", type_))


def _pool(tx: Tx, id: str) -> Struct:
    name = tx.one(POOL_NAME, id=id)
    return work_pools.get_pool(tx, name or "")


LOOKED_UP: dict[str, Callable[[Tx, str], Struct]] = {
    "flow_run": flow_runs.get,
    "task_run": task_runs.get,
    "flow": flows.get,
    "deployment": deployments.get,
    "work_pool": _pool,
    "work_queue": agents.get,
    "concurrency_limit": limits.get,
}


def _event(firing: Firing) -> ReceivedEvent | None:
    found: ReceivedEvent | None = decoder(ReceivedEvent | None)(firing.triggering_event)
    return found


def _kind_and_id(thing: Any) -> tuple[str | None, str]:
    if isinstance(thing, View) and thing.kind is not None:
        return thing.kind, str(thing["id"])
    if isinstance(thing, Resource) and thing.id.startswith("prefect."):
        # The reference has no page for these, but means to.
        return thing.id.split(".")[1], thing.id.rpartition(".")[2]
    return None, ""


def _view(thing: Struct, kind: str | None) -> View:
    view = View((name, _plain(name, getattr(thing, name))) for name in thing.__struct_fields__)
    view.kind = kind
    return view


def _plain(name: str, value: Any) -> Any:
    """A value as templates see it: JSON as what it stands for, durations as such, states' types as their names."""
    match value:
        case Raw():
            return _plain(name, msgspec.json.decode(value))
        case Struct():
            return _view(value, None)
        case UUID():
            return str(value)
        case list():
            return [_plain(name, item) for item in value]
        case dict() if name in ("trigger", "triggers"):
            return View((key, _plain(key, item)) for key, item in value.items())
        case int() | float() if name in DURATIONS:
            return timedelta(seconds=value)
        case str() if name == "state_type" or (name == "type" and value.isupper()):
            return Word.of("StateType", value)
        case str() if name == "posture":
            return Word.of("Posture", value)
    return value


def flow_run_id(text: str | None) -> str | None:
    """The id of the flow run that a text has a link to."""
    found = FLOW_RUN_ID.search(text or "")
    return found[1] if found else None


def jsonable(value: Any) -> Any:
    """For `tojson`: what the objects above stand for."""
    match value:
        case Word():
            return value.value
        case Mapping():
            return {key: jsonable(item) for key, item in value.items()}
        case list() | tuple():
            return [jsonable(item) for item in value]
        case EventView():
            return jsonable(msgspec.to_builtins(value.source))
        case Resource():
            return value.root
        case Diver():
            return dict(value)
        case timedelta():
            return value.total_seconds()
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case None | bool() | int() | float() | str():
            return value
    return str(value)
