"""Modules that are loaded when they are first used."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from lictor.kit.lazy import lazy

SLOW = """
import time
time.sleep(0.2)
last = "there"
"""


def test_it_runs_when_something_in_it_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "seldom.py").write_text("value = 1", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    module = lazy("seldom")
    assert "seldom" not in sys.modules
    assert module.value == 1
    with pytest.raises(AttributeError, match="nothing"):
        _ = module.nothing


def test_threads_that_come_while_it_is_loaded_wait_until_all_of_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_to_load.py").write_text(SLOW, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    module = lazy("slow_to_load")
    seen: list[str] = []
    threads = [threading.Thread(target=lambda: seen.append(module.last)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == ["there"] * 4


def test_a_module_that_does_not_exist_is_missed_at_once() -> None:
    with pytest.raises(ModuleNotFoundError):
        lazy("lictor.kit.nowhere")
