"""Which scheduled runs a worker, a runner or an agent is handed when it asks.

A poll takes nothing: two workers may be handed the same run, and the one whose proposal of PENDING comes second is
turned down. So a poll only reads, and its answer is a matter of order:

* queues by priority, and in each queue those runs first that are due first (`next_scheduled_start_time`);
* no more of a queue than its limit leaves free, and no more than the pool's leaves free in all;
* of deployments whose limit lets further runs wait (ENQUEUE), no more than there are free slots, those first that were
  planned first (`expected_start_time`). Were they all handed out, workers would propose one after the other to be sent
  back to wait, and hundreds of them would keep the runs of others from being seen at all.

A run that was sent back to wait (AwaitingConcurrencySlot) is put off by some seconds. It is handed out before that time
as soon as a slot is free and its turn has come: nobody has to tell it.

A run's plan never moves, and seldom does a run come before it (somebody wants it now).

What is due is found by one index in order, a little more than is wanted. Only when runs that wait for slots leave too
little of that for others are they passed over by another index, which has the runs of each deployment together.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET, Struct

from lictor.concurrency import store as limits
from lictor.db import Statement, Tx, sql
from lictor.flow_runs.types import SELECT, FlowRunResponse
from lictor.flow_runs.withdrawals import STANDING
from lictor.kit import clock
from lictor.web import DEFAULT_LIMIT, Embedded, Instant, Limit
from lictor.work_pools import store
from lictor.work_pools.store import HOLDING
from lictor.work_pools.types import Status

MOST = 1000
"""Runs of a pool or of a queue that are handed out at once."""

AHEAD = 100
"""How many runs more than wanted are looked at before those that wait for slots are passed over by another index."""

NEVER = datetime.max.replace(tzinfo=UTC)
ALWAYS = datetime.min.replace(tzinfo=UTC)


class Poll(Embedded):
    limit: Limit = DEFAULT_LIMIT
    work_queue_names: list[str] | None = None
    scheduled_before: Instant | None = None
    scheduled_after: Instant | None = None


class WorkerFlowRun(Struct):
    """A run that a worker is handed. The run has no pool of its own here, as in the reference."""

    work_pool_id: str
    work_queue_id: str
    flow_run: FlowRunResponse


class PolledPool(Struct):
    """A pool, and how many of its runs hold a slot, if it has a limit."""

    id: str
    is_paused: bool
    concurrency_limit: int | None
    held: int | None


class PolledQueue(Struct):
    """A queue likewise, and what is known of its polls."""

    id: str
    name: str
    is_paused: bool
    concurrency_limit: int | None
    held: int | None
    status: Status
    last_polled: datetime | None


class Answer(Struct):
    """The runs of a pool, and the queues that were asked for."""

    runs: list[WorkerFlowRun]
    queues: list[PolledQueue]


class Due(Struct):
    """A run that may be handed out, when its turn is, and for when it was planned at first."""

    id: str
    deployment_id: str | None
    turn: datetime
    planned: datetime


class Limited(Struct):
    """A deployment whose runs wait for slots of a limit."""

    deployment_id: str
    limit_id: str


class Source(Struct, frozen=True):
    """Where runs come from, a queue or deployments: the statements that find them, and their parameters."""

    limited: Statement[Limited]
    due: Statement[Due]
    unlimited: Statement[Due]
    waiting: Statement[Due]
    params: dict[str, Any]


class Window(Struct, frozen=True):
    """Which runs are due; both ends belong to it."""

    before: datetime
    after: datetime = ALWAYS

    def params(self) -> dict[str, datetime]:
        return {"before": self.before, "after": self.after}


class Slots:
    """The free slots of limits, less those of runs that this poll hands out already."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._free: dict[str, int] = {}

    def look_up(self, limit_ids: set[str]) -> None:
        unknown = [id for id in limit_ids if id not in self._free]
        if unknown:
            now = clock.now()
            for limit in self._tx.all(limits.ALL, ids=unknown, **limits.moment(now)):
                self._free[limit.id] = limit.limit - limit.taken(now)

    def free(self, limit_id: str) -> int:
        return self._free.get(limit_id, 0)

    def take(self, limit_id: str) -> bool:
        """Whether there was one left; now there is one less."""
        left = self.free(limit_id)
        self._free[limit_id] = left - 1
        return left > 0


def held(of: str, holding: str) -> str:
    return f"""case when {of}.concurrency_limit is not null then (
        select count(*) from work_queue own join flow_run r on r.work_queue_id = own.id
        where own.{"work_pool_id" if of == "p" else "id"} = {of}.id and r.state_type in {holding}
    ) end"""


