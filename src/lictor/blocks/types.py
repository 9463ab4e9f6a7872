"""Blocks: rows, and what goes over the wire."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from lictor.blocks.encryption import Cipher
from lictor.db import Joined, Tx
from lictor.filters import Filter, PlainFilter
from lictor.filters.leaves import AnyId, AnyText, Condition, Flag, Leaf, Name, NameLike, on
from lictor.web import DEFAULT_LIMIT, Checked, Checks, Embedded, FieldError, Limit, Offset

# What a schema that names no version has.
NO_VERSION = "non-versioned"

NAME_PATTERN = "^[^/%&><]+$"
TypeName = Annotated[str, Meta(pattern=NAME_PATTERN)]

# `$` also matches before a last line feed, and such names are accepted by the reference too.
_SLUG = re.compile(r"^[a-z0-9-]*$")


class Blocks(Struct, frozen=True):
    """What blocks need from around them: the cipher for their data, and whom to tell, in the same transaction, when
    documents went away."""

    cipher: Cipher
    gone: Callable[[Tx], None]


class BlockType(Struct):
    id: str
    created: datetime
    updated: datetime
    name: str
    slug: str
    logo_url: str | None
    documentation_url: str | None
    description: str | None
    code_example: str | None
    is_protected: bool


class BlockSchema(Struct):
    """`fields` is a JSON Schema with keys of its own: `block_type_slug`, `secret_fields`, `block_schema_references`."""

    id: str
    created: datetime
    updated: datetime
    checksum: str
    fields: dict[str, Any]
    block_type_id: str
    block_type: Annotated[BlockType, Joined]
    capabilities: list[str]
    version: str

    @property
    def secret_fields(self) -> list[str]:
        named = self.fields.get("secret_fields")
        return [name for name in named if isinstance(name, str)] if isinstance(named, list) else []


class BlockDocument(Struct):
    """`data` holds the data of the documents that this one refers to, under the names of the references."""

    id: str
    created: datetime
    updated: datetime
    name: str
    data: dict[str, Any]
    block_schema_id: str
    block_schema: BlockSchema
    block_type_id: str
    block_type_name: str
    block_type: BlockType
    block_document_references: dict[str, Any]
    is_anonymous: bool


def check_slug(slug: str) -> None:
    if not _SLUG.match(slug):
        raise FieldError("Block type slug must only contain lowercase letters, numbers, and dashes.")


class BlockTypeCreate(Checked, Struct, forbid_unknown_fields=True):
    checks: ClassVar[Checks] = {"slug": check_slug}

    name: TypeName
    slug: str
    logo_url: str | None = None
    documentation_url: str | None = None
    description: str | None = None
    code_example: str | None = None


class BlockTypeUpdate(Struct, forbid_unknown_fields=True):
    """Absent: as it was."""

    logo_url: str | UnsetType | None = UNSET
    documentation_url: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    code_example: str | UnsetType | None = UNSET


class BlockSchemaCreate(Struct, forbid_unknown_fields=True, kw_only=True):
    fields: dict[str, Any] = {}
    block_type_id: UUID
    capabilities: list[str] = []
    version: str = NO_VERSION


def check_name(name: str | None) -> None:
    if name is not None and not re.search(NAME_PATTERN, name):
        words, ctx = f"String should match pattern '{NAME_PATTERN}'", {"pattern": NAME_PATTERN}
        raise FieldError(words, type="string_pattern_mismatch", ctx=ctx)
    if name is not None and not _SLUG.match(name):
        raise FieldError("Block document name must only contain lowercase letters, numbers, and dashes.")


class BlockDocumentCreate(Checked, Struct, forbid_unknown_fields=True, kw_only=True):
    checks: ClassVar[Checks] = {"name": check_name}

    name: str | None = None
    data: dict[str, Any] = {}
    block_schema_id: UUID
    block_type_id: UUID
    is_anonymous: bool = False

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        check_named(self.name, self.is_anonymous)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        check_named(given.get("name"), given.get("is_anonymous"))
        return given


def check_named(name: Any, is_anonymous: Any) -> None:
    if not is_anonymous and not name:
        raise ValueError("Names must be provided for block documents.")


class BlockDocumentUpdate(Struct, forbid_unknown_fields=True):
    """With `merge_existing_data`, keys that are absent from `data` stay as they are."""

    block_schema_id: UUID | None = None
    data: dict[str, Any] | UnsetType = UNSET
    merge_existing_data: bool = True


class Capabilities(Leaf):
    """`all_` of these are among a schema's capabilities; an empty list says nothing."""

    all_: list[str] | None = None

    def conditions(self, at: on) -> list[Condition]:
        return [Condition(f"{{has_all:{at.column}:wanted}}", {"wanted": self.all_})] if self.all_ else []


class BlockTypeFilter(PlainFilter):
    name: Annotated[NameLike | None, on("t.name")] = None
    slug: Annotated[AnyText | None, on("t.slug")] = None


class BlockSchemaFilter(Filter):
    block_type_id: Annotated[AnyId | None, on("s.block_type_id")] = None
    block_capabilities: Annotated[Capabilities | None, on("s.capabilities")] = None
    id: Annotated[AnyId | None, on("s.id")] = None
    version: Annotated[AnyText | None, on("s.version")] = None


def not_anonymous() -> Flag:
    return Flag(eq_=False)


class BlockDocumentFilter(Filter):
    """Without a word about it, anonymous documents are left out; null lets them in."""

    id: Annotated[AnyId | None, on("d.id")] = None
    is_anonymous: Annotated[Flag | None, on("d.is_anonymous")] = field(default_factory=not_anonymous)
    block_type_id: Annotated[AnyId | None, on("d.block_type_id")] = None
    name: Annotated[Name | None, on("d.name")] = None


class BlockDocumentSort(StrEnum):
    NAME_DESC = "NAME_DESC"
    NAME_ASC = "NAME_ASC"
    BLOCK_TYPE_AND_NAME_ASC = "BLOCK_TYPE_AND_NAME_ASC"


class BlockTypePage(Embedded):
    block_types: BlockTypeFilter | None = None
    block_schemas: BlockSchemaFilter | None = None
    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0


class BlockSchemaPage(Embedded):
    block_schemas: BlockSchemaFilter | None = None
    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0


class BlockDocumentCount(Embedded):
    block_documents: BlockDocumentFilter | None = None
    block_types: BlockTypeFilter | None = None
    block_schemas: BlockSchemaFilter | None = None


class BlockDocumentPage(Embedded):
    limit: Limit = DEFAULT_LIMIT
    block_documents: BlockDocumentFilter | None = None
    block_types: BlockTypeFilter | None = None
    block_schemas: BlockSchemaFilter | None = None
    include_secrets: bool = False
    sort: BlockDocumentSort = BlockDocumentSort.NAME_ASC
    offset: Offset = 0
