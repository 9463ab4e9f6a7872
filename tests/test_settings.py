from __future__ import annotations

import pickle
import re
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

import lictor
from lictor.app import assembly
from lictor.kit.catch_up import Policy
from lictor.settings import Flag, UnusableSetting, database_url, read, shown, without_effect
from lictor.settings.reading import WITHOUT_EFFECT, leaves

DOCUMENT = Path(__file__).parent.parent / "docs" / "settings.md"


def test_the_defaults_are_the_reference_s() -> None:
    settings = read({"HOME": "/home/someone"})
    assert (settings.api.host, settings.api.port) == ("127.0.0.1", 4200)
    assert settings.api.default_limit == 200
    assert settings.api.max_parameter_size == 524_288
    assert settings.services.late_runs.after_seconds == timedelta(seconds=15)
    assert settings.services.scheduler.loop_seconds == 60
    assert settings.events.retention_period == timedelta(days=7)
    assert settings.lictor.home == Path("/home/someone/.lictor")


def test_a_flag_comes_before_the_environment() -> None:
    environment = {"PREFECT_SERVER_API_PORT": "5000", "PREFECT_SERVER_API_HOST": "0.0.0.0"}
    settings = read(environment, {"api.port": Flag("--port", "6000")})
    assert (settings.api.host, settings.api.port) == ("0.0.0.0", 6000)


def test_older_names_are_read_and_the_canonical_one_wins() -> None:
    assert read({"PREFECT_API_DEFAULT_LIMIT": "50"}).api.default_limit == 50
    both = {"PREFECT_API_DEFAULT_LIMIT": "50", "PREFECT_SERVER_API_DEFAULT_LIMIT": "60"}
    assert read(both).api.default_limit == 60


def test_an_empty_variable_counts_as_not_set() -> None:
    assert read({"PREFECT_SERVER_API_PORT": ""}).api.port == 4200


@pytest.mark.parametrize(
    ("variable", "text", "path", "value"),
    [
        ("PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED", "Yes", "api.csrf_protection_enabled", True),
        ("PREFECT_SERVER_CSRF_TOKEN_EXPIRATION", "PT2H", "api.csrf_token_expiration", timedelta(hours=2)),
        ("PREFECT_API_SERVICES_LATE_RUNS_AFTER_SECONDS", "2.5", "services.late_runs.after_seconds",
         timedelta(seconds=2.5)),
        ("PREFECT_LOGGING_SERVER_LEVEL", "debug", "logging_level", "DEBUG"),
        ("PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED", "events, flow_runs", "services.db_vacuum.enabled",
         {"events", "flow_runs"}),
        ("PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED", "true", "services.db_vacuum.enabled",
         {"events", "flow_runs", "orphans"}),
        ("PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED", "false", "services.db_vacuum.enabled", {"events"}),
        ("PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES", '{"a": 60}',
         "services.db_vacuum.event_retention_overrides", {"a": 60.0}),
        ("PREFECT_API_DATABASE_TIMEOUT", "7", "database.timeout", 7.0),
        ("PREFECT_UI_API_URL", "http://here/api", "ui.api_url", "http://here/api"),
        ("LICTOR_CATCH_UP_POLICY", "latest_only", "lictor.catch_up.policy", Policy(1)),
        ("LICTOR_CATCH_UP_DEPLOYMENTS", '{"f/d": "max_queued=3"}', "lictor.catch_up.deployments", {"f/d": Policy(3)}),
        ("LICTOR_HOME", "/data", "lictor.home", Path("/data")),
    ],
)  # fmt: skip
def test_each_kind_of_value(variable: str, text: str, path: str, value: object) -> None:
    found: object = read({variable: text})
    for part in path.split("."):
        found = getattr(found, part)
    assert found == value