POLLED_POOL = sql(
    "polling.pool",
    PolledPool,
    f"select p.id, p.is_paused, p.concurrency_limit, {held('p', HOLDING)} from work_pool p where p.name = :name",
)
POLLED_QUEUE_COLUMNS = "q.id, q.name, q.is_paused, q.concurrency_limit"
POLLED_QUEUES = sql(
    "polling.queues",
    PolledQueue,
    f"""
    select {POLLED_QUEUE_COLUMNS}, {held("q", HOLDING)}, q.status, q.last_polled from work_queue q
    where q.work_pool_id = :pool_id order by q.priority, q.id
    """,
)
RUNS = sql("polling.runs", FlowRunResponse, f"{SELECT} where r.id {{in:ids:uuid}}")

_HAS_SCHEDULED = """
    select 1 from flow_run r {by_index:ix_flow_run__waiting}
    where r.deployment_id = d.id and r.state_type = 'SCHEDULED'"""
_LIMITED = """
    select d.id, d.concurrency_limit_id from concurrency_limit_v2 c join deployment d on d.concurrency_limit_id = c.id
    where c.active and coalesce(d.concurrency_options ->> 'collision_strategy', 'ENQUEUE') = 'ENQUEUE' and """
_AT_HAND = (
    """
    r.state_type = 'SCHEDULED' and coalesce(r.empirical_policy ->> 'retry_type', '') <> 'in_process'
    and r.next_scheduled_start_time >= {ts:after} and """
    + STANDING
)
_IS_DUE = f"{_AT_HAND} and r.next_scheduled_start_time <= {{ts:before}}"
_MAY_GO_ON = f"""
    {_AT_HAND} and r.expected_start_time <= {{ts:before}}
    and (r.next_scheduled_start_time <= {{ts:before}} or r.state_name = 'AwaitingConcurrencySlot')"""
_BY_TIME = "order by r.next_scheduled_start_time, r.id limit :limit"
_BY_PLAN = "order by r.expected_start_time, r.id limit :limit"
_DUE = "select r.id, r.deployment_id, r.next_scheduled_start_time as turn, r.expected_start_time from flow_run r"
_DUE_IN_QUEUE = f"{_DUE} {{by_index:ix_flow_run__work_queue_id}}"
_DUE_OF = f"{_DUE} {{by_index:ix_flow_run__waiting}}"
_WAITING = """
    select r.id, r.deployment_id, r.expected_start_time, r.expected_start_time
    from flow_run r {by_index:ix_flow_run__waiting} where r.deployment_id = :deployment_id"""
_NEXT = "select r.deployment_id from flow_run r {by_index:ix_flow_run__waiting} where r.state_type = 'SCHEDULED'"

LIMITED_IN_QUEUE = sql(
    "polling.limited_in_queue",
    Limited,
    f"{_LIMITED} exists ({_HAS_SCHEDULED} and r.work_queue_id = {{uuid:queue_id}})",
)
DUE_IN_QUEUE = sql(
    "polling.due_in_queue", Due, f"{_DUE_IN_QUEUE} where r.work_queue_id = {{uuid:queue_id}} and {_IS_DUE} {_BY_TIME}"
)
# The deployments that have scheduled runs are found by leaps in the index, from one to the next.
UNLIMITED_IN_QUEUE = sql(
    "polling.unlimited_in_queue",
    Due,
    f"""
    with recursive own (id) as (
        select * from (
            {_NEXT} and r.deployment_id is not null order by r.deployment_id limit 1
        ) first
        union all
        select (
            {_NEXT} and r.deployment_id > own.id order by r.deployment_id limit 1
        ) from own where own.id is not null
    )
    select * from (
        select r.id, r.deployment_id, r.next_scheduled_start_time as turn, r.expected_start_time
        from own cross join flow_run r {{by_index:ix_flow_run__waiting}}
        where r.deployment_id = own.id and r.work_queue_id = {{uuid:queue_id}}
        and own.id {{not_in:limited:uuid}} and {_IS_DUE}
        union all
        {_DUE_OF} where r.work_queue_id = {{uuid:queue_id}} and r.deployment_id is null and {_IS_DUE}
    ) found order by turn, id limit :limit
    """,
)
WAITING_IN_QUEUE = sql(
    "polling.waiting_in_queue",
    Due,
    f"{_WAITING} and r.work_queue_id = {{uuid:queue_id}} and {_MAY_GO_ON} {_BY_PLAN}",
)

LIMITED_OF = sql(
    "polling.limited_of_deployments",
    Limited,
    f"{_LIMITED} d.id {{in:deployment_ids:uuid}} and exists ({_HAS_SCHEDULED})",
)
DUE_OF = sql(
    "polling.due_of_deployments",
    Due,
    f"{_DUE_OF} where r.deployment_id {{in:deployment_ids:uuid}} and {_IS_DUE} {_BY_TIME}",
)
UNLIMITED_OF = sql(
    "polling.unlimited_of_deployments",
    Due,
    f"""
    {_DUE_OF} where r.deployment_id {{in:deployment_ids:uuid}} and r.deployment_id {{not_in:limited:uuid}}
    and {_IS_DUE} {_BY_TIME}
    """,
)
WAITING_OF = sql("polling.waiting_of_deployment", Due, f"{_WAITING} and {_MAY_GO_ON} {_BY_PLAN}")


