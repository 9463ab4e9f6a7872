"""Lists of artifacts use their indexes on a large table, on both databases."""

from __future__ import annotations

from typing import Any

import msgspec
from tests.architecture.test_plans import SERIES, START, an_id, id_sql
from tests.plans import Read, complaints

from lictor.artifacts import store
from lictor.artifacts.types import ArtifactPage, CollectionPage
from lictor.db import Database, Tx
from lictor.db.statement import composed

ARTIFACTS = 5_000
COLUMNS = "id, created, updated, key, type, flow_run_id, task_run_id"
VALUES = f"""{id_sql("i")}, moment, moment, %s, 'markdown', {id_sql("i / 10")}, {id_sql("i")} from numbers"""
KEY = "case when i % 3 > 0 then 'key ' || cast(i % 1000 as text) end"
FILL = f"insert into artifact ({COLUMNS}) {SERIES} select {VALUES % KEY}"
FILL_LATEST = f"""
    insert into artifact_collection (latest_id, {COLUMNS})
    {SERIES} select {id_sql("i")}, {VALUES % "'key ' || cast(i as text)"}"""

OF_RUN = {"artifacts": {"flow_run_id": {"any_": [an_id(7)]}}}
OF_TASK = {"artifacts": {"task_run_id": {"any_": [an_id(7)]}}}
OF_KEY = {"artifacts": {"key": {"any_": ["key 7"]}}}


def page(**asked: Any) -> Read:
    wanted = msgspec.convert({"limit": 50, **asked}, ArtifactPage)
    return lambda tx: store.page(tx, wanted)


def latest(**asked: Any) -> Read:
    wanted = msgspec.convert({"limit": 50, **asked}, CollectionPage)
    return lambda tx: store.page_latest(tx, wanted)


BY_ID = "sqlite_autoindex_artifact_1|artifact_pkey"
BY_LATEST_ID = "sqlite_autoindex_artifact_collection_1|artifact_collection_pkey"
BY_LATEST_KEY = "sqlite_autoindex_artifact_collection_2|uq_artifact_collection__key"
CASES: dict[str, tuple[Read, str]] = {
    "by id": (page(), BY_ID),
    "newest": (page(sort="CREATED_DESC"), "ix_artifact__created"),
    "changed last": (page(sort="UPDATED_DESC"), "ix_artifact__updated"),
    "by key": (page(sort="KEY_ASC"), "ix_artifact__key_created"),
    "by key backwards": (page(sort="KEY_DESC"), "ix_artifact__key_created"),
    "of a run": (page(**OF_RUN), "ix_artifact__flow_run_id"),
    "of a task run": (page(**OF_TASK), "ix_artifact__task_run_id"),
    "of a key": (page(**OF_KEY), "ix_artifact__key_created"),
    "latest by id": (latest(), BY_LATEST_ID),
    "latest by key": (latest(sort="KEY_ASC"), BY_LATEST_KEY),
    "latest by key backwards": (latest(sort="KEY_DESC"), BY_LATEST_KEY),
    "latest of a run": (latest(**OF_RUN), "ix_artifact_collection__flow_run_id"),
    "latest of a key": (latest(**OF_KEY), BY_LATEST_KEY),
}


def fill(tx: Tx) -> None:
    if tx.dialect.name == "postgres":
        tx.run(composed(None, "set local statement_timeout = 0"))
    for text in (FILL, FILL_LATEST):
        tx.run(composed(None, text), start=START, count=ARTIFACTS)
    if tx.dialect.name == "postgres":
        for table in ("artifact", "artifact_collection"):
            tx.run(composed(None, f"analyze {table}"))


def test_lists_of_artifacts_use_their_indexes(db: Database) -> None:
    db.write_now(fill)
    assert not complaints(db, CASES, r"SCAN a$|Seq Scan on artifact")
