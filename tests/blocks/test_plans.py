"""Lists of block documents use their indexes on a large table, on both databases."""

from __future__ import annotations

from typing import Any

import msgspec
from tests.architecture.test_plans import SERIES, START, id_sql
from tests.plans import Read, complaints

from lictor.blocks import documents
from lictor.blocks.types import BlockDocumentPage
from lictor.db import Database, Tx
from lictor.db.statement import composed

DOCUMENTS, TYPES = 5_000, 20
TYPE = f"""
    insert into block_type (id, created, updated, name, slug)
    {SERIES} select {id_sql("i")}, moment, moment, 'type ' || cast(i as text), 'type-' || cast(i as text)
    from numbers"""
SCHEMA = f"""
    insert into block_schema (id, created, updated, checksum, fields, block_type_id, version)
    {SERIES} select {id_sql("i")}, moment, moment, 'sum ' || cast(i as text), cast('{{}}' as {{raw_json_type}}),
        {id_sql("i")}, '1' from numbers"""
DOCUMENT = f"""
    insert into block_document (id, created, updated, name, data, key_id, block_type_id, block_schema_id)
    {SERIES} select {id_sql("i")}, moment, moment, 'block-' || cast(i as text), '', '',
        {id_sql(f"1 + i % {TYPES}")}, {id_sql(f"1 + i % {TYPES}")} from numbers"""


def page(**asked: Any) -> Read:
    wanted = msgspec.convert({"limit": 50, **asked}, BlockDocumentPage)
    where = documents._where(documents.BlockDocumentCount(wanted.block_documents))
    # The list alone: documents are then put together by their ids.
    return lambda tx: documents._rows(tx, wanted, where)


BY_TYPE_AND_NAME = "sqlite_autoindex_block_document_2|uq_block_document__block_type_id_name"
CASES: dict[str, tuple[Read, str]] = {
    "by name": (page(), "ix_block_document__name"),
    "by name backwards": (page(sort="NAME_DESC"), "ix_block_document__name"),
    "by type and name": (page(sort="BLOCK_TYPE_AND_NAME_ASC"), "ix_block_type__name"),
    "of a name": (page(block_documents={"name": {"any_": ["block-7"]}}), "ix_block_document__name"),
    "of a name and type": (
        lambda tx: tx.all(documents.FIND_BY_NAME, slug="type-7", name="block-7"),
        f"{BY_TYPE_AND_NAME}|ix_block_document__name",
    ),
}


def fill(tx: Tx) -> None:
    if tx.dialect.name == "postgres":
        tx.run(composed(None, "set local statement_timeout = 0"))
    for table in ("block_document", "block_schema", "block_type"):
        tx.run(composed(None, f"delete from {table}"))
    for text, count in ((TYPE, TYPES), (SCHEMA, TYPES), (DOCUMENT, DOCUMENTS)):
        tx.run(composed(None, text), start=START, count=count)
    if tx.dialect.name == "postgres":
        for table in ("block_type", "block_schema", "block_document"):
            tx.run(composed(None, f"analyze {table}"))


def test_lists_of_blocks_use_their_indexes(db: Database) -> None:
    db.write_now(fill)
    assert not complaints(db, CASES, r"SCAN d$|Seq Scan on block_document")
