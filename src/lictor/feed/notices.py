"""Wake-ups between processes that share a PostgreSQL: NOTIFY and LISTEN on a connection of their own."""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from typing import TYPE_CHECKING, Any

from lictor.db import Database
from lictor.feed.bells import Bells
from lictor.kit.lazy import lazy

# Only PostgreSQL has a need for it.
if TYPE_CHECKING:
    import psycopg
else:
    psycopg = lazy("psycopg")

log = logging.getLogger(__name__)

CHANNEL = "lictor"
# Commits that come close together are told of in one notice.
APART = 0.05
FIRST_BACK_OFF = 0.5
LONGEST_BACK_OFF = 15.0
STOPS_WITHIN = 2.0
# A server that vanished without a word is noticed within a minute.
_NOTICE_SILENCE: Any = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


class Notices:
    """Tells the other processes of topics that were committed here, and rings here for what they tell of.

    It may lose notices, while the connection is down or behind a pooler that knows no LISTEN: followers also look by
    themselves. On SQLite it does nothing.
    """

    def __init__(self, db: Database, bells: Bells) -> None:
        self._url = db.url
        self._bells = bells
        self._lock = threading.Lock()
        self._topics: set[str] = set()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._pipe: tuple[int, int] | None = None  # word for the thread, while it runs
        self._own = 0
        self._serves = db.dialect.name == "postgres"
        if self._serves:
            db.listen(self.tell)

    def start(self) -> None:
        if not self._serves:
            return
        self._stopping.clear()
        self._pipe = os.pipe()
        self._thread = threading.Thread(target=self._run, args=(self._pipe[0],), name="lictor-notices", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._thread is None:
            return
        self._stopping.set()
        with self._lock:
            self._wake()
        self._thread.join(STOPS_WITHIN)
        self._thread = None

    def tell(self, topic: str) -> None:
        """Have the others woken who wait for the topic. From any thread; it only leaves word."""
        with self._lock:
            # Word that is there already has woken the thread.
            if not self._topics:
                self._wake()
            self._topics.add(topic)

    def _wake(self) -> None:
        if self._pipe is not None:
            os.write(self._pipe[1], b"!")

    def _run(self, word: int) -> None:
        delay = FIRST_BACK_OFF
        while not self._stopping.is_set():
            begun = time.monotonic()
            try:
                self._converse(word)
            except psycopg.Error as error:
                log.warning("no wake-ups to and from other processes, trying again: %s", error)
                delay = FIRST_BACK_OFF if time.monotonic() - begun > LONGEST_BACK_OFF else delay
                self._stopping.wait(delay)
                delay = min(delay * 2, LONGEST_BACK_OFF)
        with self._lock:
            ends, self._pipe = self._pipe, None
        for end in ends or ():
            os.close(end)

    def _converse(self, word: int) -> None:
        with psycopg.connect(self._url, autocommit=True, connect_timeout=5, **_NOTICE_SILENCE) as connection:
            self._own = connection.info.backend_pid
            connection.execute(f"listen {CHANNEL}")
            # Whatever was committed while nobody listened.
            self._bells.ring_all()
            readable = select.poll()
            for descriptor in (connection.fileno(), word):
                readable.register(descriptor, select.POLLIN)
            while not self._stopping.is_set():
                for descriptor, _ in readable.poll():
                    if descriptor == word:
                        os.read(word, 1)
                        self._send(connection)
                # Also those that came with the answer to what was sent.
                for notice in connection.notifies(timeout=0):
                    if notice.pid != self._own:
                        self._bells.ring(notice.payload)

    def _send(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        with self._lock:
            topics, self._topics = self._topics, set()
        for topic in sorted(topics):
            connection.execute("select pg_notify(%s, %s)", (CHANNEL, topic))
        self._stopping.wait(APART)
