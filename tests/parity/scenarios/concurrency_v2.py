"""Concurrency limits by name, and leases on their slots."""

from __future__ import annotations

from typing import Any

from ..scenario import Session, scenario
from .common import NOT_IDS, ZERO, bad_bodies

V2 = "/v2/concurrency_limits"
SLOTS = ("active_slots", "limit", "name")


def make(s: Session, save: str = "a", limit: Any = 2, **more: Any) -> None:
    s.post(f"{V2}/", {"name": f"$uniq-{save}", "limit": limit, **more}, save=save, only="status")


def show(s: Session, *names: str) -> None:
    """How many slots are taken of each."""
    for name in names or ("a",):
        s.get(f"{V2}/$uniq-{name}")


def take(
    s: Session, *names: str, slots: Any = 1, save: str = "lease", masked: tuple[str, ...] = (), **more: Any
) -> Any:
    body = {"names": [f"$uniq-{name}" for name in names], "slots": slots, **more}
    return s.post(f"{V2}/increment-with-lease", body, save=save, unordered=("limits",), masked=masked)


def turned_away(s: Session, path: str, body: Any) -> None:
    """A 423, whose Retry-After is a matter of chance."""
    answer = s.request("POST", path, body)
    told = {"body": answer.body, "waits": float(answer.headers["retry-after"]) > 0}
    s.steps.append({"step": f"{len(s.steps) + 1:02d} POST {path}", "sent": body, "status": answer.status, **told})


def end(s: Session, save: str = "lease") -> None:
    s.post(f"{V2}/decrement-with-lease", {"lease_id": f"{{{save}.lease_id}}"})


@scenario
def create_and_read(s: Session) -> None:
    s.post(f"{V2}/", {"name": "$uniq-a", "limit": 2}, save="a")
    full = {"name": "$uniq-b", "limit": 3, "active": False, "active_slots": 1, "denied_slots": 2}
    s.post(f"{V2}/", {**full, "slot_decay_per_second": 0.0}, save="b")
    s.post(f"{V2}/", {"name": "$uniq c:é", "limit": 0, "slot_decay_per_second": 1}, save="c")
    for path in ("{a.id}", "$uniq-a", "$uniq-b", "$uniq c:é", "$uniq-none", ZERO, "a%2Fb"):
        s.get(f"{V2}/{path}")
    s.post(f"{V2}/", {"name": "$uniq-a", "limit": 1})


@scenario
def create_badly(s: Session) -> None:
    for body in (
        {},
        {"name": "$uniq"},
        {"limit": 1},
        {"name": "$uniq", "limit": -1},
        {"name": "$uniq", "limit": None},
        {"name": "$uniq", "limit": "x"},
        {"name": "$uniq", "limit": 1.5},
        {"name": "$uniq", "limit": 1, "active": None},
        {"name": "$uniq", "limit": 1, "active": "x"},
        {"name": "$uniq", "limit": 1, "active_slots": -1},
        {"name": "$uniq", "limit": 1, "denied_slots": -1},
        {"name": "$uniq", "limit": 1, "slot_decay_per_second": -0.1},
        {"name": "$uniq", "limit": 1, "avg_slot_occupancy_seconds": 1},
        {"name": "$uniq", "limit": 1, "id": ZERO},
        {"name": "", "limit": 1},
        {"name": "a/b", "limit": 1},
        {"name": "a%b", "limit": 1},
        {"name": 1, "limit": 1},
    ):
        s.post(f"{V2}/", body)
    s.post(f"{V2}/", {"name": "$uniq-coerced", "limit": "3", "active": "false", "slot_decay_per_second": "0.5"})
    bad_bodies(s, "POST", f"{V2}/")


@scenario
def change(s: Session) -> None:
    make(s)
    make(s, "b")
    for body in (
        {"limit": 5},
        {"active": False},
        {"active_slots": 3},
        {"denied_slots": 3},
        {"slot_decay_per_second": 0.0},
        {"name": "$uniq-c"},
        {},
    ):
        s.patch(f"{V2}/{{a.id}}", body)
        s.get(f"{V2}/{{a.id}}")
    s.patch(f"{V2}/$uniq-c", {"name": "$uniq-b"})
    s.patch(f"{V2}/$uniq-c", {"name": "$uniq-c"})
    for path in ("$uniq-a", ZERO, "none"):
        s.patch(f"{V2}/{path}", {"limit": 1})
    s.get(f"{V2}/$uniq-c")