@pytest.mark.parametrize(
    ("variable", "text", "accepted"),
    [
        ("PREFECT_SERVER_API_PORT", "http", "a whole number from 0 to 65535"),
        ("PREFECT_SERVER_API_PORT", "70000", "a whole number from 0 to 65535"),
        ("PREFECT_API_SERVICES_SCHEDULER_MAX_RUNS", "-1", "a whole number from 0"),
        ("PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED", "maybe", "true or false"),
        ("PREFECT_SERVER_LOGGING_LEVEL", "LOUD", "one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("PREFECT_SERVER_EVENTS_RETENTION_PERIOD", "soon", "a number of seconds or an ISO 8601 duration"),
        ("PREFECT_SERVER_EVENTS_RETENTION_PERIOD", "-5", "a number of seconds or an ISO 8601 duration"),
        ("PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED", "everything", "events, flow_runs and orphans"),
        ("PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES", "{", "JSON such as"),
        ("LICTOR_CATCH_UP_POLICY", "newest", "all, latest_only or max_queued=N"),
        ("LICTOR_CATCH_UP_DEPLOYMENTS", '{"f/d": "newest"}', "JSON such as"),
        ("LICTOR_READER_THREADS", "0", "a whole number from 1 to 64"),
    ],
)
def test_an_unusable_value_names_its_variable_itself_and_what_is_expected(
    variable: str, text: str, accepted: str
) -> None:
    with pytest.raises(UnusableSetting) as error:
        read({variable: text})
    assert str(error.value).startswith(f"{variable}: {text!r} cannot be used, ")
    assert accepted in str(error.value)


def test_an_unusable_flag_is_named_as_a_flag() -> None:
    with pytest.raises(UnusableSetting, match=r"^--port: 'x' cannot be used"):
        read({}, {"api.port": Flag("--port", "x")})


def test_secrets_are_not_shown() -> None:
    settings = read(
        {
            "PREFECT_SERVER_API_AUTH_STRING": "admin:hunter2",
            "PREFECT_SERVER_DATABASE_PASSWORD": "hunter2",
            "PREFECT_SERVER_ENCRYPTION_KEY": "hunter2",
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql://u:hunter2@h/d",
        }
    )
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in f"{settings.api.auth_string}"
    assert "hunter2" not in shown(database_url(settings))
    assert settings.api.auth_string is not None
    assert settings.api.auth_string.reveal() == "admin:hunter2"


def test_settings_travel_to_other_processes() -> None:
    settings = read({"PREFECT_SERVER_API_AUTH_STRING": "admin:hunter2"}, {"api.port": Flag("--port", "6000")})
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_what_has_no_effect_is_said() -> None:
    assert without_effect({"PREFECT_SERVER_DOCKET_URL": "redis://r"}) == [
        "PREFECT_SERVER_DOCKET_URL has no effect: there is no broker"
    ]
    assert without_effect({"PREFECT_SERVER_API_PORT": "1"}) == []


def test_what_is_off_and_was_switched_off_needs_no_word() -> None:
    assert without_effect({"PREFECT_SERVER_ANALYTICS_ENABLED": "False"}) == []
    assert without_effect({"PREFECT_SERVER_ANALYTICS_ENABLED": "true"}) != []
    assert without_effect({"PREFECT_SERVER_DATABASE_SQLALCHEMY_MAX_OVERFLOW": "0"}) != []


def test_no_variable_means_two_things() -> None:
    variables = [variable for leaf in leaves() for variable in leaf.variables]
    assert len(variables) == len(set(variables))
    assert not set(variables) & WITHOUT_EFFECT.keys()


def test_the_tree_can_be_replaced_in_part() -> None:
    settings = read({})
    other = msgspec.structs.replace(settings, api=msgspec.structs.replace(settings.api, port=1))
    assert (other.api.port, settings.api.port) == (1, 4200)


URLS = [
    ("sqlite:///./here.db", "sqlite:///here.db"),
    ("sqlite+aiosqlite:///here.db", "sqlite:///here.db"),
    ("sqlite+aiosqlite:////data/there.db", "sqlite:////data/there.db"),
    ("sqlite+aiosqlite:///$PREFECT_HOME/p.db", "sqlite:////prefect/p.db"),
    ("sqlite+aiosqlite:///${PREFECT_HOME}/p.db", "sqlite:////prefect/p.db"),
    ("sqlite+aiosqlite://", "sqlite://"),
    ("sqlite+aiosqlite:///:memory:", "sqlite://"),
    ("sqlite+aiosqlite:///file::memory:?cache=shared&uri=true&check_same_thread=false", "sqlite://"),
    ("sqlite+aiosqlite:///file:x?mode=memory&cache=shared", "sqlite://"),
    ("postgresql+asyncpg://u:p%40@h:5433/d",
     "postgresql://u:p%40@h:5433/d?application_name=lictor&connect_timeout=5"),
    ("postgresql://u@h/d?ssl=require&application_name=a%20b&timeout=9",
     "postgresql://u@h/d?application_name=a%20b&connect_timeout=9&sslmode=require"),
    ("postgresql+asyncpg://u@h/d?ssl=true&prepared_statement_cache_size=0",
     "postgresql://u@h/d?application_name=lictor&connect_timeout=5&sslmode=require"),
    ("postgresql+asyncpg:///d?host=/var/run/postgresql",
     "postgresql:///d?application_name=lictor&connect_timeout=5&host=%2Fvar%2Frun%2Fpostgresql"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "opened"), URLS, ids=[given for given, _ in URLS])
def test_urls_in_sqlalchemy_s_form(given: str, opened: str) -> None:
    environment = {"PREFECT_API_DATABASE_CONNECTION_URL": given, "PREFECT_HOME": "/prefect", "PREFECT": "/wrong"}
    url = database_url(read(environment))
    base, _, query = url.partition("?")
    assert base == opened.partition("?")[0]
    assert sorted(query.split("&")) == sorted(opened.partition("?")[2].split("&"))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("mysql://h/d", "'mysql' cannot be used"),
        ("/data/lictor.db", "no scheme cannot be used"),
        ("sqlite://here.db", "three slashes"),
        ("postgresql://u@h", "names no database"),
        ("postgresql://u@h/d?sslmode=perhaps", "ssl=perhaps cannot be used"),
        ("postgresql://u@h/d?server_settings=x", "no connection parameter server_settings"),
        ("postgresql://u@h:port/d", "port"),
    ],
)
def test_an_unusable_url_is_said_to_be_one(given: str, problem: str) -> None:
    settings = read({"PREFECT_SERVER_DATABASE_CONNECTION_URL": given})
    with pytest.raises(UnusableSetting, match=re.escape(problem)) as error:
        database_url(settings)
    assert str(error.value).startswith("PREFECT_SERVER_DATABASE_CONNECTION_URL (or --database): ")


