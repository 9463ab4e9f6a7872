"""What is kept beside the runs: blocks, limits, variables, artifacts, automations, and the server's own settings."""

from __future__ import annotations

from uuid import uuid4

from prefect import __version__
from prefect.client.schemas.actions import (
    ArtifactCreate,
    ArtifactUpdate,
    BlockDocumentCreate,
    BlockDocumentUpdate,
    BlockSchemaCreate,
    BlockTypeCreate,
    BlockTypeUpdate,
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
    VariableCreate,
    VariableUpdate,
)
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactFilter
from prefect.client.schemas.objects import ConcurrencyLeaseHolder
from prefect.client.schemas.sorting import AutomationSort
from prefect.events import EventTrigger
from prefect.events.actions import DoNothing, RunDeployment
from prefect.events.filters import AutomationFilter, AutomationFilterName
from prefect.events.schemas.automations import AutomationCore

from calls import Calls, status

STORAGE = ["storage", "get-directory", "put-directory", "read-path", "write-path"]


async def block_types_and_schemas(api: Calls) -> None:
    slug = f"{api.kind}-type"
    made = await api.create_block_type(BlockTypeCreate(name=slug, slug=slug))
    await api.update_block_type(made.id, BlockTypeUpdate(description="said"))
    read = await api.read_block_type_by_slug(slug)
    assert (read.id, read.description) == (made.id, "said")
    assert made.id in {one.id for one in await api.read_block_types()}
    fields = {"title": slug, "type": "object", "properties": {"a": {"type": "string"}}}
    schema = await api.create_block_schema(BlockSchemaCreate(fields=fields, block_type_id=made.id))
    assert (await api.read_block_schema_by_checksum(schema.checksum)).id == schema.id
    assert (await api.get_most_recent_block_schema_for_block_type(made.id)).id == schema.id
    assert schema.id in {one.id for one in await api.read_block_schemas()}
    await api.delete_block_type(made.id)
    assert await status(api.read_block_type_by_slug(slug)) == 404


async def block_documents(api: Calls) -> None:
    slug = f"{api.kind}-documents"
    kind = await api.create_block_type(BlockTypeCreate(name=slug, slug=slug))
    fields = {"title": slug, "type": "object", "properties": {"a": {"type": "string"}}}
    new = BlockSchemaCreate(fields=fields, block_type_id=kind.id, capabilities=STORAGE)
    schema = await api.create_block_schema(new)
    document = BlockDocumentCreate(name="b", data={"a": "1"}, block_schema_id=schema.id, block_type_id=kind.id)
    made = await api.create_block_document(document)
    await api.update_block_document(made.id, BlockDocumentUpdate(data={"a": "2"}))
    assert (await api.read_block_document(made.id)).data == {"a": "2"}
    assert (await api.read_block_document_by_name("b", slug)).id == made.id
    assert made.id in {one.id for one in await api.read_block_documents()}
    assert [one.id for one in await api.read_block_documents_by_type(slug)] == [made.id]
    stored = await api.update_server_default_result_storage(made.id)
    assert stored.default_result_storage_block_id == made.id
    assert await api.read_server_default_result_storage() == stored
    await api.clear_server_default_result_storage()
    assert (await api.read_server_default_result_storage()).default_result_storage_block_id is None
    await api.delete_block_document(made.id)
    assert await status(api.read_block_document(made.id)) == 404


async def limits_of_tags(api: Calls) -> None:
    tag, holder = f"{api.kind}-tag", uuid4()
    made = await api.create_concurrency_limit(tag, 2)
    assert (await api.increment_v1_concurrency_slots([tag], holder)).status_code == 200
    read = await api.read_concurrency_limit_by_tag(tag)
    assert (read.id, read.concurrency_limit, read.active_slots) == (made, 2, [holder])
    assert (await api.decrement_v1_concurrency_slots([tag], holder, 1.5)).status_code == 200
    assert (await api.read_concurrency_limit_by_tag(tag)).active_slots == []
    await api.reset_concurrency_limit_by_tag(tag, slot_override=[holder])
    found = {one.tag: one for one in await api.read_concurrency_limits(limit=100, offset=0)}
    assert found[tag].active_slots == [holder]
    await api.delete_concurrency_limit_by_tag(tag)
    assert await status(api.read_concurrency_limit_by_tag(tag)) == 404


async def global_limits(api: Calls) -> None:
    name = f"{api.kind}-limit"
    made = await api.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=1))
    await api.upsert_global_concurrency_limit_by_name(name, 2)
    change = GlobalConcurrencyLimitUpdate(slot_decay_per_second=0.5)
    assert (await api.update_global_concurrency_limit(name, change)).status_code == 204
    read = await api.read_global_concurrency_limit_by_name(name)
    assert (read.id, read.limit, read.slot_decay_per_second) == (made, 2, 0.5)
    assert made in {one.id for one in await api.read_global_concurrency_limits(limit=100)}
    assert (await api.delete_global_concurrency_limit_by_name(name)).status_code == 204
    assert await status(api.read_global_concurrency_limit_by_name(name)) == 404


