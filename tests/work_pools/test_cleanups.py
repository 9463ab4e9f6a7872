"""Clean-up messages: each is delivered until somebody did it, to one worker at a time, and not for ever."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.work_pools.world import World

from lictor.flow_runs import store
from lictor.work_pools import cleanups
from lictor.work_pools.cleanups import CANCELLING_TIMEOUT, KINDS, Holder, Message, Policy, Result
from lictor.work_pools.loops import CleanupReconciler

POLICY = Policy(lease_seconds=30, deliveries=3)


class Queue:
    def __init__(self, world: World) -> None:
        self.world = world
        self.pool_id: str = world.pool["id"]

    def put(self, key: str, queue_id: str | None = None, kind: str = CANCELLING_TIMEOUT) -> None:
        self.world.db.write_now(
            cleanups.queue_cleanup,
            pool_id=self.pool_id,
            queue_id=queue_id,
            kind=kind,
            key=key,
            target={"flow_run_id": key},
        )

    def holder(self, name: str = "w", most: int = 1, queues: tuple[str, ...] = (), kinds: Any = KINDS) -> Holder:
        return Holder(name, self.pool_id, tuple(kinds), queues, most)

    def take(self, holder: Holder | None = None) -> Message | None:
        return self.world.db.write_now(cleanups.reserve, POLICY, holder or self.holder())

    def settle(self, operation: Any, message: Message, token: str | None = None) -> Result:
        pool_id, token = self.pool_id, token or message.reservation_token
        return self.world.db.write_now(cleanups.settle, POLICY, pool_id, operation, message.message_id, token)


@pytest.fixture
def queue(world: World) -> Queue:
    return Queue(world)


def taken(queue: Queue, holder: Holder | None = None) -> Message:
    message = queue.take(holder)
    assert message is not None
    return message


def test_a_message_is_delivered_once_while_it_is_held_and_never_again_when_it_is_done(queue: Queue) -> None:
    queue.put("run")
    queue.put("run")
    message = taken(queue)
    assert (message.kind, message.target, message.delivery_count) == (CANCELLING_TIMEOUT, {"flow_run_id": "run"}, 1)
    assert queue.take(queue.holder("other")) is None

    assert queue.settle("ack", message).status == "accepted"

    queue.put("run")
    queue.world.later(100)
    assert queue.take() is None
    again = queue.settle("ack", message)
    assert (again.status, again.reason) == ("not_found", "message_not_found")


def test_what_is_given_back_or_not_done_in_time_is_delivered_again_three_times_in_all(queue: Queue) -> None:
    queue.put("run")
    assert queue.settle("release", taken(queue)).status == "accepted"
    late = taken(queue)
    queue.world.later(30)
    third = taken(queue)
    assert (late.delivery_count, third.delivery_count) == (2, 3)
    assert queue.settle("ack", late).status == "invalid_token"
    last = queue.settle("release", third)
    assert (last.status, last.reason) == ("dead_lettered", "max_delivery_attempts_reached")
    assert queue.take() is None


def test_who_comes_too_late_is_told_and_the_next_gets_it(queue: Queue) -> None:
    queue.put("run")
    message = taken(queue)
    queue.world.later(31)

    assert queue.settle("ack", message).status == "expired"
    assert queue.settle("ack", message).status == "not_current"
    assert taken(queue).message_id == message.message_id


def test_a_lease_that_is_renewed_lasts_longer(queue: Queue) -> None:
    queue.put("run")
    message = taken(queue)
    queue.world.later(29)
    renewed = queue.settle("renew", message)
    assert renewed.lease_expires_at is not None
    queue.world.later(29)

    assert queue.settle("ack", message).status == "accepted"


def test_another_s_token_does_nothing(queue: Queue) -> None:
    queue.put("run")
    message = taken(queue)
    result = queue.settle("ack", message, "guess")
    assert (result.status, result.reason) == ("invalid_token", "reservation_token_mismatch")
    other = queue.world.db.write_now(
        cleanups.settle, POLICY, queue.world.flow_id, "ack", message.message_id, message.reservation_token
    )
    assert other.status == "unauthorized"
    assert queue.settle("ack", message).status == "accepted"


def test_a_worker_takes_its_own_queue_s_first_its_kinds_only_and_no_more_than_it_can(queue: Queue) -> None:
    mine = queue.world.queue("mine")
    queue.put("first")
    queue.put("mine", mine)
    queue.put("other kind", kind=cleanups.PENDING_CLAIM)
    worker = queue.holder("w", 2, (mine,), [CANCELLING_TIMEOUT])

    assert [taken(queue, worker).target["flow_run_id"] for _ in range(2)] == ["mine", "first"]
    assert queue.take(worker) is None
    assert taken(queue, queue.holder("other")).kind == cleanups.PENDING_CLAIM


def test_many_workers_at_once_get_a_message_each(queue: Queue) -> None:
    for number in range(12):
        queue.put(str(number))
    with ThreadPoolExecutor(6) as threads:
        got = list(threads.map(lambda n: taken(queue, queue.holder(str(n))).message_id, range(12)))

    assert len(set(got)) == 12


def test_what_nobody_could_do_is_given_up(queue: Queue) -> None:
    reconciler = CleanupReconciler(queue.world.db, POLICY)
    queue.put("run")
    for _ in range(3):
        taken(queue)
        queue.world.later(31)
    assert asyncio.run(reconciler.run_once()) == 1
    assert asyncio.run(reconciler.run_once()) == 0


def test_a_run_that_was_cancelling_for_too_long_is_tidied_up_by_a_worker_of_its_pool(world: World) -> None:
    run_id = world.run("r", state="CANCELLING", infrastructure_pid="host:1")
    subject = world.db.read_now(store.get_subject, run_id)
    world.db.write_now(cleanups.after_cancelling_timeout, subject)
    world.db.write_now(cleanups.after_cancelling_timeout, subject)

    message = taken(Queue(world))
    assert message.target == {"flow_run_id": run_id, "infrastructure_pid": "host:1"}
    assert message.work_queue_id == world.queues["default"]
    assert Queue(world).take(Queue(world).holder("other")) is None
