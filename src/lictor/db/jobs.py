"""Work that is handed to a database thread and its result handed back to whoever waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any


class Job:
    """One body to run, with somewhere to put the outcome: an asyncio future of a loop, or an event to wait for."""

    __slots__ = ("args", "body", "done", "error", "future", "kwargs", "loop", "reads", "result")

    def __init__(
        self, body: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], *, reads: bool = False
    ) -> None:
        self.body = body
        self.reads = reads  # the body only reads: no transaction block is needed around it
        self.args = args
        self.kwargs = kwargs
        self.result: Any = None
        self.error: BaseException | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.future: asyncio.Future[Any] | None = None
        self.done: threading.Event | None = None

    def awaitable(self) -> asyncio.Future[Any]:
        self.loop = asyncio.get_running_loop()
        self.future = self.loop.create_future()
        return self.future

    def wait(self) -> Any:
        assert self.done is not None
        self.done.wait()
        if self.error is not None:
            raise self.error
        return self.result


def deliver(jobs: list[Job]) -> None:
    """Hand out the outcomes: one wake-up per event loop, however many jobs it waits for."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        if job.loop is not None:
            by_loop.setdefault(job.loop, []).append(job)
        elif job.done is not None:
            job.done.set()
    for loop, waiting in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, waiting)


def _resolve(jobs: list[Job]) -> None:
    for job in jobs:
        future = job.future
        if future is None or future.done():  # the client went away; the work stands all the same
            continue
        if job.error is not None:
            future.set_exception(job.error)
        else:
            future.set_result(job.result)
