"""Logs: write and filter."""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .common import ZERO, run, task


def line(message: str, level: int = 20, time: str = "2024-01-01T00:00:00Z", **more: Any) -> dict[str, Any]:
    return {"name": "$uniq.logger", "level": level, "message": message, "timestamp": time, **more}


def some(s: Session) -> None:
    """Five lines of {flow_run} and {other}; two belong to a task run."""
    s.fill("$id:flow_run $id:task_run $id:other")
    lines = [
        line("Alpha one", 10, "2024-01-01T00:00:00Z", flow_run_id="$id:flow_run"),
        line("beta Two", 20, "2024-01-01T00:00:01Z", flow_run_id="$id:flow_run", task_run_id="$id:task_run"),
        line("gamma-three 100%", 30, "2024-01-01T00:00:01.000001Z", flow_run_id="$id:flow_run"),
        line("delta\nfour_", 40, "2024-01-01T00:00:02Z", flow_run_id="$id:flow_run", task_run_id="$id:task_run"),
        line("Omega five alpha", 50, "2024-01-01T00:00:03Z", flow_run_id="$id:other"),
    ]
    s.post("/logs/", lines)


def ask(s: Session, *filters: dict[str, Any]) -> None:
    own = {"flow_run_id": {"any_": ["$id:flow_run", "$id:other"]}}
    for one in filters:
        s.post("/logs/filter", {"logs": {**own, **one}}, pick="message")


@scenario
def write_and_read(s: Session) -> None:
    run(s)
    task(s)
    s.post("/logs/", [line("a", flow_run_id="{run.id}", task_run_id="{task.id}")])
    s.post("/logs/", [line("b", -5, "2024-01-01T05:00:00.5+05:00", flow_run_id="{run.id}")])
    s.post("/logs/filter", {"logs": {"flow_run_id": {"any_": ["{run.id}"]}}})


@scenario
def of_no_run(s: Session) -> None:
    s.post("/logs/", [line("x"), line("y", flow_run_id=None, task_run_id=None), line("z", flow_run_id=ZERO)])
    s.post("/logs/filter", {"logs": {"text": {"query": "$uniq"}}}, pick="message", unordered=("$",))


@scenario
def levels_and_times(s: Session) -> None:
    some(s)
    ask(
        s,
        {},
        {"level": {"ge_": 30}},
        {"level": {"le_": 20}},
        {"level": {"ge_": 20, "le_": 40}},
        {"level": {}},
        {"timestamp": {"after_": "2024-01-01T00:00:01Z"}},
        {"timestamp": {"before_": "2024-01-01T00:00:01Z"}},
        {"timestamp": {"after_": "2024-01-01T00:00:01Z", "before_": "2024-01-01T00:00:02Z"}},
        {"timestamp": {"after_": "2024-01-01T02:00:02+02:00"}},
        {"timestamp": {}},
    )


@scenario
def runs(s: Session) -> None:
    some(s)
    ask(
        s,
        {"flow_run_id": {"any_": ["$id:other"]}},
        {"flow_run_id": {"any_": []}},
        {"task_run_id": {"any_": ["$id:task_run"]}},
        {"task_run_id": {"any_": []}},
        {"task_run_id": {"is_null_": True}},
        {"task_run_id": {"is_null_": False}},
        {"task_run_id": {"any_": ["$id:task_run"], "is_null_": True}},
        {"task_run_id": {}},
        {
            "operator": "or_",
            "timestamp": {"before_": "1999-01-01T00:00:00Z"},
            "task_run_id": {"any_": ["$id:task_run"]},
            "flow_run_id": None,
        },
    )


