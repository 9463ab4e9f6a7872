"""One script's runs as a comparable document: runs by label, state histories, graph edges, log lines, printed lines."""

from __future__ import annotations

import json
from typing import Any

from .collect import Json, Made
from .masks import Mask, generated, numbered
from .scripts import FOLDER, Outcome

# Absent and null are different on the wire, but in a state nearly everything is null: only what is set is shown.
EMPTY: tuple[Any, ...] = (None, False, [], {})


def snapshot(made: Made, outcome: Outcome, api: str, counts: Json) -> Json:
    """The document that is recorded and compared."""
    flow_names = {flow["id"]: flow["name"] for flow in made.flows}
    run_names = numbered(run_name(run, flow_names) for run in made.flow_runs)
    flow_runs = dict(zip(ids(made.flow_runs), run_names, strict=True))
    task_runs = task_labels(made, flow_runs)
    labels = {id: f"<flow {name}>" for id, name in flow_names.items()} | quoted(flow_runs) | quoted(task_runs)
    mask = Mask(labels, generated_names(made, flow_runs, task_runs), outcome.home, FOLDER, api)
    return {
        "exit_code": outcome.code,
        "printed": sorted(mask.text(line) for line in outcome.stdout.splitlines()),
        "counts": counts,
        "flows": [row(mask, flow) for flow in made.flows],
        "flow_runs": {
            flow_runs[run["id"]]: one_run(mask, made, run) | {"graph": graph(mask, made, run, flow_runs | task_runs)}
            for run in sorted(made.flow_runs, key=lambda run: flow_runs[run["id"]])
        },
        "task_runs": grouped_task_runs(mask, made, flow_runs, task_runs),
        "logs": logs(mask, made, flow_runs, task_runs),
    }


def ids(rows: list[Json]) -> list[str]:
    return [row["id"] for row in rows]


def quoted(labels: dict[str, str]) -> dict[str, str]:
    return {id: f"<{label}>" for id, label in labels.items()}


def run_name(run: Json, flows: dict[str, str]) -> str:
    return f"{flows[run['flow_id']]} run" if generated(run["name"]) else run["name"]


def task_labels(made: Made, flow_runs: dict[str, str]) -> dict[str, str]:
    """Labels of task runs: their names, a generated ending masked, numbered within their flow run by start."""
    labels: dict[str, str] = {}
    by_run: dict[str | None, list[Json]] = {}
    for run in sorted(made.task_runs, key=lambda run: run["start_time"] or run["expected_start_time"]):
        by_run.setdefault(run["flow_run_id"], []).append(run)
    for flow_run, runs in by_run.items():
        names = numbered(f"{flow_runs.get(str(flow_run), 'no flow')} / {task_name(run)}" for run in runs)
        labels |= dict(zip(ids(runs), names, strict=True))
    return labels


def task_name(run: Json) -> str:
    """The name without a random dynamic key or its beginning; dynamic keys of a flow's subflows are small numbers."""
    name, key = str(run["name"]), run["dynamic_key"]
    return name.removesuffix(f"-{key}").removesuffix(f"-{key[:3]}") if len(key) >= 32 else name


def generated_names(made: Made, flow_runs: dict[str, str], task_runs: dict[str, str]) -> dict[str, str]:
    names = {run["name"]: f"<{flow_runs[run['id']]}>" for run in made.flow_runs if generated(run["name"])}
    hidden = (run for run in made.task_runs if task_name(run) != run["name"])
    return names | {run["name"]: f"<{task_name(run)}>" for run in hidden}


def row(mask: Mask, fields: Json) -> Json:
    return {key: mask.value(value, key) for key, value in sorted(fields.items())}


def one_run(mask: Mask, made: Made, run: Json) -> Json:
    """A run's fields, and its states in the order in which the server tells them; the last must be the current one."""
    history = made.states[run["id"]]
    fields = {key: value for key, value in run.items() if key not in ("state", "state_id")}
    current = bool(history) and history[-1]["id"] == run["state_id"] and history[-1] == run["state"]
    states = [state_line(mask, state) for state in history]
    return {"row": row(mask, fields), "states": states, "last_state_is_current": current}