def test_the_default_is_a_file_of_our_own_in_the_home_directory() -> None:
    assert database_url(read({"LICTOR_HOME": "/data"})) == "sqlite:////data/lictor.db"


def test_postgresql_in_parts() -> None:
    parts = {
        "PREFECT_SERVER_DATABASE_DRIVER": "postgresql+asyncpg",
        "PREFECT_SERVER_DATABASE_HOST": "h",
        "PREFECT_SERVER_DATABASE_USER": "u",
        "PREFECT_SERVER_DATABASE_PASSWORD": "p@/",
        "PREFECT_SERVER_DATABASE_NAME": "n",
        "PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT": "0.5",
        "PREFECT_SERVER_DATABASE_SQLALCHEMY_CONNECT_ARGS_SEARCH_PATH": "mine, public",
    }
    url = database_url(read(parts))
    assert url.startswith("postgresql://u:p%40%2F@h:5432/n?")
    assert "connect_timeout=2" in url
    assert "options=-csearch_path%3Dmine%2Cpublic" in url
    assert shown(url) == "postgresql://u@h:5432/n"


def test_tls_of_postgresql() -> None:
    prefix = "PREFECT_SERVER_DATABASE_SQLALCHEMY_CONNECT_ARGS_TLS_"
    settings = read(
        {
            "PREFECT_API_DATABASE_CONNECTION_URL": "postgresql://u@h/d",
            f"{prefix}ENABLED": "1",
            f"{prefix}CHECK_HOSTNAME": "0",
            f"{prefix}CA_FILE": "/ca.pem",
        }
    )
    url = database_url(settings)
    assert "sslmode=verify-ca" in url
    assert "sslrootcert=%2Fca.pem" in url


def test_missing_parts_are_named() -> None:
    with pytest.raises(UnusableSetting, match="PREFECT_SERVER_DATABASE_USER, PREFECT_SERVER_DATABASE_NAME"):
        database_url(read({"PREFECT_SERVER_DATABASE_HOST": "h"}))


def test_every_setting_is_documented() -> None:
    documented = DOCUMENT.read_text()
    missing = [name for leaf in leaves() for name in leaf.variables if f"`{name}`" not in documented]
    assert missing == []
    assert [name for name in WITHOUT_EFFECT if f"`{name}`" not in documented] == []


def test_every_setting_is_read_somewhere() -> None:
    """One that is not belongs into the list of those without effect."""
    package = Path(lictor.__file__).parent
    code = "\n".join(path.read_text() for path in package.rglob("*.py") if path.name != "tree.py")
    names = {leaf.path.rpartition(".")[2] for leaf in leaves()}
    assert [name for name in sorted(names) if not re.search(rf"\.{name}\b", code)] == []


def test_the_size_of_the_pool_is_the_database_s(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}
    monkeypatch.setattr(assembly, "open_database", lambda url, **options: seen.update(options))
    monkeypatch.setattr(assembly, "assemble", lambda settings, db: None)
    assembly.build(read({"PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE": "3", "LICTOR_READER_THREADS": "4"}))
    assert (seen["pool_size"], seen["readers"]) == (3, 4)
