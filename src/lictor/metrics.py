"""What monitoring asks for, at /api/metrics: figures of the database and of the process, in Prometheus' text format.

What is told of runs and limits is read when it is asked for, and is the same at every process of one database. Runs
that are over are counted from tallies, the others by an index: what it costs goes by how many quarters of an hour had
runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from lictor import tallies
from lictor.concurrency import limits
from lictor.concurrency.types import LimitRow
from lictor.db import Database, Tx, sql
from lictor.kit import clock
from lictor.kit.lazy import lazy
from lictor.loops import ServiceHealth
from lictor.tallies.flow_runs import OfState
from lictor.web import Reply, Router

if TYPE_CHECKING:
    import prometheus_client
    from prometheus_client.metrics_core import GaugeMetricFamily, Metric
else:
    prometheus_client = lazy("prometheus_client")


class Rounds(Struct, frozen=True):
    """How the background services of this process fare."""

    health: Callable[[], list[ServiceHealth]] = list


class Due(Struct):
    """The runs whose time has come and that nobody has started; `first` is the time of the first."""

    runs: int
    first: datetime | None


class Measured(NamedTuple):
    now: datetime
    states: list[OfState]
    due: Due
    limits: list[LimitRow]


DUE = sql(
    "metrics.due",
    Due,
    """
    select count(*), min(r.next_scheduled_start_time) from flow_run r
    where r.state_type = 'SCHEDULED' and r.next_scheduled_start_time <= {ts:now}
    """,
)


def measure(tx: Tx) -> Measured:
    now = clock.now()
    return Measured(now, tallies.flow_runs.by_state(tx), tx.one(DUE, now=now) or Due(0, None), limits.active(tx))


class Gauges:
    """What was measured, as a collector of the library's."""

    def __init__(self, measured: Measured, services: list[ServiceHealth]) -> None:
        self._measured = measured
        # Of a service that another process leads, that one knows.
        self._led = [service for service in services if service.leading]

    def collect(self) -> Iterator[Metric]:
        yield from self._of_runs()
        yield from self._of_limits()
        yield from self._of_services()

    def _of_runs(self) -> Iterator[Metric]:
        now, due = self._measured.now, self._measured.due
        told = [([of.state_type or "", of.state_name or ""], of.runs) for of in self._measured.states]
        yield _gauge("flow_runs", "Flow runs by the type and name of their state", told, "state_type", "state_name")
        yield _gauge("flow_runs_due", "Scheduled flow runs whose time has come", [([], due.runs)])
        waited = (now - due.first).total_seconds() if due.first is not None else 0.0
        yield _gauge("flow_runs_due_seconds", "How long the first of those has been due", [([], waited)])

    def _of_limits(self) -> Iterator[Metric]:
        now, limits = self._measured.now, self._measured.limits
        slots = [([each.name], each.limit) for each in limits]
        yield _gauge("concurrency_limit_slots", "Slots of each active concurrency limit", slots, "limit")
        taken = [([each.name], each.taken(now)) for each in limits]
        yield _gauge("concurrency_limit_slots_taken", "How many of those are taken", taken, "limit")

    def _of_services(self) -> Iterator[Metric]:
        ages = [([each.name], each.age) for each in self._led if each.age is not None]
        help = "Seconds since each background service that this process leads last came through"
        yield _gauge("service_round_age_seconds", help, ages, "service")
        failures = [([each.name], each.failures) for each in self._led]
        yield _gauge("service_failures", "Rounds of it that have failed since then", failures, "service")


def _gauge(name: str, help: str, values: Sequence[tuple[list[str], float]], *labels: str) -> GaugeMetricFamily:
    family = prometheus_client.metrics_core.GaugeMetricFamily(f"lictor_{name}", help, labels=labels)
    for told, value in values:
        family.add_metric(told, value)
    return family


router = Router(tag="Root")


@router.get("/metrics")
async def metrics(db: Database, rounds: Rounds) -> Reply:
    gauges = Gauges(await db.read(measure), rounds.health())
    registry = prometheus_client.CollectorRegistry()
    for of_process in (prometheus_client.ProcessCollector, prometheus_client.PlatformCollector):
        of_process(registry=registry)
    prometheus_client.GCCollector(registry=registry)
    registry.register(gauges)
    return Reply(prometheus_client.generate_latest(registry), media_type=prometheus_client.CONTENT_TYPE_LATEST)
