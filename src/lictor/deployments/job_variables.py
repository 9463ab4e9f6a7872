"""Job variables held against the base job template of the pool that is to run the job."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from lictor.db import Tx, sql
from lictor.kit.errors import NotFound, Unprocessable
from lictor.kit.lazy import lazy

if TYPE_CHECKING:
    from lictor.parameters import schemas
else:
    schemas = lazy("lictor.parameters.schemas")

TEMPLATE = sql("deployments.template", dict[str, Any], "select base_job_template from work_pool where id = :pool_id")
BLOCK = sql("deployments.block", str, "select id from block_document where id = :id")


def variables_of(tx: Tx, pool_id: str | None) -> dict[str, Any]:
    """The schema of what can be set for jobs of the pool; empty when nothing is known."""
    template = tx.one(TEMPLATE, pool_id=pool_id) if pool_id is not None else None
    return (template or {}).get("variables") or {}


def check(tx: Tx, pool_id: str | None, doing: str, *layers: Any, require: bool) -> None:
    """The template's defaults, and over them each layer (JSON objects), have to be what the template's schema asks for.

    Raises Unprocessable, and NotFound for a default that is a block which is not there. Other defaults that do not fit
    the schema themselves are left out, and then nothing is required.
    """
    variables = variables_of(tx, pool_id)
    if not variables:
        return
    values, all_known = _defaults(tx, variables)
    for layer in layers:
        given = msgspec.json.decode(layer) if isinstance(layer, msgspec.Raw) else layer
        values.update(given or {})
    try:
        schemas.validate(values, variables, require=require and all_known, allow_none_with_default=True)
    except schemas.Mismatch as mismatch:
        raise Unprocessable(f"Error {doing}: {mismatch}") from mismatch
    except schemas.CircularSchema as circular:
        raise Unprocessable("Invalid schema: Unable to validate schema with circular references.") from circular


def _defaults(tx: Tx, variables: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The defaults that fit the schema, and whether those are all."""
    properties = variables.get("properties") or {}
    given = {name: of["default"] for name, of in properties.items() if isinstance(of, dict) and "default" in of}
    fitting = {name: default for name, default in given.items() if _fits(tx, name, default, variables)}
    return fitting, len(fitting) == len(given)


def _fits(tx: Tx, name: str, default: Any, variables: dict[str, Any]) -> bool:
    if isinstance(default, dict) and "$ref" in default:
        # What is in a block is secret: it has to be there, and is taken for whatever it should be.
        check_block(tx, default["$ref"])
        return False
    try:
        schemas.validate({name: default}, variables, require=False)
    except (schemas.Mismatch, schemas.CircularSchema):
        return False
    return True


def check_block(tx: Tx, reference: Any) -> None:
    block_id = reference.get("block_document_id") if isinstance(reference, dict) else None
    if block_id is None:
        return
    try:
        found = tx.one(BLOCK, id=str(uuid.UUID(str(block_id))))
    except ValueError:
        found = None
    if found is None:
        raise NotFound("Block not found.")
