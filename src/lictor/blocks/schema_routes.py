"""/api/block_schemas and /api/block_capabilities."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated

from lictor.blocks import schemas
from lictor.blocks.types import Blocks, BlockSchema, BlockSchemaCreate, BlockSchemaPage
from lictor.db import Database
from lictor.web import Created, Query, Router

router = Router("/block_schemas", tag="Block schemas")
capabilities_router = Router("/block_capabilities", tag="Block capabilities")


@router.post("/", status=201)
def create_block_schema(body: BlockSchemaCreate, db: Database) -> Awaitable[Created[BlockSchema]]:
    return db.write(schemas.create, body)


@router.get("/{id:uuid}")
def read_block_schema_by_id(id: str, db: Database) -> Awaitable[BlockSchema]:
    return db.read(schemas.get, id)


@router.delete("/{id:uuid}", status=204)
def delete_block_schema(id: str, db: Database, blocks: Blocks) -> Awaitable[None]:
    return db.write(schemas.delete, id, blocks)


@router.post("/filter")
def read_block_schemas(body: BlockSchemaPage, db: Database) -> Awaitable[list[BlockSchema]]:
    return db.read(schemas.page, body)


@router.get("/checksum/{checksum}")
def read_block_schema_by_checksum(
    checksum: str, db: Database, version: Annotated[str | None, Query()] = None
) -> Awaitable[BlockSchema]:
    return db.read(schemas.get_by_checksum, checksum, version)


@capabilities_router.get("/")
def read_available_block_capabilities(db: Database) -> Awaitable[list[str]]:
    return db.read(schemas.capabilities)
