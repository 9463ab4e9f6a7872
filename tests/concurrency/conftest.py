"""The routes of concurrency limits on both databases."""

from __future__ import annotations

import pytest
from tests.concurrency.http import Api

from lictor.db import Database
from lictor.kit import clock


@pytest.fixture
def api(db: Database) -> Api:
    """The routes, with a clock that stands still until it is moved."""
    api = Api(db)
    clock.set_source(lambda: api.now)
    return api
