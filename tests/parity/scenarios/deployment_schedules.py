"""Schedules of deployments."""

from __future__ import annotations

from ..scenario import Session, scenario
from .common import ZERO, bad_bodies
from .deployments import make

HOURLY = {"interval": 3600, "anchor_date": "2026-01-01T00:00:00Z"}


@scenario
def create_and_read(s: Session) -> None:
    make(s)
    path = "/deployments/{d.id}/schedules"
    s.post(path, [{"schedule": HOURLY, "slug": "a", "parameters": {"x": 1}, "max_scheduled_runs": 5}], save="first")
    s.post(path, [{"schedule": {"cron": "0 0 * * *"}, "active": False}])
    s.get(path)
    s.post(path, [])
    s.post(path, [{"schedule": HOURLY, "slug": "a"}])
    s.get(f"/deployments/{ZERO}/schedules")
    s.post(f"/deployments/{ZERO}/schedules", [])
    s.get("/deployments/{d.id}")


@scenario
def kinds(s: Session) -> None:
    make(s)
    for schedule in (
        {"interval": 60, "anchor_date": "2026-01-01T00:00:00.5+05:00"},
        {"interval": "PT1H", "anchor_date": "2026-01-01T00:00:00Z", "timezone": "Europe/Berlin"},
        {"interval": 0.5, "anchor_date": "2026-01-01 00:00:00", "timezone": "UTC"},
        {"cron": "*/5 * * * *"},
        {"cron": "0 0 * * mon-fri", "timezone": "Europe/Berlin", "day_or": False},
        {"cron": "@daily", "timezone": "UTC"},
        {"cron": "*/10 * * * * *"},
        {"rrule": "FREQ=DAILY", "timezone": "Europe/Berlin"},
        {"rrule": "FREQ=MINUTELY;COUNT=3"},
        {"rrule": "DTSTART:20260101T000000\nRRULE:FREQ=WEEKLY;BYDAY=MO", "timezone": None},
    ):
        s.post("/deployments/{d.id}/schedules", [{"schedule": schedule}])


@scenario
def bad_kinds(s: Session) -> None:
    make(s)
    for schedule in (
        None,
        1,
        {},
        {"interval": 0, "anchor_date": "2026-01-01T00:00:00Z"},
        {"interval": -1},
        {"interval": "x"},
        {"interval": 60, "cron": "* * * * *"},
        {"interval": 60, "timezone": "Nowhere"},
        {"cron": "x"},
        {"cron": "* * * *"},
        {"cron": "R * * * *"},
        {"cron": 1},
        {"cron": "* * * * *", "timezone": "Nowhere"},
        {"rrule": "x"},
        {"rrule": "FREQ=NEVER"},
        {"rrule": "FREQ=DAILY", "more": 1},
    ):
        s.post("/deployments/{d.id}/schedules", [{"schedule": schedule}])
    for more in (
        {"max_scheduled_runs": 0},
        {"max_scheduled_runs": 51},
        {"active": "x"},
        {"parameters": None},
        {"x": 1},
    ):
        s.post("/deployments/{d.id}/schedules", [{"schedule": HOURLY, **more}])
    s.post("/deployments/{d.id}/schedules", [{}])
    bad_bodies(s, "POST", "/deployments/{d.id}/schedules")


@scenario
def change(s: Session) -> None:
    make(s, schedules=[{"schedule": HOURLY, "slug": "a", "parameters": {"x": 1}}])
    s.get("/deployments/{d.id}/schedules", save="found", only="status")
    path = "/deployments/{d.id}/schedules/{found.0.id}"
    for body in (
        {"active": False},
        {"schedule": {"cron": "0 0 * * *"}, "parameters": {"y": 2}},
        {"slug": "b"},
        {"slug": None, "active": None, "schedule": None},
        {"max_scheduled_runs": 3},
        {"replaces": "b"},
        {},
    ):
        s.patch(path, body)
        s.get("/deployments/{d.id}/schedules")
    s.patch(path, {"unknown": 1})
    s.patch(path, {"schedule": {"cron": "x"}}, only="status")
    s.patch(f"/deployments/{{d.id}}/schedules/{ZERO}", {})
    s.patch(f"/deployments/{ZERO}/schedules/{ZERO}", {})
    s.delete(path)
    s.delete(path)
    s.delete(f"/deployments/{ZERO}/schedules/{ZERO}")
    s.get("/deployments/{d.id}/schedules")


def slugs(s: Session) -> None:
    found = s.request("GET", "/deployments/{d.id}/schedules").body
    told = sorted([one["slug"], one["schedule"].get("interval"), one["active"], one["parameters"]] for one in found)
    s.steps.append({"step": f"{len(s.steps) + 1:02d} schedules", "status": 200, "body": told})


@scenario
def with_the_deployment(s: Session) -> None:
    named = [{"schedule": {**HOURLY, "interval": 60 * n}, "slug": slug} for n, slug in enumerate("abc", 1)]
    make(s, schedules=named)
    for schedules in (
        [],
        [{"slug": "a", "active": False}],
        [{"slug": "d", "schedule": {**HOURLY, "interval": 240}}],
        [{"slug": "e"}],
        [{"schedule": HOURLY}],
        [{"slug": "f", "replaces": "a"}],
        [{"slug": "b", "replaces": "c"}],
        [{"slug": "b", "replaces": "c"}, {"slug": "c", "replaces": "b"}],
        [{"slug": "x", "replaces": "c"}, {"slug": "y", "replaces": "c"}],
        [{"slug": "g", "replaces": "none", "schedule": {**HOURLY, "interval": 300}}],
        [{"slug": "h", "replaces": "none"}],
    ):
        s.patch("/deployments/{d.id}", {"schedules": schedules})
        slugs(s)


@scenario
def without_slugs(s: Session) -> None:
    make(
        s, schedules=[{"schedule": {**HOURLY, "interval": 60}}, {"schedule": {**HOURLY, "interval": 120}, "slug": "b"}]
    )
    for schedules in (
        [{"schedule": {**HOURLY, "interval": 180}, "active": False}],
        [{}],
        [
            {"schedule": {**HOURLY, "interval": 240}, "slug": "z"},
            {"schedule": {**HOURLY, "interval": 300}, "slug": "z"},
        ],
        [{"schedule": {**HOURLY, "interval": 240}, "slug": "z"}],
        [],
    ):
        s.patch("/deployments/{d.id}", {"schedules": schedules})
        found = s.request("GET", "/deployments/{d.id}/schedules").body
        told = [[one["slug"] or "-", one["schedule"]["interval"], one["active"]] for one in found]
        s.steps.append({"step": f"{len(s.steps) + 1:02d} schedules", "status": 200, "body": sorted(told)})
