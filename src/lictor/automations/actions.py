"""Actions as clients send them: what an automation does when it fires."""

from __future__ import annotations

from typing import Any, ClassVar, Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from lictor.automations import parameters
from lictor.kit.lazy import lazy
from lictor.states.types import StateTypeName
from lictor.web.shapes import Check, Checked, Checks, Choice, FieldError, Seconds

templates = lazy("lictor.kit.templates")

Source = Literal["selected", "inferred"]


class Action(Choice):
    """What is done. `inferred` targets are found among the resources of the event that fired the automation."""

    @classmethod
    def members(cls) -> list[Any]:
        return list(MEMBERS)


def check_target(name: str, source: Source, id: UUID | None) -> None:
    if (source == "selected") != bool(id):
        raise ValueError(f"{name} is {'not allowed' if id else 'required'}")


def template_of(field: str) -> Check:
    """The check of a field that is a template."""

    def check(template: str) -> None:
        try:
            templates.check(template)
        except templates.TemplateError as error:
            raise FieldError(f"{field!r} is not a valid template: {error}") from error

    return check


def check_delay(seconds: float) -> None:
    if seconds < 0:
        raise FieldError("schedule_after must be non-negative")


def check_parameters(given: dict[str, Any] | None) -> None:
    if given and (problems := parameters.problems(given)):
        raise FieldError("Invalid parameters: \n" + "\n  ".join(problems))


def as_text(payload: Any) -> str:
    return payload if isinstance(payload, str) else msgspec.json.format(msgspec.json.encode(payload), indent=2).decode()


def check_payload(payload: Any) -> None:
    if payload is None:
        raise FieldError("Input should be a valid string", type="string_type")
    template_of("payload")(as_text(payload))


def _checked(kind: str, name: str) -> str:
    return f"function-after[selected_{kind}_requires_id(), {name}]"


class DoNothing(Action, Struct, kw_only=True):
    wire_label: ClassVar[str] = "DoNothing"
    type: Literal["do-nothing"] = "do-nothing"


class RunDeployment(Action, Checked, Struct, kw_only=True):
    wire_label: ClassVar[str] = _checked("deployment", "RunDeployment")
    checks: ClassVar[Checks] = {"parameters": check_parameters, "schedule_after": check_delay}
    type: Literal["run-deployment"] = "run-deployment"
    source: Source = "selected"
    deployment_id: UUID | None = None
    parameters: dict[str, Any] | None = None
    job_variables: dict[str, Any] | None = None
    schedule_after: Seconds = 0.0

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        check_target("deployment_id", self.source, self.deployment_id)


class PauseDeployment(Action, Struct, kw_only=True):
    wire_label: ClassVar[str] = _checked("deployment", "PauseDeployment")
    type: Literal["pause-deployment"] = "pause-deployment"
    source: Source = "selected"
    deployment_id: UUID | None = None

    def __post_init__(self) -> None:
        check_target("deployment_id", self.source, self.deployment_id)


class ResumeDeployment(Action, Struct, kw_only=True):
    wire_label: ClassVar[str] = _checked("deployment", "ResumeDeployment")
    type: Literal["resume-deployment"] = "resume-deployment"
    source: Source = "selected"
    deployment_id: UUID | None = None

    def __post_init__(self) -> None:
        check_target("deployment_id", self.source, self.deployment_id)


class CancelFlowRun(Action, Struct, kw_only=True):
    wire_label: ClassVar[str] = "CancelFlowRun"
    type: Literal["cancel-flow-run"] = "cancel-flow-run"


class DeleteFlowRun(Action, Struct, kw_only=True):
    wire_label: ClassVar[str] = "DeleteFlowRun"
    type: Literal["delete-flow-run"] = "delete-flow-run"


class ChangeFlowRunState(Action, Struct, kw_only=True):
    wire_label: ClassVar[str] = "ChangeFlowRunState"
    type: Literal["change-flow-run-state"] = "change-flow-run-state"
    name: str | None = None
    state: StateTypeName
    message: str | None = None
    force: bool = False


