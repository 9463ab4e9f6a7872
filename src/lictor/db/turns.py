"""Whose turn it is to write, where there is one writer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from queue import Empty, SimpleQueue

from lictor.db.jobs import Job

# Jobs of a transaction, and how many of those may be such as wait behind.
BATCH = 128
BATCH_BEHIND = 4


class Turns:
    """The jobs of a queue, transaction by transaction.

    What waits is run together and committed once. Jobs that wait behind (`Job.behind`) take long, and nobody waits for
    them: one may begin a transaction, and others join it as long as there is nobody else. Who comes meanwhile waits for
    one of them at most, and none of them waits for longer than a transaction of the others takes.
    """

    def __init__(self, queue: SimpleQueue[Job | None]) -> None:
        self._queue = queue
        self._behind: deque[Job] = deque()
        self._closed = False

    def first(self) -> Job | None:
        """The job that the next transaction begins with, when there is one; None after the last."""
        if self._behind:
            return self._behind.popleft()
        return None if self._closed else self._queue.get()

    def together(self, first: Job) -> Iterator[Job]:
        """The first job and those that wait when it is done, and so on: what comes while others run joins them."""
        yield first
        left, left_behind = BATCH - 1, BATCH_BEHIND - 1 if first.behind else 0
        while left:
            job = self._ahead()
            if job is not None:
                left_behind = 0
            elif left_behind and self._behind:
                job = self._behind.popleft()
                left_behind -= 1
            else:
                return
            left -= 1
            yield job

    def _ahead(self) -> Job | None:
        """The next that does not wait behind, if one is there."""
        while not self._closed:
            try:
                job = self._queue.get_nowait()
            except Empty:
                return None
            if job is None:
                self._closed = True
            elif job.behind:
                self._behind.append(job)
            else:
                return job
        return None
