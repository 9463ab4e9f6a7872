"""/api/block_types, and the documents of a type."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated

from lictor.blocks import catalog, documents, standard
from lictor.blocks.types import BlockDocument, Blocks, BlockType, BlockTypeCreate, BlockTypePage, BlockTypeUpdate
from lictor.db import Database
from lictor.web import Query, Router

router = Router("/block_types", tag="Block types")


@router.post("/", status=201)
def create_block_type(body: BlockTypeCreate, db: Database) -> Awaitable[BlockType]:
    return db.write(catalog.create, body)


@router.get("/{id:uuid}")
def read_block_type_by_id(id: str, db: Database) -> Awaitable[BlockType]:
    return db.read(catalog.get, id)


@router.get("/slug/{slug}")
def read_block_type_by_slug(slug: str, db: Database) -> Awaitable[BlockType]:
    return db.read(catalog.get_by_slug, slug)


@router.post("/filter")
def read_block_types(body: BlockTypePage, db: Database) -> Awaitable[list[BlockType]]:
    return db.read(catalog.page, body)


@router.patch("/{id:uuid}", status=204)
def update_block_type(id: str, body: BlockTypeUpdate, db: Database) -> Awaitable[None]:
    return db.write(catalog.update, id, body)


@router.delete("/{id:uuid}", status=204)
def delete_block_type(id: str, db: Database, blocks: Blocks) -> Awaitable[None]:
    return db.write(catalog.delete, id, blocks)


@router.get("/slug/{slug}/block_documents")
def read_block_documents_for_block_type(
    slug: str, db: Database, blocks: Blocks, include_secrets: Annotated[bool, Query()] = False
) -> Awaitable[list[BlockDocument]]:
    return db.read(documents.of_type, slug, blocks.cipher, include_secrets)


@router.get("/slug/{slug}/block_documents/name/{block_document_name}")
def read_block_document_by_name_for_block_type(
    slug: str,
    block_document_name: str,
    db: Database,
    blocks: Blocks,
    include_secrets: Annotated[bool, Query()] = False,
) -> Awaitable[BlockDocument]:
    return db.read(documents.get_by_name, slug, block_document_name, blocks.cipher, include_secrets)


@router.post("/install_system_block_types")
def install_system_block_types(db: Database) -> Awaitable[None]:
    return db.write(standard.install, standard.edition())
