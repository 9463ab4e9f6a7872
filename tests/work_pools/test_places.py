"""Which queue serves a deployment or a run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests import calls

from lictor.db import Database
from lictor.kit.errors import NotFound
from lictor.work_pools import places, pools, store
from lictor.work_pools.types import WorkPoolCreate


def ranks(db: Database, pool_name: str) -> dict[str, int]:
    pool = db.read_now(store.get_pool, pool_name)
    rows = db.read_now(lambda tx: tx.all(store.QUEUES_OF, pool_id=pool.id))
    return {row.queue.name: row.queue.priority for row in rows}


def test_without_a_queue_it_is_the_pool_s_default(db: Database) -> None:
    pool = db.write_now(pools.insert, WorkPoolCreate(name="p", type="process"))

    place = db.write_now(places.ensure_place, "p")

    assert pool is not None
    assert (place.queue_id, place.queue_name) == (pool.default_queue_id, "default")
    assert (place.pool_id, place.pool_name, place.pool_type) == (pool.id, "p", "process")


def test_a_queue_that_is_missing_is_made_once(db: Database) -> None:
    db.write_now(pools.insert, WorkPoolCreate(name="p", type="process"))

    made = db.write_now(places.ensure_place, "p", "q")

    assert db.write_now(places.ensure_place, "p", "q") == made
    assert ranks(db, "p") == {"default": 1, "q": 2}
    assert calls.event_names(db).count("prefect.work-queue.created") == 2


def test_a_pool_that_is_missing_is_not_made(db: Database) -> None:
    for queue in (None, "q"):
        with pytest.raises(NotFound, match='Work pool "p" not found'):
            db.write_now(places.ensure_place, "p", queue)


def test_agents_have_a_pool_that_is_made_when_it_is_missing(db: Database) -> None:
    place = db.write_now(places.ensure_agent_place, "q")

    assert (place.pool_name, place.pool_type, place.queue_name) == ("default-agent-pool", "prefect-agent", "q")
    assert ranks(db, "default-agent-pool") == {"q": 1, "default": 2}
    assert db.write_now(places.ensure_agent_place, "default").queue_name == "default"


def test_many_who_need_one_queue_at_once_make_one(db: Database) -> None:
    db.write_now(pools.insert, WorkPoolCreate(name="p", type="process"))

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda n: db.write_now(places.ensure_place, "p", f"q{n % 4}"), range(32)))

    assert len({place.queue_id for place in made}) == 4
    assert sorted(ranks(db, "p").values()) == [1, 2, 3, 4, 5]
