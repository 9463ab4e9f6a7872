"""What of the API is not built yet. Each line answers 501 with its name until a concept declares the operation;
then the line goes (a test insists), so this page only shrinks.

A line: method, path, name, success code, body (R required, O optional, - none), then query (?) and header (^)
parameters, with ! where they are required. A websocket has only path and name.
"""

from __future__ import annotations

from lictor.web.routing import WEBSOCKET, Declared, Router

_BODIES = {"-": "", "O": "optional", "R": "required"}
_PLACES = {"?": "query", "^": "header"}


def router() -> Router:
    """All operations of this page, declared as not built."""
    found = Router()
    for line in OPERATIONS.split("\n"):
        declare(found, line.split())
    return found


def declare(router: Router, words: list[str]) -> None:
    match words:
        case [method, path, name] if method == WEBSOCKET:
            router.unbuilt(WEBSOCKET, path, name, 101)
        case [method, path, name, status, body, *parameters]:
            router.unbuilt(method, path, name, int(status), _BODIES[body], map(parameter, parameters))


def parameter(word: str) -> Declared:
    return Declared(_PLACES[word[0]], word[1:].rstrip("!"), word.endswith("!"))


OPERATIONS = """
GET /collections/views/{view} read_view_content 200 -
POST /deployments/ create_deployment 200 R
POST /deployments/bulk_delete bulk_delete_deployments 200 O
POST /deployments/count count_deployments 200 O
POST /deployments/filter read_deployments 200 O
POST /deployments/get_scheduled_flow_runs get_scheduled_flow_runs_for_deployments 200 R
GET /deployments/name/{flow_name}/{deployment_name} read_deployment_by_name 200 -
POST /deployments/paginate paginate_deployments 200 O
DELETE /deployments/{id:uuid} delete_deployment 204 -
GET /deployments/{id:uuid} read_deployment 200 -
PATCH /deployments/{id:uuid} update_deployment 204 R
POST /deployments/{id:uuid}/create_flow_run create_flow_run_from_deployment 200 R
POST /deployments/{id:uuid}/create_flow_run/bulk bulk_create_flow_runs_from_deployment 200 R
POST /deployments/{id:uuid}/pause_deployment pause_deployment 200 -
POST /deployments/{id:uuid}/resume_deployment resume_deployment 200 -
POST /deployments/{id:uuid}/schedule schedule_deployment 200 O
GET /deployments/{id:uuid}/schedules read_deployment_schedules 200 -
POST /deployments/{id:uuid}/schedules create_deployment_schedules 201 R
DELETE /deployments/{id:uuid}/schedules/{schedule_id:uuid} delete_deployment_schedule 204 -
PATCH /deployments/{id:uuid}/schedules/{schedule_id:uuid} update_deployment_schedule 204 R
GET /deployments/{id:uuid}/work_queue_check work_queue_check_for_deployment 200 -
WEBSOCKET /work_pools/{work_pool_name}/workers/connect worker_channel_connect
"""
