"""A completes, so B is run; B completes, so a webhook is called; a flow fails, so an alert comes. All by the SDK."""

from __future__ import annotations

import http.server
import sys
import threading
import time
from collections.abc import Callable
from uuid import UUID

from prefect import flow, get_client
from prefect.automations import Automation
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.webhook import Webhook
from prefect.events import EventTrigger, Posture, emit_event
from prefect.events.actions import CallWebhook, RunDeployment, SendNotification
from prefect.states import Completed, Pending, Running

calls: list[str] = []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        calls.append(self.rfile.read(int(self.headers.get("content-length", 0))).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


endpoint = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=endpoint.serve_forever, daemon=True).start()
ADDRESS = f"http://127.0.0.1:{endpoint.server_address[1]}/"


@flow
def one(x: int = 1) -> int:
    return x


@flow
def fails() -> None:
    raise ValueError("no")


def until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"{what}: {calls}")
        time.sleep(0.1)


with get_client(sync_client=True) as client:
    flow_id = client.create_flow(one)
    a, b = (client.create_deployment(flow_id, name=name, parameters={"x": 1}) for name in "AB")

    def runs_of(deployment: UUID) -> list:
        return [run for run in client.read_flow_runs() if run.deployment_id == deployment]

    def finish(run_id: UUID) -> None:
        for state in (Pending(), Running(), Completed()):
            client.set_flow_run_state(run_id, state)

    webhook = Webhook(url=ADDRESS, allow_private_urls=True)
    webhook_id = webhook.save("hook")
    alert_id = CustomWebhookNotificationBlock(
        name="alerts", url=ADDRESS, json_data={"text": "{{subject}}: {{body}}"}, allow_private_urls=True
    ).save("alerts")

    for deployment, action in (
        (a, RunDeployment(deployment_id=b, parameters={"x": "{{ flow_run.parameters.x + 41 }}"})),
        (b, CallWebhook(block_document_id=webhook_id, payload="{{ flow_run.name }} {{ flow_run.state.name }}")),
    ):
        Automation(
            name=f"after {deployment}",
            trigger=EventTrigger(
                expect={"prefect.flow-run.Completed"},
                match_related={"prefect.resource.id": f"prefect.deployment.{deployment}"},
                posture=Posture.Reactive,
            ),
            actions=[action],
        ).create()
    Automation(
        name="alert",
        trigger=EventTrigger(
            expect={"prefect.flow-run.Failed"},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={"prefect.resource.name": "fails"},
            posture=Posture.Reactive,
        ),
        actions=[
            SendNotification(block_document_id=alert_id, subject="{{ flow.name }}", body="{{ flow_run.state.message }}")
        ],
    ).create()
    Automation(
        name="silence",
        trigger=EventTrigger(
            after={"machine.started"},
            expect={"machine.stopped"},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            within=10,
        ),
        actions=[CallWebhook(block_document_id=webhook_id, payload="silence of {{ labels.prefect.resource.id }}")],
    ).create()

    emit_event("machine.started", {"prefect.resource.id": "machine.1"})
    finish(client.create_flow_run_from_deployment(a).id)
    until(lambda: runs_of(b), "B was not run")
    (run,) = runs_of(b)
    print("B is run with", run.parameters, "by", run.created_by.type)
    finish(run.id)
    until(lambda: f"{run.name} Completed" in calls, "the webhook was not called")
    print("the webhook was called")
    fails(return_state=True)
    until(lambda: any("fails: Flow run encountered an exception" in call for call in calls), "no alert came")
    print("an alert came")
    until(lambda: "silence of machine.1" in calls, "the silence was not noticed")
    print("the silence was noticed")
    print("calls:", len(calls))
