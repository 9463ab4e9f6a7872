"""Inputs of flow runs: texts by key, which wait for the run or for who asked."""

from __future__ import annotations

import pytest
from tests import calls
from tests.flow_runs import http
from tests.web.client import TestClient

from lictor.db import Database, sql

LEFT = sql("test.inputs.left", int, "select count(*) from flow_run_input")


@pytest.fixture
def client(db: Database) -> TestClient:
    return http.client(db)


@pytest.fixture
def run(client: TestClient) -> str:
    return str(http.a_run(client)["id"])


def put(client: TestClient, run: str, key: str, value: str = "1", **more: str) -> int:
    return client.post(f"/flow_runs/{run}/input", json={"key": key, "value": value, **more}).status


def keys(client: TestClient, run: str, prefix: str, **more: object) -> list[str]:
    answer = client.post(f"/flow_runs/{run}/input/filter", json={"prefix": prefix, "limit": 9, **more})
    assert answer.status == 200, answer
    return [one["key"] for one in answer.json]


@pytest.mark.parametrize("value", ["", "x", '{"a": "é👋"}', "x" * 100_000])
def test_a_value_comes_back_as_it_is(client: TestClient, run: str, value: str) -> None:
    assert put(client, run, "k", value) == 201
    answer = client.get(f"/flow_runs/{run}/input/k")
    assert (answer.status, answer.text) == (200, value)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_a_key_is_taken_once(client: TestClient, run: str) -> None:
    assert put(client, run, "k", "first", sender="s") == 201
    taken = client.post(f"/flow_runs/{run}/input", json={"key": "k", "value": "second"})
    assert (taken.status, taken.json) == (409, {"detail": "A flow run input with this key already exists."})
    assert client.get(f"/flow_runs/{run}/input/k").text == "first"
    (one,) = client.post(f"/flow_runs/{run}/input/filter", json={"prefix": "k"}).json
    assert (one["key"], one["value"], one["sender"], one["flow_run_id"]) == ("k", "first", "s", run)
    other = http.a_run(client)["id"]
    assert put(client, other, "k") == 201


def test_they_are_listed_by_prefix_oldest_first(client: TestClient, run: str) -> None:
    for key in ("p-2", "p-1", "q", "p-3"):
        put(client, run, key)
    assert keys(client, run, "p-") == ["p-2", "p-1", "p-3"]
    assert keys(client, run, "") == ["p-2", "p-1", "q", "p-3"]
    assert keys(client, run, "p-", exclude_keys=["p-2", "p-9"]) == ["p-1", "p-3"]
    assert keys(client, run, "p-", limit=2) == ["p-2", "p-1"]
    assert keys(client, run, "p-", limit=None) == ["p-2"]
    assert keys(client, run, "p_2") == ["p-2"]  # wildcards are live
    assert keys(client, calls.NOWHERE, "") == []


def test_what_is_not_there(client: TestClient, run: str) -> None:
    for answer in (client.get(f"/flow_runs/{run}/input/k"), client.delete(f"/flow_runs/{run}/input/k")):
        assert (answer.status, answer.json) == (404, {"detail": "Flow run input not found"})
    missing = client.post(f"/flow_runs/{calls.NOWHERE}/input", json={"key": "k", "value": "1"})
    assert (missing.status, missing.json) == (404, {"detail": "Flow run not found"})


def test_they_are_deleted_alone_or_with_the_run(client: TestClient, run: str, db: Database) -> None:
    put(client, run, "a")
    put(client, run, "b")
    assert client.delete(f"/flow_runs/{run}/input/a").status == 204
    assert keys(client, run, "") == ["b"]
    assert client.delete(f"/flow_runs/{run}").status == 204
    assert db.read_now(lambda tx: tx.value(LEFT)) == 0
