"""Block schemas, which tell the fields of a type's blocks, at /api/block_schemas; and /api/block_capabilities.

A field that is a block again names that block's schema by its checksum. Those schemas are rows of their own: they are
made when they are missing, taken out of `fields` when a schema is stored, and put in again when it is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from lictor.blocks import catalog
from lictor.blocks.checksums import PLACE, Fields, checksum, plain_definitions, references
from lictor.blocks.types import Blocks, BlockSchema, BlockSchemaCreate, BlockSchemaPage, BlockType
from lictor.db import LostRace, Tx, Where, sql
from lictor.kit import clock, ids
from lictor.kit.errors import BadRequest, Conflict, NotFound, Refused
from lictor.web import Created

_json = msgspec.json.encode

COLUMNS = (
    f"s.id, s.created, s.updated, s.checksum, s.fields, s.block_type_id, {catalog.COLUMNS}, s.capabilities, s.version"
)
SOURCE = f"select {COLUMNS} from block_schema s join block_type t on t.id = s.block_type_id"

FIND = sql("blocks.find_schemas", BlockSchema, f"{SOURCE} where s.id {{in:ids:uuid}}")
FIND_BY_CHECKSUM = sql(
    "blocks.find_schema_by_checksum",
    BlockSchema,
    f"{SOURCE} where s.checksum = :checksum order by s.created desc, s.id desc limit 1",
)
FIND_VERSION = sql(
    "blocks.find_schema_version", BlockSchema, f"{SOURCE} where s.checksum = :checksum and s.version = :version"
)
INSERT = sql(
    "blocks.insert_schema",
    None,
    """
    insert into block_schema (id, created, updated, checksum, fields, block_type_id, capabilities, version)
    values (:id, :now, :now, :checksum, :fields, :block_type_id, :capabilities, :version)
    on conflict (checksum, version) do nothing
    """,
)
INSERT_REFERENCE = sql(
    "blocks.insert_schema_reference",
    None,
    """
    insert into block_schema_reference (id, parent_block_schema_id, reference_block_schema_id, name)
    values (:id, :parent, :reference, :name) on conflict do nothing
    """,
)
DELETE = sql("blocks.delete_schema", None, "delete from block_schema where id = :id")
CAPABILITIES = sql("blocks.capabilities", list[str], "select distinct capabilities from block_schema")


class _Edge(Struct):
    id: str
    parent: str
    reference: str
    name: str


# `union`, not `union all`: schemas that refer to each other are met once.
EDGES = sql(
    "blocks.schema_edges",
    _Edge,
    """
    with recursive edge (id, parent, reference, name) as (
        select r.id, r.parent_block_schema_id, r.reference_block_schema_id, r.name
        from block_schema_reference r where r.parent_block_schema_id {in:ids:uuid}
        union
        select r.id, r.parent_block_schema_id, r.reference_block_schema_id, r.name
        from edge join block_schema_reference r on r.parent_block_schema_id = edge.reference
    )
    select id, parent, reference, name from edge order by id
    """,
)


def get(tx: Tx, id: str) -> BlockSchema:
    found = whole(tx, tx.all(FIND, ids=[id]))
    if not found:
        raise missing()
    return found[0]


def get_by_checksum(tx: Tx, checksum: str, version: str | None) -> BlockSchema:
    """The newest with this checksum, unless a version is asked for."""
    found = find_by_checksum(tx, checksum, version)
    if found is None:
        raise missing()
    return found


def find_by_checksum(tx: Tx, checksum: str, version: str | None) -> BlockSchema | None:
    if version is None:
        row = tx.one(FIND_BY_CHECKSUM, checksum=checksum)
    else:
        row = tx.one(FIND_VERSION, checksum=checksum, version=version)
    return None if row is None else whole(tx, [row])[0]


def find_many(tx: Tx, wanted: Iterable[str]) -> dict[str, BlockSchema]:
    """Schemas by id."""
    return {schema.id: schema for schema in whole(tx, tx.all(FIND, ids=sorted(set(wanted))))}


def page(tx: Tx, asked: BlockSchemaPage) -> list[BlockSchema]:
    where = Where() if asked.block_schemas is None else asked.block_schemas.where()
    order = "s.created desc, s.id desc"
    return whole(tx, tx.page(BlockSchema, SOURCE, where, order=order, limit=asked.limit, offset=asked.offset))


def capabilities(tx: Tx) -> list[str]:
    """All that some schema can do."""
    return sorted({one for some in tx.all(CAPABILITIES) for one in some})


def create(tx: Tx, new: BlockSchemaCreate) -> Created[BlockSchema]:
    """The schema with the same checksum and version, if there is one.

    Raises NotFound for an unknown type, Conflict when a nested block's type is not registered, BadRequest when its
    definition is missing.
    """
    type_ = catalog.find(tx, str(new.block_type_id))
    if type_ is None:
        raise NotFound(f"Block type {new.block_type_id} not found.")
    for key in ("definitions", "properties"):
        if not isinstance(new.fields.get(key) or {}, dict):
            raise BadRequest(f"The {key} of a block schema are an object.")
    return register(tx, type_, new.fields, new.capabilities, new.version)


def register(
    tx: Tx,
    type_: BlockType,
    fields: Fields,
    capabilities: list[str],
    version: str,
    definitions: Fields | None = None,
) -> Created[BlockSchema]:
    """`definitions` are those of the outermost schema, for one that is nested in it."""
    definitions = definitions or fields.get("definitions")
    if definitions:
        fields = {**fields, "definitions": definitions}
    sum_ = checksum(fields)
    existing = find_by_checksum(tx, sum_, version)
    if existing is not None:
        return Created(existing, created=False)
    now = clock.now()
    schema = BlockSchema(ids.new(), now, now, sum_, fields, type_.id, type_, capabilities, version)
    _insert(tx, schema, definitions or {})
    shown = {**schema.fields, "block_schema_references": fields.get("block_schema_references", {})}
    if definitions:
        shown["definitions"] = definitions
    return Created(msgspec.structs.replace(schema, fields=shown))


def delete(tx: Tx, id: str, blocks: Blocks) -> None:
    """With the documents that were made by it. Raises Refused for a schema of a protected type."""
    if get(tx, id).block_type.is_protected:
        raise Refused("Block schemas for protected block types cannot be deleted.")
    tx.run(DELETE, id=id)
    blocks.gone(tx)


def missing() -> NotFound:
    return NotFound("Block schema not found")


def whole(tx: Tx, rows: list[BlockSchema]) -> list[BlockSchema]:
    """The schemas with what their nested blocks add to their fields."""
    edges = tx.all(EDGES, ids=[row.id for row in rows]) if rows else []
    known = {row.id: row for row in rows}
    further = {edge.reference for edge in edges} - known.keys()
    if further:
        known |= {row.id: row for row in tx.all(FIND, ids=sorted(further))}
    by_parent: dict[str, list[_Edge]] = {}
    for edge in edges:
        by_parent.setdefault(edge.parent, []).append(edge)
    return [msgspec.structs.replace(row, fields=_fields(row, known, by_parent, ())) for row in rows]


def _fields(
    schema: BlockSchema, known: dict[str, BlockSchema], edges: dict[str, list[_Edge]], above: tuple[str, ...]
) -> Fields:
    nested: dict[str, Any] = {}
    definitions: Fields = {}
    for edge in edges.get(schema.id, ()):
        child = known.get(edge.reference)
        if child is None:
            continue
        _refer(nested, edge.name, {"block_schema_checksum": child.checksum, "block_type_slug": child.block_type.slug})
        title = child.fields.get("title")
        if title is not None and child.id not in above:
            inner = _fields(child, known, edges, (*above, schema.id))
            further = inner.pop("definitions", {})
            definitions = {**definitions, title: inner, **further}
    fields = {**schema.fields, "block_schema_references": nested}
    definitions = {**(schema.fields.get("definitions") or {}), **definitions}
    return {**fields, "definitions": definitions} if definitions else fields


def _refer(nested: dict[str, Any], name: str, reference: dict[str, str]) -> None:
    """A field that may be several kinds of block has a list."""
    there = nested.get(name)
    if there is None:
        nested[name] = reference
    elif isinstance(there, list):
        if reference not in there:
            there.append(reference)
    elif there != reference:
        nested[name] = [there, reference]


def _insert(tx: Tx, schema: BlockSchema, definitions: Fields) -> None:
    """Brings the schema's fields into the form in which they are stored."""
    fields = dict(schema.fields)
    if definitions:
        fields["definitions"] = plain_definitions(fields, definitions)
        if not fields["definitions"]:
            del fields["definitions"]
    nested = fields.pop("block_schema_references", {})
    schema.fields = fields
    written = tx.run(
        INSERT,
        id=schema.id,
        now=schema.created,
        checksum=schema.checksum,
        fields=_json(fields).decode(),
        block_type_id=schema.block_type_id,
        capabilities=schema.capabilities,
        version=schema.version,
    )
    if not written:
        raise LostRace  # somebody else made it meanwhile; it will be found
    for name, listed in _references(nested):
        child = _nested_schema(tx, name, listed, fields, definitions)
        tx.run(INSERT_REFERENCE, id=ids.new(), parent=schema.id, reference=child, name=name)


