"""Work that blocks, in a thread of its own: one that hangs holds up neither the loop, nor others' work, nor the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


async def in_thread(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The result of the work, or its exception. Who stops waiting leaves the thread to come to its own end."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[R] = loop.create_future()

    def run() -> None:
        try:
            value = work(*args, **kwargs)
        except Exception as error:
            _tell(loop, result, result.set_exception, error)
        else:
            _tell(loop, result, result.set_result, value)

    threading.Thread(target=run, name=f"lictor-{getattr(work, '__name__', 'work')}", daemon=True).start()
    return await result


def _tell(
    loop: asyncio.AbstractEventLoop, result: asyncio.Future[R], how: Callable[..., None], outcome: object
) -> None:
    def tell() -> None:
        if not result.done():
            how(outcome)

    if not loop.is_closed():
        loop.call_soon_threadsafe(tell)
