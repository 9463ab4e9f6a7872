"""What parameters are held against is prepared once for each schema, unless it is large."""

from __future__ import annotations

import pytest

from lictor.parameters import schemas


@pytest.mark.parametrize(("padding", "prepared"), [("", 1), ("x" * schemas.LARGE, 3)])
def test_a_schema_is_prepared_once_unless_it_is_large(
    padding: str, prepared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[object] = []
    monkeypatch.setattr(schemas.jsonschema.Draft202012Validator, "check_schema", checked.append)
    schema = {"properties": {"count": {"type": "integer"}}, "title": f"of this test alone {padding}"}
    schemas.validate({"count": 1}, schema)
    schemas.validate({"count": 2}, schema)
    with pytest.raises(schemas.Mismatch):
        schemas.validate({"count": "many"}, schema)
    assert len(checked) == prepared
