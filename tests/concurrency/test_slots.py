"""Taking slots by the API and giving them back, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from heapq import heappop, heappush

import pytest
from tests import rows
from tests.calls import NOWHERE
from tests.concurrency.http import Api, run, value

from lictor.kit import clock, ids


def test_slots_are_leased_up_to_the_limit(api: Api) -> None:
    api.limit(limit=2)
    first = api.lease()
    api.lease()
    full = api.take()
    assert (full.status, full.json) == (423, {"detail": "Locked"})
    assert float(full.headers["retry-after"]) > 0
    assert api.taken() == 2
    api.give_back(first)
    assert api.taken() == 1
    api.lease()


def test_names_without_a_limit_cost_nothing_and_their_lease_may_be_renewed(api: Api) -> None:
    answer = api.take("x", "y")
    assert answer.json["limits"] == []
    lease = answer.json["lease_id"]
    assert api.renew(lease) == 204
    api.give_back(lease)
    assert api.renew(lease) == 204
    assert api.renew(ids.new()) == 410


def test_all_limits_or_none(api: Api) -> None:
    api.limit("a", 1)
    api.limit("b", 2)
    lease = api.lease("a", "b", "missing")
    assert api.take("b", "a").status == 423
    assert (api.taken("a"), api.taken("b")) == (1, 1)
    api.give_back(lease)
    assert (api.taken("a"), api.taken("b")) == (0, 0)
    api.give_back(lease)
    assert (api.taken("a"), api.taken("b")) == (0, 0)


def test_an_expired_lease_is_free_and_may_be_renewed_late(api: Api) -> None:
    api.limit()
    lease = api.lease(lease_duration=60)
    api.later(90)
    assert api.taken() == 0
    assert api.renew(lease, 60) == 204
    assert api.taken() == 1
    assert api.take().status == 423


def test_a_lease_whose_slot_was_given_away_is_gone(api: Api) -> None:
    api.limit(limit=2)
    oldest, second = api.lease(lease_duration=60), api.lease(lease_duration=90)
    api.later(120)
    third = api.lease()
    assert api.renew(oldest) == 410
    assert api.renew(second) == 204
    assert api.renew(third) == 204
    assert api.taken() == 2
    assert api.take().status == 423


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"])
@pytest.mark.parametrize("kind", ["flow_run", "task_run"])
def test_a_holder_that_has_ended_holds_nothing(api: Api, kind: str, state: str) -> None:
    holder = a_run(api, kind, state)
    api.limit()
    api.later(1)
    api.lease(holder={"type": kind, "id": holder})
    assert api.taken() == 1, "it ended before it took the slot: it runs again"
    end(api, kind, holder)
    assert api.taken() == 0
    api.lease()


def a_run(api: Api, kind: str, state: str) -> str:
    make: Callable[..., str] = rows.a_flow_run if kind == "flow_run" else rows.a_task_run
    return api.db.write_now(lambda tx: make(tx, rows.a_flow(tx) if kind == "flow_run" else None, state))


def end(api: Api, kind: str, run_id: str) -> None:
    run(api.db, f"update {kind} set state_timestamp = :now where id = :id", now=clock.now(), id=run_id)


def test_a_holder_that_is_not_recorded_yet_holds_its_slot(api: Api) -> None:
    api.limit()
    api.lease(holder={"type": "task_run", "id": NOWHERE})
    assert api.taken() == 1


def test_inactive_limits_are_returned_and_not_counted(api: Api) -> None:
    api.limit(active=False)
    answer = api.take(slots=5)
    assert [one["name"] for one in answer.json["limits"]] == ["a"]
    assert api.taken() == 0


def test_what_can_never_be_had(api: Api) -> None:
    api.limit("a", 1)
    api.limit("b", 0)
    assert api.take("a", slots=2).json == {"detail": "Slots requested is greater than the limit"}
    assert api.take("b").status == 422
    answer = api.post("increment", names=["a", "b"], slots=0)
    assert answer.status == 422
    api.limit("c", 1)
    answer = api.post("increment", names=["c", "a"], slots=1, mode="rate_limit")
    assert answer.status == 422
    assert answer.json["detail"].endswith("The following limits do not have a decay configured: 'a,c'")


def test_slots_without_a_lease(api: Api) -> None:
    api.limit(limit=3)
    assert api.post("increment", names=["a"], slots=2).status == 200
    lease = api.lease()
    assert api.post("increment", names=["a"], slots=1).status == 423
    assert api.taken() == 3
    assert api.post("decrement", names=["a", "x"], slots=5).json[0]["name"] == "a"
    assert api.taken() == 1, "what is leased is its holder's"
    api.give_back(lease)
    assert api.taken() == 0
    assert api.post("decrement", names=["x"], slots=5).json == []


def test_slots_that_decay(api: Api) -> None:
    api.limit(limit=2, slot_decay_per_second=0.5)
    for _ in range(2):
        assert api.post("increment", names=["a"], slots=1, mode="rate_limit").status == 200
    for seconds, taken in ((1.0, 2), (0.9, 2), (0.1, 1), (1.0, 1)):
        api.later(seconds)
        assert api.taken() == taken
    api.lease()
    assert api.taken() == 2


def test_slots_decay_while_others_are_turned_away(api: Api) -> None:
    api.limit(limit=1, slot_decay_per_second=1.0)
    got = 0
    for _ in range(100):
        got += api.post("increment", names=["a"], slots=1, mode="rate_limit").status == 200
        api.later(0.1)
    assert got == 10


def test_a_lease_on_slots_that_decay(api: Api) -> None:
    api.limit(limit=3, slot_decay_per_second=0.1)
    lease = api.lease(slots=3)
    api.later(10)
    assert api.taken() == 2
    api.give_back(lease)
    assert api.taken() == 0


def test_how_long_slots_are_held_is_learnt(api: Api) -> None:
    api.limit(limit=1)
    lease = api.lease()
    api.later(6)
    api.give_back(lease)
    assert occupancy(api) == pytest.approx(2 + (6 - 2) / 2)
    api.post("decrement", names=["a"], slots=2, occupancy_seconds=4)
    assert occupancy(api) == pytest.approx(4 + (2 - 4) / 2)
    assert api.lease()
    api.later(0.001)
    waits = [float(api.take().headers["retry-after"]) for _ in range(20)]
    assert max(waits) <= 30 * 1.3


def occupancy(api: Api) -> float:
    return float(value(api.db, "select avg_slot_occupancy_seconds from concurrency_limit_v2"))


@pytest.mark.parametrize(("said", "left"), [(0, 0), (1, 1), (2, 2), (4, 4)])
def test_who_sets_the_slots_has_the_last_word(api: Api, said: int, left: int) -> None:
    api.limit(limit=5)
    leases = [api.lease() for _ in range(2)]
    api.post("increment", names=["a"], slots=1)
    assert api.http.patch("/v2/concurrency_limits/a", json={"active_slots": said}).status == 204
    assert api.taken() == left
    assert [api.renew(lease) for lease in leases] == [204, 204]
    for lease in leases:
        api.give_back(lease)
    assert api.taken() == max(0, said - 2)


def test_leased_slots_when_a_limit_begins_to_decay_and_ceases(api: Api) -> None:
    api.limit(limit=5)
    lease = api.lease(slots=2)
    api.post("increment", names=["a"], slots=1)
    for decay in (0.001, 0.0, 0.001):
        assert api.http.patch("/v2/concurrency_limits/a", json={"slot_decay_per_second": decay}).status == 204
        assert api.taken() == 3
    api.give_back(lease)
    assert api.taken() == 1


def test_a_deleted_limit_leaves_its_leases_without_effect(api: Api) -> None:
    api.limit()
    lease = api.lease()
    assert api.http.delete("/v2/concurrency_limits/a").status == 204
    assert api.renew(lease) == 204
    api.give_back(lease)
    assert api.renew(lease) == 410


def test_those_who_were_turned_away_do_not_sleep_while_a_slot_is_free(api: Api) -> None:
    """One holds a slot for long, and so did others before: twenty short ones have the second slot to themselves."""
    api.limit(limit=2)
    for lease in [api.lease(), api.lease()]:
        api.later(20)
        api.give_back(lease)
    api.lease()
    start = api.now
    due: list[tuple[datetime, int, str | None]] = [(start, number, None) for number in range(20)]
    while due:
        api.now, number, lease = heappop(due)
        if lease is not None:
            api.give_back(lease)
            continue
        answer = api.take()
        if answer.status == 200:
            heappush(due, (api.now + timedelta(seconds=0.05), number, answer.json["lease_id"]))
        else:
            wait = float(answer.headers["retry-after"])
            heappush(due, (api.now + timedelta(seconds=wait), number, None))
    assert api.now - start < timedelta(seconds=5)


def test_a_crowd_is_told_to_wait_longer(api: Api) -> None:
    api.limit(limit=1, denied_slots=2000)
    api.lease()
    api.later(0.001)
    waits = [float(api.take().headers["retry-after"]) for _ in range(50)]
    assert 20 < sum(waits) / 50 < 40
