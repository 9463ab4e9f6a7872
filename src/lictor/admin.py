"""What operators and dashboards ask about the server itself, at /api/admin: its settings, its version, its defaults.

`data/settings_shape.json` is the reference's answer to /admin/settings with its defaults. Our own settings are laid
over it where they have the same name; the rest (clients' settings, machinery that is not here) stays as it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from lictor.db import Database, Tx, sql
from lictor.kit import clock
from lictor.kit.errors import NotFound, Unprocessable
from lictor.settings import Secret, Settings
from lictor.settings.tree import Group
from lictor.web import Router

# The release of the reference whose API we speak. Clients compare it with their own and warn when they are newer.
VERSION = "3.9.1"

MASK = "**********"

RESULT_STORAGE = "server-default-result-storage"
WRITES_RESULTS = "write-path"


class ServerDefaultResultStorage(Struct):
    default_result_storage_block_id: str | None = None


class ServerDefaultResultStorageUpdate(Struct):
    default_result_storage_block_id: UUID


class ResultStorageBlocks(Struct, frozen=True):
    """`capabilities` tells what a block document can do, or None when there is no such document. Blocks are a higher
    concept, so the application passes it in."""

    capabilities: Callable[[Tx, str], Sequence[str] | None]


FIND = sql(
    "admin.find_result_storage",
    ServerDefaultResultStorage,
    "select value ->> 'default_result_storage_block_id' from configuration where key = :key",
)
UPSERT = sql(
    "admin.upsert_configuration",
    None,
    """
    insert into configuration (key, value, updated) values (:key, :value, :now)
    on conflict (key) do update set value = excluded.value, updated = excluded.updated
    """,
)
DELETE_LOST = sql(
    "admin.delete_lost_result_storage",
    None,
    """
    delete from configuration where key = :key
    and not exists (select 1 from block_document d where d.id = {uuid:block_id})
    """,
)
DELETE = sql("admin.delete_configuration", None, "delete from configuration where key = :key")


def find_result_storage(tx: Tx) -> ServerDefaultResultStorage:
    """The block that results go to by default; its id is None when none was set."""
    return tx.one(FIND, key=RESULT_STORAGE) or ServerDefaultResultStorage()


def set_result_storage(
    tx: Tx, new: ServerDefaultResultStorageUpdate, blocks: ResultStorageBlocks
) -> ServerDefaultResultStorage:
    """Raises NotFound for a block that is not there, Unprocessable for one that results cannot be written to."""
    id = str(new.default_result_storage_block_id)
    capabilities = blocks.capabilities(tx, id)
    if capabilities is None:
        raise NotFound(f"Block document {id} not found.")
    if WRITES_RESULTS not in capabilities:
        raise Unprocessable(f"Block document {id} cannot be used for result storage.")
    chosen = ServerDefaultResultStorage(id)
    tx.run(UPSERT, key=RESULT_STORAGE, value=chosen, now=clock.now())
    return chosen


def clear_result_storage(tx: Tx) -> None:
    tx.run(DELETE, key=RESULT_STORAGE)


def forget_lost_result_storage(tx: Tx) -> None:
    """Called when blocks went away: a default that is gone is none."""
    chosen = find_result_storage(tx).default_result_storage_block_id
    if chosen is not None:
        tx.run(DELETE_LOST, key=RESULT_STORAGE, block_id=chosen)


def shown_settings(settings: Settings) -> dict[str, Any]:
    """All settings in the reference's shape, secrets masked."""
    home = msgspec.json.encode(str(settings.lictor.home)).decode()[1:-1]  # as it stands within a JSON text
    shape: dict[str, Any] = msgspec.json.decode(_shape().replace("{home}", home))
    shape["server"] = _laid_over(shape["server"], settings)
    return shape


@lru_cache(maxsize=1)
def _shape() -> str:
    return (files("lictor") / "data" / "settings_shape.json").read_text()


def _laid_over(shape: Mapping[str, Any], group: Group) -> dict[str, Any]:
    return {
        name: _shown(given, getattr(group, name)) if name in group.__struct_fields__ else given
        for name, given in shape.items()
    }


def _shown(shape: Any, value: Any) -> Any:
    """The value as the reference shows it, whose own value at that place is `shape`."""
    match value:
        case Group():
            return _laid_over(shape, value)
        case None if shape == MASK:
            return MASK  # the URL is made of other settings then; the reference shows the same
        case Secret():
            return MASK
        case timedelta():
            return iso_duration(value) if isinstance(shape, str) else value.total_seconds()
        case frozenset():
            return sorted(value)
        case dict():
            return {name: iso_duration(timedelta(seconds=seconds)) for name, seconds in value.items()}
    return value


def iso_duration(duration: timedelta) -> str:
    """`P90D`, `PT1H30M`, `PT0.5S`, `PT0S`; not for negative ones, which no setting may be."""
    hours, seconds = divmod(duration.seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    fraction = f".{duration.microseconds:06d}".rstrip("0").rstrip(".")
    days = f"{duration.days}D" if duration.days else ""
    time = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    time += f"{seconds}{fraction}S" if seconds or fraction or not (days or time) else ""
    return f"P{days}T{time}" if time else f"P{days}"


router = Router("/admin", tag="Admin")


@router.get("/settings")
def read_settings(settings: Settings) -> dict[str, Any]:
    return shown_settings(settings)


@router.get("/version")
def read_version() -> str:
    return VERSION


@router.get("/storage")
def read_server_default_result_storage(db: Database) -> Awaitable[ServerDefaultResultStorage]:
    return db.read(find_result_storage)


@router.put("/storage")
def update_server_default_result_storage(
    body: ServerDefaultResultStorageUpdate, db: Database, blocks: ResultStorageBlocks
) -> Awaitable[ServerDefaultResultStorage]:
    return db.write(set_result_storage, body, blocks)


@router.delete("/storage", status=204)
def clear_server_default_result_storage(db: Database) -> Awaitable[None]:
    return db.write(clear_result_storage)