@scenario
def change_badly(s: Session) -> None:
    make(s)
    for name in ("active", "name", "limit", "active_slots", "denied_slots", "slot_decay_per_second"):
        s.patch(f"{V2}/{{a.id}}", {name: None})
    for body in ({"limit": -1}, {"name": "a/b"}, {"active_slots": -1}, {"unknown": 1}, {"id": ZERO}, {"limit": "x"}):
        s.patch(f"{V2}/{{a.id}}", body)
    s.patch(f"{V2}/{ZERO}", {"limit": None})
    show(s)
    bad_bodies(s, "PATCH", f"{V2}/{{a.id}}")


@scenario
def delete(s: Session) -> None:
    make(s)
    make(s, "b")
    take(s, "a", "b")
    s.delete(f"{V2}/{{a.id}}")
    s.delete(f"{V2}/{{a.id}}")
    s.delete(f"{V2}/$uniq-b")
    s.delete(f"{V2}/$uniq-b")
    show(s, "a", "b")
    s.post(f"{V2}/leases/{{lease.lease_id}}/renew", {"lease_duration": 60})
    end(s)
    s.post(f"{V2}/leases/{{lease.lease_id}}/renew", {"lease_duration": 60})


@scenario
def filter(s: Session) -> None:
    make(s)
    s.post(f"{V2}/filter", {"limit": 0})
    for body in ({"limit": -1}, {"limit": 201}, {"limit": "x"}, {"offset": -1}, {"offset": "x"}):
        s.post(f"{V2}/filter", body)
    s.post(f"{V2}/filter", {"offset": 10_000})
    s.post(f"{V2}/filter", {"offset": 10_000, "unknown": 1})


@scenario
def lease(s: Session) -> None:
    make(s)
    make(s, "b", 3)
    take(s, "a", "b", "none")
    show(s, "a", "b")
    s.post(f"{V2}/leases/{{lease.lease_id}}/renew", {"lease_duration": 60})
    s.post(f"{V2}/leases/{{lease.lease_id}}/renew")
    s.post(f"{V2}/leases/{{lease.lease_id}}/renew", {})
    take(s, "b", save="second", slots=2, holder={"type": "flow_run", "id": ZERO}, lease_duration=60)
    show(s, "a", "b")
    end(s)
    show(s, "a", "b")
    end(s)
    show(s, "a", "b")
    end(s, "second")
    show(s, "a", "b")
    s.post(f"{V2}/leases/{{lease.lease_id}}/renew", {"lease_duration": 60})


@scenario
def lease_on_nothing(s: Session) -> None:
    take(s, "none", "neither")
    s.post(f"{V2}/leases/{{lease.lease_id}}/renew", {"lease_duration": 60})
    end(s)
    make(s, active=False)
    take(s, "a", slots=9)
    s.post(f"{V2}/leases/{{lease.lease_id}}/renew", {"lease_duration": 60})
    show(s)
    end(s)
    show(s)


@scenario
def full(s: Session) -> None:
    make(s, "a", 1)
    make(s, "b", 5)
    take(s, "a")
    body = {"names": ["$uniq-b", "$uniq-a"], "slots": 1}
    turned_away(s, f"{V2}/increment-with-lease", body)
    turned_away(s, f"{V2}/increment", body)
    turned_away(s, f"{V2}/increment", {**body, "mode": "concurrency"})
    show(s, "a", "b")
    s.patch(f"{V2}/$uniq-a", {"limit": 2})
    s.post(f"{V2}/increment", body, unordered=("$",))
    show(s, "a", "b")


