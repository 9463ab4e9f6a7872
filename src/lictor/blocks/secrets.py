"""What of a document is secret: paths of its schema such as `password`, `credentials.token` and `headers.*`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MASK = "********"

Path = tuple[str, ...]
Flat = dict[Path, Any]


def masked(data: dict[str, Any], secret_fields: Iterable[str]) -> dict[str, Any]:
    """The data with each secret that is there replaced by the mask."""
    flat = flattened(data)
    for path in map(_path, secret_fields):
        if flat.get(path) is not None:
            flat[path] = MASK
        elif "*" in path:
            flat.update(dict.fromkeys(_under(flat, path), MASK))
        else:
            _mask_whole(flat, path)
    return nested(flat)


def kept(new: dict[str, Any], old: dict[str, Any], secret_fields: Iterable[str]) -> dict[str, Any]:
    """The new data, with the old secret wherever the mask was sent back."""
    flat_new, flat_old = flattened(new), flattened(old)
    for path in map(_path, secret_fields):
        places = _under(flat_new, path) if "*" in path else [path]
        for place in places:
            if flat_new.get(place) == MASK:
                _restore(flat_new, flat_old, place)
    return nested(flat_new)


def flattened(data: Mapping[str, Any], at: Path = ()) -> Flat:
    """The data's leaves by their path; an empty object is a leaf."""
    flat: Flat = {}
    for name, value in data.items():
        if isinstance(value, dict) and value:
            flat.update(flattened(value, (*at, name)))
        else:
            flat[(*at, name)] = value
    return flat


def nested(flat: Flat) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for path, value in flat.items():
        at = data
        for name in path[:-1]:
            at = at.setdefault(name, {})
        at[path[-1]] = value
    return data


def _path(secret_field: str) -> Path:
    return tuple(secret_field.split("."))


def _under(flat: Flat, path: Path) -> list[Path]:
    above = path[: path.index("*")]
    return [place for place in flat if place[: len(above)] == above]


def _mask_whole(flat: Flat, path: Path) -> None:
    """A secret that is an object is hidden as one."""
    inside = [place for place in flat if len(place) > len(path) and place[: len(path)] == path]
    for place in inside:
        del flat[place]
    if inside:
        flat[path] = MASK


def _restore(new: Flat, old: Flat, place: Path) -> None:
    inside = {path: value for path, value in old.items() if path[: len(place)] == place}
    if inside.get(place, MASK) is not None and inside:
        del new[place]
        new.update(inside)
