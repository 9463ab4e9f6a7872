"""A small reverse proxy for tests: one request a connection, under a prefix that it strips or leaves, with or without
websockets."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator

HEAD_END = b"\r\n\r\n"


class Proxy:
    """Listens at `port` while it is running; `prefix` is where it serves, and stripped or left as it is."""

    def __init__(self, target: int, prefix: str = "", *, strips: bool = True, upgrades: bool = True) -> None:
        self._target, self._prefix, self._strips, self._upgrades = target, prefix.encode(), strips, upgrades
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}{prefix}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        # Only a shutdown wakes the thread that accepts.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head, rest = _head(client)
            changed = self._changed(head)
            if changed is None:
                client.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", self._target)) as server:
                server.sendall(changed + HEAD_END + rest)
                threading.Thread(target=_pump, args=(client, server), daemon=True).start()
                _pump(server, client)

    def _changed(self, head: bytes) -> bytes | None:
        """The request's head as the server gets it; None for what is not under the prefix."""
        line, *headers = head.split(b"\r\n")
        method, path, version = line.split(b" ")
        if not path.startswith(self._prefix + b"/"):
            return None
        if self._strips and self._prefix:
            path = path.removeprefix(self._prefix)
            headers.append(b"X-Forwarded-Prefix: " + self._prefix)
        upgrade = any(re.match(rb"upgrade:", header, re.IGNORECASE) for header in headers)
        if not (upgrade and self._upgrades):
            headers = [header for header in headers if not re.match(rb"(connection|upgrade):", header, re.IGNORECASE)]
            headers.append(b"Connection: close")
        return b"\r\n".join([b" ".join([method, path, version]), *headers])


def _head(client: socket.socket) -> tuple[bytes, bytes]:
    received = b""
    while HEAD_END not in received:
        part = client.recv(65536)
        if not part:
            raise ConnectionResetError
        received += part
    head, _, rest = received.partition(HEAD_END)
    return head, rest


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(65536):
            sink.sendall(part)
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def proxy(target: int, prefix: str = "", *, strips: bool = True, upgrades: bool = True) -> Iterator[Proxy]:
    running = Proxy(target, prefix, strips=strips, upgrades=upgrades)
    try:
        yield running
    finally:
        running.close()
