"""The example of the README runs as it is printed there, and prints what is printed there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.asking import ask
from tests.processes import Server, until

from . import scripts

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "hello.py"
PAGES = ("README.md", "examples/README.md")
COMMAND = "python examples/hello.py\n"
VARIES = re.compile(
    r"^\d\d:\d\d:\d\d\.\d{3}"  # the time of a log line
    r"|(?<=http://)[\w.:]+"  # where the server listens
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|(?<='greet-)[0-9a-f]{3}(?=')",
    re.MULTILINE,
)

pytestmark = pytest.mark.e2e


def shown_on(page: str) -> str | None:
    """The output that a page shows below the command that runs the example."""
    _, found, rest = (ROOT / page).read_text().partition(COMMAND)
    return rest.partition("```")[0] if found else None


def test_the_code_on_the_pages_is_the_example() -> None:
    blocks = {page: re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL) for page in PAGES}
    shown = [block for found in blocks.values() for block in found if "def hello" in block]
    assert shown
    assert set(shown) == {EXAMPLE.read_text()}


def test_the_example_prints_what_the_pages_show_and_the_server_has_its_run(server: Server, tmp_path: Path) -> None:
    shown = {page: VARIES.sub("…", output) for page in PAGES if (output := shown_on(page)) is not None}
    outcome = scripts.run(EXAMPLE, server.api_url, tmp_path)
    assert outcome.code == 0, outcome.stderr
    assert shown
    # A process that ends while its last events are on their way says so.
    printed = [line for line in outcome.stderr.splitlines(keepends=True) if "EventsWorker" not in line]
    assert shown == dict.fromkeys(shown, VARIES.sub("…", outcome.stdout + "".join(printed)))
    until(lambda: states_of_hello(server) == [("COMPLETED", ["COMPLETED", "COMPLETED"])])


def states_of_hello(server: Server) -> list[tuple[str, list[str]]]:
    """The state of each run of the example, and of its task runs."""
    mine = {"flow_runs": {"name": {"any_": ["hello-Monday"]}}}
    flow_runs, task_runs = (
        ask.post(f"{server.api_url}/{kind}/filter", json=mine).json() for kind in ("flow_runs", "task_runs")
    )
    return [
        (run["state_type"], [task["state_type"] for task in task_runs if task["flow_run_id"] == run["id"]])
        for run in flow_runs
    ]
