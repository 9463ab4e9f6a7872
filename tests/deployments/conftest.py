"""Deployments on both databases."""

from __future__ import annotations

import pytest
from tests.deployments.http import Api

from lictor.db import Database


@pytest.fixture
def api(db: Database) -> Api:
    """The routes and the scheduler, with a clock that stands still until it is moved."""
    return Api(db)
