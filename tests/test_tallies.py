"""Tallies give what the runs themselves would give, whatever happened and whenever it was settled."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import rows
from tests.architecture.test_plans import steps

from lictor import flows, tallies
from lictor.db import Database, Tx, Where
from lictor.db.statement import Statement, composed
from lictor.filters.history import Interval, divide, run_history
from lictor.flow_runs import changes, listing, transitions
from lictor.flow_runs.listing import FlowRunHistory, FlowRunQuery
from lictor.flow_runs.transitions import Orchestration
from lictor.kit import clock
from lictor.states.types import StateCreate
from lictor.tallies import ledger
from lictor.tallies.flow_runs import LEDGER, OfState
from lictor.tallies.slots import floor

NOW = datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC)
ORCHESTRATION = Orchestration()
KINDS = {"COMPLETED": "Completed", "FAILED": "Failed", "RUNNING": "Running", "SCHEDULED": "Late"}


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    clock.set_source(lambda: NOW)
    monkeypatch.setattr(ledger, "MANY", 0)  # so that short intervals are made of tallies, few as the runs are


def a_run(tx: Tx, flow_id: str, at: datetime, state: str) -> str:
    began = at + timedelta(seconds=7) if state != "SCHEDULED" else None
    return rows.a_flow_run(
        tx,
        flow_id,
        f"{state}/{KINDS[state]}",
        expected_start_time=at,
        start_time=began,
        end_time=began if state in ("COMPLETED", "FAILED") else None,
        total_run_time=3.5,
    )


def settle_all(db: Database) -> None:
    while db.write_now(tallies.settle, clock.now()):
        pass


def query(kind: type[Any], **body: Any) -> Any:
    return msgspec.convert(body, kind)


def window(after: datetime, before: datetime) -> dict[str, Any]:
    return {"expected_start_time": {"after_": after.isoformat(), "before_": before.isoformat()}}


def read(db: Database, count: int) -> list[Any]:
    """The answers to several questions: with tallies, since nothing else is asked, and as plain scans."""
    spans = [(timedelta(days=6), timedelta()), (timedelta(days=3, minutes=7), timedelta(hours=2, minutes=1))]
    asked: list[dict[str, Any]] = [
        {},
        {"flow_runs": {"state": {"type": {"any_": ["COMPLETED", "FAILED"]}}}},
        {"flow_runs": {"state": {"name": {"any_": ["Late"]}}}},
        {"flow_runs": {"state": {"type": {"not_any_": ["COMPLETED"]}}}},
    ]
    asked += [{"flow_runs": window(NOW - begin, NOW - end)} for begin, end in spans]
    # That there is a flow is true of all runs, but it is more than tallies know.
    plainly = {"flows": {"name": {"like_": "flow"}}}
    found: list[Any] = []
    for body in asked:
        wanted, plain = query(FlowRunQuery, **body), query(FlowRunQuery, **body, **plainly)
        assert listing.tallied(wanted) is not None
        assert listing.tallied(plain) is None
        assert db.read_now(listing.count, wanted) == db.read_now(listing.count, plain), body
        late, plainly_late = db.read_now(listing.lateness, wanted), db.read_now(listing.lateness, plain)
        assert late == pytest.approx(plainly_late), body
        found.append(db.read_now(listing.count, wanted))
    for begin, end in spans:
        for seconds in (700.0, 3_600.0, 10_001.0, 86_400.0):
            span = {"history_start": (NOW - begin).isoformat(), "history_end": (NOW - end).isoformat()}
            wanted = query(FlowRunHistory, **span, history_interval_seconds=seconds)
            plain = query(FlowRunHistory, **span, history_interval_seconds=seconds, **plainly)
            assert rounded(db.read_now(listing.history, wanted)) == rounded(db.read_now(listing.history, plain))
    assert found[0] == count
    scan = "select state_type, state_name, count(*) from flow_run group by 1, 2 order by 1, 2"
    plainly_by_state = db.read_now(lambda tx: tx.all(composed(OfState, scan)))
    assert db.read_now(tallies.flow_runs.by_state) == plainly_by_state
    return found


def rounded(intervals: Any) -> Any:
    return msgspec.json.Decoder(float_hook=lambda text: round(float(text), 3)).decode(msgspec.json.encode(intervals))


moments = st.one_of(
    st.integers(0, 6 * 86_400).map(lambda seconds: NOW - timedelta(seconds=seconds)),
    st.integers(0, 500).map(lambda quarters: datetime(2026, 3, 9, tzinfo=UTC) + quarters * timedelta(minutes=15)),
    st.integers(0, 5 * 3_600).map(
        lambda seconds: NOW - timedelta(hours=3, microseconds=1) + timedelta(seconds=seconds)
    ),
)
histories = st.lists(st.tuples(moments, st.sampled_from(sorted(KINDS))), min_size=1, max_size=25)
deeds = st.lists(
    st.tuples(st.sampled_from(["end", "revive", "delete", "insert"]), st.integers(0, 24), moments), max_size=6
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories, deeds=deeds)
def test_what_is_told_is_what_a_scan_would_tell(
    db: Database, history: list[tuple[datetime, str]], deeds: list[tuple[str, int, datetime]]
) -> None:
    flow_id = db.write_now(rows.a_flow)

    def begin(tx: Tx) -> list[str]:
        kinds = ("flow_run", "task_run")
        tables = [f"{kind}{part}" for kind in kinds for part in ("", "_tally", "_unsettled")]
        for table in (*tables, "flow_run_day", "tally_frontier"):
            tx.run(composed(None, f"delete from {table}"))
        return [a_run(tx, flow_id, at, state) for at, state in history]

    runs = db.write_now(begin)
    settle_all(db)
    read(db, len(runs))
    for deed, which, at in deeds:
        run_id = runs[which % len(runs)] if runs else None
        if deed == "insert" or run_id is None:
            runs.append(db.write_now(insert, flow_id, at))
        elif deed == "delete":
            db.write_now(changes.delete, ORCHESTRATION, run_id)
            runs.remove(run_id)
        else:
            state = StateCreate(type="COMPLETED" if deed == "end" else "SCHEDULED")
            db.write_now(transitions.set_state, ORCHESTRATION, run_id, state, force=True)
        told = read(db, len(runs))
        assert db.read_now(tallies.check) == []
        settle_all(db)
        assert read(db, len(runs)) == told
    assert db.read_now(tallies.check) == []


@pytest.mark.parametrize("seconds", [600, 700, 900, 1_000.5, 1_799, 3_333])
def test_intervals_that_meet_within_a_slot_share_its_runs(db: Database, seconds: float) -> None:
    flow_id = db.write_now(rows.a_flow)

    def begin(tx: Tx) -> None:
        for number in range(150):
            at = NOW - timedelta(hours=7, microseconds=number) + timedelta(seconds=97 * number)
            a_run(tx, flow_id, at, "FAILED" if number % 3 else "COMPLETED")
        a_run(tx, flow_id, NOW - timedelta(hours=5), "RUNNING")

    db.write_now(begin)
    settle_all(db)
    span = {"history_start": NOW - timedelta(hours=8), "history_end": NOW, "history_interval_seconds": seconds}
    wanted = query(FlowRunHistory, **span)
    plain = query(FlowRunHistory, **span, flows={"name": {"like_": "flow"}})
    found = db.read_now(listing.history, wanted)
    assert rounded(found) == rounded(db.read_now(listing.history, plain))
    assert sum(state.count_runs for interval in found for state in interval.states) == 151


def test_short_intervals_of_few_runs_are_made_of_the_runs(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    flow_id = db.write_now(rows.a_flow)
    for hours in (1, 2, 3):
        db.write_now(a_run, flow_id, NOW - timedelta(hours=hours), "COMPLETED")

    def from_tallies(seconds: float, many: int) -> bool:
        monkeypatch.setattr(ledger, "MANY", many)
        return db.read_now(LEDGER.worth_it, divide(NOW - timedelta(hours=4), NOW, seconds))

    assert [from_tallies(900, many) for many in (0, 2, 3)] == [True, True, False]
    assert (from_tallies(300, 0), from_tallies(1_800, 5)) == (False, True)


DENSE = """
    insert into flow_run (
        id, created, updated, name, flow_id, state_type, state_name, expected_start_time, start_time, end_time
    )
    with recursive n (i) as (select 1 union all select i + 1 from n where i < :runs)
    select cast(i as text), {ts:begin}, {ts:begin}, 'run', :flow_id, 'COMPLETED', 'Completed', moment, moment, moment
    from (select i, {add_seconds:begin:i * APART} as moment from n cross join (select {ts:begin} as begin) b) numbers
