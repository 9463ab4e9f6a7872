"""The paths under which a server answers."""

from __future__ import annotations

from lictor.settings.tree import Settings

API = "/api"


def api_base(settings: Settings) -> str:
    """`/api`, or the path that was set, without a slash at its end."""
    return "/" + (settings.api.base_path or API).strip("/")


def dashboard_base(settings: Settings) -> str:
    """`/prefect`, or nothing. Where it is not set it follows from the API's: a proxy that sends `/prefect/api` here
    sends the rest of `/prefect` here too."""
    base = settings.ui.serve_base.strip("/")
    if base:
        return f"/{base}"
    above = api_base(settings)
    return above.removesuffix(API) if above.endswith(API) else ""
