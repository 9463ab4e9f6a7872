"""An application served by uvicorn in a thread of the test's process, on a free port."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from tests.processes import free_port, until

from lictor.web.confirming import ConfirmingProtocol


@contextmanager
def serving(app: Any, http: Any = "httptools") -> Iterator[str]:
    """The address (host and port) at which the application is served meanwhile; in the end it is shut down."""
    port = free_port()
    config = uvicorn.Config(
        app,
        port=port,
        http=http,
        ws=ConfirmingProtocol,
        proxy_headers=False,
        log_config=None,
        timeout_graceful_shutdown=10,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started or not thread.is_alive())
    assert server.started
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
