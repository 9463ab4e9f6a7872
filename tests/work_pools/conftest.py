"""What the tests of work pools share."""

from __future__ import annotations

import pytest
from tests.work_pools.world import World

from lictor.db import Database


@pytest.fixture
def world(db: Database) -> World:
    return World(db)
