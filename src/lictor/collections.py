"""`/api/collections`: what is known of workers, for those who make a pool for one.

`data/worker_metadata.json` holds what the reference tells of them (`python -m tests.parity.worker_metadata` writes it):
by package and type, with the base job template that a pool of that type begins with.
"""

from __future__ import annotations

from importlib.resources import files

from msgspec import Raw, Struct

from lictor.kit.decoding import decode
from lictor.kit.errors import NotFound
from lictor.web import Router

WORKERS = "aggregate-worker-metadata"
# The reference has these from a registry on the Internet.
ELSEWHERE = ("aggregate-block-metadata", "aggregate-flow-metadata", "demo-flows")

router = Router("/collections", tag="Collections")


class WorkerMetadata(Struct):
    """The file; `workers` is answered as it stands there."""

    about: str
    workers: Raw


@router.get("/views/{view}")
async def read_view_content(view: str) -> Raw:
    if view == WORKERS:
        return worker_metadata()
    if view in ELSEWHERE:
        raise NotFound(f"Requested content missing for view {view}")
    raise NotFound(f"View {view} not found in registry")


def worker_metadata() -> Raw:
    """By package and type of worker: JSON."""
    text = (files("lictor") / "data" / "worker_metadata.json").read_bytes()
    return decode(text, WorkerMetadata).workers
