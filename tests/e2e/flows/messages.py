# ruff: noqa: T201
"""What a run tells and hears: logs, prints, variables, inputs between runs, labels, its own record."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import prefect
from aside import aside, run_named, say
from prefect import flow, get_client, get_run_logger, tags, task
from prefect.input import receive_input, send_input
from prefect.runtime import flow_run as this_run
from prefect.variables import Variable


@task(log_prints=True)
def talks() -> None:
    print("printed in a task")
    get_run_logger().info("logged in a task")


@task
def quiet() -> None:
    print("printed, not logged")


@flow(name="messages.logs", log_prints=True)
def logs() -> None:
    logger = get_run_logger()
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL, 35):
        logger.log(level, "a line at level %d", level)
    logger.info("snow ☃, quotes \"'\\, tab\t and\nanother line, null \x00.")
    logger.info("long " + "x" * 20_000)
    print("printed", "in a flow", sep=" ")
    try:
        raise KeyError("inside")
    except KeyError:
        logger.exception("logged with its traceback")
    for n in range(300):
        logger.info("line %d", n)
    talks()
    quiet()
    logging.getLogger("prefect.elsewhere").warning("a logger below prefect")
    logging.getLogger("elsewhere").warning("a logger of nobody's")


@flow(name="messages.variables")
def variables() -> None:
    Variable.set("e2e_answer", {"n": 42, "list": [1, None, "x"]}, tags=["a", "b"])
    say(f"variable {Variable.get('e2e_answer')}")
    try:
        Variable.set("e2e_answer", 43)
    except ValueError as error:
        say(f"refused: {error}")
    Variable.set("e2e_answer", 43, overwrite=True, tags=["c"])
    say(f"variable {Variable.get('e2e_answer')}")
    say(f"unset {Variable.unset('e2e_answer')} then {Variable.unset('e2e_answer')}")
    say(f"default {Variable.get('e2e_answer', default='none')}")
    for name in ("Not Valid", "x" * 300):
        try:
            Variable.set(name, 1)
        except Exception as error:
            say(f"refused {type(error).__name__}")


@flow(name="messages.listener", flow_run_name="listener 1")
def listener() -> None:
    heard = receive_input(str, timeout=60, poll_interval=0.3)
    say(f"heard {heard.next()}")
    with_sender = receive_input(int, timeout=60, poll_interval=0.3, with_metadata=True)
    number = with_sender.next()
    say(f"heard {number.value} from a run: {number.metadata.sender is not None}")
    number.respond(f"thanks for {number.value}")
    try:
        receive_input(float, timeout=1, poll_interval=0.3, raise_timeout_error=True).next()
    except TimeoutError:
        say("heard no float")


@flow(name="messages.speaker", flow_run_name="speaker 1")
def speaker() -> None:
    with get_client(sync_client=True) as client:
        other = run_named(client, "listener 1", "Running").id
    send_input("good morning", flow_run_id=other)
    send_input(7, flow_run_id=other)
    say(f"speaker heard {receive_input(str, timeout=60, poll_interval=0.3).next()}")


@task(tags=["work"])
def tagged() -> list[str]:
    return sorted(prefect.runtime.task_run.tags)


@flow(name="messages.record", flow_run_name="record {when:%Y} of {n}", description="Reads its own record.", version="7")
def record(n: int, when: datetime) -> None:
    say(f"{this_run.name}: {this_run.flow_name} {this_run.flow_version} {this_run.run_count} {sorted(this_run.tags)}")
    say(f"parameters {this_run.parameters['n']}, tags of a task {tagged()}")
    with get_client(sync_client=True) as client:
        id = this_run.id
        client.update_flow_run_labels(id, {"team": "blue", "level": 3, "ratio": 0.5, "on": True})
        client.update_flow_run(id, name="record renamed 1", tags=["renamed"])
        run = client.read_flow_run(id)
        say(f"read {run.name} {run.tags} {run.labels.get('team')} {run.state.name} since {run.start_time is not None}")
        say(f"states {[state.name for state in client.read_flow_run_states(id)]}")
        client.create_flow_run_input(id, key="note", value="remember this")
        say(f"input {client.read_flow_run_input(id, 'note')}")
        client.delete_flow_run_input(id, "note")


if __name__ == "__main__":
    with aside(speaker):
        listener()
    logs()
    variables()
    with tags("one", "two"):
        record(1, datetime(2031, 5, 6, tzinfo=UTC))
