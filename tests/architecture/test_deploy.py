"""What `deploy/` names is there: nobody runs its files here, and they must not fall behind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lictor.settings.reading import leaves

ROOT = Path(__file__).parents[2]
FILES = sorted(path for path in (ROOT / "deploy").iterdir())
OURS = {"LICTOR_KEY", "PREFECT_API_URL"}  # compose's own, and the clients'


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.name))
def test_every_variable_is_a_setting(path: Path) -> None:
    known = {name for leaf in leaves() for name in leaf.variables} | OURS
    assert {*re.findall(r"\b(?:LICTOR|PREFECT)_[A-Z_]*[A-Z]\b", path.read_text())} <= known


def test_the_image_is_made_of_files_that_are_there_and_reach_docker() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE) for word in line.split()]
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied
    assert {*copied} <= kept
    assert all((ROOT / name).exists() for name in copied)


def test_probes_ask_what_the_server_answers() -> None:
    text = "".join(path.read_text() for path in FILES)
    assert {*re.findall(r"/api/[a-z]+\b", text)} <= {"/api/health", "/api/ready"}
