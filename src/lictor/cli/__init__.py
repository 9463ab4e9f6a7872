"""The `lictor` command: flags to settings, and from there to what does the work.

Exit codes: 0 done, 1 it could not be done, 2 it was asked for wrongly (a flag or a setting).
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TypeAlias

from lictor import __version__
from lictor.cli.logs import say_what_has_no_effect, set_up_log
from lictor.kit.errors import LictorError
from lictor.settings import Flag, Settings, UnusableSetting, read

# Where a flag goes in the tree of settings.
PATHS = {
    "host": "api.host",
    "port": "api.port",
    "services_port": "lictor.services_port",
    "database": "database.connection_url",
    "log_level": "logging_level",
    "role": "lictor.role",
    "ui": "ui.enabled",
    "ui_dir": "ui.static_directory",
}

ENVIRONMENT = """\
Every other setting is an environment variable, under the names of the Prefect server
(PREFECT_SERVER_…, PREFECT_API_…) or LICTOR_…; docs/settings.md lists them.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code."""
    _leave_out_uvicorns_command()
    options = parser().parse_args(arguments)
    flags = _flags(options)
    try:
        settings = read(os.environ, flags)
        set_up_log(settings)
        say_what_has_no_effect()
        return _run(options, settings)
    except UnusableSetting as error:
        return _say(error, 2)
    except LictorError as error:
        return _say(error, 1)
    except KeyboardInterrupt:
        return 130


def _leave_out_uvicorns_command() -> None:
    """uvicorn imports its own command line, and with it click: a tenth of the start for what is never called."""
    if "uvicorn" not in sys.modules:
        empty = ModuleType("uvicorn.main")
        empty.__dict__.update(Server=None, main=None, run=None)
        sys.modules["uvicorn.main"] = empty


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog="lictor", description="A server for Prefect 3 flows: same API, a fraction of the cost."
    )
    root.add_argument("--version", action="version", version=f"lictor {__version__}")
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    _add_start(commands)
    _add_services(commands)
    _add_database(commands)
    _add_ui(commands)
    version = commands.add_parser("version", help="print the version", description="Print the version.")
    version.set_defaults(run="lictor.cli.version:version")
    return root


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _add_start(commands: Commands) -> None:
    start = _command(
        commands,
        "start",
        "start the server",
        "Start the API and the background services in this process. SIGTERM or Ctrl-C ends it: no new connections are "
        "taken, what is in flight is finished, and it exits with 0.",
    )
    start.add_argument("--host", help="address to listen on (127.0.0.1); 0.0.0.0 for every network")
    start.add_argument("--port", help="port to listen on (4200)")
    start.add_argument(
        "--no-services",
        dest="role",
        action="store_const",
        const="api",
        help="the API alone; run the services elsewhere with `lictor services`",
    )
    start.add_argument("--no-ui", dest="ui", action="store_const", const="false", help="no dashboard")
    start.add_argument("--ui-dir", metavar="DIR", help="directory of the dashboard's files (they are searched for)")
    start.add_argument("--workers", type=_positive, default=1, metavar="N", help="processes that share the port (1)")
    start.set_defaults(run="lictor.cli.serve:start")


def _add_services(commands: Commands) -> None:
    services = _command(
        commands,
        "services",
        "run the background services alone",
        "Run the background services without the API, beside servers started with --no-services. "
        "GET /api/health on their port tells whether each still comes through.",
    )
    services.add_argument("--host", help="address to answer health checks on (127.0.0.1)")
    services.add_argument("--port", dest="services_port", help="port to answer health checks on (4201)")
    services.set_defaults(run="lictor.cli.serve:start", role="services", workers=1)
    actions = services.add_subparsers(metavar="ACTION", title="instead of running them")
    listing = _command(actions, "ls", "list the services", "List the services: which are on, and how often they run.")
    listing.set_defaults(run="lictor.cli.services:ls", role=None)
    once = _command(actions, "run", "run one service once", "Run one round of a service now, also of one that is off.")
    once.add_argument("service", help="its name, as `lictor services ls` shows it")
    once.set_defaults(run="lictor.cli.services:run_once", role=None)


def _add_database(commands: Commands) -> None:
    group = commands.add_parser(
        "database", help="upgrade, check or reset the database", description="Look after the database."
    )
    actions = group.add_subparsers(required=True, metavar="ACTION")
    upgrade = _command(
        actions, "upgrade", "bring the tables up to date", "Bring the tables up to date, as `lictor start` does."
    )
    upgrade.set_defaults(run="lictor.cli.database:upgrade")
    reset = _command(actions, "reset", "delete everything", "Delete all data and make the tables anew.")
    reset.add_argument("--yes", "-y", action="store_true", help="do not ask")
    reset.set_defaults(run="lictor.cli.database:reset")
    check = _command(
        actions,
        "check",
        "compare counts with what they count",
        "Compare the tallies that counts and histories are read from with the runs and the events themselves.",
    )
    check.add_argument("--mend", action="store_true", help="count anew what differs")
    check.set_defaults(run="lictor.cli.history:check")
    retention = _command(
        actions,
        "retention",
        "say what is past its time",
        "Say how many finished runs the server would delete now because their time is up. Nothing is deleted.",
    )
    retention.set_defaults(run="lictor.cli.history:preview")


def _add_ui(commands: Commands) -> None:
    group = commands.add_parser("ui", help="get the dashboard", description="Look after the dashboard.")
    actions = group.add_subparsers(required=True, metavar="ACTION")
    fetch = actions.add_parser(
        "fetch",
        help="download the dashboard",
        description="Download the wheel of the reference with pip and take its dashboard into the directory of the "
        "data. Not needed where prefect is installed beside Lictor.",
        epilog=ENVIRONMENT,
    )
    which = fetch.add_mutually_exclusive_group()
    which.add_argument("--version", metavar="X.Y.Z", help="of prefect (that of the API, see `lictor version`)")
    which.add_argument("--wheel", metavar="FILE", help="a wheel of prefect that is here already")
    fetch.set_defaults(run="lictor.cli.ui:fetch")


def _command(commands: Commands, name: str, summary: str, description: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary, description=description, epilog=ENVIRONMENT)
    command.add_argument(
        "--database",
        metavar="URL",
        help="sqlite:///file.db or postgresql://user:password@host/name (a file in ~/.lictor)",
    )
    command.add_argument("--log-level", metavar="LEVEL", help="DEBUG, INFO, WARNING (default), ERROR or CRITICAL")
    return command


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _flags(options: argparse.Namespace) -> dict[str, Flag]:
    given = {name: getattr(options, name, None) for name in PATHS}
    names = {"services_port": "--port", "role": "--no-services", "ui": "--no-ui"}
    return {
        PATHS[name]: Flag(names.get(name, f"--{name.replace('_', '-')}"), text)
        for name, text in given.items()
        if text is not None
    }


def _run(options: argparse.Namespace, settings: Settings) -> int:
    # Imported here and not above: the version and --help must not wait for the server's imports.
    module, function = options.run.split(":")
    code: int = getattr(importlib.import_module(module), function)(settings, options)
    return code


def _say(error: LictorError, code: int) -> int:
    sys.stderr.write(f"lictor: {error}\n")
    return code
