"""Settings: one tree, read once at start from flags, then the environment, then the defaults.

The names are those that users of the reference already have: a field's path in the tree is its variable,
`services.late_runs.loop_seconds` is `PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS`, and the older names that the
reference still takes are listed beside the field. What only this server has is under `lictor` and named `LICTOR_…`.
Profiles, `.env` and `prefect.toml` files are not read: they configure a client. An empty variable counts as not set.
"""

from lictor.settings.reading import Flag, UnusableSetting, read, without_effect
from lictor.settings.tree import Secret, Settings
from lictor.settings.urls import database_url, shown

__all__ = [
    "Flag",
    "Secret",
    "Settings",
    "UnusableSetting",
    "database_url",
    "read",
    "shown",
    "without_effect",
]
