"""`python -m tests.parity.standard_blocks` asks the reference which blocks it has, and writes what Lictor installs.

Names, descriptions, examples, schemas of fields with their checksums, capabilities. They are Prefect's, licensed under
Apache-2.0, and the file says so.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import httpx

from .servers import reference, reference_executable

FILE = Path(__file__).parents[2] / "src" / "lictor" / "data" / "standard_blocks.json"
ABOUT = (
    "The block types and block schemas that come with Prefect 3.9.1, as its server answers. "
    "Copyright Prefect Technologies, Inc., licensed under the Apache License, Version 2.0."
)
OF_TYPE = ("name", "slug", "logo_url", "documentation_url", "description", "code_example", "is_protected")


def main() -> int:
    with reference(reference_executable(), {}) as url, httpx.Client(base_url=url, timeout=60) as client:
        types = client.post("/block_types/filter", json={}).raise_for_status().json()
        schemas = client.post("/block_schemas/filter", json={}).raise_for_status().json()
    FILE.write_text(text(types, schemas))
    sys.stderr.write(f"{len(types)} types and {len(schemas)} schemas in {FILE.name}\n")
    return 0


def text(types: list[dict[str, Any]], schemas: list[dict[str, Any]]) -> str:
    """One line for each type and schema, so that a new release of the reference makes a readable difference."""
    schemas = sorted(schemas, key=lambda one: (one["created"], one["checksum"]))
    parts = {
        "about": json.dumps(ABOUT),
        "types": _lines([{name: one[name] for name in OF_TYPE} for one in sorted(types, key=lambda one: one["slug"])]),
        "schemas": _lines([_schema(one) for one in schemas]),
    }
    return "{" + ",\n".join(f"{json.dumps(name)}: {value}" for name, value in parts.items()) + "}\n"


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    """As it is stored: without what its nested blocks add to the fields."""
    fields = dict(schema["fields"])
    nested = fields.pop("block_schema_references", {})
    definitions = {
        name: one for name, one in fields.pop("definitions", {}).items() if one.get("block_type_slug") is None
    }
    return {
        "slug": schema["block_type"]["slug"],
        "checksum": schema["checksum"],
        "version": schema["version"],
        "capabilities": sorted(schema["capabilities"]),
        "references": [
            {"name": name, "checksum": one["block_schema_checksum"]}
            for name, some in nested.items()
            for one in (some if isinstance(some, list) else [some])
        ],
        "fields": fields | ({"definitions": definitions} if definitions else {}),
    }


def _lines(items: list[Any]) -> str:
    return "[\n" + ",\n".join(json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in items) + "\n]"


if __name__ == "__main__":
    sys.exit(main())
