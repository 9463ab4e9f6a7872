"""What is known of workers."""

from __future__ import annotations

from ..scenario import Session, scenario


@scenario
def views(s: Session) -> None:
    s.get("/collections/views/aggregate-worker-metadata")
    s.get("/collections/views/none")
    s.post("/collections/views/aggregate-worker-metadata", {})
