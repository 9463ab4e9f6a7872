"""Pages: how many rows a client may ask for, and the shape of a numbered page."""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import Struct

from lictor.kit.errors import Unprocessable
from lictor.web.shapes import DEFAULT_LIMIT

T = TypeVar("T")


class Page(Struct, Generic[T]):
    """A numbered page of results; `pages` is 0 when the limit is 0."""

    results: list[T]
    count: int
    limit: int
    pages: int
    page: int


def paginate(results: list[T], page: int, limit: int, count: int) -> Page[T]:
    """The page `page` (from 1) of `count` rows in all."""
    return Page(results, count, limit, -(-count // limit) if limit else 0, page)


def page_offset(page: int, limit: int) -> int:
    """How many rows come before page `page` (from 1)."""
    return (page - 1) * limit


def check_limit(limit: int, most: int) -> int:
    """The limit to use: `most` where none was given; raises the reference's 422 outside of 0 to `most`."""
    if limit == DEFAULT_LIMIT:
        return most
    if limit > most:
        raise Unprocessable(f"Invalid limit: must be less than or equal to {most}.")
    if limit < 0:
        raise Unprocessable("Invalid limit: must be greater than or equal to 0.")
    return limit
