"""Several processes of one kind, kept running until a signal says to stop."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Any

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)

# One that ends sooner than this has not come to serve: the next would fare no better.
STARTED_AFTER = 5.0


class Workers:
    """`count` processes that run `target(*arguments)`; `patience` is the seconds they have to end in.

    `sockets` are those that they listen on, which are closed here when they are to end.
    """

    def __init__(
        self,
        target: Callable[..., None],
        arguments: tuple[Any, ...],
        count: int,
        *,
        sockets: list[socket.socket],
        patience: float,
    ) -> None:
        # Spawned and not forked: nothing of the parent's threads or connections comes along.
        self._context = multiprocessing.get_context("spawn")
        self._target, self._arguments, self._count, self._patience = target, arguments, count, patience
        self._sockets = sockets
        self._begun: dict[SpawnProcess, float] = {}
        self._stopping = False

    def run(self) -> int:
        """Until SIGTERM or SIGINT: 0. Until a worker could not start: 1, with the others stopped."""
        for number in SIGNALS:
            signal.signal(number, self._stop)
        for _ in range(self._count):
            self._begin()
        failed = False
        while not self._stopping and not failed:
            # Not for ever: a signal that comes just before the wait would not end it.
            wait([process.sentinel for process in self._begun], timeout=0.5)
            failed = not self._replace_ended()
        self._end()
        return 1 if failed else 0

    def _begin(self) -> None:
        process = self._context.Process(target=self._target, args=self._arguments)
        process.start()
        self._begun[process] = time.monotonic()

    def _replace_ended(self) -> bool:
        """False when one ended before it can have served."""
        if self._stopping:
            return True
        for process in [process for process in self._begun if not process.is_alive()]:
            lived = time.monotonic() - self._begun.pop(process)
            log.error("worker %s ended with %s after %.1f s", process.pid, process.exitcode, lived)
            if lived < STARTED_AFTER:
                return False
            self._begin()
        return True

    def _end(self) -> None:
        # As long as somebody has them open connections are taken, which no worker would answer any more.
        for listening in self._sockets:
            listening.close()
        for process in self._begun:
            process.terminate()
        deadline = time.monotonic() + self._patience
        for process in self._begun:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                log.error("worker %s does not end and is killed", process.pid)
                process.kill()
                process.join()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
