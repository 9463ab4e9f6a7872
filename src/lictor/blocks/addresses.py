"""URLs of blocks that may not reach private addresses (the metadata service of a cloud, the inside of a cluster)."""

from __future__ import annotations

import ipaddress
import socket
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit


class Pinned(NamedTuple):
    """A URL with an address in place of its name, and what the name was: for the `Host` header, and for TLS.

    Whoever answers questions about names cannot send the request elsewhere after it was looked at.
    """

    url: str
    host: str
    name: str


def public_address(url: str) -> Pinned:
    """Raises ValueError for a URL that is none of HTTP, or whose host has a private address among its addresses."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{_shown(parts)!r} is not a valid URL.  Only HTTP and HTTPS URLs are allowed.")
    if not parts.hostname:
        raise ValueError(f"{_shown(parts)!r} is not a valid URL.")
    address = _public(parts.hostname, _shown(parts))
    literal = f"[{address}]" if address.version == 6 else str(address)
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    port = f":{parts.port}" if parts.port else ""
    return Pinned(
        parts._replace(netloc=f"{user}{literal}{port}").geturl(), parts.netloc.rpartition("@")[2], parts.hostname
    )


def _public(name: str, shown: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    addresses = _addresses(name)
    if not addresses:
        raise ValueError(f"{shown!r} is not a valid URL.  It could not be resolved.")
    for address in addresses:
        if _is_private(address):
            raise ValueError(f"{shown!r} is not a valid URL.  It resolves to the private address {address}.")
    return addresses[0]


def _addresses(name: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        return [ipaddress.ip_address(name)]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [ipaddress.ip_address(str(entry[4][0]).split("%", 1)[0]) for entry in found]


def _is_private(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_private or address.is_multicast or address.is_link_local


def _shown(parts: SplitResult) -> str:
    # Paths, queries and user names of webhooks are secrets.
    return f"{parts.scheme}://{parts.hostname or ''}"
