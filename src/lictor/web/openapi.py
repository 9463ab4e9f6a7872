"""The OpenAPI document, made from the same route table that answers."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, get_args, get_origin

from lictor.web.auth import UNVERSIONED
from lictor.web.codec import encode
from lictor.web.replies import Created, Reply, Streaming, Wire
from lictor.web.routing import Route
from lictor.web.schemas import REFERENCE, Schemas

if TYPE_CHECKING:
    from lictor.web.endpoint import Endpoint, Parameter

VERSION_HEADER = {
    "name": "x-prefect-api-version",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
}
JSON = "application/json"


def document(endpoints: list[Endpoint], title: str, version: str, default_limit: int) -> dict[str, Any]:
    """The document as plain values: every operation that is not hidden, with the schemas of what it takes and gives."""
    shown = [endpoint for endpoint in endpoints if not endpoint.route.hidden]
    schemas = Schemas(default_limit)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in sorted(shown, key=lambda each: each.route.path):
        operation = _operation(endpoint, schemas)
        paths.setdefault(endpoint.route.template, {})[endpoint.route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {"schemas": {**schemas.components, "RequestError": REQUEST_ERROR}},
    }


def operation_id(route: Route) -> str:
    """The reference's scheme: name, path and method in one word."""
    return re.sub(r"\W", "_", route.name + route.template) + "_" + route.method.lower()


def result(annotation: Any) -> Any:
    """The type on the wire of a function that returns `annotation`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Awaitable):
        return result(arguments[-1])
    if origin is Created:
        return result(arguments[0])
    if annotation in (Created, Reply, Streaming) or annotation is None:
        return Any
    return annotation


def _operation(endpoint: Endpoint, schemas: Schemas) -> dict[str, Any]:
    route = endpoint.route
    operation: dict[str, Any] = {"operationId": operation_id(route), "summary": route.name.replace("_", " ").title()}
    if route.tag:
        operation["tags"] = [route.tag]
    parameters = _parameters(endpoint, schemas)
    if route.path not in UNVERSIONED:
        parameters.append(VERSION_HEADER)
    if parameters:
        operation["parameters"] = parameters
    if body := _body(endpoint, schemas):
        operation["requestBody"] = body
    operation["responses"] = _responses(endpoint, schemas)
    return operation


def _parameters(endpoint: Endpoint, schemas: Schemas) -> list[dict[str, Any]]:
    route = endpoint.route
    named: list[Parameter] = endpoint.parameters
    typed = {parameter.name: schemas.of(parameter.annotation) for parameter in named if parameter.place == "path"}
    found = [
        {"name": name, "in": "path", "required": True, "schema": typed.get(name) or _path_schema(route, name)}
        for name in route.names
    ]
    for parameter in named:
        if parameter.place != "path" and parameter.shown:
            schema = schemas.of(parameter.annotation)
            found.append(
                {"name": parameter.wire, "in": parameter.place, "required": parameter.required, "schema": schema}
            )
    return found


def _path_schema(route: Route, name: str) -> dict[str, Any]:
    return {"type": "string", "format": "uuid"} if f"{{{name}:uuid}}" in route.path else {"type": "string"}


def _body(endpoint: Endpoint, schemas: Schemas) -> dict[str, Any] | None:
    if endpoint.body is None:
        return None
    return {
        "required": endpoint.body.required,
        "content": {JSON: {"schema": schemas.of(endpoint.body.annotation)}},
    }


def _responses(endpoint: Endpoint, schemas: Schemas) -> dict[str, Any]:
    route = endpoint.route
    schema = schemas.of(result(endpoint.returns))
    responses: dict[str, Any] = {}
    for status in (route.status, *route.also):
        responses[str(status)] = {"description": "Successful Response"}
        if status != 204:
            responses[str(status)]["content"] = {route.media: {"schema": schema}}
    error = {JSON: {"schema": {"$ref": REFERENCE + "RequestError"}}}
    if route.path not in UNVERSIONED:
        responses["422"] = {"description": "Validation Error", "content": error}
    responses["4XX"] = {"description": "Refused", "content": error}
    return responses


REQUEST_ERROR = {
    "title": "RequestError",
    "type": "object",
    "properties": {
        "exception_message": {"type": "string"},
        "exception_detail": {"type": "array", "items": {"type": "object"}},
        "request_body": {},
        "detail": {},
    },
}


def page(title: str, base: str) -> Wire:
    """A page that lists the operations; it loads nothing from elsewhere."""
    script = _SCRIPT.replace("URL", encode(f"{base}/openapi.json").decode())
    body = f"<!doctype html><meta charset=utf-8><title>{title}</title><h1>{title}</h1><table></table>{script}"
    return Wire(200, [(b"content-type", b"text/html; charset=utf-8")], body.encode())


_SCRIPT = """<p><a href=openapi.json>OpenAPI document</a></p><script>
fetch(URL).then(answer => answer.json()).then(({paths}) => {
  const table = document.querySelector("table");
  for (const [path, methods] of Object.entries(paths))
    for (const [method, operation] of Object.entries(methods)) {
      const row = table.insertRow();
      for (const text of [method.toUpperCase(), path, operation.summary]) row.insertCell().textContent = text;
    }
});
</script>"""