@scenario
def texts(s: Session) -> None:
    some(s)
    for query in (
        "alpha",
        "ALPHA",
        "alpha beta",
        "alpha -omega",
        "alpha !omega",
        "-alpha",
        "+alpha +omega",
        "+alpha one",
        "alpha +five -one",
        '"beta two"',
        '"Omega five"',
        '-"Omega five"',
        '+"Omega five" alpha',
        '"unclosed beta',
        "gamma-three",
        "100%",
        "four_",
        "fo_r",
        "%",
        "logger",
        "$uniq",
        "",
        " ",
        "nothing",
        "- alpha",
        '""',
        "\\",
        '\\"beta',
        "x" * 200,
    ):
        ask(s, {"text": {"query": query}})


@scenario
def texts_badly(s: Session) -> None:
    for text in ({"query": "x" * 201}, {}, {"query": None}, {"query": 1}, "x", {"query": "x", "unknown": 1}, []):
        s.post("/logs/filter", {"logs": {"text": text}})


@scenario
def sorts_and_limits(s: Session) -> None:
    some(s)
    own = {"logs": {"flow_run_id": {"any_": ["$id:flow_run", "$id:other"]}}}
    for sort in ("TIMESTAMP_ASC", "TIMESTAMP_DESC", None, "LEVEL_ASC", "", 1):
        s.post("/logs/filter", {**own, "sort": sort}, pick="message")
    for limit in (0, 1, 200, 201, -1, "2", None, "x"):
        s.post("/logs/filter", {**own, "limit": limit}, pick="message")
    for offset in (0, 2, 9, -1, None, "x"):
        s.post("/logs/filter", {**own, "offset": offset}, pick="message")


@scenario
def write_badly(s: Session) -> None:
    for more in (
        {"name": None},
        {"name": 1},
        {"level": None},
        {"level": "INFO"},
        {"level": "20"},
        {"level": 20.5},
        {"level": 20.0},
        {"level": True},
        {"message": None},
        {"message": 1},
        {"message": ""},
        {"timestamp": None},
        {"timestamp": "x"},
        {"timestamp": "2024-01-01T00:00:00"},
        {"timestamp": 1704067200},
        {"flow_run_id": "x"},
        {"task_run_id": 1},
        {"id": ZERO},
        {"unknown": 1},
    ):
        s.post("/logs/", [{**line("m"), **more}])
    s.post("/logs/", [line("good"), {"name": 1}])
    s.post("/logs/filter", {"logs": {"text": {"query": "$uniq +good"}}})
    s.post("/logs/", line("m"))


@scenario
def many(s: Session) -> None:
    s.fill("$id:flow_run")
    lines = [
        line(f"m{number}", time=f"2024-01-01T00:{number // 60:02d}:{number % 60:02d}Z", flow_run_id="$id:flow_run")
        for number in range(250)
    ]
    answer = s.request("POST", "/logs/", lines)
    s.steps.append({"step": "01 POST /logs/ with 250 lines", "status": answer.status, "body": answer.body})
    own = {"logs": {"flow_run_id": {"any_": ["$id:flow_run"]}}}
    for offset in (0, 200):
        found = s.request("POST", "/logs/filter", {**own, "offset": offset}).body
        told = [len(found), found[0]["message"], found[-1]["message"]]
        s.steps.append({"step": f"{len(s.steps) + 1:02d} POST /logs/filter from {offset}", "status": 200, "body": told})


@scenario
def filter_badly(s: Session) -> None:
    for one in (
        1,
        [],
        {"unknown": 1},
        {"operator": "x"},
        {"level": {"ge_": "x"}},
        {"level": {"any_": [1]}},
        {"level": 20},
        {"timestamp": {"after_": "x"}},
        {"flow_run_id": {"any_": ["x"]}},
        {"flow_run_id": {"is_null_": True}},
        {"task_run_id": {"any_": "x", "is_null_": "x"}},
    ):
        s.post("/logs/filter", {"logs": one})


@scenario
def deleted_with_the_run(s: Session) -> None:
    """They go a little after the run, so only the answer to the deletion is compared."""
    run(s)
    s.post("/logs/", [line("a", flow_run_id="{run.id}")])
    s.delete("/flow_runs/{run.id}")
