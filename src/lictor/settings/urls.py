"""From the database settings, in the forms of SQLAlchemy, to the one URL that `lictor.db` opens.

Out come `sqlite:///relative`, `sqlite:////absolute`, `sqlite://` (in memory) or a `postgresql://` URL of libpq. What
asyncpg calls otherwise than libpq (`ssl`, `timeout`) is renamed; what libpq does not know is an error.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from lictor.settings.reading import UnusableSetting
from lictor.settings.tree import Database, Settings

VARIABLE = "PREFECT_SERVER_DATABASE_CONNECTION_URL (or --database)"

FORMS = "sqlite+aiosqlite:///path/to/file.db or postgresql+asyncpg://user:password@host:5432/database"

SQLITE_DRIVERS = ("sqlite", "sqlite+aiosqlite")
POSTGRES_DRIVERS = ("postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg")

# asyncpg's and SQLAlchemy's names for what libpq has under another, and for what only concerns their own caches.
RENAMED = {"ssl": "sslmode", "timeout": "connect_timeout"}
DROPPED = {"prepared_statement_cache_size", "statement_cache_size", "prepared_statement_name_func", "async_fallback"}
LIBPQ = {
    "application_name", "channel_binding", "connect_timeout", "dbname", "gssencmode", "host", "hostaddr", "keepalives",
    "keepalives_count", "keepalives_idle", "keepalives_interval", "load_balance_hosts", "options", "passfile",
    "password", "port", "requirepeer", "service", "sslcert", "sslcrl", "sslkey", "sslmode", "sslnegotiation",
    "sslpassword", "sslrootcert", "target_session_attrs", "tcp_user_timeout", "user",
}  # fmt: skip
_HOST = re.compile(r"(?:\[[^]]*\]|[^:\[\]]*)(?::\d+)?")
SSL_MODES = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}


def database_url(settings: Settings) -> str:
    """The URL to open: the one given, one made of the parts given, or a file in the home directory.

    UnusableSetting for what cannot be opened.
    """
    database = settings.database
    if database.connection_url is not None:
        return _given(database.connection_url.reveal(), database)
    if database.driver == "postgresql+asyncpg" or (database.driver is None and database.host):
        return _postgres(urlsplit(_from_parts(database)), database)
    if database.name:
        return _sqlite_file(database.name)
    return _sqlite_file(str(settings.lictor.home / "lictor.db"))


def shown(url: str) -> str:
    """The URL without its password, for people to read."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return "SQLite in memory" if url == "sqlite://" else url.removeprefix("sqlite:///")
    user = f"{parts.username}@" if parts.username else ""
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{user}{host}{parts.path}"


def _given(url: str, database: Database) -> str:
    scheme, separator, rest = url.partition("://")
    if separator and scheme in SQLITE_DRIVERS:
        return _sqlite(rest)
    if separator and scheme in POSTGRES_DRIVERS:
        return _postgres(urlsplit(f"postgresql://{rest}"), database)
    driver = repr(scheme) if separator else "no scheme"
    raise UnusableSetting(f"{VARIABLE}: a URL with {driver} cannot be used, {FORMS} is expected")


def _sqlite(rest: str) -> str:
    path, _, query = rest.partition("?")
    host, _, name = path.partition("/")
    if host:
        raise UnusableSetting(f"{VARIABLE}: SQLite has no host, three slashes come before the path: sqlite:///file.db")
    name = name.removeprefix("file:")
    if name in ("", ":memory:") or "mode=memory" in query:
        return "sqlite://"
    return _sqlite_file(name)


def _sqlite_file(name: str) -> str:
    return "sqlite://" if name == ":memory:" else f"sqlite:///{Path(name).expanduser()}"


def _from_parts(database: Database) -> str:
    missing = [part for part in ("host", "user", "name") if not getattr(database, part)]
    if missing:
        names = ", ".join(f"PREFECT_SERVER_DATABASE_{part.upper()}" for part in missing)
        raise UnusableSetting(f"PREFECT_SERVER_DATABASE_DRIVER: PostgreSQL also needs {names}")
    secret = f":{quote(database.password.reveal(), safe='')}" if database.password else ""
    user = quote(database.user or "", safe="")
    return f"postgresql://{user}{secret}@{database.host}:{database.port or 5432}/{quote(database.name or '', safe='')}"


def _postgres(parts: SplitResult, database: Database) -> str:
    hosts = parts.netloc.rpartition("@")[2]
    if not all(_HOST.fullmatch(host) for host in hosts.split(",")):
        raise UnusableSetting(f"{VARIABLE}: {hosts!r} is not a host and a port, {FORMS} is expected")
    parameters = _from_settings(database)
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in DROPPED:
            parameters[RENAMED.get(name, name)] = value
    unknown = parameters.keys() - LIBPQ
    if unknown:
        raise UnusableSetting(f"{VARIABLE}: PostgreSQL has no connection parameter {', '.join(sorted(unknown))}")
    if "sslmode" in parameters:
        parameters["sslmode"] = _ssl_mode(parameters["sslmode"])
    if not parts.path.strip("/") and "dbname" not in parameters:
        raise UnusableSetting(f"{VARIABLE}: the URL names no database, {FORMS} is expected")
    return f"postgresql://{parts.netloc}{parts.path}?{urlencode(parameters, quote_via=quote)}"


def _from_settings(database: Database) -> dict[str, str]:
    arguments = database.sqlalchemy.connect_args
    parameters: dict[str, str] = {"application_name": arguments.application_name or "lictor"}
    if database.connection_timeout:
        # libpq counts in whole seconds and takes 1 as 2.
        parameters["connect_timeout"] = str(max(2, math.ceil(database.connection_timeout)))
    if arguments.search_path:
        parameters["options"] = "-csearch_path=" + arguments.search_path.replace(" ", "")
    if arguments.tls.enabled:
        parameters["sslmode"] = "verify-full" if arguments.tls.check_hostname else "verify-ca"
        parameters["sslrootcert"] = arguments.tls.ca_file or "system"
        parameters |= {"sslcert": arguments.tls.cert_file} if arguments.tls.cert_file else {}
        parameters |= {"sslkey": arguments.tls.key_file} if arguments.tls.key_file else {}
    return parameters


def _ssl_mode(value: str) -> str:
    mode = {"true": "require", "1": "require", "false": "disable", "0": "disable"}.get(value.lower(), value)
    if mode not in SSL_MODES:
        raise UnusableSetting(
            f"{VARIABLE}: ssl={value} cannot be used, one of {', '.join(sorted(SSL_MODES))} is expected"
        )
    return mode