class PauseWorkQueue(Action, Struct, kw_only=True):
    wire_label: ClassVar[str] = _checked("work_queue", "PauseWorkQueue")
    type: Literal["pause-work-queue"] = "pause-work-queue"
    source: Source = "selected"
    work_queue_id: UUID | None = None

    def __post_init__(self) -> None:
        check_target("work_queue_id", self.source, self.work_queue_id)


class ResumeWorkQueue(Action, Struct, kw_only=True):
    wire_label: ClassVar[str] = _checked("work_queue", "ResumeWorkQueue")
    type: Literal["resume-work-queue"] = "resume-work-queue"
    source: Source = "selected"
    work_queue_id: UUID | None = None

    def __post_init__(self) -> None:
        check_target("work_queue_id", self.source, self.work_queue_id)


class SendNotification(Action, Checked, Struct, kw_only=True):
    wire_label: ClassVar[str] = "SendNotification"
    checks: ClassVar[Checks] = {"subject": template_of("subject"), "body": template_of("body")}
    type: Literal["send-notification"] = "send-notification"
    block_document_id: UUID
    subject: str = "Prefect automated notification"
    body: str


class CallWebhook(Action, Checked, Struct, kw_only=True):
    """The payload is a template; JSON that is no string is taken as its text, as older clients send it."""

    wire_label: ClassVar[str] = "CallWebhook"
    checks: ClassVar[Checks] = {"payload": check_payload}
    type: Literal["call-webhook"] = "call-webhook"
    block_document_id: UUID
    payload: Any = ""

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        self.payload = as_text(self.payload)


class PauseAutomation(Action, Struct, kw_only=True):
    wire_label: ClassVar[str] = _checked("automation", "PauseAutomation")
    type: Literal["pause-automation"] = "pause-automation"
    source: Source = "selected"
    automation_id: UUID | None = None

    def __post_init__(self) -> None:
        check_target("automation_id", self.source, self.automation_id)


class ResumeAutomation(Action, Struct, kw_only=True):
    wire_label: ClassVar[str] = _checked("automation", "ResumeAutomation")
    type: Literal["resume-automation"] = "resume-automation"
    source: Source = "selected"
    automation_id: UUID | None = None

    def __post_init__(self) -> None:
        check_target("automation_id", self.source, self.automation_id)


class SuspendFlowRun(Action, Struct, kw_only=True):
    wire_label: ClassVar[str] = "SuspendFlowRun"
    type: Literal["suspend-flow-run"] = "suspend-flow-run"


class ResumeFlowRun(Action, Struct, kw_only=True):
    wire_label: ClassVar[str] = "ResumeFlowRun"
    type: Literal["resume-flow-run"] = "resume-flow-run"


class PauseWorkPool(Action, Struct, kw_only=True):
    wire_label: ClassVar[str] = _checked("work_pool", "PauseWorkPool")
    type: Literal["pause-work-pool"] = "pause-work-pool"
    source: Source = "selected"
    work_pool_id: UUID | None = None

    def __post_init__(self) -> None:
        check_target("work_pool_id", self.source, self.work_pool_id)


class ResumeWorkPool(Action, Struct, kw_only=True):
    wire_label: ClassVar[str] = _checked("work_pool", "ResumeWorkPool")
    type: Literal["resume-work-pool"] = "resume-work-pool"
    source: Source = "selected"
    work_pool_id: UUID | None = None

    def __post_init__(self) -> None:
        check_target("work_pool_id", self.source, self.work_pool_id)


# In the order in which the reference tries them, and lists their errors.
MEMBERS: tuple[type[Any], ...] = (
    DoNothing,
    RunDeployment,
    PauseDeployment,
    ResumeDeployment,
    CancelFlowRun,
    DeleteFlowRun,
    ChangeFlowRunState,
    PauseWorkQueue,
    ResumeWorkQueue,
    SendNotification,
    CallWebhook,
    PauseAutomation,
    ResumeAutomation,
    SuspendFlowRun,
    ResumeFlowRun,
    PauseWorkPool,
    ResumeWorkPool,
)
