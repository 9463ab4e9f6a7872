"""Bad and odd input against the reference's recorded answers: same errors in the same order, same coercions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.web.client import TestClient
from tests.web.reference_shapes import router

from lictor.web.asgi import App

RECORDED = json.loads((Path(__file__).parent / "recorded_input.json").read_text())


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(App([router]))


def named(case: dict[str, Any]) -> str:
    return f"{case['path']} {case['content']} {case['media']}"[:120]


@pytest.mark.parametrize("case", RECORDED, ids=named)
def test_input_is_taken_or_refused_as_by_the_reference(case: dict[str, Any], client: TestClient) -> None:
    headers = {"content-type": case["media"]} if case["media"] else {}
    answer = client.request(case["method"], case["path"], content=case["content"].encode(), headers=headers)
    if case.get("accepted"):
        assert answer.status == 200, answer.text
        return
    assert answer.json == case["answer"]
    assert answer.status == case["status"]
