"""Every transition of a task run, sent to Lictor on both databases; one test for each initial state."""

from __future__ import annotations

import pytest

from . import matrix
from .conftest import Connect
from .matrix_replay import each_initial, replay


@pytest.mark.slow
@each_initial("matrix_task_runs", "matrix_background_task_runs")
def test_matrix(dialect: str, group: matrix.MatrixGroup, initial: str, connect: Connect) -> None:
    replay(dialect, group, initial, connect)
