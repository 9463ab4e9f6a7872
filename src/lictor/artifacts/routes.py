"""/api/artifacts."""

from __future__ import annotations

from collections.abc import Awaitable

from lictor.artifacts import store
from lictor.artifacts.types import (
    Artifact,
    ArtifactCollection,
    ArtifactCount,
    ArtifactCreate,
    ArtifactPage,
    ArtifactUpdate,
    CollectionCount,
    CollectionPage,
)
from lictor.db import Database
from lictor.web import Created, Router

router = Router("/artifacts", tag="Artifacts")


@router.post("/", also=(201,))
async def create_artifact(body: ArtifactCreate, db: Database) -> Created[Artifact]:
    return Created(await db.write(store.insert, body))


@router.get("/{id:uuid}")
def read_artifact(id: str, db: Database) -> Awaitable[Artifact]:
    return db.read(store.get, id)


@router.get("/{key}/latest")
def read_latest_artifact(key: str, db: Database) -> Awaitable[Artifact]:
    return db.read(store.get_latest, key)


@router.post("/filter")
def read_artifacts(body: ArtifactPage, db: Database) -> Awaitable[list[Artifact]]:
    return db.read(store.page, body)


@router.post("/latest/filter")
def read_latest_artifacts(body: CollectionPage, db: Database) -> Awaitable[list[ArtifactCollection]]:
    return db.read(store.page_latest, body)


@router.post("/count")
def count_artifacts(body: ArtifactCount, db: Database) -> Awaitable[int]:
    return db.read(store.count, body)


@router.post("/latest/count")
def count_latest_artifacts(body: CollectionCount, db: Database) -> Awaitable[int]:
    return db.read(store.count_latest, body)


@router.patch("/{id:uuid}", status=204)
def update_artifact(id: str, body: ArtifactUpdate, db: Database) -> Awaitable[None]:
    return db.write(store.update, id, body)


@router.delete("/{id:uuid}", status=204)
def delete_artifact(id: str, db: Database) -> Awaitable[None]:
    return db.write(store.delete, id)
