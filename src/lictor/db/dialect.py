"""Everything in SQL text that differs between SQLite and PostgreSQL, by name.

A statement is written once with ``:name`` parameters and ``{fragment:arguments}``; a dialect turns it into the text
that its driver takes. Keep this list short: a difference that only one statement needs belongs in that statement.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

Fragment = Callable[..., str]

_FRAGMENT = re.compile(r"\{([a-z_]+)(?::([^{}]*))?\}")
_INDENT = re.compile(r"\n\s+")
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")


@dataclass(frozen=True, slots=True)
class Compiled:
    """Driver-ready text, its parameters in order, and those of them that are lists of scalars rather than JSON."""

    text: str
    parameters: tuple[str, ...]
    lists: frozenset[str]
    pick: Callable[[Mapping[str, Any]], tuple[Any, ...]] = field(init=False, compare=False)
    """The parameters' values in order. Drivers find them faster so than by name, and none can be forgotten."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "pick", _picker(self.parameters))


def _picker(names: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda params: tuple([params[name] for name in names])


@dataclass(frozen=True, slots=True)
class Dialect:
    """One database's spelling of the fragments and of a parameter."""

    name: str
    fragments: dict[str, Fragment]
    parameter: Callable[[str, int], str]
    list_fragments: frozenset[str] = field(default=frozenset({"in", "not_in", "has_all", "has_any", "each"}))

    def compile(self, text: str) -> Compiled:
        """Expand fragments and spell parameters. Raises KeyError for a fragment that does not exist."""
        lists: set[str] = set()
        names: list[str] = []

        def expand(match: re.Match[str]) -> str:
            name, arguments = match.group(1), match.group(2)
            parts = arguments.split(":") if arguments else []
            if name in self.list_fragments:
                lists.add(parts[1] if name.startswith("has_") else parts[0])
            return self.fragments[name](*parts)

        def parameter(match: re.Match[str]) -> str:
            name = match.group(1)
            if name not in names:
                names.append(name)
            return self.parameter(name, names.index(name) + 1)

        expanded = _FRAGMENT.sub(expand, text)
        # Drivers look prepared statements up by their text: the shorter the better.
        return Compiled(_INDENT.sub("\n", _PARAMETER.sub(parameter, expanded)).strip(), tuple(names), frozenset(lists))


def _cast(postgres_type: str) -> Fragment:
    return lambda name: f"cast(:{name} as {postgres_type})"


def _bare(name: str) -> str:
    return f":{name}"


def _word(word: str) -> Fragment:
    return lambda: word


SQLITE = Dialect(
    name="sqlite",
    parameter=lambda _name, position: f"?{position}",
    fragments={
        "in": lambda name, _type="text": f"in (select value from json_each(:{name}))",
        "not_in": lambda name, _type="text": f"not in (select value from json_each(:{name}))",
        "has_all": lambda column, name: (
            f"not exists (select 1 from json_each(:{name}) w"
            f" where w.value not in (select value from json_each({column})))"
        ),
        "has_any": lambda column, name: (
            f"exists (select 1 from json_each({column}) h where h.value in (select value from json_each(:{name})))"
        ),
        "each": lambda name, _type="text": f"json_each(:{name}) each",
        "within": lambda table, column, start, end: f"{table} where {column} >= {start} and {column} <= {end}",
        "elements": lambda column: f"json_each({column})",
        "pairs": lambda column: f"json_each({column})",
        "key": lambda column, key: f"{column} ->> '$.\"{key}\"'",
        # A range, which an index can answer: no text that begins so is behind the highest character there is.
        "starts": lambda column, name: f"({column} >= :{name} and {column} < :{name} || char(1114111))",
        # `*` is any text, `?` any character.
        "matches": lambda column, name: f"{column} glob replace(:{name}, '[', '[[]')",
        # Whether a text has another in it, which is in lower case; case matters for what is not ASCII.
        "contains": lambda column, name: f"{column} like {_containing(':' + name)} escape '\\'",
        "in_order_of_bytes": lambda _table, _column: "",
        "ts": _bare,
        "uuid": _bare,
        "text": _bare,
        "int": _bare,
        "json": _bare,
        "like": _word("like"),
        # As far as `like` tells: there case never matters to SQLite.
        "ascii_lower": lambda column: column,
        # SQLite's own functions keep milliseconds only, so whole seconds and the fraction's digits are taken apart.
        "seconds": lambda a, b: f"((unixepoch({a}) - unixepoch({b})) + ({_fraction(a)} - {_fraction(b)}) / 1e6)",
        # What is made of a parameter is worked out once.
        "seconds_since": lambda instant, name: (
            f"((unixepoch({instant}) - unixepoch(:{name})) + ({_fraction(instant)} - {_fraction(':' + name)}) / 1e6)"
        ),
        "add_seconds": lambda instant, seconds: (
            "(select strftime('%Y-%m-%dT%H:%M:%S', micro / 1000000 - 62135596800, 'unixepoch')"
            " || printf('.%06dZ', micro % 1000000) from (select"  # since the year 1: never negative
            f" (unixepoch({instant}) + 62135596800) * 1000000 + {_fraction(instant)}"
            f" + cast(round(({seconds}) * 1e6) as integer) as micro))"
        ),
        "quarter": lambda instant: (
            f"(substr({instant}, 1, 14) || printf('%02d', cast(substr({instant}, 15, 2) as integer) / 15 * 15)"
            " || ':00.000000Z')"
        ),
        "day": lambda instant: f"(substr({instant}, 1, 10) || 'T00:00:00.000000Z')",
        # Without statistics SQLite cannot tell a few rows from all of them; behind a table's alias.
        "by_index": lambda name: f"indexed by {name}",
        "for_update": _word(""),
        "for_key_share": _word(""),
        "skip_locked": _word(""),
        "ts_type": _word("text"),
        "uuid_type": _word("text"),
        "json_type": _word("text"),
        "raw_json_type": _word("text"),
        "bool_type": _word("integer"),
        "float_type": _word("real"),
        "int_type": _word("integer"),
        "position": _word("integer primary key autoincrement"),
        "strict": _word("strict"),
        "clustered": _word("strict, without rowid"),
    },
)

POSTGRES = Dialect(
    name="postgres",
    parameter=lambda _name, position: f"${position}",
    fragments={
        "in": lambda name, type_="text": f"= any(cast(:{name} as {type_}[]))",
        "not_in": lambda name, type_="text": f"<> all(cast(:{name} as {type_}[]))",
        "has_all": lambda column, name: f"{column} @> to_jsonb(cast(:{name} as text[]))",
        "has_any": lambda column, name: f"{column} ?| cast(:{name} as text[])",
        "each": lambda name, type_="text": f"unnest(cast(:{name} as {type_}[])) each(value)",
        # What each row of a table of ranges spans, behind its `cross join`. PostgreSQL cannot tell how narrow they are
        # and would read everything once: `offset` has it look each of them up.
        "within": lambda table, column, start, end: (
            f"lateral (select * from {table} where {column} >= {start} and {column} <= {end} offset 0)"
            f" {table.rpartition(' ')[2]} where true"
        ),
        "elements": lambda column: f"json_array_elements({column})",
        "pairs": lambda column: f"json_each_text({column})",
        "key": lambda column, key: f"{column} ->> '{key}'",
        "starts": lambda column, name: f"starts_with({column}, cast(:{name} as text))",
        "matches": lambda column, name: f"{column} like {_like_pattern(name)}",
        "contains": lambda column, name: f'strpos(lower(({column}) collate "C"), cast(:{name} as text)) > 0',
        "in_order_of_bytes": lambda table, column: f'alter table {table} alter column {column} type text collate "C"',
        "ts": _cast("timestamptz"),
        "uuid": _cast("uuid"),
        "text": _cast("text"),
        "int": _cast("bigint"),
        "json": _cast("jsonb"),
        "like": _word("ilike"),
        "ascii_lower": lambda column: f'lower({column} collate "C")',
        # `extract` gives a numeric, at ten times the cost.
        "seconds": lambda a, b: f"date_part('epoch', {a} - {b})",
        "seconds_since": lambda instant, name: f"date_part('epoch', {instant} - cast(:{name} as timestamptz))",
        "add_seconds": lambda instant, seconds: f"({instant} + make_interval(secs => {seconds}))",
        # The quarter of an hour, and the day of UTC, that an instant is in.
        "quarter": lambda instant: f"date_bin('15 minutes', {instant}, timestamptz '2000-01-01 00:00:00+00')",
        "day": lambda instant: f"date_bin('1 day', {instant}, timestamptz '2000-01-01 00:00:00+00')",
        "by_index": lambda _name: "",
        "for_update": _word("for update"),
        # The row may change meanwhile, but it cannot go away before we commit a row that refers to it.
        "for_key_share": _word("for key share"),
        "skip_locked": _word("for update skip locked"),
        "ts_type": _word("timestamptz"),
        "uuid_type": _word("uuid"),
        "json_type": _word("jsonb"),
        "raw_json_type": _word("json"),
        "bool_type": _word("boolean"),
        "float_type": _word("double precision"),
        "int_type": _word("bigint"),
        "position": _word("bigint generated always as identity primary key"),
        "strict": _word(""),
        "clustered": _word(""),
    },
)


def _like_pattern(name: str) -> str:
    """What `glob` takes, as a pattern of `like`."""
    pattern = f"cast(:{name} as text)"
    for special, plain in (("\\", "\\\\"), ("%", "\\%"), ("_", "\\_"), ("*", "%"), ("?", "_")):
        pattern = f"replace({pattern}, '{special}', '{plain}')"
    return pattern


def _containing(text: str) -> str:
    """A pattern of `like` for what contains a text; SQLite works it out once, as it is made of a parameter alone."""
    for special in ("\\", "%", "_"):
        text = f"replace({text}, '{special}', '\\{special}')"
    return f"('%' || {text} || '%')"


def _fraction(instant: str) -> str:
    """An instant's microseconds."""
    return f"cast(substr({instant}, 21, 6) as integer)"
