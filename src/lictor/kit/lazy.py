"""Modules that are loaded when they are first used: what few requests need must not slow down every start."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType
from typing import Any


class Lazy(ModuleType):
    """Stands for a module. Each look at something in it goes through the import system, which has the lock that keeps
    a second thread from seeing the module half loaded (`importlib.util.LazyLoader` has none)."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


def lazy(name: str) -> ModuleType:
    """The module, which runs at the first look at anything in it. Raises ModuleNotFoundError if there is none."""
    if importlib.util.find_spec(name) is None:
        raise ModuleNotFoundError(name)
    return Lazy(name)
