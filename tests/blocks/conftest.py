from __future__ import annotations

from pathlib import Path

import pytest
from tests import calls
from tests.web.client import TestClient

from lictor import admin
from lictor.admin import ResultStorageBlocks
from lictor.blocks import documents, routes, schema_routes, type_routes
from lictor.blocks.encryption import Cipher
from lictor.blocks.types import Blocks
from lictor.db import Database


@pytest.fixture
def cipher(tmp_path: Path) -> Cipher:
    return Cipher(None, tmp_path / "blocks.key")


@pytest.fixture
def client(db: Database, cipher: Cipher) -> TestClient:
    return calls.client(
        db,
        type_routes.router,
        schema_routes.router,
        schema_routes.capabilities_router,
        routes.router,
        admin.router,
        blocks=Blocks(cipher, admin.forget_lost_result_storage),
        storage=ResultStorageBlocks(documents.capabilities),
    )
