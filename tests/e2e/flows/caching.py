"""Results and caches: INPUTS policy twice, keys by hand, expiry, local storage, transactions with rollback."""

from __future__ import annotations

from datetime import timedelta

from aside import say
from prefect import flow, task
from prefect.cache_policies import INPUTS, NO_CACHE
from prefect.context import TaskRunContext
from prefect.transactions import get_transaction, transaction

calls: list[str] = []


@task(cache_policy=INPUTS, persist_result=True)
def expensive(x: int) -> int:
    calls.append(f"expensive {x}")
    return x * 10


@task(cache_key_fn=lambda context, parameters: f"by-hand-{parameters['x']}", cache_expiration=timedelta(hours=1))
def keyed(x: int) -> int:
    calls.append(f"keyed {x}")
    return x * 100


@task(cache_policy=INPUTS, persist_result=True, refresh_cache=True)
def refreshed(x: int) -> int:
    calls.append(f"refreshed {x}")
    return x


@task(cache_policy=NO_CACHE, persist_result=True)
def kept(x: int) -> int:
    return x + 1


@flow(name="caching.twice")
def twice(x: int) -> list[str]:
    ends = [expensive(x, return_state=True), expensive(x, return_state=True)]
    ends += [expensive.submit(x, return_state=True), expensive(x + 1, return_state=True)]
    ends += [keyed(x, return_state=True), keyed(x, return_state=True)]
    ends += [refreshed(x, return_state=True), refreshed(x, return_state=True)]
    return [state.name for state in ends]


@flow(name="caching.kept", persist_result=True)
def keeping() -> int:
    return kept(kept(1))


@flow(name="caching.kept-nothing", persist_result=False)
def keeping_nothing() -> str:
    state = kept.with_options(persist_result=False)(1, return_state=True)
    return str(state.result())


@task
def write(name: str) -> str:
    get_transaction().set("name", name)
    return name


@write.on_rollback
def unwrite(txn: object) -> None:
    say(f"rolled back {txn.get('name')}")  # type: ignore[attr-defined]


@write.on_commit
def written(txn: object) -> None:
    say(f"committed {txn.get('name')}")  # type: ignore[attr-defined]


@task
def verify(name: str) -> None:
    if name == "bad":
        raise ValueError("not good enough")


@flow(name="caching.transaction")
def pipeline(name: str) -> None:
    with transaction():
        write(name)
        verify(name)


@task(persist_result=True, cache_key_fn=lambda context, parameters: "written-once")
def write_once() -> int | None:
    context = TaskRunContext.get()
    return context.task_run.run_count if context else None


@flow(name="caching.key")
def transaction_key() -> None:
    with transaction(key="once") as txn:
        say(f"the record is there: {txn.is_committed()}")
        if txn.is_committed():
            return
        write_once()


if __name__ == "__main__":
    say(f"first {twice(1)}")
    say(f"second {twice(1)}")
    say(f"calls {calls}")
    state = keeping(return_state=True)
    say(f"kept {state.name} {state.result()}")
    say(f"kept nothing {keeping_nothing()}")
    pipeline("good")
    say(f"bad ended {pipeline('bad', return_state=True).name}")
    transaction_key()
    transaction_key()
