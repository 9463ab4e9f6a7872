"""Work that is handed to a database thread and its outcome handed back to whoever waits."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

log = logging.getLogger(__name__)


class Job:
    """One body to run, with somewhere to put the outcome: an asyncio future of a loop, or an event to wait for."""

    __slots__ = ("args", "behind", "body", "done", "error", "future", "kwargs", "outbox", "reads", "result")

    def __init__(
        self,
        body: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        reads: bool = False,
        behind: bool = False,
    ) -> None:
        self.body = body
        self.reads = reads  # the body only reads: no transaction block is needed around it
        self.behind = behind  # where there is one writer, others go first (see `turns`)
        self.args = args
        self.kwargs = kwargs
        self.result: Any = None
        self.error: Exception | None = None
        self.future: asyncio.Future[Any] | None = None
        self.outbox: Outbox | None = None
        self.done: threading.Event | None = None

    def fail(self, error: BaseException) -> None:
        """The outcome is this error. What would end a thread, a loop or a generator becomes an ordinary error."""
        self.result = None
        if isinstance(error, Exception) and not isinstance(error, StopIteration):
            self.error = error
            return
        self.error = RuntimeError(f"a transaction body raised {error!r}")
        self.error.__cause__ = error

    def wait(self) -> Any:
        assert self.done is not None
        self.done.wait()
        if self.error is not None:
            raise self.error
        return self.result


class Outbox:
    """Outcomes on their way to one event loop: one wake-up takes along all that are there by then."""

    __slots__ = ("_jobs", "_woken", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._jobs: deque[Job] = deque()
        self._woken = False

    def put(self, job: Job) -> None:
        """From any thread."""
        self._jobs.append(job)
        # `_empty` lowers the flag before it looks, so a job that finds it raised is seen.
        if not self._woken:
            self._woken = True
            with suppress(RuntimeError):  # the loop was closed: nobody waits there any more
                self.loop.call_soon_threadsafe(self._empty)

    def _empty(self) -> None:
        self._woken = False
        while self._jobs:
            _resolve(self._jobs.popleft())


class Outboxes:
    """The outboxes of the loops that a database is used from."""

    __slots__ = ("_by_loop",)

    def __init__(self) -> None:
        self._by_loop: dict[asyncio.AbstractEventLoop, Outbox] = {}

    def address(self, job: Job) -> asyncio.Future[Any]:
        """Have the job's outcome sent to the running loop; the future that it comes to."""
        loop = asyncio.get_running_loop()
        job.outbox = self._by_loop.get(loop) or self._open(loop)
        job.future = loop.create_future()
        return job.future

    def _open(self, loop: asyncio.AbstractEventLoop) -> Outbox:
        kept = {other: outbox for other, outbox in self._by_loop.items() if not other.is_closed()}
        outbox = kept[loop] = Outbox(loop)
        self._by_loop = kept
        return outbox


def deliver(jobs: Iterable[Job]) -> None:
    for job in jobs:
        if job.outbox is not None:
            job.outbox.put(job)
        elif job.done is not None:
            job.done.set()


def call_hook(hook: Callable[..., None], args: tuple[Any, ...]) -> None:
    """Run what a transaction left to do after its commit."""
    try:
        hook(*args)
    except BaseException:  # the commit stands: those who wait for it must hear so
        log.exception("a hook after a commit failed: %r", hook)


def _resolve(job: Job) -> None:
    future = job.future
    if future is None or future.done():  # the client went away; the work stands all the same
        return
    if job.error is not None:
        future.set_exception(job.error)
    else:
        future.set_result(job.result)
