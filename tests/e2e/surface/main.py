"""Calls every public method of both clients; prints, for each, its methods, those called, and what went wrong."""

from __future__ import annotations

import asyncio
import json
import sys

import kept
import placed
import runs
from prefect import get_client

from calls import Calls


async def play(api: Calls) -> dict[str, list[str]]:
    for part in (*runs.PARTS, *placed.PARTS, *kept.PARTS):
        await api.play(part)
    return api.report()


async def main() -> dict[str, dict[str, list[str]]]:
    async with get_client() as client:
        asynchronous = await play(Calls(client, "async"))
    with get_client(sync_client=True) as client:
        synchronous = await play(Calls(client, "sync"))
    return {"PrefectClient": asynchronous, "SyncPrefectClient": synchronous}


sys.stdout.write(json.dumps(asyncio.run(main()), indent=1))
