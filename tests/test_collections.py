"""What is known of workers."""

from __future__ import annotations

from typing import Any

import pytest
from tests import calls
from tests.web.client import TestClient

from lictor import collections
from lictor.db import Database
from lictor.kit.errors import NotFound
from lictor.work_pools.templates import check_defaults, check_template


@pytest.fixture
def client(db: Database) -> TestClient:
    return calls.client(db, collections.router)


def read(client: TestClient, view: str) -> Any:
    return client.get(f"/collections/views/{view}").json


def no_block(id: str) -> None:
    raise NotFound(id)


def test_pools_can_be_made_from_what_is_known_of_each_type_of_worker(client: TestClient) -> None:
    packages = read(client, "aggregate-worker-metadata")
    types = {type: one for package in packages.values() for type, one in package.items()}
    assert {"process", "docker", "kubernetes", "ecs", "cloud-run-v2", "vertex-ai"} <= set(types)
    for type, one in types.items():
        assert one["type"] == type
        template = one["default_base_job_configuration"]
        check_template(template)
        check_defaults(template, no_block)


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("aggregate-flow-metadata", "Requested content missing for view aggregate-flow-metadata"),
        ("none", "View none not found in registry"),
    ],
)
def test_views_that_are_not_here(client: TestClient, view: str, words: str) -> None:
    answer = client.get(f"/collections/views/{view}")
    assert (answer.status, answer.json) == (404, {"detail": words})
