"""The blocks that come with the server: those of the SDK itself, and of its best known integrations.

`data/standard_blocks.json` holds what the reference tells of them (`python -m tests.parity.standard_blocks` writes it).
They are put into the database once for each edition of that file, so a start that has nothing to do reads one row.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

from lictor.db import Database, Tx, sql
from lictor.kit import clock, ids
from lictor.kit.decoding import decode

EDITION = sql("blocks.standard_edition", str, "select edition from standard_blocks where edition = :edition")
FORGET_EDITION = sql("blocks.forget_standard_edition", None, "delete from standard_blocks")
INSERT_EDITION = sql(
    "blocks.insert_standard_edition",
    None,
    "insert into standard_blocks (edition, installed) values (:edition, :now) on conflict do nothing",
)
UPSERT_TYPE = sql(
    "blocks.upsert_standard_type",
    None,
    """
    insert into block_type (id, created, updated, name, slug, logo_url, documentation_url, description, code_example,
        is_protected)
    values (:id, :now, :now, :name, :slug, :logo_url, :documentation_url, :description, :code_example, :is_protected)
    on conflict (slug) do update set logo_url = excluded.logo_url, documentation_url = excluded.documentation_url,
        description = excluded.description, code_example = excluded.code_example, updated = excluded.updated,
        is_protected = excluded.is_protected
    """,
)
INSERT_SCHEMA = sql(
    "blocks.insert_standard_schema",
    None,
    """
    insert into block_schema (id, created, updated, checksum, fields, block_type_id, capabilities, version)
    select {uuid:id}, {ts:now}, {ts:now}, {text:checksum}, :fields, t.id, :capabilities, {text:version}
    from block_type t where t.slug = :slug
    on conflict (checksum, version) do nothing
    """,
)
INSERT_REFERENCE = sql(
    "blocks.insert_standard_reference",
    None,
    """
    insert into block_schema_reference (id, parent_block_schema_id, reference_block_schema_id, name)
    select {uuid:id}, p.id, (
        select c.id from block_schema c where c.checksum = :child order by c.created desc, c.id desc limit 1
    ), {text:name}
    from block_schema p where p.checksum = :parent and p.version = :version
    and not exists (
        select 1 from block_schema_reference r join block_schema c on c.id = r.reference_block_schema_id
        where r.parent_block_schema_id = p.id and r.name = :name and c.checksum = :child
    )
    """,
)


class StandardType(Struct):
    name: str
    slug: str
    logo_url: str | None
    documentation_url: str | None
    description: str | None
    code_example: str | None
    is_protected: bool


class StandardReference(Struct):
    name: str
    checksum: str


class StandardSchema(Struct):
    slug: str
    checksum: str
    version: str
    capabilities: list[str]
    references: list[StandardReference]
    fields: Raw


class StandardBlocks(Struct):
    types: list[StandardType]
    schemas: list[StandardSchema]


class Edition(NamedTuple):
    """The file's text and what tells it from other editions."""

    text: bytes
    name: str

    def blocks(self) -> StandardBlocks:
        return decode(self.text, StandardBlocks)


def edition() -> Edition:
    text = (files("lictor") / "data" / "standard_blocks.json").read_bytes()
    return Edition(text, hashlib.sha256(text).hexdigest()[:16])


def install_if_new(db: Database) -> bool:
    """Whether there was something to do."""
    ours = edition()
    if db.read_now(is_installed, ours.name):
        return False
    db.write_now(install, ours)
    return True


def is_installed(tx: Tx, name: str) -> bool:
    return tx.value(EDITION, edition=name) is not None


def install(tx: Tx, edition: Edition) -> None:
    """Types as they should be, schemas where they are missing. Documents are not touched, and no events are emitted:
    nobody did anything."""
    now = clock.now()
    blocks = edition.blocks()
    tx.many(UPSERT_TYPE, [{"id": ids.new(), "now": now, **msgspec.structs.asdict(one)} for one in blocks.types])
    tx.many(INSERT_SCHEMA, [_schema_row(one) | {"now": now} for one in blocks.schemas])
    tx.many(INSERT_REFERENCE, [row for one in blocks.schemas for row in _reference_rows(one)])
    tx.run(FORGET_EDITION)
    tx.run(INSERT_EDITION, edition=edition.name, now=now)


def _schema_row(schema: StandardSchema) -> dict[str, Any]:
    return {
        "id": ids.new(),
        "slug": schema.slug,
        "checksum": schema.checksum,
        "version": schema.version,
        "capabilities": schema.capabilities,
        "fields": bytes(schema.fields).decode(),
    }


def _reference_rows(schema: StandardSchema) -> list[dict[str, Any]]:
    same = {"parent": schema.checksum, "version": schema.version}
    return [same | {"id": ids.new(), "name": one.name, "child": one.checksum} for one in schema.references]
