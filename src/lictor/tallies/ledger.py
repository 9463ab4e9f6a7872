"""One table of tallies: which slots are settled, and how they come to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct

from lictor.db import Tx, sql
from lictor.filters import estimates
from lictor.filters.history import Grid
from lictor.states.types import TERMINAL
from lictor.tallies.days import Days
from lictor.tallies.slots import BEHIND, FIRST, LAST, MOST_SLOTS, SLOT, TICK, Slots, Span, ceil, floor

_TYPES = ", ".join(f"'{type_}'" for type_ in sorted(TERMINAL))


MANY = 5_000


class Mark(Struct):
    position: int
    slot: datetime


class Ledger:
    """The tallies of the runs in one table, whose alias is `alias` here and in conditions on them.

    A tally is of a slot, a type and name of state, and what `kinds` tells apart beside; `measures` are what is known of
    its runs: names of columns, each with its SQL. Of both, `compared` are what `check` compares. `days` has their sums.
    """

    def __init__(
        self,
        table: Literal["flow_run", "task_run"],
        alias: str,
        kinds: Mapping[str, str],
        measures: Mapping[str, str],
        compared: Iterable[str],
        days: Days | None = None,
    ) -> None:
        self.table = table
        self.days = days
        self.name = name = f"{table}s"
        run = f"{alias}.expected_start_time"
        # What is made of the column keeps SQLite from reading all runs of a state, rather than those of some slots.
        over = f"coalesce({alias}.state_type || '', '') in ({_TYPES})"
        within = f"{run} >= {{ts:start}} and {run} <= {{ts:end}}"
        known = {"slot": f"{{quarter:{run}}}", "state_type": f"{alias}.state_type", "state_name": f"{alias}.state_name"}
        groups = ", ".join(str(place) for place in range(1, len(known) + len(kinds) + 1))
        columns = {**known, **kinds, **measures}
        told = [*known, *kinds, *compared]

        self.touch = sql(
            f"tallies.touch_{name}", None, f"insert into {table}_unsettled (slot, open) values (:slot, false)"
        )
        self.frontier = sql(
            f"tallies.frontier_of_{name}", datetime, f"select slot from tally_frontier where name = '{table}'"
        )
        self._lock = sql(f"tallies.lock_frontier_of_{name}", datetime, f"{self.frontier.text} {{for_update}}")
        self._put_frontier = sql(
            f"tallies.put_frontier_of_{name}",
            None,
            f"""
            insert into tally_frontier (name, slot) values ('{table}', :slot)
            on conflict (name) do update set slot = excluded.slot
            """,
        )
        # A mark of a slot that is not before the frontier tells nothing that will not be counted anyway.
        self._touched = sql(
            f"tallies.touched_{name}",
            Mark,
            f"""
            select u.position, u.slot from {table}_unsettled u where u.slot in (
                select slot from {table}_unsettled where not open group by slot order by slot limit :most
            )
            """,
        )
        self._forget_marks = sql(
            f"tallies.forget_marks_of_{name}",
            None,
            f"delete from {table}_unsettled where position {{in:positions:bigint}}",
        )
        self._next = sql(
            f"tallies.next_of_{name}",
            datetime,
            f"select {run} from {table} {alias} where {run} >= {{ts:slot}} order by {run} limit 1",
        )
        self._many = sql(
            f"tallies.many_{name}",
            datetime,
            f"""
            select {run} from {table} {alias} where {run} >= {{ts:start}} and {run} < {{ts:end}}
            order by {run} limit 1 offset {{int:many}}
            """,
        )
        self._forget = sql(
            f"tallies.forget_{name}",
            None,
            f"delete from {table}_tally where slot >= {{ts:start}} and slot <= {{ts:end}}",
        )
        self._count = sql(
            f"tallies.count_{name}",
            None,
            f"""
            insert into {table}_tally ({", ".join(columns)}) select {", ".join(columns.values())}
            from {table} {alias} {estimates.MOMENT} where {within} and {over} group by {groups}
            """,
        )
        self._open = sql(
            f"tallies.open_{name}",
            None,
            f"""
            insert into {table}_unsettled (slot, open)
            select distinct {known["slot"]}, true from {table} {alias} where {within} and not {over}
            """,
        )
        self._wrong = sql(
            f"tallies.wrong_{name}",
            datetime,
            f"""
            with counted ({", ".join(told)}) as (
                select {", ".join(columns[column] for column in told)} from {table} {alias}
                where {run} < {{ts:frontier}} group by {groups}
            ),
            tallied ({", ".join(told)}) as (select {", ".join(told)} from {table}_tally where slot < {{ts:frontier}})
            select distinct w.slot from (
                select * from (select * from counted except select * from tallied) missing
                union all select * from (select * from tallied except select * from counted) surplus
            ) w where not exists (select 1 from {table}_unsettled u where u.slot = w.slot)
            """,
        )

    def marking(self, name: str, source: str, condition: str) -> str:
        """The text that unsettles the slots of runs, in `source`, that meet a condition and are expected `before`."""
        return f"""
            insert into {self.table}_unsettled (slot, open)
            select distinct {{quarter:{name}.expected_start_time}}, false from {source}
            where {condition} and {name}.expected_start_time < {{ts:before}}
            """

    def settle(self, tx: Tx, now: datetime) -> int:
        """Settle slots that were touched, and move the frontier; how many slots were counted."""
        frontier = tx.one(self._lock)
        done = self._settle_touched(tx, now)
        limit = floor(now - BEHIND)
        begin = tx.one(self._next, slot=FIRST if frontier is None else frontier)
        end = limit if begin is None else min(limit, floor(begin) + MOST_SLOTS * SLOT)
        if begin is not None and begin < end:
            self._settle(tx, [Slots(floor(begin), end - TICK)], now)
            done += (end - floor(begin)) // SLOT
        if frontier is None or end > frontier:
            tx.run(self._put_frontier, slot=end)
        return done

    def _settle_touched(self, tx: Tx, now: datetime) -> int:
        marks = tx.all(self._touched, most=MOST_SLOTS)
        slots = sorted({mark.slot for mark in marks})
        if marks:
            tx.run(self._forget_marks, positions=[mark.position for mark in marks])
            self._settle(tx, [Slots(slot, slot + SLOT - TICK) for slot in slots], now)
        return len(slots)

    def _settle(self, tx: Tx, stretches: list[Slots], now: datetime) -> None:
        params = [stretch._asdict() for stretch in stretches]
        tx.many(self._forget, params)
        tx.many(self._count, [{**each, "now": now} for each in params])
        tx.many(self._open, params)
        if self.days is not None:
            self.days.count(tx, stretches)

    def span(self, tx: Tx, after: datetime, before: datetime) -> Span:
        """Which slots of a time may be settled."""
        frontier = tx.one(self.frontier)
        first = ceil(after) if after < LAST - SLOT else after
        if frontier is None:
            return Span(after, before, first, first)
        end = floor(before + TICK) if before < LAST else frontier
        return Span(after, before, first, max(first, min(frontier, end)))

    def worth_it(self, tx: Tx, grid: Grid) -> bool:
        """Whether a history had better be made of tallies: where most of a slot is in one interval, as a rule. Where
        intervals are short, to cut slots up costs more than to read some thousand runs."""
        if grid.step >= 2 * SLOT or grid.step < SLOT * 2 / 3:
            return grid.step >= 2 * SLOT
        return tx.one(self._many, start=grid.start, end=grid.edge(grid.length), many=MANY) is not None

    def check(self, tx: Tx) -> list[datetime]:
        """The settled slots whose tallies are not what their runs say, and the first slots of days that are not what
        their tallies are. There should never be one."""
        frontier = tx.one(self.frontier)
        if frontier is None:
            return []
        return tx.all(self._wrong, frontier=frontier) + (self.days.check(tx) if self.days is not None else [])

    def mend(self, tx: Tx, slots: Iterable[datetime]) -> None:
        """Have slots counted again."""
        tx.many(self.touch, [{"slot": slot} for slot in slots])


SLOT_END = "{add_seconds:%s:899.999999}"


def ranges(table: str) -> str:
    """The times, both ends included, whose runs are read themselves (`Span.params`): what is left and right of the
    slots, and the slots that are not settled."""
    return f"""
        select {{ts:left}}, {{ts:left_end}} union all select {{ts:last}}, {{ts:right_end}}
        union select u.slot, {SLOT_END % "u.slot"} from {table}_unsettled u
            where u.slot >= {{ts:first}} and u.slot < {{ts:last}}"""


def settled(table: str, alias: str) -> str:
    """Which tallies hold."""
    return f"""{alias}.slot >= {{ts:first}} and {alias}.slot < {{ts:last}}
        and {alias}.slot not in (select u.slot from {table}_unsettled u)"""
