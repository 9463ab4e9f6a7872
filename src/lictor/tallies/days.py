"""Tallies added up by day, for counts over everything: a year has 35,000 quarters of an hour.

A day is the sum of its slots but for the open ones, whose runs are read anyway; it is written whenever one of them is,
so it always is that. A question takes a day from here unless one of its slots was touched; of other days, and where it
begins and ends, it takes the slots.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from lictor.db import Tx, sql
from lictor.kit import times
from lictor.tallies.slots import FIRST, LAST, TICK, Slots, Span

DAY = timedelta(days=1)


class Days:
    """The days of the tallies of a table, with these of their measures: names of columns, each with its SQL type."""

    def __init__(self, table: str, measures: dict[str, str]) -> None:
        self._table = table
        settled = f"t.slot not in (select u.slot from {table}_unsettled u where u.open)"
        columns = ", ".join(("day", "state_type", "state_name", *measures))
        sums = ", ".join(f"cast(sum(t.{name}) as {type_})" for name, type_ in measures.items())
        select = f"select {{day:t.slot}}, t.state_type, t.state_name, {sums} from {table}_tally t where {settled}"
        self._forget = sql(
            f"tallies.forget_days_of_{table}s",
            None,
            f"delete from {table}_day where day >= {{ts:start}} and day <= {{ts:end}}",
        )
        self._count = sql(
            f"tallies.count_days_of_{table}s",
            None,
            f"""
            insert into {table}_day ({columns})
            {select} and t.slot >= {{ts:start}} and t.slot <= {{ts:end}} group by 1, 2, 3
            """,
        )
        # Sums of seconds may differ in their last digits.
        told = [name for name, type_ in measures.items() if type_ == "{int_type}"]
        known = ", ".join(("day", "state_type", "state_name", *told))
        self._wrong = sql(
            f"tallies.wrong_days_of_{table}s",
            datetime,
            f"""
            with counted ({columns}) as ({select} group by 1, 2, 3)
            select distinct w.day from (
                select * from (select {known} from counted except select {known} from {table}_day) missing
                union all select * from (select {known} from {table}_day except select {known} from counted) surplus
            ) w
            """,
        )

    def count(self, tx: Tx, stretches: Iterable[Slots]) -> None:
        """Add up again the days whose tallies were made anew."""
        days = {day for stretch in stretches for day in _days_of(stretch)}
        places = [{"start": day, "end": day + DAY - TICK} for day in sorted(days)]
        tx.many(self._forget, places)
        tx.many(self._count, places)

    def check(self, tx: Tx) -> list[datetime]:
        """The days that are not what their tallies say. There should never be one."""
        return tx.all(self._wrong)

    def ctes(self) -> str:
        """Common tables: days with a slot that was touched, and the stretches of slots that are asked for."""
        return f"""
        dirty (day) as (
            select distinct {{day:u.slot}} from {self._table}_unsettled u
            where not u.open and u.slot >= {{ts:first_day}} and u.slot < {{ts:last_day}}
        ),
        quarters (low, high) as (
            select {{ts:before_from}}, {{ts:before_to}} union all select {{ts:behind_from}}, {{ts:behind_to}}
            union all select d.day, {{add_seconds:d.day:86399.999999}} from dirty d
        )"""

    def parts(self, columns: str, more: str = "") -> str:
        """Two selects of the tallies that hold (with alias `r`): of days, and of slots. `more` ends each of them."""
        return f"""
        select {columns} from {self._table}_day r
        where r.day >= {{ts:first_day}} and r.day < {{ts:last_day}}
            and r.day not in (select dirty.day from dirty) {more}
        union all
        select {columns} from quarters cross join {{within:{self._table}_tally r:r.slot:quarters.low:quarters.high}}
            and r.slot not in (select u.slot from {self._table}_unsettled u) {more}"""


def _days_of(stretch: Slots) -> Iterable[datetime]:
    day = floor(stretch.start)
    while day <= stretch.end:
        yield day
        day += DAY


def floor(instant: datetime) -> datetime:
    """The day of UTC that an instant is in."""
    return times.utc(instant).replace(hour=0, minute=0, second=0, microsecond=0)


def params(found: Span) -> dict[str, Any]:
    """Of a span whose slots may be settled, the whole days, and what there is before and behind them."""
    first, last = floor(found.first), floor(found.last)
    if first < found.first:
        first = first + DAY if first < floor(LAST) else found.last
    if first >= last:
        first = last = found.last
    before, behind = first > found.first, found.last > last
    return {
        "first_day": first,
        "last_day": last,
        "before_from": found.first if before else LAST,
        "before_to": first - TICK if before else FIRST,
        "behind_from": last if behind else LAST,
        "behind_to": found.last - TICK if behind else FIRST,
    }
