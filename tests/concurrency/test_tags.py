"""Limits on tags through the older routes, and through the rules about task runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests import rows
from tests.calls import NOWHERE, event_names, last_event
from tests.concurrency.http import START, Api

from lictor.concurrency.facts import tag_slots
from lictor.concurrency.slots import Waits
from lictor.db.statement import composed
from lictor.kit import clock, ids
from lictor.states import constructors
from lictor.task_runs.transitions import TaskOrchestration, set_state

V1 = "/concurrency_limits"


def create(api: Api, tag: str = "t", limit: int = 1) -> Any:
    answer = api.http.post(f"{V1}/", json={"tag": tag, "concurrency_limit": limit})
    assert answer.status in (200, 201), answer
    return answer


def holders(api: Api, tag: str = "t") -> list[str]:
    found: list[str] = api.http.get(f"{V1}/tag/{tag}").json["active_slots"]
    return found


def take(api: Api, task_run_id: str, *tags: str) -> Any:
    return api.http.post(f"{V1}/increment", json={"names": list(tags or "t"), "task_run_id": task_run_id})


def give_back(api: Api, task_run_id: str, *tags: str) -> Any:
    return api.http.post(f"{V1}/decrement", json={"names": list(tags or "t"), "task_run_id": task_run_id})


def test_a_limit_on_a_tag_is_a_limit_by_name(api: Api) -> None:
    first, second = create(api, limit=1), create(api, limit=2)
    assert (first.status, second.status) == (201, 200)
    assert first.json["id"] == second.json["id"]
    assert api.read("tag:t")["limit"] == 2
    assert event_names(api.db) == ["prefect.concurrency-limit.created", "prefect.concurrency-limit.updated"]
    assert last_event(api.db)["payload"] == {"name": "tag:t", "limit": 2, "active": True, "slot_decay_per_second": 0.0}


def test_slots_are_held_by_task_runs_until_they_give_them_back(api: Api) -> None:
    create(api, "t", 1)
    create(api, "u", 2)
    one, other = ids.new(), ids.new()
    assert [limit["name"] for limit in take(api, one, "u", "t", "none").json] == ["u", "t"]
    full = take(api, other, "u", "t")
    assert (full.status, full.json["detail"]) == (423, "Concurrency limit for the u tag has been reached")
    assert full.headers["retry-after"] == "10.0"
    assert (holders(api, "t"), holders(api, "u")) == ([one], [one])
    assert [limit["name"] for limit in give_back(api, one, "t").json] == ["tag:t"]
    assert (holders(api, "t"), holders(api, "u")) == ([], [])
    assert take(api, other, "t").status == 200


def test_a_limit_of_zero(api: Api) -> None:
    create(api, "t", 0)
    full = take(api, NOWHERE, "t")
    assert full.json["detail"].startswith('The concurrency limit on tag "t" is 0 and will deadlock')
    assert "retry-after" not in full.headers


def test_a_reset_frees_all_and_gives_to_whom_it_is_told(api: Api) -> None:
    create(api, "t", 1)
    take(api, ids.new())
    api.post("increment", names=["tag:t"], slots=1)
    wanted = [ids.new(), ids.new()]
    for override in ([], wanted, None):
        answer = api.http.post(f"{V1}/tag/t/reset", json={"slot_override": override})
        assert (answer.status, answer.json) == (200, None)
        assert holders(api) == (override or [])
        assert api.taken("tag:t") == len(override or [])


def test_only_limits_on_tags_are_listed(api: Api) -> None:
    api.limit("a")
    for tag in "cb":
        create(api, tag)
    listed = api.http.post(f"{V1}/filter", json={"limit": 1, "offset": 1}).json
    assert [one["tag"] for one in listed] == ["c"]
    assert [one["tag"] for one in api.http.post(f"{V1}/filter").json] == ["b", "c"]


def test_missing(api: Api) -> None:
    for path in (f"{V1}/tag/t", f"{V1}/{NOWHERE}"):
        for answer in (api.http.get(path), api.http.delete(path)):
            assert (answer.status, answer.json) == (404, {"detail": "Concurrency limit not found"})
    plain = api.limit("plain")
    assert api.http.get(f"{V1}/{plain}").status == 404
    assert api.http.delete(f"{V1}/{plain}").json is None


def test_holders_that_are_never_recorded_hold_their_slot_for_a_while(api: Api) -> None:
    create(api)
    recorded, unknown = api.db.write_now(rows.a_task_run, None, "RUNNING"), ids.new()
    take(api, recorded)
    api.later(3600)
    assert holders(api) == [recorded]
    give_back(api, recorded)
    take(api, unknown)
    api.later(299)
    assert holders(api) == [unknown]
    api.later(2)
    assert holders(api) == []
    assert take(api, recorded).status == 200


@pytest.mark.parametrize("ending", ["set_state", "recorded"])
def test_the_rules_take_and_give_back(api: Api, ending: str) -> None:
    create(api)
    orchestration = TaskOrchestration(limits=tag_slots(Waits()))
    first, second = (api.db.write_now(rows.a_task_run, None, "PENDING", tags=["t", "x"]) for _ in range(2))

    def propose(run_id: str, state: Any) -> Any:
        api.later(1)
        state.timestamp = clock.now()
        return api.db.write_now(set_state, orchestration, run_id, state).result

    assert propose(first, constructors.running()).status == "ACCEPT"
    assert holders(api) == [first]
    waits = propose(second, constructors.running())
    assert (waits.status, waits.details.reason) == ("WAIT", "Concurrency limit reached for tags: t")
    if ending == "set_state":
        assert propose(first, constructors.completed()).status == "ACCEPT"
    else:
        text = "update task_run set state_type = 'COMPLETED', state_timestamp = :now where id = :id"
        api.db.write_now(lambda tx: tx.run(composed(None, text), now=START + timedelta(hours=1), id=first))
    assert propose(second, constructors.running()).status == "ACCEPT"
    assert holders(api) == [second]
