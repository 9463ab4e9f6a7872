"""/api/block_documents."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated

from lictor.blocks import documents
from lictor.blocks.types import (
    BlockDocument,
    BlockDocumentCount,
    BlockDocumentCreate,
    BlockDocumentPage,
    BlockDocumentUpdate,
    Blocks,
)
from lictor.db import Database
from lictor.web import Query, Router

router = Router("/block_documents", tag="Block documents")


@router.post("/", status=201)
def create_block_document(body: BlockDocumentCreate, db: Database, blocks: Blocks) -> Awaitable[BlockDocument]:
    return db.write(documents.create, body, blocks)


@router.post("/filter")
def read_block_documents(body: BlockDocumentPage, db: Database, blocks: Blocks) -> Awaitable[list[BlockDocument]]:
    return db.read(documents.page, body, blocks.cipher)


@router.post("/count")
def count_block_documents(body: BlockDocumentCount, db: Database) -> Awaitable[int]:
    return db.read(documents.count, body)


@router.get("/{id:uuid}")
def read_block_document_by_id(
    id: str, db: Database, blocks: Blocks, include_secrets: Annotated[bool, Query()] = False
) -> Awaitable[BlockDocument]:
    return db.read(documents.get, id, blocks.cipher, include_secrets)


@router.delete("/{id:uuid}", status=204)
def delete_block_document(id: str, db: Database, blocks: Blocks) -> Awaitable[None]:
    return db.write(documents.delete, id, blocks)


@router.patch("/{id:uuid}", status=204)
def update_block_document_data(id: str, body: BlockDocumentUpdate, db: Database, blocks: Blocks) -> Awaitable[None]:
    return db.write(documents.update, id, body, blocks)
