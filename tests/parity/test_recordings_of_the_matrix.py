"""The recordings of the matrix are those of its cases, and each is replayed."""

from __future__ import annotations

import pytest

from . import matrix, recording, test_flow_run_matrix, test_task_run_matrix


def test_every_case_is_recorded() -> None:
    for group in matrix.GROUPS.values():
        names = [case.name for case in group.cases]
        assert len(names) == len(set(names))
        assert set(recording.read(group.name)) == set(names)


def test_every_group_is_replayed() -> None:
    marks: list[pytest.Mark] = [
        mark for module in (test_flow_run_matrix, test_task_run_matrix) for mark in module.test_matrix.pytestmark
    ]
    replayed = {group.name for mark in marks if mark.name == "parametrize" for group, _ in mark.args[1]}
    assert replayed == set(matrix.GROUPS)