def poll_pool(tx: Tx, pool_name: str, wanted: Poll) -> Answer:
    """What a worker is handed. Raises NotFound for an unknown pool or queue."""
    pool = tx.get(POLLED_POOL, store.no_pool(pool_name), name=pool_name)
    queues = _asked_for(tx.all(POLLED_QUEUES, pool_id=pool.id), pool_name, wanted.work_queue_names)
    room = 0 if pool.is_paused else min(wanted.limit, MOST, room_of(pool))
    window = Window(wanted.scheduled_before or NEVER, wanted.scheduled_after or ALWAYS)
    slots, chosen = Slots(tx), list[Due]()
    for queue in queues:
        left = room - len(chosen)
        if left <= 0:
            break
        if not queue.is_paused:
            chosen += choose(tx, in_queue(queue.id), window, slots, min(left, room_of(queue)))
    return Answer([_for_worker(pool.id, run) for run in runs_of(tx, chosen)], queues)


def _asked_for(queues: list[PolledQueue], pool_name: str, names: list[str] | None) -> list[PolledQueue]:
    if not names:
        return queues
    known = {queue.name for queue in queues}
    for name in names:
        if name not in known:
            raise store.no_queue(pool_name, name)
    return [queue for queue in queues if queue.name in set(names)]


def room_of(of: PolledPool | PolledQueue) -> int:
    if of.concurrency_limit is None:
        return MOST
    return max(0, min(MOST, of.concurrency_limit - (of.held or 0)))


def _for_worker(pool_id: str, run: FlowRunResponse) -> WorkerFlowRun:
    assert run.work_queue_id is not None
    run.work_pool_id = run.work_pool_name = UNSET
    return WorkerFlowRun(pool_id, run.work_queue_id, run)


def poll_deployments(
    tx: Tx, deployment_ids: list[str], scheduled_before: datetime | None, limit: int
) -> list[FlowRunResponse]:
    """What a runner of these deployments is handed; neither pools nor queues have a say in it."""
    window = Window(scheduled_before or NEVER)
    return runs_of(tx, choose(tx, of_deployments(deployment_ids), window, Slots(tx), limit))


def in_queue(queue_id: str) -> Source:
    return Source(LIMITED_IN_QUEUE, DUE_IN_QUEUE, UNLIMITED_IN_QUEUE, WAITING_IN_QUEUE, {"queue_id": queue_id})


def of_deployments(deployment_ids: list[str]) -> Source:
    return Source(LIMITED_OF, DUE_OF, UNLIMITED_OF, WAITING_OF, {"deployment_ids": deployment_ids})


def choose(tx: Tx, source: Source, window: Window, slots: Slots, most: int) -> list[Due]:
    """Up to `most` runs whose turn it is, in that order; of limited deployments no more than there are slots."""
    if most <= 0:
        return []
    limited = tx.all(source.limited, **source.params)
    limit_of = {one.deployment_id: one.limit_id for one in limited}
    slots.look_up(set(limit_of.values()))
    found = _unlimited(tx, source, window, list(limit_of), most)
    for one in limited:
        free = min(most, slots.free(one.limit_id))
        if free > 0:
            params = {**source.params, **window.params(), "deployment_id": one.deployment_id}
            params.pop("deployment_ids", None)
            found += tx.all(source.waiting, **params, limit=free)
    found.sort(key=lambda run: (run.turn, run.id))
    chosen = list[Due]()
    for run in found:
        limit_id = limit_of.get(run.deployment_id or "")
        if len(chosen) < most and (limit_id is None or slots.take(limit_id)):
            chosen.append(run)
    return chosen


def _unlimited(tx: Tx, source: Source, window: Window, limited: list[str], most: int) -> list[Due]:
    """Runs that wait for nothing but their time, and of others those whose time came before it was planned."""
    params = {**source.params, **window.params()}
    if not limited:
        return tx.all(source.due, **params, limit=most)
    ahead = tx.all(source.due, **params, limit=most + AHEAD)
    found = [run for run in ahead if run.deployment_id not in limited]
    if len(found) < most and len(ahead) == most + AHEAD:
        found = tx.all(source.unlimited, **params, limited=limited, limit=most)
    # Those that are wanted earlier than they were planned are not found by their plan.
    return found[:most] + [run for run in ahead if run.deployment_id in limited and run.planned > window.before]


def runs_of(tx: Tx, chosen: list[Due]) -> list[FlowRunResponse]:
    """The runs in the order in which they were chosen."""
    if not chosen:
        return []
    found = {run.id: run for run in tx.all(RUNS, ids=[run.id for run in chosen])}
    return [found[run.id] for run in chosen if run.id in found]
