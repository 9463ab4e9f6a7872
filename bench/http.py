"""A lean HTTP/1.1 client: one keep-alive connection, no pooling, no retries.

A load generator must cost less than the server that it measures and must tell exactly what the server
acknowledged; a client that retries by itself can do neither.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import dataclass
from typing import Any

SDK_HEADERS = {
    "user-agent": "prefect/3.9.1 (API 0.8.4)",
    "x-prefect-api-version": "0.8.4",
    "accept": "*/*",
    "accept-encoding": "gzip, deflate",  # as httpx sends it: compressing the answer is part of the server's work
    "content-type": "application/json",
}


@dataclass(slots=True, frozen=True)
class Answer:
    """What came back; the body is decompressed and parsed only when somebody asks."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> bytes:
        return gzip.decompress(self.raw) if self.headers.get("content-encoding") == "gzip" else self.raw

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One connection to `host:port`; opened at the first request and again after a failure.

    Whatever breaks the connection is raised as ConnectionError: the caller then cannot know whether the
    request was carried out.
    """

    def __init__(self, host: str, port: int, *, timeout: float = 60.0, headers: dict[str, str] | None = None) -> None:
        self.host, self.port, self.timeout = host, port, timeout
        fields = {"host": f"{host}:{port}", **SDK_HEADERS, **(headers or {})}
        self._head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def request(self, method: str, path: str, body: Any = None) -> Answer:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        message = f"{method} {path} HTTP/1.1\r\n{self._head}content-length: {len(data)}\r\n\r\n".encode() + data
        try:
            async with asyncio.timeout(self.timeout):
                return await self._exchange(message)
        except TimeoutError:
            await self.close()
            raise TimeoutError(f"{method} {path}: no answer in {self.timeout:.0f} s") from None
        except (OSError, EOFError, ValueError) as broken:
            await self.close()
            raise ConnectionError(f"{method} {path}: {broken!r}") from broken

    async def _exchange(self, message: bytes) -> Answer:
        if self._reader is not None and self._reader.at_eof():
            await self.close()  # the server ended it while it was idle; nothing was lost
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self.host, self.port, limit=1 << 22)
        assert self._reader is not None
        self._writer.write(message)
        answer = await read_answer(self._reader)
        if answer.headers.get("connection", "").lower() == "close":
            await self.close()
        return answer

    async def get(self, path: str) -> Answer:
        return await self.request("GET", path)

    async def post(self, path: str, body: Any = None) -> Answer:
        return await self.request("POST", path, body)

    async def close(self) -> None:
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.close()


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """Read one answer with its whole body (Content-Length or chunked)."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status_line, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    status = int(status_line.split(" ", 2)[1])
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Answer(status, headers, await _read_chunks(reader))
    return Answer(status, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return b"".join(parts)