async def slots(api: Calls) -> None:
    name = f"{api.kind}-slots"
    await api.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=2))
    taken = (await api.increment_concurrency_slots([name], 1, "concurrency")).json()
    assert [(one["name"], one["limit"]) for one in taken] == [(name, 2)]
    assert (await api.release_concurrency_slots([name], 1, 0.5)).status_code == 200
    holder = ConcurrencyLeaseHolder(type="flow_run", id=uuid4())
    lease = (await api.increment_concurrency_slots_with_lease([name], 1, "concurrency", 60, holder)).json()
    assert (await api.read_global_concurrency_limit_by_name(name)).active_slots == 1
    assert (await api.renew_concurrency_lease(lease["lease_id"], 60)).is_success
    assert (await api.release_concurrency_slots_with_lease(lease["lease_id"])).is_success
    assert (await api.read_global_concurrency_limit_by_name(name)).active_slots == 0


async def variables(api: Calls) -> None:
    name = f"{api.kind}_variable"
    made = await api.create_variable(VariableCreate(name=name, value={"a": 1}, tags=["t"]))
    await api.update_variable(VariableUpdate(name=name, value=[1, 2]))
    read = await api.read_variable_by_name(name)
    assert (read.id, read.value, read.tags) == (made.id, [1, 2], ["t"])
    assert made.id in {one.id for one in await api.read_variables(limit=10)}
    await api.delete_variable_by_name(name)
    assert await api.read_variable_by_name(name) is None


async def artifacts(api: Calls) -> None:
    key = f"{api.kind}-artifact"
    made = await api.create_artifact(ArtifactCreate(key=key, type="markdown", data="one"))
    await api.update_artifact(made.id, ArtifactUpdate(data="two"))
    [read] = await api.read_artifacts(artifact_filter=ArtifactFilter(key={"any_": [key]}))
    assert (read.id, read.type, read.data) == (made.id, "markdown", "two")
    latest = ArtifactCollectionFilter(key={"any_": [key]})
    assert [one.latest_id for one in await api.read_latest_artifacts(artifact_filter=latest)] == [made.id]
    await api.delete_artifact(made.id)
    assert await api.read_artifacts(artifact_filter=ArtifactFilter(key={"any_": [key]})) == []


async def automations(api: Calls) -> None:
    name = f"{api.kind} automation"
    core = AutomationCore(name=name, trigger=EventTrigger(posture="Reactive", expect=["a"]), actions=[DoNothing()])
    made = await api.create_automation(core)
    await api.pause_automation(made)
    assert not (await api.read_automation(made)).enabled
    await api.resume_automation(made)
    assert (await api.read_automation(str(made))).enabled
    await api.update_automation(made, core.model_copy(update={"description": "said"}))
    assert (await api.find_automation(name)).description == "said"
    assert (await api.find_automation(made)).id == made
    assert [one.id for one in await api.read_automations_by_name(name)] == [made]
    mine = AutomationFilter(name=AutomationFilterName(any_=[name]))
    found = await api.read_automations(automations=mine, sort=AutomationSort.NAME_ASC, limit=5)
    assert [one.id for one in found] == [made]
    await api.delete_automation(made)
    assert await status(api.read_automation(made)) == 404


async def automations_of_a_deployment(api: Calls) -> None:
    deployment = await api.create_deployment(await api.create_flow_from_name(f"{api.kind} automated"), "d")
    resource = f"prefect.deployment.{deployment}"
    core = AutomationCore(
        name=f"{api.kind} owned",
        trigger=EventTrigger(posture="Reactive", expect=["a"]),
        actions=[RunDeployment(deployment_id=deployment)],
        owner_resource=resource,
    )
    made = await api.create_automation(core)
    assert [one.id for one in await api.read_resource_related_automations(resource)] == [made]
    await api.delete_resource_owned_automations(resource)
    assert await status(api.read_automation(made)) == 404


async def server(api: Calls) -> None:
    assert await api.api_healthcheck() is None
    assert (await api.hello()).status_code == 200
    assert (await api.api_version()).split(".")[0] == __version__.split(".")[0]
    assert await api.client_version() == __version__
    await api.raise_for_api_version_mismatch()
    await api.raise_for_api_version_mismatch_once()
    assert (await api.request("POST", "/flows/filter", json={"limit": 1})).status_code == 200


PARTS = (
    block_types_and_schemas,
    block_documents,
    limits_of_tags,
    global_limits,
    slots,
    variables,
    artifacts,
    automations,
    automations_of_a_deployment,
    server,
)
