"""Concurrency limits on tags."""

from __future__ import annotations

from ..scenario import Session, scenario
from .common import NOT_IDS, ZERO, bad_bodies

V1 = "/concurrency_limits"
V2 = "/v2/concurrency_limits"


def make(s: Session, save: str = "a", limit: int = 2) -> None:
    s.post(f"{V1}/", {"tag": f"$uniq-{save}", "concurrency_limit": limit}, save=save, only="status")


def step(s: Session, verb: str, run: str, *tags: str) -> None:
    names = [f"$uniq-{tag}" for tag in tags]
    s.post(f"{V1}/{verb}", {"names": names, "task_run_id": f"$id:{run}"}, unordered=("$",))


def show(s: Session, *tags: str) -> None:
    for tag in tags or ("a",):
        s.get(f"{V1}/tag/$uniq-{tag}")
        s.get(f"{V2}/tag:$uniq-{tag}")


@scenario
def create_and_read(s: Session) -> None:
    s.post(f"{V1}/", {"tag": "$uniq-a", "concurrency_limit": 2}, save="a")
    s.get(f"{V1}/{{a.id}}")
    s.get(f"{V1}/tag/$uniq-a")
    s.get(f"{V2}/tag:$uniq-a")
    s.post(f"{V1}/", {"tag": "$uniq-a", "concurrency_limit": 0})
    s.get(f"{V1}/{{a.id}}")
    s.post(f"{V2}/", {"name": "tag:$uniq-b", "limit": 4}, save="b")
    s.get(f"{V1}/tag/$uniq-b")
    s.post(f"{V1}/", {"tag": "$uniq-b", "concurrency_limit": 5})
    s.post(f"{V2}/", {"name": "$uniq-c", "limit": 4}, save="c")
    s.get(f"{V1}/{{c.id}}")


@scenario
def create_badly(s: Session) -> None:
    for body in (
        {},
        {"tag": "$uniq"},
        {"concurrency_limit": 1},
        {"tag": None, "concurrency_limit": None},
        {"tag": 1, "concurrency_limit": "x"},
        {"tag": "$uniq", "concurrency_limit": 1, "active_slots": []},
        {"tag": "$uniq", "concurrency_limit": 1.5},
    ):
        s.post(f"{V1}/", body)
    s.post(f"{V1}/", {"tag": "$uniq", "concurrency_limit": "2"})
    bad_bodies(s, "POST", f"{V1}/")


@scenario
def names_that_no_limit_can_have(s: Session) -> None:
    s.post(f"{V1}/", {"tag": "$uniq/a", "concurrency_limit": 1})


@scenario
def numbers_below_zero(s: Session) -> None:
    s.post(f"{V1}/", {"tag": "$uniq", "concurrency_limit": -1})


@scenario
def missing(s: Session) -> None:
    for path in (ZERO, "tag/$uniq", *NOT_IDS[:3]):
        s.get(f"{V1}/{path}")
        s.delete(f"{V1}/{path}")
    s.post(f"{V1}/tag/$uniq/reset")


@scenario
def delete(s: Session) -> None:
    make(s)
    make(s, "b")
    s.delete(f"{V1}/{{a.id}}")
    s.delete(f"{V1}/{{a.id}}")
    s.delete(f"{V1}/tag/$uniq-b")
    s.delete(f"{V1}/tag/$uniq-b")
    s.post(f"{V2}/", {"name": "$uniq-c", "limit": 4}, save="c", only="status")
    s.delete(f"{V1}/{{c.id}}")


@scenario
def filter(s: Session) -> None:
    make(s)
    s.post(f"{V1}/filter", {"limit": 0})
    for body in ({"limit": -1}, {"limit": 201}, {"limit": "x"}, {"offset": -1}, {"offset": "x"}):
        s.post(f"{V1}/filter", body)
    s.post(f"{V1}/filter", {"offset": 10_000})


@scenario
def slots(s: Session) -> None:
    make(s, "a", 2)
    make(s, "b", 3)
    step(s, "increment", "one", "a", "b", "none")
    show(s, "a", "b")
    step(s, "increment", "two", "a")
    step(s, "increment", "three", "a", "b")
    step(s, "increment", "three", "b", "a")
    show(s, "a", "b")
    step(s, "decrement", "one", "b", "none")
    show(s, "a", "b")
    step(s, "decrement", "one", "a")
    step(s, "decrement", "two", "a")
    step(s, "decrement", "two", "a")
    show(s, "a", "b")
    step(s, "increment", "one", "none")
    step(s, "decrement", "one", "none")
    step(s, "increment", "one")
    step(s, "decrement", "one")


@scenario
def a_task_run_that_takes_two(s: Session) -> None:
    make(s, "a", 3)
    step(s, "increment", "one", "a")
    step(s, "increment", "one", "a")
    show(s)
    step(s, "decrement", "one", "a")
    show(s)


@scenario
def zero(s: Session) -> None:
    make(s, "a", 0)
    make(s, "b", 1)
    step(s, "increment", "one", "b", "a")
    show(s, "b")
    s.patch(f"{V2}/tag:$uniq-a", {"active": False})
    step(s, "increment", "one", "b", "a")
    s.patch(f"{V2}/tag:$uniq-a", {"limit": 1})
    step(s, "increment", "one", "a")
    step(s, "decrement", "one", "a")


@scenario
def leases_of_newer_clients(s: Session) -> None:
    make(s, "a", 2)
    body = {"names": ["tag:$uniq-a"], "slots": 1, "lease_duration": 60}
    for type in ("task_run", "flow_run"):
        holder = {"type": type, "id": f"$id:{type}"}
        s.post(f"{V2}/increment-with-lease", {**body, "holder": holder}, save=type)
    show(s)
    step(s, "increment", "one", "a")
    step(s, "decrement", "task_run", "a")
    show(s)
    step(s, "decrement", "flow_run", "a")
    show(s)


@scenario
def reset(s: Session) -> None:
    make(s, "a", 3)
    step(s, "increment", "one", "a")
    s.post(f"{V1}/tag/$uniq-a/reset")
    s.get(f"{V1}/tag/$uniq-a")
    s.post(f"{V1}/tag/$uniq-a/reset", {"slot_override": ["$id:two", "$id:three"]})
    s.get(f"{V1}/tag/$uniq-a")
    s.get(f"{V2}/tag:$uniq-a")
    for override in (None, [], ["x"], "x", 1):
        s.post(f"{V1}/tag/$uniq-a/reset", {"slot_override": override})
    s.get(f"{V1}/tag/$uniq-a")


@scenario
def reset_frees(s: Session) -> None:
    make(s, "a", 1)
    step(s, "increment", "one", "a")
    s.post(f"{V1}/tag/$uniq-a/reset")
    s.get(f"{V2}/tag:$uniq-a")


@scenario
def slots_badly(s: Session) -> None:
    for verb in ("increment", "decrement"):
        for body in (
            {},
            {"names": ["$uniq"]},
            {"task_run_id": ZERO},
            {"names": "x", "task_run_id": "x"},
            {"names": [1], "task_run_id": None},
            {"names": None, "task_run_id": ZERO},
            {"names": ["$uniq"], "task_run_id": ZERO, "occupancy_seconds": 1},
        ):
            s.post(f"{V1}/{verb}", body)
        bad_bodies(s, "POST", f"{V1}/{verb}")
