"""Artifacts and their collections: SQL, and what follows when an artifact comes, changes or goes."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw

from lictor.artifacts.announcing import changed
from lictor.artifacts.types import (
    MOST_OF_A_METADATUM,
    Artifact,
    ArtifactCollection,
    ArtifactCount,
    ArtifactCreate,
    ArtifactPage,
    ArtifactSort,
    ArtifactUpdate,
    CollectionCount,
    CollectionPage,
)
from lictor.db import Tx, Where, sql, update_row
from lictor.events import store as events
from lictor.filters import where_for
from lictor.kit import clock, ids
from lictor.kit.errors import NotFound

_json = msgspec.json.encode

SHOWN = "a.type, a.description, a.data, a.metadata_, a.flow_run_id, a.task_run_id"
ARTIFACTS = f"select a.id, a.created, a.updated, a.key, {SHOWN} from artifact a"
COLLECTIONS = f"select a.id, a.created, a.updated, a.key, a.latest_id, {SHOWN} from artifact_collection a"

# Equal ones in one order, as an index has them: pages neither repeat nor skip a row.
ORDER = {
    ArtifactSort.CREATED_DESC: "a.created desc, a.id desc",
    ArtifactSort.UPDATED_DESC: "a.updated desc, a.id desc",
    ArtifactSort.ID_DESC: "a.id desc",
    ArtifactSort.KEY_DESC: "a.key desc, a.created desc, a.id desc",
    ArtifactSort.KEY_ASC: "a.key, a.created, a.id",
}

FIND = sql("artifacts.find", Artifact, f"{ARTIFACTS} where a.id = :id")
FIND_LATEST = sql(
    "artifacts.find_latest",
    Artifact,
    f"select a.id, a.created, a.updated, a.key, {SHOWN} from artifact_collection a where a.key = :key",
)
LOCK = sql("artifacts.lock", Artifact, f"{FIND.text} {{for_update}}")
LOCK_COLLECTION = sql(
    "artifacts.lock_collection", ArtifactCollection, f"{COLLECTIONS} where a.key = :key {{for_update}}"
)
COLLECTION_OF = sql("artifacts.collection_of", str, "select id from artifact_collection where latest_id = :latest_id")
NEWEST_OTHER = sql(
    "artifacts.newest_other",
    Artifact,
    f"{ARTIFACTS} where a.key = :key and a.id <> :id order by a.created desc, a.id desc limit 1",
)
INSERT = sql(
    "artifacts.insert",
    None,
    """
    insert into artifact (id, created, updated, key, type, description, data, metadata_, flow_run_id, task_run_id)
    values (:id, :created, :updated, :key, :type, :description, :data, :metadata_, :flow_run_id, :task_run_id)
    """,
)
UPSERT_COLLECTION = sql(
    "artifacts.upsert_collection",
    ArtifactCollection,
    """
    insert into artifact_collection
        (id, created, updated, key, latest_id, type, description, data, metadata_, flow_run_id, task_run_id)
    values
        (:id, :created, :updated, :key, :latest_id, :type, :description, :data, :metadata_, :flow_run_id, :task_run_id)
    on conflict (key) do update set latest_id = excluded.latest_id, updated = excluded.updated, type = excluded.type,
        description = excluded.description, data = excluded.data, metadata_ = excluded.metadata_,
        flow_run_id = excluded.flow_run_id, task_run_id = excluded.task_run_id
    returning id, created, updated, key, latest_id, type, description, data, metadata_, flow_run_id, task_run_id
    """,
)
DELETE = sql("artifacts.delete", None, "delete from artifact where id = :id")
DELETE_COLLECTION = sql("artifacts.delete_collection", None, "delete from artifact_collection where id = :id")

SHOWING_RUNS = sql(
    "artifacts.showing_runs",
    ArtifactCollection,
    f"{COLLECTIONS} where a.flow_run_id {{in:run_ids:uuid}} order by a.key {{for_update}}",
)
DELETE_OF_RUNS = sql("artifacts.delete_of_runs", None, "delete from artifact where flow_run_id {in:run_ids:uuid}")


def get(tx: Tx, id: str) -> Artifact:
    return tx.get(FIND, missing(), id=id)


def get_latest(tx: Tx, key: str) -> Artifact:
    """The newest artifact of a key, under the id of the collection."""
    return tx.get(FIND_LATEST, missing(), key=key)


def page(tx: Tx, asked: ArtifactPage) -> list[Artifact]:
    order = ORDER[asked.sort]
    return tx.page(Artifact, ARTIFACTS, _where(asked), order=order, limit=asked.limit, offset=asked.offset)


def page_latest(tx: Tx, asked: CollectionPage) -> list[ArtifactCollection]:
    order = ORDER[asked.sort]
    return tx.page(ArtifactCollection, COLLECTIONS, _where(asked), order=order, limit=asked.limit, offset=asked.offset)


def count(tx: Tx, asked: ArtifactCount) -> int:
    return tx.count("from artifact a", _where(asked))


def count_latest(tx: Tx, asked: CollectionCount) -> int:
    return tx.count("from artifact_collection a", _where(asked))


def insert(tx: Tx, new: ArtifactCreate) -> Artifact:
    now = clock.now()
    artifact = Artifact(
        ids.new(),
        now,
        now,
        new.key,
        new.type,
        new.description,
        new.data,
        _cut(new.metadata_),
        _text(new.flow_run_id),
        _text(new.task_run_id),
    )
    # The collection first: its row is what two writers of one key wait for, and the last of them is the newest.
    if artifact.key is not None:
        collection = tx.one(UPSERT_COLLECTION, **_row(artifact) | {"id": ids.new()}, latest_id=artifact.id)
        assert collection is not None
        events.emit(tx, changed("created" if collection.created == collection.updated else "updated", collection))
    tx.run(INSERT, **_row(artifact))
    return artifact


def update(tx: Tx, id: str, patch: ArtifactUpdate) -> None:
    """The artifact, and the collection that shows it."""
    changes: dict[str, Any] = {}
    if patch.data is not UNSET:
        changes["data"] = _raw(patch.data)
    if patch.description is not UNSET:
        changes["description"] = patch.description
    if patch.metadata_ is not UNSET:
        changes["metadata_"] = _metadata(_cut(patch.metadata_))
    now = clock.now()
    collection = tx.one(COLLECTION_OF, latest_id=id)
    if collection is not None:
        update_row(tx, "artifact_collection", collection, changes, now)
    if not update_row(tx, "artifact", id, changes, now):
        raise missing()


def delete(tx: Tx, id: str) -> None:
    """A collection goes back to the newest artifact that is left of its key, and goes when there is none."""
    key = get(tx, id).key
    collection = None if key is None else tx.one(LOCK_COLLECTION, key=key)
    tx.get(LOCK, missing(), id=id)
    if collection is not None and collection.latest_id == id:
        _step_back(tx, collection)
    tx.run(DELETE, id=id)


def delete_of_runs(tx: Tx, run_ids: list[str]) -> None:
    """The artifacts of flow runs; collections that show one of them go back to the newest that is left."""
    # As one that is inserted, they begin with the collections, and in one order: so nobody waits in a ring.
    showing = tx.all(SHOWING_RUNS, run_ids=run_ids)
    tx.run(DELETE_OF_RUNS, run_ids=run_ids)
    for collection in showing:
        _step_back(tx, collection)


def missing() -> NotFound:
    return NotFound("Artifact not found.")


def _step_back(tx: Tx, collection: ArtifactCollection) -> None:
    newest = tx.one(NEWEST_OTHER, key=collection.key, id=collection.latest_id)
    if newest is None:
        events.emit(tx, changed("deleted", collection))
        tx.run(DELETE_COLLECTION, id=collection.id)
        return
    row = _row(newest)
    columns = ("created", "type", "description", "data", "metadata_", "flow_run_id", "task_run_id")
    changes = {column: row[column] for column in columns} | {"latest_id": newest.id}
    update_row(tx, "artifact_collection", collection.id, changes, newest.updated)
    shown = {name: getattr(newest, name) for name in (*columns, "updated")}
    events.emit(tx, changed("updated", msgspec.structs.replace(collection, latest_id=newest.id, **shown)))


def _where(asked: ArtifactCount | ArtifactPage | CollectionCount | CollectionPage) -> Where:
    where = Where() if asked.artifacts is None else asked.artifacts.where()
    if any(filter is not None for filter in (asked.flows, asked.flow_runs, asked.deployments)):
        runs = where_for("flow_run", flows=asked.flows, flow_runs=asked.flow_runs, deployments=asked.deployments)
        where.add(f"a.flow_run_id in (select r.id from flow_run r where {runs.text()})", **runs.params)
    if asked.task_runs is not None:
        tasks = where_for("task_run", task_runs=asked.task_runs)
        where.add(f"a.task_run_id in (select t.id from task_run t where {tasks.text()})", **tasks.params)
    return where


def _row(artifact: Artifact) -> dict[str, Any]:
    row = msgspec.structs.asdict(artifact)
    return row | {"data": _raw(artifact.data), "metadata_": _metadata(artifact.metadata_)}


def _raw(data: Raw | None) -> str | None:
    return None if data is None else bytes(data).decode()


def _metadata(metadata: dict[str, str] | None) -> str | None:
    return None if metadata is None else _json(metadata).decode()


def _cut(metadata: dict[str, str] | None) -> dict[str, str] | None:
    if metadata is None:
        return None
    most = MOST_OF_A_METADATUM
    return {name: value if len(value) <= most else f"{value[:most]}..." for name, value in metadata.items()}


def _text(id: Any) -> str | None:
    return None if id is None else str(id)
