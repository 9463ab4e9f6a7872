"""Block documents: the values of one block under a name, at /api/block_documents.

A top-level value `{"$ref": {"block_document_id": id}}` refers to another document. Such references are rows of their
own; who reads a document finds the other's data in that place, and in `block_document_references` where it is from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct

from lictor.blocks import catalog, encryption, schemas, secrets
from lictor.blocks.announcing import changed
from lictor.blocks.encryption import Cipher, Sealed
from lictor.blocks.types import (
    BlockDocument,
    BlockDocumentCount,
    BlockDocumentCreate,
    BlockDocumentFilter,
    BlockDocumentPage,
    BlockDocumentSort,
    BlockDocumentUpdate,
    Blocks,
    BlockSchema,
    BlockType,
)
from lictor.db import Joined, Tx, Where, sql
from lictor.events import store as events
from lictor.kit import clock, ids
from lictor.kit.errors import BadRequest, Conflict, NotFound

MAX_DEPTH = 50

Data = dict[str, Any]
References = dict[str, str]


class Row(Struct):
    """A document as it is stored."""

    id: str
    created: datetime
    updated: datetime
    name: str
    data: str
    key_id: str
    is_anonymous: bool
    block_type_id: str
    block_schema_id: str
    block_type: Annotated[BlockType, Joined]


class Reference(Struct):
    parent: str
    child: str
    name: str


COLUMNS = (
    "d.id, d.created, d.updated, d.name, d.data, d.key_id, d.is_anonymous, d.block_type_id, d.block_schema_id, "
    f"{catalog.COLUMNS}"
)
SOURCE = f"select {COLUMNS} from block_document d join block_type t on t.id = d.block_type_id"
ORDER = {
    BlockDocumentSort.NAME_DESC: "d.name desc, d.id desc",
    BlockDocumentSort.NAME_ASC: "d.name, d.id",
    BlockDocumentSort.BLOCK_TYPE_AND_NAME_ASC: "t.name, t.id, d.name",
}

FIND = sql("blocks.find_documents", Row, f"{SOURCE} where d.id {{in:ids:uuid}}")
FIND_BY_NAME = sql("blocks.find_document_by_name", Row, f"{SOURCE} where t.slug = :slug and d.name = :name")
OF_TYPE = sql(
    "blocks.documents_of_type",
    Row,
    f"{SOURCE} where d.block_type_id = :type_id and not d.is_anonymous order by d.name, d.id",
)
LOCK = sql("blocks.lock_document", str, "select id from block_document where id = :id {for_update}")
INSERT = sql(
    "blocks.insert_document",
    None,
    """
    insert into block_document
        (id, created, updated, name, data, key_id, is_anonymous, block_type_id, block_schema_id)
    values (:id, :now, :now, :name, :data, :key_id, :is_anonymous, :block_type_id, :block_schema_id)
    on conflict (block_type_id, name) do nothing
    """,
)
UPDATE = sql(
    "blocks.update_document",
    None,
    """
    update block_document set data = :data, key_id = :key_id, block_schema_id = :block_schema_id, updated = :now
    where id = :id
    """,
)
DELETE = sql("blocks.delete_document", None, "delete from block_document where id = :id")
# `union`, not `union all`: it ends even if documents should refer to each other.
REFERENCES = sql(
    "blocks.document_references",
    Reference,
    """
    with recursive found (parent, child, name) as (
        select r.parent_block_document_id, r.reference_block_document_id, r.name
        from block_document_reference r where r.parent_block_document_id {in:ids:uuid}
        union
        select r.parent_block_document_id, r.reference_block_document_id, r.name
        from found join block_document_reference r on r.parent_block_document_id = found.child
    )
    select parent, child, name from found
    """,
)
INSERT_REFERENCE = sql(
    "blocks.insert_document_reference",
    None,
    """
    insert into block_document_reference (id, parent_block_document_id, reference_block_document_id, name)
    values (:id, :parent, :child, :name)
    """,
)
DELETE_REFERENCES = sql(
    "blocks.delete_document_references",
    None,
    "delete from block_document_reference where parent_block_document_id = :parent",
)


def get(tx: Tx, id: str, cipher: Cipher, include_secrets: bool = False) -> BlockDocument:
    found = _whole(tx, tx.all(FIND, ids=[id]), cipher, include_secrets)
    if not found:
        raise missing()
    return found[0]


def get_by_name(tx: Tx, slug: str, name: str, cipher: Cipher, include_secrets: bool = False) -> BlockDocument:
    row = tx.get(FIND_BY_NAME, missing(), slug=slug, name=name)
    return _whole(tx, [row], cipher, include_secrets)[0]


def of_type(tx: Tx, slug: str, cipher: Cipher, include_secrets: bool = False) -> list[BlockDocument]:
    """All documents of a type but the anonymous ones."""
    type_ = catalog.get_by_slug(tx, slug)
    return _whole(tx, tx.all(OF_TYPE, type_id=type_.id), cipher, include_secrets)


def page(tx: Tx, asked: BlockDocumentPage, cipher: Cipher) -> list[BlockDocument]:
    where = _where(BlockDocumentCount(asked.block_documents, asked.block_types, asked.block_schemas))
    return _whole(tx, _rows(tx, asked, where), cipher, asked.include_secrets)


def _rows(tx: Tx, asked: BlockDocumentPage, where: Where) -> list[Row]:
    source = SOURCE
    if asked.sort == BlockDocumentSort.BLOCK_TYPE_AND_NAME_ASC:
        # Type by type in the order of its index: SQLite would rather read and sort all documents.
        source = f"select {COLUMNS} from block_type t cross join block_document d"
        where.add("d.block_type_id = t.id")
    return tx.page(Row, source, where, order=ORDER[asked.sort], limit=asked.limit, offset=asked.offset)


def count(tx: Tx, asked: BlockDocumentCount) -> int:
    return tx.count("from block_document d", _where(asked))


def capabilities(tx: Tx, id: str) -> list[str] | None:
    """What the block of a document can do; None when there is no such document."""
    rows = tx.all(FIND, ids=[id])
    return schemas.find_many(tx, [rows[0].block_schema_id])[rows[0].block_schema_id].capabilities if rows else None


def create(tx: Tx, new: BlockDocumentCreate, blocks: Blocks) -> BlockDocument:
    """Raises Conflict when the name is taken, NotFound for an unknown type, BadRequest for a bad reference."""
    type_id, schema_id = str(new.block_type_id), str(new.block_schema_id)
    if catalog.find(tx, type_id) is None:
        raise NotFound(f"Block type {type_id} not found.")
    if not schemas.find_many(tx, [schema_id]):
        raise Conflict()
    encryption.check(tx, blocks.cipher)  # a new key must not be made beside one that is lost
    data, references = split(new.data)
    id, sealed = ids.new(), blocks.cipher.seal(data)
    inserted = tx.run(
        INSERT,
        id=id,
        now=clock.now(),
        name=new.name or f"anonymous-{ids.new4()}",
        data=sealed.text,
        key_id=sealed.key_id,
        is_anonymous=new.is_anonymous,
        block_type_id=type_id,
        block_schema_id=schema_id,
    )
    if not inserted:
        raise Conflict("Block already exists")
    _refer(tx, id, references)
    document = get(tx, id, blocks.cipher)
    _announce(tx, "created", document)
    return document


def update(tx: Tx, id: str, patch: BlockDocumentUpdate, blocks: Blocks) -> None:
    """Raises BadRequest for a bad reference or a schema of another type."""
    tx.get(LOCK, missing(), id=id)
    if patch.data is not UNSET or not patch.merge_existing_data:
        _write(tx, tx.all(FIND, ids=[id])[0], patch, blocks.cipher)
    _announce(tx, "updated", get(tx, id, blocks.cipher))


def delete(tx: Tx, id: str, blocks: Blocks) -> None:
    tx.get(LOCK, missing(), id=id)
    document = get(tx, id, blocks.cipher)
    tx.run(DELETE, id=id)
    _announce(tx, "deleted", document)
    blocks.gone(tx)


def missing() -> NotFound:
    return NotFound("Block document not found")


def split(data: Data) -> tuple[Data, References]:
    """What is stored with the document, and the ids of the documents that it refers to, by name."""
    plain: Data = {}
    references: References = {}
    for name, value in data.items():
        if isinstance(value, dict) and "$ref" in value:
            references[name] = _referred(name, value["$ref"])
        else:
            plain[name] = value
    return plain, references


def _referred(name: str, reference: Any) -> str:
    id = reference.get("block_document_id") if isinstance(reference, dict) else None
    if id is None:
        raise BadRequest(f"Received block reference without a block_document_id in key {name}")
    try:
        return str(UUID(id))
    except (ValueError, AttributeError, TypeError):
        raise BadRequest(f"The block_document_id of the block reference in key {name} is not a UUID") from None


def _where(asked: BlockDocumentCount) -> Where:
    where = (asked.block_documents or BlockDocumentFilter()).where()
    for filter, column, table in (
        (asked.block_types, "d.block_type_id", "block_type t"),
        (asked.block_schemas, "d.block_schema_id", "block_schema s"),
    ):
        if filter is not None and (inner := filter.where()):
            where.add(f"{column} in (select {table[-1]}.id from {table} where {inner.text()})", **inner.params)
    return where


def _write(tx: Tx, row: Row, patch: BlockDocumentUpdate, cipher: Cipher) -> None:
    schema = schemas.find_many(tx, [row.block_schema_id])[row.block_schema_id]
    old = cipher.open(Sealed(row.data, row.key_id))
    given = {} if patch.data is UNSET else patch.data
    data, references = split(secrets.kept(given, old, schema.secret_fields))
    if patch.merge_existing_data:
        was = {one.name: one.child for one in tx.all(REFERENCES, ids=[row.id]) if one.parent == row.id}
        references = {name: child for name, child in was.items() if name not in data} | references
        data = {name: value for name, value in old.items() if name not in references} | data
    sealed = cipher.seal(data)
    tx.run(
        UPDATE,
        id=row.id,
        data=sealed.text,
        key_id=sealed.key_id,
        block_schema_id=_schema_for(tx, row, patch),
        now=clock.now(),
    )
    tx.run(DELETE_REFERENCES, parent=row.id)
    _refer(tx, row.id, references)


def _schema_for(tx: Tx, row: Row, patch: BlockDocumentUpdate) -> str:
    id = row.block_schema_id if patch.block_schema_id is None else str(patch.block_schema_id)
    if id == row.block_schema_id:
        return id
    found = schemas.find_many(tx, [id])
    if not found:
        raise BadRequest(f"Block schema {id} not found")
    if found[id].block_type_id != row.block_type_id:
        raise BadRequest("Must migrate block document to a block schema of the same block type.")
    return id


def _refer(tx: Tx, parent: str, references: References) -> None:
    below = tx.all(REFERENCES, ids=list(references.values())) if references else []
    for name, child in references.items():
        if child == parent or any(one.child == parent for one in below):
            raise BadRequest(
                "Cannot create block document reference: it would introduce a cycle into the "
                f"block_document_reference graph (parent={parent}, reference={child})."
            )
        tx.run(INSERT_REFERENCE, id=ids.new(), parent=parent, child=child, name=name)


def _announce(tx: Tx, action: str, document: BlockDocument) -> None:
    if not document.is_anonymous:
        events.emit(tx, changed(action, document))


def _whole(tx: Tx, rows: list[Row], cipher: Cipher, include_secrets: bool) -> list[BlockDocument]:
    """The documents with all that they refer to."""
    references = tx.all(REFERENCES, ids=[row.id for row in rows]) if rows else []
    known = {row.id: row for row in rows}
    further = {one.child for one in references} - known.keys()
    if further:
        known |= {row.id: row for row in tx.all(FIND, ids=sorted(further))}
    of = schemas.find_many(tx, (row.block_schema_id for row in known.values()))
    opened = {id: _opened(row, of[row.block_schema_id], cipher, include_secrets) for id, row in known.items()}
    below: dict[str, list[Reference]] = {}
    for one in references:
        below.setdefault(one.parent, []).append(one)
    return [_document(row, of, opened, _Tree(known, below)) for row in rows]


def _opened(row: Row, schema: BlockSchema, cipher: Cipher, include_secrets: bool) -> Data:
    data = cipher.open(Sealed(row.data, row.key_id))
    return data if include_secrets else secrets.masked(data, schema.secret_fields)


class _Tree(Struct):
    rows: Mapping[str, Row]
    below: Mapping[str, Iterable[Reference]]


def _document(row: Row, of: Mapping[str, BlockSchema], opened: Mapping[str, Data], tree: _Tree) -> BlockDocument:
    data, references = _filled(row.id, opened, tree, 0)
    return BlockDocument(
        row.id,
        row.created,
        row.updated,
        row.name,
        data,
        row.block_schema_id,
        of[row.block_schema_id],
        row.block_type_id,
        row.block_type.name,
        row.block_type,
        references,
        row.is_anonymous,
    )


def _filled(id: str, opened: Mapping[str, Data], tree: _Tree, depth: int) -> tuple[Data, dict[str, Any]]:
    """A document's data with that of the documents below, and what there is to say about those."""
    if depth > MAX_DEPTH:
        raise BadRequest(f"Block document reference graph exceeds max depth {MAX_DEPTH}; refusing to recurse further.")
    data, references = dict(opened[id]), {}
    for one in tree.below.get(id, ()):
        child = tree.rows[one.child]
        data[one.name], inner = _filled(one.child, opened, tree, depth + 1)
        references[one.name] = {
            "block_document": {
                "id": child.id,
                "name": child.name,
                "block_type": msgspec.to_builtins(child.block_type, builtin_types=(datetime,)),
                "is_anonymous": child.is_anonymous,
                "block_document_references": inner,
            }
        }
    return data, references
