"""From flags and environment variables to the tree."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from lictor.kit import catch_up
from lictor.kit.errors import LictorError
from lictor.settings.tree import Group, Lictor, Secret, Settings

_NAME = re.compile(r"\$(?:(\w+)|\{(\w+)\})")

VACUUMS = frozenset({"events", "flow_runs", "orphans"})

_UNBOUNDED = "background tasks wait in the database, as many as there are"
_TAKEN = "a task that a worker has taken is that worker's; the other server never looks at this either"
_FRESH = "related resources are read with each event"

_WORDS = {
    **dict.fromkeys(("true", "1", "yes", "y", "on", "t"), True),
    **dict.fromkeys(("false", "0", "no", "n", "off", "f"), False),
}

# Variables of the reference that configure machinery which this server does not have.
WITHOUT_EFFECT = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "nothing is ever sent",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "leases are kept in the database",
    "PREFECT_SERVER_DATABASE_ECHO": "statements are not logged",
    "PREFECT_SERVER_DATABASE_SQLALCHEMY_MAX_OVERFLOW": "the pool has a fixed size",
    "PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_RECYCLE": "broken connections are replaced when they are met",
    "PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_TIMEOUT": "requests queue for the database",
    "PREFECT_SERVER_DOCKET_NAME": "there is no broker",
    "PREFECT_SERVER_DOCKET_URL": "there is no broker",
    "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "events are ordered in the database",
    "PREFECT_SERVER_EVENTS_EXPIRED_BUCKET_BUFFER": "buckets that have ended are swept away in any case",
    "PREFECT_EVENTS_EXPIRED_BUCKET_BUFFER": "buckets that have ended are swept away in any case",
    "PREFECT_SERVER_EVENTS_MESSAGING_BROKER": "there is no broker",
    "PREFECT_SERVER_EVENTS_MESSAGING_CACHE": "there is no broker",
    "PREFECT_SERVER_EVENTS_RELATED_RESOURCE_CACHE_TTL": _FRESH,
    "PREFECT_API_EVENTS_RELATED_RESOURCE_CACHE_TTL": _FRESH,
    "PREFECT_MESSAGING_BROKER": "there is no broker",
    "PREFECT_MESSAGING_CACHE": "there is no broker",
    "PREFECT_SERVER_SERVICES_EVENT_LOGGER_ENABLED": "events are in the database, not in the log",
    "PREFECT_SERVER_TASKS_SCHEDULING_MAX_SCHEDULED_QUEUE_SIZE": _UNBOUNDED,
    "PREFECT_TASK_SCHEDULING_MAX_SCHEDULED_QUEUE_SIZE": _UNBOUNDED,
    "PREFECT_SERVER_TASKS_SCHEDULING_MAX_RETRY_QUEUE_SIZE": _UNBOUNDED,
    "PREFECT_TASK_SCHEDULING_MAX_RETRY_QUEUE_SIZE": _UNBOUNDED,
    "PREFECT_SERVER_TASKS_SCHEDULING_PENDING_TASK_TIMEOUT": _TAKEN,
    "PREFECT_TASK_SCHEDULING_PENDING_TASK_TIMEOUT": _TAKEN,
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "no advertisements are shown",
    "PREFECT_SERVER_WORKER_CHANNEL_CLEANUP_QUEUE_STORAGE": "messages are kept in the database",
}


class UnusableSetting(LictorError):
    """A setting has a value that cannot be used; the message names the variable or flag and what it accepts."""


class Flag(NamedTuple):
    """A command line flag's value for a leaf of the tree."""

    name: str
    text: str


class Leaf(NamedTuple):
    path: str
    type: Any
    meta: msgspec.Meta
    default: Any

    @property
    def variables(self) -> tuple[str, ...]:
        """Every name that the leaf is read from, the canonical one first; the first that is set wins."""
        name = self.path.upper().replace(".", "_")
        canonical = name if name.startswith("LICTOR_") else f"PREFECT_SERVER_{name}"
        return (canonical, *(self.meta.extra or {}).get("also", ()))

    @property
    def description(self) -> str:
        return self.meta.description or ""


def leaves(group: type[Group] = Settings, path: str = "") -> Iterator[Leaf]:
    """Every leaf of the tree, in the order of its declaration."""
    defaults = group()
    for name, annotation in group.__annotations__.items():
        if isinstance(annotation, type) and issubclass(annotation, Group):
            yield from leaves(annotation, f"{path}{name}.")
        else:
            kind, meta = get_args(annotation)
            yield Leaf(f"{path}{name}", kind, meta, getattr(defaults, name))


def read(environment: Mapping[str, str], flags: Mapping[str, Flag] | None = None) -> Settings:
    """The settings that flags (by path, such as `api.port`) and variables make. UnusableSetting names what is wrong."""
    given = _given(environment, flags or {})
    if "lictor.home" not in given:
        given["lictor.home"] = Lictor().home
    given["lictor.home"] = Path(_expanded(str(given["lictor.home"]), environment))
    url: Secret | None = given.get("database.connection_url")
    if url is not None:
        given["database.connection_url"] = Secret(_with_variables(url.reveal(), environment))
    settings: Settings = _build(Settings, "", given)
    return settings


def without_effect(environment: Mapping[str, str]) -> list[str]:
    """A sentence for each variable that is set but configures what this server does not have."""
    return [
        f"{name} has no effect: {why}"
        for name, why in WITHOUT_EFFECT.items()
        if environment.get(name) and not _asks_for_nothing(name, environment[name])
    ]


