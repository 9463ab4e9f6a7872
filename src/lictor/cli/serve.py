"""`lictor start` and `lictor services`: a socket, the application, and uvicorn around them."""

from __future__ import annotations

import argparse
import errno
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess

from lictor import __version__, app
from lictor.cli import set_up_log
from lictor.cli.database import make_place
from lictor.db import open_database
from lictor.kit.errors import LictorError
from lictor.settings import Settings, UnusableSetting, read, shown
from lictor.web.asgi import App
from lictor.web.confirming import ConfirmingProtocol

BACKLOG = 2048
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class CannotListen(LictorError):
    """The address is not to be had."""


def start(settings: Settings, options: argparse.Namespace) -> int:
    """Serve until a signal says to stop; 0 then, 1 when it could not start."""
    for number in SIGNALS:
        signal.signal(number, _leave)
    url = make_place(settings)
    host, port = _address(settings)
    sockets = listen(host, port)
    words = announcement(settings, sockets, shown(url))
    if options.workers > 1:
        return _serve_with_workers(settings, sockets, url, options.workers, words)
    server = Server(_config(app.build(settings), settings), words)
    try:
        server.run(sockets)
    except SystemExit as end:
        return 1 if end.code else 0
    return 0


def application() -> App:
    """What each worker process serves; its settings come with the environment that it inherits."""
    settings = read(os.environ)
    set_up_log(settings)
    return app.build(settings)


class Server(uvicorn.Server):
    """uvicorn's server, which says where it listens once it does, and takes a signal to stop as a good end."""

    def __init__(self, config: uvicorn.Config, words: str) -> None:
        super().__init__(config)
        self._words = words

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
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


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets bound to every address of the host, not listening yet. CannotListen says what stands in the way."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise CannotListen(f"{host!r} is not an address to listen on: {error.strerror}") from None
    sockets: list[socket.socket] = []
    for family, _, _, _, address in found:
        try:
            sockets.append(_bound(family, (address[0], sockets[0].getsockname()[1] if sockets else port)))
        except OSError as error:
            # localhost may have an IPv6 address on a machine that has no IPv6.
            if error.errno == errno.EADDRNOTAVAIL and len(found) > 1:
                continue
            _refuse(host, port, error)
    return sockets or _refuse(host, port, OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL)))


def _bound(family: int, address: tuple[Any, ...]) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def _refuse(host: str, port: int, error: OSError) -> NoReturn:
    if error.errno == errno.EADDRINUSE:
        raise CannotListen(f"port {port} on {host} is in use already: choose another with --port")
    raise CannotListen(f"cannot listen on {host} port {port}: {error.strerror}")


def announcement(settings: Settings, sockets: list[socket.socket], place: str) -> str:
    """What is printed when the server is ready."""
    host, port = sockets[0].getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    base = f"http://{reachable}:{port}"
    api = f"{base}{(settings.api.base_path or '').rstrip('/')}/api"
    lines = [f"Lictor {__version__} listens on {host} port {port}", f"  data       {place}"]
    if settings.lictor.role == "services":
        return "\n".join([*lines, f"  health     {api}/health"])
    if settings.lictor.role == "api":
        lines.append("  services   not here: run `lictor services` beside it")
    if settings.ui.enabled:
        lines.append(f"  dashboard  {base}{settings.ui.serve_base}")
    return "\n".join([*lines, f"  API        {api}", "", f"  prefect config set PREFECT_API_URL={api}", ""])


def _address(settings: Settings) -> tuple[str, int]:
    services = settings.lictor.role == "services"
    return settings.api.host, settings.lictor.services_port if services else settings.api.port


def _config(served: App | str, settings: Settings, workers: int = 1) -> uvicorn.Config:
    api = settings.api
    return uvicorn.Config(
        served,
        factory=isinstance(served, str),
        workers=workers,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http="httptools",
        ws=ConfirmingProtocol,
        ws_per_message_deflate=False,  # frames are small and many: it costs more CPU than the events in them
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=api.keepalive_timeout,
        timeout_graceful_shutdown=settings.lictor.shutdown_seconds,
        ws_ping_interval=api.websocket_ping_interval or None,
        ws_ping_timeout=api.websocket_ping_timeout or None,
        callback_notify=_end_without_parent if workers > 1 else None,
        timeout_notify=1,
    )


def _serve_with_workers(settings: Settings, sockets: list[socket.socket], url: str, workers: int, words: str) -> int:
    if url == "sqlite://":
        raise UnusableSetting("--workers: processes cannot share a database in memory")
    # Once, and here, so that what is wrong with the database is said once.
    database = open_database(url)
    try:
        if settings.database.migrate_on_start:
            database.migrate()
    finally:
        database.close()
    print(words, flush=True)
    processes = Multiprocess(_config("lictor.cli.serve:application", settings, workers), sockets)
    processes.run()
    return 1 if any(process.exitcode == STARTUP_FAILURE for process in processes.processes) else 0


async def _end_without_parent() -> None:
    """Workers whose parent was killed would go on behind the back of whoever starts the next server."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        signal.raise_signal(signal.SIGTERM)


def _leave(number: int, frame: FrameType | None) -> None:
    """A signal before there is anything to finish."""
    raise SystemExit(0)
