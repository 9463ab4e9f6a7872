"""The server's log: lines on standard error."""

from __future__ import annotations

import logging
import os

from lictor.settings import Settings, without_effect


def set_up_log(settings: Settings) -> None:
    """Write from the level on that the settings name."""
    logging.basicConfig(level=settings.logging_level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")


def say_what_has_no_effect() -> None:
    for sentence in without_effect(os.environ):
        logging.getLogger("lictor.settings").warning(sentence)
