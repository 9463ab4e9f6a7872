"""Where the server listens: bound before anything else is done, so that a taken port is said at once."""

from __future__ import annotations

import errno
import socket
from typing import Any, NoReturn

from lictor.kit.errors import LictorError


class CannotListen(LictorError):
    """The address is not to be had"""


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets bound to every address of the host, not listening yet. CannotListen says what stands in the way."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise CannotListen(f"{host!r} is not an address to listen on: {error.strerror}") from None
    sockets: list[socket.socket] = []
    failure: OSError | None = None
    for family, _, _, _, address in found:
        try:
            # Port 0 is a free one, the same for every address.
            sockets.append(_bound(family, (address[0], sockets[0].getsockname()[1] if sockets else port)))
        except OSError as error:
            failure = error
            # localhost may have an IPv6 address on a machine that has no IPv6.
            if error.errno != errno.EADDRNOTAVAIL:
                break
    if failure is not None and (not sockets or failure.errno != errno.EADDRNOTAVAIL):
        _refuse(host, port, failure)
    return sockets


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
