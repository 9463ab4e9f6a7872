"""The application, put together of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lictor import csrf, metrics, root
from lictor.app.background import background_services
from lictor.app.bound import bind, cipher_of
from lictor.app.routes import ROUTERS
from lictor.blocks import encryption, standard
from lictor.blocks.encryption import Cipher
from lictor.dashboard.finding import find as find_dashboard
from lictor.dashboard.serving import Dashboard, DashboardSettings
from lictor.db import Database, open_database
from lictor.events.listening import Listener
from lictor.feed import Bells, Notices
from lictor.loops import Leases, Supervisor
from lictor.metrics import Rounds
from lictor.settings import Settings, database_url, paths
from lictor.web import Router
from lictor.web.asgi import App, WebSettings


def build(settings: Settings) -> App:
    """The application over the database that the settings name. Nothing is opened before it starts."""
    db = open_database(
        database_url(settings),
        readers=settings.lictor.reader_threads,
        pool_size=settings.database.sqlalchemy.pool_size,
        statement_timeout=settings.database.timeout,
    )
    return assemble(settings, db)


def assemble(settings: Settings, db: Database) -> App:
    """The application over a database; it migrates the database when it starts and closes it when it stops."""
    bells = Bells(db)
    notices = Notices(db, bells)
    cipher = cipher_of(settings, db.url)
    services = bind(settings, db, bells, cipher)
    supervisor = _supervisor(settings, db, services)
    with_api = settings.lictor.role != "services"
    listener = Listener(db) if with_api else None

    async def start() -> None:
        prepare(settings, db, cipher)
        notices.start()
        if listener is not None:
            listener.start()
        if supervisor is not None:
            await supervisor.start()

    async def stop() -> None:
        if supervisor is not None:
            await supervisor.stop()
        if listener is not None:
            await listener.stop()
        notices.stop()
        db.close()

    return App(
        _routers(settings, with_api),
        services | _watched(supervisor),
        _web(settings),
        csrf=csrf.checker(db) if settings.api.csrf_protection_enabled else None,
        fallback=_dashboard(settings) if with_api else None,
        on_start=(start,),
        on_stop=(stop,),
    )


def _routers(settings: Settings, with_api: bool) -> tuple[Router, ...]:
    routers = ROUTERS if with_api else (root.of_services(),)
    return (*routers, metrics.router) if settings.metrics_enabled else routers


def _watched(supervisor: Supervisor | None) -> dict[type, Any]:
    """What endpoints may ask of the services of this process."""
    if supervisor is None:
        return {Rounds: Rounds()}
    return {Rounds: Rounds(supervisor.health), Supervisor: supervisor}


def prepare(settings: Settings, db: Database, cipher: Cipher | None = None) -> None:
    """Bring the database up to date. LictorError, when the program and the database do not go together."""
    if settings.database.migrate_on_start:
        db.migrate()
    db.read_now(encryption.check, cipher or cipher_of(settings, db.url))
    if settings.register_blocks_on_start:
        standard.install_if_new(db)


def _supervisor(settings: Settings, db: Database, bound: Mapping[type, Any]) -> Supervisor | None:
    if settings.lictor.role == "api":
        return None
    services = background_services(settings, db, bound)
    return Supervisor(services, Leases(db, [service.name for service in services]))


def _dashboard(settings: Settings) -> Dashboard | None:
    """What answers everything that is not the API; None where no dashboard is wanted."""
    if not settings.ui.enabled:
        return None
    found = find_dashboard(settings)
    return Dashboard(
        DashboardSettings(
            directories={} if found is None else found.bundles,
            base=paths.dashboard_base(settings),
            api_base=paths.api_base(settings),
            api_url=settings.ui.api_url,
            preferred="v2" if settings.ui.v2_enabled else "v1",
            auth=settings.api.auth_string is not None,
            csrf=settings.api.csrf_protection_enabled,
            image_sources=settings.lictor.ui_image_sources,
        )
    )


def _web(settings: Settings) -> WebSettings:
    api = settings.api
    return WebSettings(
        api_base_path=paths.api_base(settings),
        auth_string=None if api.auth_string is None else api.auth_string.reveal(),
        default_limit=api.default_limit,
        max_body_bytes=settings.lictor.max_request_bytes,
        cors_origins=_words(api.cors_allowed_origins),
        cors_methods=_words(api.cors_allowed_methods),
        cors_headers=_words(api.cors_allowed_headers),
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
