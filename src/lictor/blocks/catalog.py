"""Block types: what kinds of blocks there are, at /api/block_types."""

from __future__ import annotations

import html
from typing import Any

import msgspec
from msgspec import UNSET

from lictor.blocks.types import Blocks, BlockType, BlockTypeCreate, BlockTypePage, BlockTypeUpdate
from lictor.db import Tx, Where, sql
from lictor.events import store as events
from lictor.events.types import RESOURCE_ID, RESOURCE_NAME, Event
from lictor.kit import clock, ids
from lictor.kit.errors import Conflict, NotFound, Refused

COLUMNS = (
    "t.id, t.created, t.updated, t.name, t.slug, t.logo_url, t.documentation_url, t.description, t.code_example, "
    "t.is_protected"
)

FIND = sql("blocks.find_type", BlockType, f"select {COLUMNS} from block_type t where t.id = :id")
FIND_BY_SLUG = sql("blocks.find_type_by_slug", BlockType, f"select {COLUMNS} from block_type t where t.slug = :slug")
LOCK = sql("blocks.lock_type", BlockType, f"{FIND.text} {{for_update}}")
INSERT = sql(
    "blocks.insert_type",
    None,
    """
    insert into block_type (id, created, updated, name, slug, logo_url, documentation_url, description, code_example)
    values (:id, :now, :now, :name, :slug, :logo_url, :documentation_url, :description, :code_example)
    on conflict (slug) do nothing
    """,
)
UPDATE = sql(
    "blocks.update_type",
    None,
    """
    update block_type set logo_url = :logo_url, documentation_url = :documentation_url, description = :description,
        code_example = :code_example, updated = :now
    where id = :id
    """,
)
DELETE = sql("blocks.delete_type", None, "delete from block_type where id = :id")


def find(tx: Tx, id: str) -> BlockType | None:
    return tx.one(FIND, id=id)


def get(tx: Tx, id: str) -> BlockType:
    return tx.get(FIND, missing(), id=id)


def find_by_slug(tx: Tx, slug: str) -> BlockType | None:
    return tx.one(FIND_BY_SLUG, slug=slug)


def get_by_slug(tx: Tx, slug: str) -> BlockType:
    return tx.get(FIND_BY_SLUG, missing(), slug=slug)


def page(tx: Tx, asked: BlockTypePage) -> list[BlockType]:
    where = Where() if asked.block_types is None else asked.block_types.where()
    if asked.block_schemas is not None:
        where.add_exists("select 1 from block_schema s where s.block_type_id = t.id", asked.block_schemas.where())
    source = f"select {COLUMNS} from block_type t"
    return tx.page(BlockType, source, where, order="t.name, t.id", limit=asked.limit, offset=asked.offset)


def create(tx: Tx, new: BlockTypeCreate) -> BlockType:
    """Raises Refused for a name that is kept for the system, Conflict when the slug is taken."""
    if new.name.lower().startswith("prefect"):
        raise Refused("Block type names beginning with 'Prefect' are reserved.")
    now = clock.now()
    type_ = BlockType(
        ids.new(),
        now,
        now,
        new.name,
        new.slug,
        new.logo_url,
        new.documentation_url,
        _escaped(new.description),
        _escaped(new.code_example),
        False,
    )
    values = msgspec.structs.asdict(type_)
    for name in ("created", "updated", "is_protected"):
        del values[name]
    if not tx.run(INSERT, now=now, **values):
        raise Conflict(f'Block type with name "{new.name}" already exists')
    events.emit(tx, changed("created", type_))
    return type_


def update(tx: Tx, id: str, patch: BlockTypeUpdate) -> None:
    """Nothing happens, and no event tells of it, when all is already as it should be."""
    old = tx.get(LOCK, missing(), id=id)
    given = {name: value for name, value in msgspec.structs.asdict(patch).items() if value is not UNSET}
    if all(_plain(getattr(old, name)) == _plain(value) for name, value in given.items()):
        return
    new = msgspec.structs.replace(old, updated=clock.now(), **given)
    tx.run(
        UPDATE,
        id=id,
        now=new.updated,
        logo_url=new.logo_url,
        documentation_url=new.documentation_url,
        description=new.description,
        code_example=new.code_example,
    )
    events.emit(tx, changed("updated", new))


def delete(tx: Tx, id: str, blocks: Blocks) -> None:
    """With its schemas and documents. Raises Refused for a protected type."""
    type_ = tx.get(LOCK, missing(), id=id)
    if type_.is_protected:
        raise Refused("protected block types cannot be deleted.")
    tx.run(DELETE, id=id)
    events.emit(tx, changed("deleted", type_))
    blocks.gone(tx)


def missing() -> NotFound:
    return NotFound("Block type not found")


def changed(action: str, type_: BlockType) -> Event:
    """The event `prefect.block-type.created`, `.updated` or `.deleted`."""
    payload: dict[str, Any] = msgspec.structs.asdict(type_)
    for name in ("id", "created", "updated"):
        del payload[name]
    return Event(
        occurred=clock.now(),
        event=f"prefect.block-type.{action}",
        resource={RESOURCE_ID: f"prefect.block-type.{type_.id}", RESOURCE_NAME: type_.name},
        payload=payload,
    )


def _escaped(text: str | None) -> str | None:
    return None if text is None else html.escape(text, quote=False)


def _plain(text: str | None) -> str | None:
    # What was escaped when the type was made is the same to a client that sends it again as it was.
    return None if text is None else html.unescape(text)