"""


def dense(apart: int) -> Statement[Any]:
    """Inserts runs that are so many seconds apart."""
    return composed(None, DENSE.replace("APART", str(apart)))


@pytest.mark.only_on("sqlite")
def test_intervals_hardly_longer_than_a_slot_read_few_of_its_runs(db: Database) -> None:
    begin = NOW - timedelta(hours=10)

    def fill(tx: Tx) -> None:
        tx.run(dense(4), flow_id=rows.a_flow(tx), begin=begin, runs=6_000)

    db.write_now(fill)
    settle_all(db)
    span = {"history_start": begin, "history_end": begin + timedelta(hours=7), "history_interval_seconds": 1_700}
    wanted = query(FlowRunHistory, **span)

    def plainly(tx: Tx) -> list[Interval]:
        return run_history(tx, "flow_run r", wanted, Where(), plain=True)

    def look(tx: Tx) -> None:
        found = listing.history(tx, wanted)
        assert rounded(found) == rounded(plainly(tx))
        assert 3 * steps(tx, lambda tx: listing.history(tx, wanted)) < steps(tx, plainly)

    db.read_now(look)


@pytest.mark.only_on("sqlite")
def test_counts_over_months_read_days(db: Database) -> None:
    def fill(tx: Tx) -> None:
        flow_id = rows.a_flow(tx)
        tx.run(dense(900), flow_id=flow_id, begin=NOW - timedelta(days=63), runs=6_000)
        a_run(tx, flow_id, NOW - timedelta(days=20), "RUNNING")

    db.write_now(fill)
    settle_all(db)
    wanted = [query(FlowRunQuery), query(FlowRunQuery, flow_runs=window(NOW - timedelta(days=60), NOW))]

    def look(tx: Tx) -> list[int]:
        taken = [steps(tx, lambda tx: listing.count(tx, one)) for one in wanted]  # noqa: B023
        return [*taken, steps(tx, tallies.flow_runs.by_state)]

    # Of each slot it would be ten and more.
    assert max(db.read_now(look)) < 20_000


def insert(tx: Tx, flow_id: str, at: datetime) -> str:
    tallies.touch(tx, at)
    return a_run(tx, flow_id, at, "COMPLETED")


def unsettled(db: Database) -> Counter[tuple[datetime, bool]]:
    marks = db.read_now(lambda tx: tx.all(composed(None, "select slot, open from flow_run_unsettled")))
    return Counter((msgspec.convert(slot, datetime, strict=False), bool(open)) for slot, open in marks)


def test_an_hour_is_settled_once_and_read_from_its_tally(db: Database) -> None:
    flow_id = db.write_now(rows.a_flow)
    db.write_now(a_run, flow_id, NOW - timedelta(days=2), "COMPLETED")
    assert db.write_now(tallies.settle, NOW) > 0
    assert db.write_now(tallies.settle, NOW) == 0
    assert not unsettled(db)
    # Nobody may write runs behind the tallies' back: it shows that they are what is read.
    db.write_now(lambda tx: tx.run(composed(None, "delete from flow_run")))
    assert db.read_now(listing.count, FlowRunQuery()) == 1
    [wrong] = db.read_now(tallies.check)
    db.write_now(tallies.mend, [wrong])
    assert db.read_now(listing.count, FlowRunQuery()) == 0
    settle_all(db)
    assert db.read_now(tallies.check) == []


def test_a_day_is_read_from_its_own_tally_unless_something_in_it_has_changed(db: Database) -> None:
    flow_id = db.write_now(rows.a_flow)
    for hours in (40, 41, 70):
        db.write_now(a_run, flow_id, NOW - timedelta(hours=hours), "COMPLETED")
    settle_all(db)
    # Nobody may do that either.
    db.write_now(lambda tx: tx.run(composed(None, "delete from flow_run_tally")))
    assert db.read_now(listing.count, FlowRunQuery()) == 3
    assert db.read_now(tallies.flow_runs.by_state) == [OfState("COMPLETED", "Completed", 3)]
    db.write_now(tallies.touch, NOW - timedelta(hours=40))
    assert db.read_now(listing.count, FlowRunQuery()) == 2, "one run of that day is in the slot that is read"
    wrong = db.read_now(tallies.check)
    assert {one.slot for one in wrong} >= {datetime(2026, 3, 11, tzinfo=UTC), datetime(2026, 3, 12, tzinfo=UTC)}
    db.write_now(tallies.mend, wrong)
    settle_all(db)
    assert db.read_now(tallies.check) == []
    assert db.read_now(listing.count, FlowRunQuery()) == 3


def test_nothing_is_settled_at_first(db: Database) -> None:
    db.write_now(lambda tx: a_run(tx, rows.a_flow(tx), NOW - timedelta(days=9), "COMPLETED"))
    assert db.read_now(tallies.flow_runs.by_state) == [OfState("COMPLETED", "Completed", 1)]
    assert db.read_now(listing.count, FlowRunQuery()) == 1


def test_a_run_that_is_not_over_leaves_its_slot_open_until_it_ends(db: Database) -> None:
    flow_id = db.write_now(rows.a_flow)
    at = NOW - timedelta(days=2)
    run_id = db.write_now(a_run, flow_id, at, "RUNNING")
    settle_all(db)
    assert unsettled(db) == {(floor(at), True): 1}
    assert db.write_now(tallies.settle, NOW) == 0, "it is not looked at again and again"
    db.write_now(transitions.set_state, ORCHESTRATION, run_id, StateCreate(type="COMPLETED"))
    assert db.write_now(tallies.settle, NOW) == 1
    assert not unsettled(db)


def test_deleting_a_flow_unsettles_what_its_runs_were_counted_in(db: Database) -> None:
    flow_id, other = db.write_now(rows.a_flow), db.write_now(rows.a_flow)
    for owner in (flow_id, flow_id, other):
        db.write_now(a_run, owner, NOW - timedelta(days=2), "COMPLETED")
    settle_all(db)
    db.write_now(flows.delete, flows.Going(), flow_id)
    assert db.read_now(listing.count, FlowRunQuery()) == 1
    assert db.read_now(tallies.check) == []


def test_what_is_recent_is_never_settled(db: Database) -> None:
    flow_id = db.write_now(rows.a_flow)
    run_id = db.write_now(a_run, flow_id, NOW - timedelta(minutes=59), "COMPLETED")
    db.write_now(changes.delete, ORCHESTRATION, run_id)
    assert not unsettled(db)
    db.write_now(tallies.settle, NOW)
    frontier = db.read_now(lambda tx: tx.one(tallies.flow_runs.LEDGER.frontier))
    assert frontier == floor(NOW - timedelta(hours=2))
