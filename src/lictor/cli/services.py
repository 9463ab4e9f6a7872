"""`lictor services ls` and `lictor services run NAME`."""

from __future__ import annotations

import argparse
import asyncio

from lictor import app
from lictor.cli.database import opened
from lictor.kit.errors import LictorError
from lictor.loops import Service
from lictor.settings import Settings


class NoSuchService(LictorError):
    """The name is none of a service."""


def ls(settings: Settings, options: argparse.Namespace) -> int:
    with opened(settings) as (database, _):
        found = app.all_services(settings, database)
    width = max(len(service.name) for _, service in found)
    for switched_on, service in found:
        word = f"every {service.interval:g} s" if switched_on else "off"
        print(f"{service.name:{width}}  {word:13}  {summary(service)}")
    return 0


def run_once(settings: Settings, options: argparse.Namespace) -> int:
    with opened(settings) as (database, _):
        app.prepare(settings, database)
        found = {service.name: service for _, service in app.all_services(settings, database)}
        service = found.get(options.service)
        if service is None:
            raise NoSuchService(f"no service is called {options.service!r}; there are {', '.join(found)}")
        done = asyncio.run(service.run_once())
    print(f"{service.name} did {done}")
    return 0


def summary(service: Service) -> str:
    """The first line of what the service says of itself."""
    return (type(service).__doc__ or "").strip().split("\n")[0]