def state_line(mask: Mask, state: Json) -> Json:
    details = {key: value for key, value in state["state_details"].items() if value not in EMPTY}
    told = {key: state[key] for key in ("message", "data") if state[key] is not None}
    shown: Json = mask.value({"state": f"{state['type']} {state['name']}", "details": details} | told)
    return shown


def grouped_task_runs(mask: Mask, made: Made, flow_runs: dict[str, str], task_runs: dict[str, str]) -> list[Json]:
    """Task runs that are equal but for their label and inputs stand together, so that 200 of them are readable."""
    groups: dict[str, tuple[list[str], Json]] = {}
    for run in made.task_runs:
        label = task_runs[run["id"]]
        shown = one_run(mask, made, {key: value for key, value in run.items() if key not in ("task_inputs", "name")})
        own = f"<{label}>"
        key = json.dumps(shown, sort_keys=True).replace(json.dumps(own)[1:-1], "<itself>")
        groups.setdefault(key, ([], {}))[0].append(label)
        groups[key][1].update({label: inputs(mask, run)})
    found = [{"runs": sorted(names), "inputs": told, "is": json.loads(key)} for key, (names, told) in groups.items()]
    return sorted(found, key=lambda group: group["runs"])


def inputs(mask: Mask, run: Json) -> Json:
    """What each parameter came from; sorted, since the SDK collects them in a set."""
    told = sorted(run["task_inputs"].items())
    return {name: sorted(source(mask, item) for item in items) for name, items in told}


def source(mask: Mask, item: Json) -> str:
    rest = (mask.text(str(value)) for key, value in sorted(item.items()) if key != "input_type")
    return " ".join([item["input_type"], *rest])


def graph(mask: Mask, made: Made, run: Json, labels: dict[str, str]) -> Json:
    """The run's graph with labels for ids; nodes are sorted, since tasks that run at once start in any order.

    An edge counts once: the reference repeats it for each parent that its parent has.
    """
    told = made.graphs[run["id"]]
    nodes = [node for _, node in told["nodes"]]
    name = {node["id"]: labels.get(node["id"], "<not a run of the script>") for node in nodes}
    edges = [(parent["id"], node["id"]) for node in nodes for parent in node["parents"]]
    back = [(node["id"], child["id"]) for node in nodes for child in node["children"]]
    around = [(outer["id"], node["id"]) for node in nodes for outer in node["encapsulating"]]
    starts = [(node["start_time"], node["end_time"] or "9999") for node in nodes]
    lines = (f"{n['kind']} {name[n['id']]} {n['state_type']} {mask.text(n['label'])}{ended(n)}" for n in nodes)
    return {
        "starts": told["start_time"] == (run["start_time"] or run["expected_start_time"]),
        "ends": told["end_time"] == run["end_time"],
        "in_order_of_start": starts == sorted(starts),
        "nodes": sorted(lines),
        "roots": sorted(name[id] for id in told["root_node_ids"]),
        "edges": arrows(name, edges, " -> "),
        "children_mirror_parents": set(edges) == set(back),
        "encapsulating": arrows(name, around, " encloses "),
        "artifacts": told["artifacts"],
        "states": [f"{state['type']} {state['name']}" for state in told["states"]],
    }


def ended(node: Json) -> str:
    return "" if node["end_time"] else " (no end)"


def arrows(name: dict[str, str], edges: list[tuple[str, str]], between: str) -> list[str]:
    return sorted({f"{name.get(a, '<outside>')}{between}{name.get(b, '<outside>')}" for a, b in edges})


def logs(mask: Mask, made: Made, flow_runs: dict[str, str], task_runs: dict[str, str]) -> dict[str, list[str]]:
    """Lines by the run that wrote them, in order: between runs the order is free where they ran at once."""
    lines: dict[str, list[Any]] = {}
    for log in made.logs:
        writer = task_runs.get(str(log["task_run_id"])) or flow_runs[log["flow_run_id"]]
        lines.setdefault(writer, []).append(f"{log['level']} {log['name']}: {shortened(mask.text(log['message']))}")
    return dict(sorted(lines.items()))


def shortened(text: str) -> str:
    return text if len(text) <= 2_000 else f"{text[:100]}… {len(text)} characters"
