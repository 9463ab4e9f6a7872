"""Comparing the steps of a scenario with what was recorded, in lines that a human can read."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from .differences import Difference
from .recording import pretty

ANSWER = ("status", "headers", "body")
REQUEST = ("step", "sent", "sent_raw", "sent_headers")


def compare(
    recorded: list[dict[str, Any]], played: list[dict[str, Any]], known: Sequence[Difference], broken: str | None = None
) -> list[str]:
    """Nothing, or one text for each step that is not as it should be; `known` are this scenario's differences."""
    if [_only(step, REQUEST) for step in played] != [_only(step, REQUEST) for step in recorded][: len(played)]:
        return [f"The scenario has changed since it was recorded: record it anew.\n{_changed(recorded, played)}"]
    found = list(_unlike(recorded, played, known))
    if broken is not None:
        found.append(f"Could not go on after {played[-1]['step'] if played else 'the start'}: {broken}")
    elif len(played) < len(recorded):
        found.append("The scenario has fewer steps than were recorded: record it anew.")
    return found


def _unlike(recorded: list[dict[str, Any]], played: list[dict[str, Any]], known: Sequence[Difference]) -> Iterator[str]:
    used: set[int] = set()
    for before, now in zip(recorded, played, strict=False):
        listed = [number for number, one in enumerate(known) if one.covers(before["step"])]
        if before["status"] >= 500:  # its crash is no contract; ours would be a fault
            if now["status"] >= 500:
                yield f"{before['step']}\nthe reference answered {before['status']}, Lictor {now['status']}"
            continue
        if _text(before) == _text(now):
            continue
        used.update(listed)
        if not any(known[number].allows(now) for number in listed):
            yield _diff(before, now)
    for number, one in enumerate(known):
        covers = any(one.covers(step["step"]) for step in played)
        if number not in used and covers:
            yield f"The listed difference is gone, take it off the list: {one.step!r}: {one.reason}"


def _only(step: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: step[key] for key in keys if key in step}


def _text(step: dict[str, Any]) -> str:
    """As text, because 1, 1.0 and true are equal in Python and not on the wire."""
    return json.dumps(_only(step, ANSWER), sort_keys=True)


def _diff(recorded: dict[str, Any], played: dict[str, Any]) -> str:
    before, now = (pretty(_only(step, ANSWER)).splitlines() for step in (recorded, played))
    lines = difflib.unified_diff(before, now, "reference", "lictor", lineterm="", n=2)
    sent = f"   sent: {pretty(recorded['sent'])[:600]}\n" if "sent" in recorded else ""
    return f"{recorded['step']}\n{sent}" + "\n".join(list(lines)[:120])


def _changed(recorded: list[dict[str, Any]], played: list[dict[str, Any]]) -> str:
    for before, now in zip(recorded, played, strict=False):
        if _only(before, REQUEST) != _only(now, REQUEST):
            return f"recorded {pretty(_only(before, REQUEST))}\nnow {pretty(_only(now, REQUEST))}"
    return f"recorded {len(recorded)} steps, now {len(played)}"
