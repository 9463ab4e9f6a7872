"""`lictor start` and `lictor services`: sockets, the application, and uvicorn between them."""

from __future__ import annotations

import argparse
import gc
import logging
import multiprocessing
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from uvicorn.config import Config
from uvicorn.server import Server as UvicornServer

from lictor import __version__, app
from lictor.cli.database import make_place
from lictor.cli.logs import set_up_log
from lictor.cli.sockets import listen
from lictor.cli.workers import SIGNALS, Workers
from lictor.dashboard import finding
from lictor.db import open_database
from lictor.kit.errors import LictorError
from lictor.settings import Settings, UnusableSetting, paths, shown
from lictor.web.answering import AnsweringProtocol
from lictor.web.asgi import App
from lictor.web.confirming import ConfirmingProtocol

log = logging.getLogger(__name__)

KEY_ADVICE = (
    "PREFECT_SERVER_ENCRYPTION_KEY is not set: blocks are encrypted with a key in a file in LICTOR_HOME, which other "
    "replicas do not have. Set it to the same key for all of them."
)


def start(settings: Settings, options: argparse.Namespace) -> int:
    """Serve until a signal says to stop; 0 then, 1 when it could not start."""
    _leave_on_signals()
    url = make_place(settings)
    sockets = listen(*_address(settings))
    _prepare(settings, url)
    words = announcement(settings, sockets, shown(url))
    if options.workers > 1:
        return _serve_with_workers(settings, sockets, url, options.workers, words)
    return _serve(settings, sockets, words)


def announcement(settings: Settings, sockets: list[socket.socket], place: str) -> str:
    """What is printed when the server is ready."""
    host, port = sockets[0].getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    base = f"http://{reachable}:{port}"
    api = f"{base}{paths.api_base(settings)}"
    lines = [f"Lictor {__version__} listens on {host} port {port}", f"  data       {place}"]
    if settings.lictor.role == "services":
        return "\n".join([*lines, f"  health     {api}/health"])
    if settings.lictor.role == "api":
        lines.append("  services   not here: run `lictor services` beside it")
    lines += [f"  API        {api}", f"  dashboard  {_dashboard(settings, base)}"]
    lines += ["", f"  prefect config set PREFECT_API_URL={api}"]
    if settings.api.auth_string is not None:
        lines.append("  prefect config set PREFECT_API_AUTH_STRING=…  (what the server was given)")
    return "\n".join([*lines, ""])


def _dashboard(settings: Settings, base: str) -> str:
    if not settings.ui.enabled:
        return "off"
    found = finding.find(settings)
    if found is None:
        return "none is here: `lictor ui fetch` gets one"
    return f"{base}{paths.dashboard_base(settings)}/, {found.source}"


class Server(UvicornServer):
    """uvicorn's server, which says that it listens once it does, and takes a signal to stop as a good end."""

    def __init__(self, config: Config, words: str) -> None:
        super().__init__(config)
        self._words = words

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._words:
            print(self._words, flush=True)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own raises the signal again afterwards, and the process would end by it and not with 0.
        before = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _prepare(settings: Settings, url: str) -> None:
    """Bring the database up to date; here, so that what is wrong with it is said in one line and once."""
    if url == "sqlite://":
        return
    database = open_database(url, statement_timeout=settings.database.migration_timeout)
    try:
        app.prepare(settings, database)
    finally:
        database.close()
    if settings.encryption_key is None and not url.startswith("sqlite"):
        log.warning("%s", KEY_ADVICE)


def _serve(settings: Settings, sockets: list[socket.socket], words: str) -> int:
    server = Server(_config(app.build(settings), settings), words)
    _settle_garbage()
    try:
        server.run(sockets)
    except SystemExit as end:
        return 1 if end.code else 0
    return 0


def _settle_garbage() -> None:
    """What the program is made of stays for good, and a request leaves next to no cycles: look for them seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _serve_with_workers(settings: Settings, sockets: list[socket.socket], url: str, count: int, words: str) -> int:
    if url == "sqlite://":
        raise UnusableSetting("--workers: processes cannot share a database in memory")
    print(words, flush=True)
    patience = settings.lictor.shutdown_seconds + 5.0
    return Workers(_work, (settings, sockets), count, sockets=sockets, patience=patience).run()


def _work(settings: Settings, sockets: list[socket.socket]) -> NoReturn:
    """A worker process, from its first line on."""
    _leave_on_signals()
    set_up_log(settings)
    try:
        sys.exit(_serve(settings, sockets, ""))
    except LictorError as error:
        log.error("%s", error)
        sys.exit(1)


def _config(served: App, settings: Settings) -> Config:
    api = settings.api
    return Config(
        served,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=AnsweringProtocol,
        ws=ConfirmingProtocol,  # a pong is the receipt of an event, so it must not come before its commit
        ws_per_message_deflate=False,  # frames are small and many: inflating one costs more than storing what is in it
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # `web.request` reads them, and only where a URL is made
        timeout_keep_alive=api.keepalive_timeout,
        timeout_graceful_shutdown=settings.lictor.shutdown_seconds,
        ws_ping_interval=api.websocket_ping_interval or None,
        ws_ping_timeout=api.websocket_ping_timeout or None,
        callback_notify=_end_without_parent,
        timeout_notify=1,
    )


async def _end_without_parent() -> None:
    """A worker whose parent was killed would go on behind the back of whoever starts the next server."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        signal.raise_signal(signal.SIGTERM)


def _address(settings: Settings) -> tuple[str, int]:
    services = settings.lictor.role == "services"
    return settings.api.host, settings.lictor.services_port if services else settings.api.port


def _leave_on_signals() -> None:
    """While there is nothing yet to finish, a signal just ends the process."""
    for number in SIGNALS:
        signal.signal(number, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)
