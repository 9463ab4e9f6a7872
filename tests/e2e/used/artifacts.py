"""What a user does with artifacts in a flow."""

from __future__ import annotations

from prefect import flow, task
from prefect.artifacts import (
    Artifact,
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)


@task
def report() -> None:
    create_markdown_artifact("# first", key="report", description="d")
    create_markdown_artifact("# second", key="report")
    create_table_artifact([{"z": 1, "a": None}], key="table")


@flow
def make() -> None:
    report()
    create_link_artifact("https://example.com", key="link", link_text="there")
    create_image_artifact("https://example.com/i.png", key="image")
    progress = create_progress_artifact(0.0, key="progress")
    update_progress_artifact(progress, 55.5)
    create_markdown_artifact("nobody's key")


if __name__ == "__main__":
    make()
    print(Artifact.get("report").data)
    found = Artifact.get("progress")
    print(found.type, found.data)
    print(Artifact.get("nothing"))
    made, created = Artifact.get_or_create("new", type="markdown", data="x")
    print(created, Artifact.get_or_create("new", type="markdown", data="y")[1])
