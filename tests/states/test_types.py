"""States on the wire, and the small helpers beside them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from msgspec import Raw

from lictor.kit import clock
from lictor.states import constructors as make
from lictor.states.rules import whole_seconds_until
from lictor.states.types import (
    STATE_TYPES,
    TERMINAL,
    AbortDetails,
    AcceptDetails,
    OrchestrationResult,
    RejectDetails,
    StateCreate,
    WaitDetails,
    from_create,
    persisted_result,
)
from lictor.states.versions import at_least
from lictor.states.waits import clamped_poisson

NOW = datetime(2026, 11, 22, 1, 49, 6, 178592, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _still_clock() -> None:
    clock.set_source(lambda: NOW)


def test_a_state_is_written_as_the_reference_writes_it() -> None:
    state = make.running(now=NOW)
    state.id = "01a200f1-5702-7c95-8888-c293d6d24207"
    state.state_details.flow_run_id = "061844dc-a09f-4196-ab03-467f5549bdc2"
    result = OrchestrationResult(state, "ACCEPT", AcceptDetails())
    assert msgspec.json.encode(result).decode() == (
        '{"state":{"id":"01a200f1-5702-7c95-8888-c293d6d24207","type":"RUNNING","name":"Running",'
        '"timestamp":"2026-11-22T01:49:06.178592Z","message":null,"data":null,"state_details":{'
        '"flow_run_id":"061844dc-a09f-4196-ab03-467f5549bdc2","task_run_id":null,"child_flow_run_id":null,'
        '"scheduled_time":null,"cache_key":null,"cache_expiration":null,"deferred":false,"untrackable_result":false,'
        '"pause_timeout":null,"pause_reschedule":false,"pause_key":null,"run_input_keyset":null,"refresh_cache":null,'
        '"retriable":null,"transition_id":null,"task_parameters_id":null,"traceparent":null,'
        '"deployment_concurrency_lease_id":null}},"status":"ACCEPT","details":{"type":"accept_details"}}'
    )


@pytest.mark.parametrize(
    ("details", "written"),
    [
        (RejectDetails("r"), '{"type":"reject_details","reason":"r"}'),
        (AbortDetails("r"), '{"type":"abort_details","reason":"r"}'),
        (WaitDetails(5, "r"), '{"type":"wait_details","delay_seconds":5,"reason":"r"}'),
    ],
)
def test_details_are_written_as_the_reference_writes_them(details: msgspec.Struct, written: str) -> None:
    assert msgspec.json.encode(details).decode() == written


def read(text: str) -> StateCreate:
    return msgspec.json.decode(text, type=StateCreate)


@pytest.mark.parametrize("type_", STATE_TYPES)
def test_a_state_is_named_after_its_type(type_: str) -> None:
    assert from_create(read(f'{{"type":"{type_}"}}')).name == type_.capitalize()
    assert from_create(read(f'{{"type":"{type_}","name":""}}')).name == ""


def test_scheduled_is_for_now_unless_timed() -> None:
    assert from_create(read('{"type":"SCHEDULED"}')).state_details.scheduled_time == NOW
    timed = from_create(read('{"type":"SCHEDULED","state_details":{"scheduled_time":"2026-12-01T01:02:03+05:00"}}'))
    assert b'"scheduled_time":"2026-12-01T01:02:03+05:00"' in msgspec.json.encode(timed)
    assert from_create(read('{"type":"RUNNING"}')).state_details.scheduled_time is None


def test_an_instant_without_offset_is_utc() -> None:
    naive = from_create(read('{"type":"PAUSED","state_details":{"pause_timeout":"2026-12-01T01:02:03"}}'))
    assert naive.state_details.pause_timeout == datetime(2026, 12, 1, 1, 2, 3, tzinfo=UTC)


def test_ids_become_canonical_text_and_unknown_details_are_ignored() -> None:
    upper = "11111111-1111-1111-1111-11111111111A"
    state = from_create(read(f'{{"type":"RUNNING","state_details":{{"transition_id":"{upper}","else":1}}}}'))
    assert state.state_details.transition_id == upper.lower()


@pytest.mark.parametrize("wrong", ['{"type":"FOO"}', '{"type":"RUNNING","id":"1"}', "{}", '{"type":"RUNNING","x":1}'])
def test_what_is_no_state_is_refused(wrong: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(wrong)


def test_data_is_kept_as_it_came() -> None:
    assert from_create(read('{"type":"COMPLETED","data":{"b":1,"a":[2]}}')).data == Raw(b'{"b":1,"a":[2]}')
    assert from_create(read('{"type":"COMPLETED","data":null}')).data is None
    assert from_create(read('{"type":"COMPLETED"}')).data is None


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (None, None),
        ("null", None),
        ("[1]", None),
        ('"text"', None),
        ('{"type":"unpersisted"}', None),
        (' { "type" : "unpersisted" }', None),
        ("{}", {}),
        ('{"type":"result"}', {"type": Raw(b'"result"')}),
        ('{"storage_key":"k"}', {"storage_key": Raw(b'"k"')}),
    ],
)
def test_persisted_result(data: str | None, kept: dict[str, Raw] | None) -> None:
    assert persisted_result(None if data is None else Raw(data.encode())) == kept


def test_fresh_copy_has_its_own_details() -> None:
    first = make.paused(key="k", now=NOW - timedelta(hours=1))
    copy = make.fresh_copy(first)
    copy.state_details.pause_key = "other"
    assert (first.state_details.pause_key, copy.timestamp, copy.name) == ("k", NOW, "Paused")
    assert copy.id != first.id


def test_constructors_name_their_states() -> None:
    at = NOW + timedelta(hours=1)
    states = [
        make.scheduled(at), make.late(at), make.resuming(), make.awaiting_retry(at), make.awaiting_concurrency_slot(at),
        make.pending("Submitting"), make.running(), make.completed(), make.failed(), make.crashed(), make.cancelling(),
        make.cancelled(), make.paused(), make.suspended(),
    ]  # fmt: skip
    assert [(state.type, state.name) for state in states] == [
        ("SCHEDULED", "Scheduled"),
        ("SCHEDULED", "Late"),
        ("SCHEDULED", "Resuming"),
        ("SCHEDULED", "AwaitingRetry"),
        ("SCHEDULED", "AwaitingConcurrencySlot"),
        ("PENDING", "Submitting"),
        ("RUNNING", "Running"),
        ("COMPLETED", "Completed"),
        ("FAILED", "Failed"),
        ("CRASHED", "Crashed"),
        ("CANCELLING", "Cancelling"),
        ("CANCELLED", "Cancelled"),
        ("PAUSED", "Paused"),
        ("PAUSED", "Suspended"),
    ]
    assert states[-1].state_details.pause_reschedule
    assert {state.type for state in states if state.type in TERMINAL} == TERMINAL


@pytest.mark.parametrize(
    ("version", "is_later"),
    [
        ("3.4.11", True), ("3.4.12.dev1", True), ("3.5", True), ("3.10.0", True), ("4", True), ("v3.9.1+7.gabc", True),
        ("3.4.11.post1", True), ("3.4.11+local", True), ("3.4.11.1rc1", True),
        ("3.4.10", False), ("3.4.11rc1", False), ("3.4.11.dev3", False), ("3.4", False), ("2.99", False),
        ("main", False),
    ],
)  # fmt: skip
def test_versions(version: str, is_later: bool) -> None:
    assert at_least(version, (3, 4, 11)) is is_later


@pytest.mark.parametrize(
    ("delta", "seconds"),
    [
        (timedelta(seconds=10), 10),
        (timedelta(seconds=10, microseconds=500_000), 10),
        (timedelta(seconds=10, microseconds=500_001), 11),
        (timedelta(microseconds=400_000), 0),
        (timedelta(microseconds=600_000), 1),
        (timedelta(seconds=-5), -5),
    ],
)
def test_whole_seconds(delta: timedelta, seconds: int) -> None:
    assert whole_seconds_until(NOW + delta, NOW) == seconds
    assert whole_seconds_until((NOW + delta).astimezone(timezone(timedelta(hours=5))), NOW) == seconds


def test_waits_lie_around_their_average() -> None:
    drawn = [clamped_poisson(10) for _ in range(2000)]
    assert 7.5 <= min(drawn) <= max(drawn) <= 13
    assert math.isclose(sum(drawn) / len(drawn), 10, rel_tol=0.1)
    assert clamped_poisson(0) == 0
    assert 0 <= clamped_poisson(10, 100) <= 1010
    with pytest.raises(ValueError, match="positive"):
        clamped_poisson(10, 0)