@scenario
def never(s: Session) -> None:
    make(s, "a", 1)
    make(s, "zero", 0)
    make(s, "decays", 1, slot_decay_per_second=0.001)
    for names, slots in ((["a"], 2), (["zero"], 1), (["a", "zero"], 1), (["none", "a"], 3)):
        body = {"names": [f"$uniq-{name}" for name in names], "slots": slots}
        s.post(f"{V2}/increment", body)
        s.post(f"{V2}/increment-with-lease", body)
    for names in (["a"], ["decays", "a"], ["zero"]):
        s.post(f"{V2}/increment", {"names": [f"$uniq-{name}" for name in names], "slots": 1, "mode": "rate_limit"})
    s.post(f"{V2}/increment", {"names": ["$uniq-decays", "$uniq-none"], "slots": 1, "mode": "rate_limit"})
    turned_away(s, f"{V2}/increment", {"names": ["$uniq-decays"], "slots": 1, "mode": "rate_limit"})
    show(s, "a", "zero", "decays")


@scenario
def without_a_lease(s: Session) -> None:
    make(s, "a", 3)
    s.post(f"{V2}/increment", {"names": ["$uniq-a", "$uniq-none", "$uniq-a"], "slots": 2})
    s.post(f"{V2}/increment", {"names": ["$uniq-none"], "slots": 2, "create_if_missing": True})
    show(s)
    s.post(f"{V2}/decrement", {"names": ["$uniq-a"], "slots": 1, "occupancy_seconds": 0.5})
    show(s)
    s.post(f"{V2}/decrement", {"names": ["$uniq-a", "$uniq-none"], "slots": 9, "create_if_missing": False})
    show(s)
    s.post(f"{V2}/decrement", {"names": ["$uniq-none"], "slots": 1})


@scenario
def take_badly(s: Session) -> None:
    for path in ("increment", "increment-with-lease"):
        for body in (
            {},
            {"names": ["a"]},
            {"slots": 1},
            {"names": [], "slots": 1},
            {"names": "a", "slots": 1},
            {"names": [1], "slots": 1},
            {"names": None, "slots": None},
            {"names": ["$uniq"], "slots": 0},
            {"names": ["$uniq"], "slots": 1.5},
            {"names": ["$uniq"], "slots": 1, "mode": "x"},
            {"names": ["$uniq"], "slots": 1, "create_if_missing": "x"},
        ):
            s.post(f"{V2}/{path}", body, masked=("lease_id",))
        bad_bodies(s, "POST", f"{V2}/{path}")
    for more in (
        {"lease_duration": 59.9},
        {"lease_duration": 86401},
        {"lease_duration": "x"},
        {"holder": {}},
        {"holder": "x"},
        {"holder": {"type": "x", "id": "x"}},
        {"holder": {"type": "task_run", "id": ZERO, "more": 1}},
    ):
        s.post(f"{V2}/increment-with-lease", {"names": ["$uniq"], "slots": 1, **more})


@scenario
def give_back_badly(s: Session) -> None:
    for body in (
        {},
        {"names": [], "slots": 0},
        {"names": ["$uniq"], "slots": 1, "occupancy_seconds": 0},
        {"names": ["$uniq"], "slots": 1, "occupancy_seconds": None},
        {"names": ["$uniq"], "slots": 1, "occupancy_seconds": "x"},
    ):
        s.post(f"{V2}/decrement", body)
    bad_bodies(s, "POST", f"{V2}/decrement")
    for body in ({}, {"lease_id": "x"}, {"lease_id": None}, {"lease_id": ZERO}):
        s.post(f"{V2}/decrement-with-lease", body)
    bad_bodies(s, "POST", f"{V2}/decrement-with-lease")


@scenario
def renew_badly(s: Session) -> None:
    for id in NOT_IDS[:4]:
        s.post(f"{V2}/leases/{id}/renew", {"lease_duration": 60})
    s.post(f"{V2}/leases/{ZERO}/renew", {"lease_duration": 60})
    for duration in (59, 86401, "x", None, "60"):
        s.post(f"{V2}/leases/{ZERO}/renew", {"lease_duration": duration})
    bad_bodies(s, "POST", f"{V2}/leases/{ZERO}/renew")
