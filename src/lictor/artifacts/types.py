"""Artifacts: rows, and what goes over the wire."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import UNSET, Raw, Struct, UnsetType

from lictor.filters import DeploymentFilter, Filter, FlowFilter, FlowRunFilter, TaskRunFilter
from lictor.filters.leaves import AnyId, Condition, Leaf, Texts, on
from lictor.web import DEFAULT_LIMIT, Checked, Checks, Embedded, FieldError, Limit, Offset

MOST_OF_A_METADATUM = 500

# `$` also matches before a last line feed, and such keys are accepted by the reference too.
_KEY = re.compile(r"^[a-z0-9-]*$")


class Artifact(Struct):
    """`data` is JSON as it was sent."""

    id: str
    created: datetime
    updated: datetime
    key: str | None
    type: str | None
    description: str | None
    data: Raw | None
    metadata_: dict[str, str] | None
    flow_run_id: str | None
    task_run_id: str | None


class ArtifactCollection(Struct):
    """The newest artifact of a key; `created` is when the first one was made."""

    id: str
    created: datetime
    updated: datetime
    key: str
    latest_id: str
    type: str | None
    description: str | None
    data: Raw | None
    metadata_: dict[str, str] | None
    flow_run_id: str | None
    task_run_id: str | None


def check_key(key: str | None) -> None:
    if key is not None and not _KEY.match(key):
        raise FieldError("Artifact key must only contain lowercase letters, numbers, and dashes.")


def check_data(data: Raw) -> None:
    str(data, "utf-8")  # what is not read is not known to be text: a ValueError, if it is none


class ArtifactCreate(Checked, Struct, forbid_unknown_fields=True):
    checks: ClassVar[Checks] = {"key": check_key, "data": check_data}

    key: str | None = None
    type: str | None = None
    description: str | None = None
    data: Raw = Raw(b"null")
    metadata_: dict[str, str] | None = None
    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None


class ArtifactUpdate(Checked, Struct, forbid_unknown_fields=True):
    """Absent: as it was."""

    checks: ClassVar[Checks] = {"data": check_data}

    data: Raw | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    metadata_: dict[str, str] | UnsetType | None = UNSET


class Key(Leaf):
    """`exists_`: only artifacts with a key, or only those without."""

    any_: list[str] | None = None
    like_: str | None = None
    exists_: bool | None = None

    def conditions(self, at: on) -> list[Condition]:
        made = super().conditions(at)
        if self.exists_ is not None:
            made.append(Condition(f"{at.column} is {'not ' if self.exists_ else ''}null", {}))
        return made


class ArtifactFilter(Filter):
    id: Annotated[AnyId | None, on("a.id")] = None
    key: Annotated[Key | None, on("a.key")] = None
    flow_run_id: Annotated[AnyId | None, on("a.flow_run_id")] = None
    task_run_id: Annotated[AnyId | None, on("a.task_run_id")] = None
    type: Annotated[Texts | None, on("a.type")] = None


class ArtifactCollectionFilter(Filter):
    latest_id: Annotated[AnyId | None, on("a.latest_id")] = None
    key: Annotated[Key | None, on("a.key")] = None
    flow_run_id: Annotated[AnyId | None, on("a.flow_run_id")] = None
    task_run_id: Annotated[AnyId | None, on("a.task_run_id")] = None
    type: Annotated[Texts | None, on("a.type")] = None


class ArtifactSort(StrEnum):
    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    ID_DESC = "ID_DESC"
    KEY_DESC = "KEY_DESC"
    KEY_ASC = "KEY_ASC"


# Fields that are keyword-only come last, which is where the reference has them, and so lists their errors.
class Runs(Embedded, kw_only=True):
    """Which runs, flows and deployments the artifacts are of."""

    flow_runs: FlowRunFilter | None = None
    task_runs: TaskRunFilter | None = None
    flows: FlowFilter | None = None
    deployments: DeploymentFilter | None = None


class ArtifactCount(Runs):
    artifacts: ArtifactFilter | None = None


class ArtifactPage(Runs):
    sort: ArtifactSort = ArtifactSort.ID_DESC
    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0
    artifacts: ArtifactFilter | None = None


class CollectionCount(Runs):
    artifacts: ArtifactCollectionFilter | None = None


class CollectionPage(Runs):
    sort: ArtifactSort = ArtifactSort.ID_DESC
    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0
    artifacts: ArtifactCollectionFilter | None = None