def _references(nested: Any) -> list[tuple[str, dict[str, str]]]:
    """Field and reference, one line for each. Raises BadRequest for what is none."""
    found = []
    for name, value in nested.items() if isinstance(nested, dict) else [("block_schema_references", nested)]:
        for one in value if isinstance(value, list) else [value]:
            keys = ("block_type_slug", "block_schema_checksum")
            if not isinstance(one, dict) or not all(isinstance(one.get(key), str) for key in keys):
                raise BadRequest(f"The reference to a block schema in {name!r} needs {' and '.join(keys)}.")
            found.append((name, one))
    return found


def _nested_schema(tx: Tx, name: str, reference: dict[str, str], fields: Fields, definitions: Fields) -> str:
    """The id of the schema that the field `name` refers to; it is made when there is none."""
    slug = reference["block_type_slug"]
    type_ = catalog.find_by_slug(tx, slug)
    if type_ is None:
        raise Conflict(
            f"Cannot create block schema because block type {slug!r} was not found."
            "Did you forget to register the block type?"
        )
    found = tx.one(FIND_BY_CHECKSUM, checksum=reference["block_schema_checksum"])
    if found is not None:
        return found.id
    definition = _definition((fields.get("properties") or {}).get(name), slug, definitions)
    if definition is None:
        raise BadRequest(
            f"Unable to create nested block schema for block type {type_.name!r} due to missing definition."
        )
    return register(tx, type_, definition, [], "non-versioned", definitions).value.id


def _definition(spec: Any, slug: str, definitions: Fields) -> Fields | None:
    """Of the definitions that a field's specification refers to, the one of the block type."""
    named = [definitions.get(reference.replace(PLACE, "")) for reference in references(spec)]
    found = [one for one in named if isinstance(one, dict)]
    if len(named) == 1:
        return found[0] if found else None
    return next((one for one in found if one.get("block_type_slug") == slug), None)
