"""What each shape of a filter makes of its keys. Rows are asked in test_entities; this is about the SQL."""

from __future__ import annotations

import msgspec
import pytest

from lictor.filters import FlowRunFilter, TaskRunFilter, WorkQueueFilter, where_for
from lictor.filters.entities import Filter

ONE, TWO = "01a200f9-abc9-7ab6-9ec7-a21fd6c26aba", "01a200f9-abc9-7ab6-9ec7-a21fd6c26abb"


def text(kind: type[Filter], json: str) -> str:
    return msgspec.json.decode(json, type=kind).where().text()


@pytest.mark.parametrize(
    "json",
    [
        "{}",
        '{"operator":"or_"}',
        '{"id":{}}',
        '{"id":{"any_":null,"not_any_":[]}}',
        '{"name":{"like_":""}}',
        '{"tags":{"all_":[]}}',
        '{"state":{}}',
        '{"state":{"type":{},"name":{"not_any_":[]}}}',
        '{"operator":"or_","id":{},"name":{"any_":["x"]}}',
        '{"start_time":{"before_":null}}',
    ],
)
def test_what_says_nothing_adds_no_sql(json: str) -> None:
    where = msgspec.json.decode(json, type=FlowRunFilter).where()
    assert not where
    assert where.text() == "true"
    assert not where_for("flow_run", flow_runs=FlowRunFilter())


def test_one_value_is_an_equality_and_several_are_a_list() -> None:
    assert text(FlowRunFilter, f'{{"id":{{"any_":["{ONE}"]}}}}') == "r.id = {uuid:p0}"
    assert text(FlowRunFilter, f'{{"id":{{"any_":["{ONE}","{TWO}"]}}}}') == "r.id {in:p0:uuid}"
    assert text(FlowRunFilter, '{"id":{"any_":[]}}') == "r.id {in:p0:uuid}"


def test_a_single_state_type_is_part_of_the_text() -> None:
    assert text(FlowRunFilter, '{"state":{"type":{"any_":["SCHEDULED"]}}}') == "r.state_type = 'SCHEDULED'"
    both = '{"state":{"type":{"any_":["PENDING"]},"name":{"any_":["Late"]}}}'
    assert text(FlowRunFilter, both) == "r.state_type = 'PENDING' and r.state_name = {text:p0}"


def test_the_operator_of_a_leaf_and_of_a_filter() -> None:
    leaf = '{"tags":{"operator":"or_","all_":["a"],"is_null_":true}}'
    assert text(FlowRunFilter, leaf) == "(({has_all:r.tags:p0}) or (r.tags = '[]'))"
    whole = '{"operator":"or_","name":{"any_":["a"],"like_":"b"},"flow_version":{"any_":["1"]}}'
    assert text(FlowRunFilter, whole) == (
        "((r.name = {text:p0} and {ascii_lower:r.name} like {text:p1}) or (r.flow_version = {text:p2}))"
    )


def test_an_empty_part_of_a_state_filter_is_left_out_of_its_or() -> None:
    assert text(FlowRunFilter, '{"state":{"operator":"or_","type":{},"name":{"any_":["Late"]}}}') == (
        "r.state_name = {text:p0}"
    )


@pytest.mark.parametrize(
    ("json", "expected"),
    [
        ("{}", "t.flow_run_id is not null"),
        ('{"is_null_":true}', "t.flow_run_id is null"),
        ('{"is_null_":null}', "true"),
        (f'{{"any_":["{ONE}"]}}', "t.flow_run_id = {uuid:p0}"),
        (f'{{"any_":["{ONE}"],"is_null_":true}}', "t.flow_run_id is null"),
    ],
)
def test_the_flow_run_of_a_task_run_is_asked_for_even_by_an_empty_filter(json: str, expected: str) -> None:
    assert text(TaskRunFilter, f'{{"flow_run_id":{json}}}') == expected


def test_prefixes_are_alternatives() -> None:
    assert text(WorkQueueFilter, '{"name":{"startswith_":["a","b"]}}') == (
        "(q.name {like} {text:p0} or q.name {like} {text:p1})"
    )


@pytest.mark.parametrize("json", ['{"nope":1}', '{"id":{"like_":"x"}}', '{"state":{"kind":{}}}', '{"operator":"xor_"}'])
def test_unknown_keys_are_refused(json: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json, type=FlowRunFilter)


def test_ids_need_no_look_at_the_table_that_a_foreign_key_names() -> None:
    run = msgspec.json.decode(f'{{"id":{{"any_":["{ONE}"]}}}}', type=FlowRunFilter)
    assert where_for("task_run", flow_runs=run).text() == "t.flow_run_id = {uuid:p0}"
