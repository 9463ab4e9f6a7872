"""What a transaction body sees: run statements, build rows, and say what happens after the commit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from lictor.db.dialect import Compiled, Dialect
from lictor.db.jobs import call_hook
from lictor.db.statement import Statement, composed
from lictor.db.where import Where
from lictor.kit.errors import LictorError

R = TypeVar("R")
T = TypeVar("T")
P = ParamSpec("P")
Row = Sequence[Any]


class LostRace(Exception):
    """Raised by a body whose guarded write met a change made since its read: the driver runs the body again."""


class Tx(ABC):
    """One transaction. Bodies get it as their first argument and must touch nothing but the database.

    A body may run more than once (lost race, deadlock, lost connection): it must have no other effects than these.
    """

    __slots__ = ("hooks", "topics")

    dialect: Dialect

    def __init__(self) -> None:
        self.hooks: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self.topics: set[str] = set()

    def one(self, statement: Statement[R], **params: Any) -> R | None:
        """The first row, or None."""
        row = self._first(statement.compiled(self.dialect), params)
        if row is None:
            return None
        return statement.shape.build(row) if statement.shape is not None else row  # type: ignore[return-value]

    def get(self, statement: Statement[R], missing: LictorError, **params: Any) -> R:
        """The first row; raises ``missing`` when there is none."""
        found = self.one(statement, **params)
        if found is None:
            raise missing
        return found

    def all(self, statement: Statement[R], **params: Any) -> list[R]:
        rows = self._rows(statement.compiled(self.dialect), params)
        if statement.shape is None:
            return rows  # type: ignore[return-value]
        build = statement.shape.build
        return [build(row) for row in rows]

    def value(self, statement: Statement[Any], **params: Any) -> Any:
        """The first column of the first row as the driver returns it, or None."""
        row = self._first(statement.compiled(self.dialect), params)
        return None if row is None else row[0]

    def run(self, statement: Statement[Any], **params: Any) -> int:
        """Execute a write; returns the number of rows it changed."""
        return self._run(statement.compiled(self.dialect), params)

    def put(self, statement: Statement[Any], **params: Any) -> None:
        """Execute a write whose outcome nobody reads. It may travel with later statements; errors show at the commit
        at the latest, and undo the whole body."""
        self._put(statement.compiled(self.dialect), params)

    def guarded(self, update: Statement[Any], then: Statement[Any], **params: Any) -> None:
        """Execute an update that must change a row, and then an insert; both take what they need of the parameters.

        LostRace if no row was changed; like an error of `put` it may show as late as at the commit. Neither statement
        may depend on what the other writes.
        """
        if not self._run(update.compiled(self.dialect), params):
            raise LostRace
        self._put(then.compiled(self.dialect), params)

    def many(self, statement: Statement[Any], rows: Iterable[Mapping[str, Any]]) -> None:
        """Execute a write once per row."""
        self._many(statement.compiled(self.dialect), rows)

    def page(self, into: type[R], select: str, where: Where, *, order: str, limit: int, offset: int = 0) -> list[R]:
        """A filtered, ordered slice: ``select`` is everything up to ``where``."""
        text = f"{select} where {where.text()} order by {order} limit :limit offset :offset"
        statement: Statement[R] = composed(into, text)  # type: ignore[arg-type]
        return self.all(statement, **where.params, limit=limit, offset=offset)

    def count(self, source: str, where: Where) -> int:
        """How many rows of ``source`` ("from …") match."""
        return int(self.value(composed(int, f"select count(*) {source} where {where.text()}"), **where.params))

    def composed(self, into: Any, text: str, where: Where, **params: Any) -> list[Any]:
        """Rows of a statement assembled at run time: ``{where}`` in the text is replaced by the conditions."""
        return self.all(composed(into, text.replace("{where}", where.text())), **where.params, **params)

    def after_commit(self, hook: Callable[..., None], *args: Any) -> None:
        """Call ``hook`` once this body's work is durable, on the database thread: it must be quick."""
        self.hooks.append((hook, args))

    def tell(self, topic: str) -> None:
        """Let those know who listen to a topic (`Database.listen`), once this body's work is durable."""
        self.topics.add(topic)

    @abstractmethod
    def _first(self, statement: Compiled, params: dict[str, Any]) -> Row | None: ...

    @abstractmethod
    def _rows(self, statement: Compiled, params: dict[str, Any]) -> list[Row]: ...

    @abstractmethod
    def _run(self, statement: Compiled, params: dict[str, Any]) -> int: ...

    def _put(self, statement: Compiled, params: dict[str, Any]) -> None:
        self._run(statement, params)

    @abstractmethod
    def _many(self, statement: Compiled, rows: Iterable[Mapping[str, Any]]) -> None: ...


Body = Callable[Concatenate[Tx, P], R]


class Database(ABC):
    """A migrated or migratable database. ``read`` and ``write`` take a body and return an awaitable of its result."""

    dialect: Dialect
    url: str

    def __init__(self) -> None:
        self._listeners: tuple[Callable[[str], None], ...] = ()

    def listen(self, call: Callable[[str], None]) -> None:
        """Have `call` called with each topic that a commit of this process told of, on the database thread."""
        self._listeners += (call,)

    def _committed(self, bodies: Iterable[Tx]) -> None:
        """Do what bodies left to do once they are durable; a topic that several told of is told once."""
        topics: set[str] = set()
        for tx in bodies:
            topics |= tx.topics
            for hook, args in tx.hooks:
                call_hook(hook, args)
        for topic in topics:
            for call in self._listeners:
                call_hook(call, (topic,))

    @abstractmethod
    def read(self, body: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        """Run a body that only reads. On SQLite all of it sees one snapshot, on PostgreSQL each statement its own."""

    @abstractmethod
    def write(self, body: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        """Run a body in a transaction; the awaitable is done when the commit is durable."""

    async def write_each(self, body: Callable[[Tx, T], R], each: Iterable[T]) -> list[R]:
        """Run a body for each of these, none of which depends on another: for services, whose bodies take a while.

        Where there is one writer, others go first, and several share a transaction as long as nobody else waits.
        """
        return [await self.write(body, one) for one in each]

    @abstractmethod
    def read_now(self, body: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """``read`` for callers without an event loop."""

    @abstractmethod
    def write_now(self, body: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """``write`` for callers without an event loop."""

    @abstractmethod
    def migrate(self) -> int:
        """Bring the schema up to this program's version, under a lock; returns how many migrations ran.

        Raises LictorError, having touched nothing, if the reference server or a newer Lictor wrote the database.
        """

    @abstractmethod
    def reset(self) -> None:
        """Drop everything and migrate anew."""

    @abstractmethod
    def close(self) -> None:
        """Finish the work that is queued, then let go of the database."""