def _asks_for_nothing(name: str, text: str) -> bool:
    """What is switched off is as it was asked for: analytics, above all, which many switch off."""
    return name.endswith(("_ENABLED", "_ECHO", "_CONTENT")) and _WORDS.get(text.lower()) is False


def _given(environment: Mapping[str, str], flags: Mapping[str, Flag]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for leaf in leaves():
        if leaf.path in flags:
            name, text = flags[leaf.path]
        else:
            name = next((variable for variable in leaf.variables if environment.get(variable)), "")
            text = environment.get(name, "")
        if name:
            values[leaf.path] = _value(leaf, name, text)
    return values


def _build(group: type[Group], path: str, given: Mapping[str, Any]) -> Any:
    parts: dict[str, Any] = {}
    for name, annotation in group.__annotations__.items():
        if isinstance(annotation, type) and issubclass(annotation, Group):
            parts[name] = _build(annotation, f"{path}{name}.", given)
        elif f"{path}{name}" in given:
            parts[name] = given[f"{path}{name}"]
    return group(**parts)


def _expanded(path: str, environment: Mapping[str, str]) -> str:
    if path == "~" or path.startswith("~/"):
        return environment.get("HOME", str(Path.home())) + path[1:]
    return path


def _with_variables(text: str, environment: Mapping[str, str]) -> str:
    """With `$NAME` and `${NAME}` replaced by what is set; as the reference has it for database URLs."""
    return _NAME.sub(lambda match: environment.get(match[1] or match[2], match[0]), text)


def _value(leaf: Leaf, name: str, text: str) -> Any:
    kind = _without_none(leaf.type)
    try:
        return _reader(kind)(text.strip(), leaf)
    except ValueError:
        shown = "its value" if kind is Secret else repr(text)
        raise UnusableSetting(f"{name}: {shown} cannot be used, {_accepted(leaf)} is expected") from None


def _without_none(kind: Any) -> Any:
    if get_origin(kind) in (Union, UnionType):
        return next(part for part in get_args(kind) if part is not NoneType)
    return kind


Reader = Callable[[str, Leaf], Any]


def _reader(kind: Any) -> Reader:
    return _choice if get_origin(kind) is Literal else _READERS[kind]


def _choice(text: str, leaf: Leaf) -> str:
    for choice in get_args(_without_none(leaf.type)):
        if choice.lower() == text.lower():
            return str(choice)
    raise ValueError


def _number(text: str, leaf: Leaf) -> Any:
    kind = _without_none(leaf.type)
    bounds = msgspec.Meta(ge=leaf.meta.ge, le=leaf.meta.le)
    return msgspec.convert(text, Annotated[kind, bounds], strict=False)


def _boolean(text: str, leaf: Leaf) -> bool:
    if text.lower() not in _WORDS:
        raise ValueError
    return _WORDS[text.lower()]


def _duration(text: str, leaf: Leaf) -> timedelta:
    length = msgspec.convert(text, timedelta, strict=False)
    if length < timedelta(0):
        raise ValueError
    return length


def _vacuums(text: str, leaf: Leaf) -> frozenset[str]:
    # Before there were kinds this was a switch; the reference still reads it so.
    if text.lower() in ("true", "1"):
        return VACUUMS
    if text.lower() in ("false", "0"):
        return frozenset({"events"})
    kinds = frozenset(part.strip().lower() for part in text.split(",") if part.strip())
    if not kinds <= VACUUMS:
        raise ValueError
    return kinds


def _seconds_by_name(text: str, leaf: Leaf) -> dict[str, float]:
    return msgspec.json.decode(text.encode(), type=dict[str, Annotated[float, msgspec.Meta(ge=0)]])


def _policies_by_name(text: str, leaf: Leaf) -> dict[str, catch_up.Policy]:
    found = msgspec.json.decode(text.encode(), type=dict[str, str])
    return {name: catch_up.parsed(policy) for name, policy in found.items()}


_READERS: dict[Any, Reader] = {
    str: lambda text, leaf: text,
    Secret: lambda text, leaf: Secret(text),
    Path: lambda text, leaf: Path(text),
    int: _number,
    float: _number,
    bool: _boolean,
    timedelta: _duration,
    frozenset[str]: _vacuums,
    dict[str, float]: _seconds_by_name,
    catch_up.Policy: lambda text, leaf: catch_up.parsed(text.lower()),
    dict[str, catch_up.Policy]: _policies_by_name,
}

_ACCEPTED: dict[Any, str] = {
    str: "a text",
    Secret: "a text",
    Path: "a path",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    timedelta: "a number of seconds or an ISO 8601 duration such as PT1H",
    frozenset[str]: "true, false or some of events, flow_runs and orphans with commas",
    dict[str, float]: 'JSON such as {"prefect.flow-run.heartbeat": 86400}',
    catch_up.Policy: "all, latest_only or max_queued=N",
    dict[str, catch_up.Policy]: 'JSON such as {"my-flow/my-deployment": "latest_only"}',
}


def _accepted(leaf: Leaf) -> str:
    kind = _without_none(leaf.type)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind))
    bounds = [("from", leaf.meta.ge), ("to", leaf.meta.le)]
    return " ".join([_ACCEPTED[kind], *(f"{word} {bound:g}" for word, bound in bounds if bound is not None)])
