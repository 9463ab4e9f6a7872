"""Where Lictor's answer is meant to differ from the reference's. Each has a line in docs/differences.md that says why.

A listed difference that no longer differs fails the replay, so the list can only tell the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True)
class Difference:
    """`scenario` is "group/name" and `step` a recorded step such as "03 GET *", both as shell patterns."""

    scenario: str
    step: str
    reason: str  # a line of docs/differences.md, word for word
    status: int | None = None  # what Lictor answers instead; None: anything but a 5xx
    body: Mapping[str, Any] = field(default_factory=dict)  # keys that Lictor's normalised body must have
    dialects: tuple[str, ...] = ("sqlite", "postgres")

    def applies(self, scenario: str, dialect: str) -> bool:
        return dialect in self.dialects and fnmatchcase(scenario, self.scenario)

    def covers(self, step: str) -> bool:
        return fnmatchcase(step, self.step)

    def allows(self, answer: Mapping[str, Any]) -> bool:
        status = answer["status"]
        if self.status is not None and status != self.status:
            return False
        if self.status is None and status >= 500:
            return False
        got = answer.get("body")
        return all(isinstance(got, dict) and got.get(key) == value for key, value in self.body.items())


DIFFERENCES: tuple[Difference, ...] = (
    Difference("flow_runs/scheduled_times", "0[89] *", "instants with more than six digits of a second"),
    Difference("flow_runs_filter/forms_of_times", "1[6-9] POST *", "instants with more than six digits of a second"),
    Difference("flow_runs/names", "09 *", "neither text nor null but falsy", status=422),
    Difference(
        "flow_runs_bad/create_wrong_types", "22 *", "`infrastructure_document_id` that names no block", status=201
    ),
    Difference("flow_runs/state_data", "3[123] *", "`artifact_description` in a state's data"),
    Difference(
        "flow_runs/empirical_policies", "04 *", "the 422 for a `retry_delay_seconds` with a fraction", status=422
    ),
    Difference("flow_runs_read/inputs_badly", "0[78] *", "the value of a flow run's input that is no text", status=422),
    Difference("flow_runs_read/graph_since", "?[016] *", "a `since` of a run's graph that is no instant", status=422),
    Difference("flow_runs_read/graph", "* GET *graph-v2", "an edge between two nodes of a graph", status=200),
    Difference("http/slashes", "19 *", "doubled slashes in a path", status=405),
    Difference("http/wrong_methods", "* *", "the `Allow` of a 405", status=405),
    Difference("http/head_and_options", "* *", "the `Allow` of a 405", status=405),
    Difference("root_admin/other_methods", "* *", "the `Allow` of a 405", status=405),
    Difference("auth/wrong_credentials", "05 *", "`Authorization: Bearer", status=200),
    Difference("auth/wrong_credentials", "06 *", "`Authorization: basic", status=200),
    Difference("http/unusual_json", "08 *", "NUL characters in text", status=422, dialects=("postgres",)),
    Difference("http/text_with_zero_bytes", "0[12] *", "NUL characters in text", status=422, dialects=("postgres",)),
    Difference("http/list_body", "* POST /logs/", "the 422 for a body of logs that is no list", status=422),
    Difference("logs/write_badly", "22 *", "the 422 for a body of logs that is no list", status=422),
    Difference("task_runs/empirical_policies", "1[01] *", "a `retry_delay` that comes from `retry_delay_seconds`"),
    Difference("task_run_events/equal_times", "08 *", "states of a task run with equal timestamps", status=200),
    Difference("block_types/create_type", "05 *", "a block type whose name, but not its slug, is taken", status=201),
    Difference("block_documents/references_badly", "09 *", "the 400 for a reference to a block", status=400),
    Difference("block_documents/a_patch_keeps_references", "06 *", "a block document that is patched", status=200),
    Difference("block_documents/a_secret_that_is_an_object", "0[46] *", "a secret of a block that is an object"),
    Difference("concurrency_v1/numbers_below_zero", "01 *", "a limit on a tag that is below zero", status=422),
    Difference("concurrency_v1/reset", "07 *", "resetting a tag's limit", status=200, body={"active_slots": 2}),
    Difference("concurrency_v1/reset_frees", "04 *", "resetting a tag's limit", status=200, body={"active_slots": 0}),
    Difference("concurrency_v2/take_badly", "52 *", "the order in which a 422 lists", status=422),
    Difference("concurrency_v2/renew_badly", "20 *", "bytes that are not UTF-8 in a key that nobody reads", status=410),
    Difference("task_workers/bad_filters", "13 *", "bytes that are not UTF-8 in a key that nobody reads", status=200),
    Difference("work_pools/polls", "22 *", "bytes that are not UTF-8 in a key that nobody reads", status=200),
    Difference("work_queues/runs", "18 *", "`work_pool_id` and `work_pool_name`", status=200),
    Difference("automations_fired/times", "08 *", "events that come one after the other", status=200),
    Difference("automations_fired/composites", "14 *", "events that come one after the other", status=200),
    Difference("automations_fired/template_that_fails", "05 *", "a parameter's template that fails", status=200),
    Difference("automations/endless_loops", "07 *", "the address of pydantic's pages", status=422),
    Difference(
        "deployments/names", "0[6-9] POST *", "`request_body` and `input` in a 422 of `POST /deployments/`", status=422
    ),
    Difference(
        "deployments/bodies", "06 POST *", "`request_body` and `input` in a 422 of `POST /deployments/`", status=422
    ),
    Difference(
        "deployments/concurrency_limits",
        "23 POST *",
        "`request_body` and `input` in a 422 of `POST /deployments/`",
        status=422,
    ),
    Difference(
        "deployment_runs/what_a_change_leaves",
        "15 POST *",
        "a date that a run made by a replaced schedule has",
        status=200,
    ),
    Difference("deployment_runs/scheduled_by_hand", "11 POST *", "for a `start_time` or `end_time` that is no instant"),
    Difference(
        "matrix_flow_runs_with_deployment/Paused",
        "Paused -> Pending* (full*, client 3.9.1)",
        "without ever having had a slot of its deployment's limit",
    ),
    Difference(
        "matrix_flow_runs_with_deployment/Failed",
        "Failed -> Pending* (full*, client 3.9.1)",
        "without ever having had a slot of its deployment's limit",
    ),
    Difference(
        "matrix_flow_runs_with_deployment/AwaitingConcurrencySlot",
        "AwaitingConcurrencySlot -> Pending* (free, client 3.9.1)",
        "is handed out when a slot is free and its turn has come, and starts at once",
    ),
    Difference("variables/values", "12 *", "a variable's value that is a whole number written with a fraction"),
)


def of(scenario: str, dialect: str) -> list[Difference]:
    return [one for one in DIFFERENCES if one.applies(scenario, dialect)]
