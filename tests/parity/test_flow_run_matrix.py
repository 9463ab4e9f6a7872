"""Every transition of a flow run, sent to Lictor on both databases; one test for each initial state."""

from __future__ import annotations

import pytest

from . import matrix
from .conftest import Connect
from .matrix_replay import each_initial, replay


@pytest.mark.slow
@each_initial("matrix_flow_runs", "matrix_flow_runs_with_deployment")
def test_matrix(dialect: str, group: matrix.MatrixGroup, initial: str, connect: Connect) -> None:
    replay(dialect, group, initial, connect)
