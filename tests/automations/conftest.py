"""A world for automations on each database."""

from __future__ import annotations

import pytest
from tests.automations.world import World

from lictor.db import Database


@pytest.fixture
def world(db: Database) -> World:
    return World(db)
