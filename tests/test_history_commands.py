"""`lictor database check` and `retention` as an operator runs them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests import rows
from tests.test_cli import lictor

from lictor import tallies
from lictor.db import Database, Tx
from lictor.db.statement import composed
from lictor.events import store as events
from lictor.events import tallies as event_tallies
from lictor.events.types import Event
from lictor.kit import clock


def an_old_run(tx: Tx) -> None:
    over = clock.now() - timedelta(days=100)
    rows.a_flow_run(tx, rows.a_flow(tx), "COMPLETED", expected_start_time=over, start_time=over, end_time=over)


def test_check_finds_and_mends_a_wrong_tally(db: Database, database_url: str, tmp_path: Path) -> None:
    db.write_now(an_old_run)
    db.write_now(tallies.settle, clock.now())
    command = ("database", "check", "--database", database_url)
    assert "are what the runs and the events say" in lictor(*command, home=tmp_path).stdout
    db.write_now(lambda tx: tx.run(composed(None, "update flow_run_tally set runs = 7")))
    told = lictor(*command, home=tmp_path)
    assert (told.returncode, "quarters of an hour and days, from" in told.stdout) == (1, True)
    assert lictor(*command, "--mend", home=tmp_path).returncode == 0
    assert db.read_now(tallies.check) == []
    assert db.read_now(lambda tx: tx.value(composed(int, "select runs from flow_run_tally"))) == 1


def test_check_finds_and_mends_a_wrong_tally_of_events(db: Database, database_url: str, tmp_path: Path) -> None:
    db.write_now(events.emit, Event(occurred=clock.now(), event="a", resource={"prefect.resource.id": "b"}))
    db.write_now(event_tallies.fold, 10)
    db.write_now(lambda tx: tx.run(composed(None, "update event_tally set events = 7")))
    command = ("database", "check", "--database", database_url)
    told = lictor(*command, home=tmp_path)
    assert (told.returncode, "the events of 2 quarters of an hour and days" in told.stdout) == (1, True)
    assert lictor(*command, "--mend", home=tmp_path).returncode == 0
    assert db.read_now(event_tallies.check) == []
    assert db.read_now(lambda tx: tx.all(composed(int, "select events from event_tally"))) == [1, 1]


def test_retention_says_what_is_past_its_time(db: Database, database_url: str, tmp_path: Path) -> None:
    db.write_now(an_old_run)
    told = lictor("database", "retention", "--database", database_url, home=tmp_path)
    assert "1 flow runs are past their time, with 0 task runs, 1 states and 0 log lines" in told.stdout
    assert db.read_now(lambda tx: tx.value(composed(int, "select count(*) from flow_run"))) == 1
