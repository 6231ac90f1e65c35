"""The service's own description, in OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lichen.deploy.answer import Deployed
from lichen.deploy.arrow_stream import KIND
from lichen.deploy.contributions import NAME
from lichen.deploy.door import CSV_KIND, JSON_KIND, TIME_HEADER
from lichen.deploy.examples import example_of
from lichen.deploy.fields import Fields
from lichen.deploy.limits import Limits
from lichen.deploy.reply import told_plainly
from lichen.deploy.route import Route, Routes
from lichen.deploy.shapes import INSTANT, ref, shapes

_TOLD = {
    "/predict": ("Ask the model about one row or many", "Answer"),
    "/invocations": ("Ask as SageMaker and MLflow's clients do; the scores alone are told", "Scores"),
    "/ping": ("Whether it can predict and record, for SageMaker", "Health"),
    "/health/live": ("Whether the process answers", "Health"),
    "/health/ready": (
        "Whether it can predict and record, is behind its environment, how old its features are",
        "Health",
    ),
    "/openapi.json": ("This document", "Health"),
    "/admin/rollback": ("Roll the environment back, to the release before or to one by its number", "RolledBack"),
    "/v2": ("What the server is", "ServerMetadata"),
    "/v2/health/live": ("Whether the process answers", "Health"),
    "/v2/health/ready": ("Whether it can predict and record", "Health"),
    "infer": ("Ask the model about rows given as tensors", "InferenceResponse"),
    "ready": ("Whether the model can predict", "Health"),
    "model": ("What the model takes and gives", "ModelMetadata"),
}
_REFUSALS = {
    400: "the body cannot be read, or the request is not what the protocol says",
    401: "the request brings no valid token, where the service asks for one",
    403: "the request comes from another machine or site, or its token is not good for this",
    404: "there is no such model, or no such version of it",
    405: "the address takes another method",
    408: "the body did not come in time",
    409: "that cannot be done now: the error says why",
    413: "the body is longer than {bytes} bytes, or holds more than {rows} rows",
    415: "the body is of another media type, or compressed",
    422: "a field is unknown or its value is wrong: the error names the field, the row, and what would be right",
    431: "the request has too many headers, or too long ones",
    429: "the service is busy: ask again after the seconds that `retry-after` says",
    500: "the service failed: its log has the error's id",
    503: "answers cannot be recorded, or features not be read, for now",
}
_USUAL = Limits()
_OF_EVERY_REQUEST = (400, 401, 403, 405, 429, 431, 500)
_OF_A_BODY = (408, 413, 415, 422, 503)


def openapi(
    deployed: Deployed, fields: Fields, routes: Routes, *, replay: bool, limits: Limits = _USUAL
) -> dict[str, Any]:
    """The document: every route, what a row may hold, what an answer and an error look like, and the limits."""
    paths: dict[str, Any] = {}
    for route in routes.all:
        if route.path != "/v2/":  # another way to write /v2
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, deployed, limits, replay)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": deployed.service,
            "version": deployed.model_version,
            "description": f"Answers with the model {deployed.model}. A body has at most {limits.body_bytes} "
            f"bytes and {limits.rows} rows.",
        },
        "paths": paths,
        "components": {"schemas": shapes(deployed, fields)},
    }


def _operation(route: Route, deployed: Deployed, limits: Limits, replay: bool) -> dict[str, Any]:
    summary, shape = _TOLD.get(route.path) or _TOLD.get(route.path.rpartition("/")[2], _TOLD["model"])
    error = ref("PlainError" if route.tells is told_plainly else "Error")
    content: dict[str, Any] = {JSON_KIND: {"schema": ref(shape)}}
    if route.path == "/metrics":
        summary, content = "Counts, as Prometheus text", {"text/plain": {"schema": {"type": "string"}}}
    operation: dict[str, Any] = {"summary": summary, "operationId": _named(route)}
    parameters = [_part(name, deployed) for name in ("name", "version") if f"{{{name}}}" in route.path]
    statuses = [*_OF_EVERY_REQUEST]
    if parameters:
        statuses.append(404)
    if route.method == "POST":
        operation["requestBody"] = {"required": True, "content": _bodies(route, deployed)}
        statuses += _OF_A_BODY
        if route.scope == "admin":
            statuses.append(409)
        elif replay:
            parameters.append({"name": TIME_HEADER, "in": "header", "required": True, "schema": INSTANT})
    elif route.path.endswith(("ready", "/ping")):
        statuses.append(503)
    if route.path == "/predict":
        content = {
            JSON_KIND: {"schema": {"oneOf": [ref("Answer"), ref("Answers")]}},
            KIND: {"schema": {"type": "string", "format": "binary"}},
        }
    if route.queried:
        parameters.append(_QUERY)
    if parameters:
        operation["parameters"] = parameters
    operation["responses"] = {
        "200": {"description": "answered" if route.method == "POST" else "yes", "content": content},
        **{
            str(status): {
                "description": _REFUSALS[status].format(bytes=limits.body_bytes, rows=limits.rows),
                "content": {JSON_KIND: {"schema": error}},
                **({"headers": _RETRY} if status in (429, 503) else {}),
            }
            for status in sorted(statuses)
        },
    }
    return operation


_QUERY = {
    "name": NAME,
    "in": "query",
    "description": "whether answers tell what each feature and source column contributed",
    "schema": {"type": "boolean"},
}
_RETRY = {"retry-after": {"description": "after how many seconds to ask again", "schema": {"type": "integer"}}}


def _named(route: Route) -> str:
    """A name of the operation, of its method and address."""
    words = [part.strip("{}").replace(".", "_") for part in route.path.split("/") if part]
    return "_".join([route.method.lower(), *words])


def _part(name: str, deployed: Deployed) -> dict[str, Any]:
    value = deployed.model if name == "name" else deployed.model_version
    return {"name": name, "in": "path", "required": True, "schema": {"enum": [value]}, "example": value}


def _bodies(route: Route, deployed: Deployed) -> Mapping[str, Any]:
    """The bodies that a route takes, by media type, each with an example that it answers."""
    if route.scope == "admin":
        to = {"type": "integer", "description": "the number of the release; absent: the one before"}
        return {JSON_KIND: {"schema": {"type": "object", "properties": {"to": to}, "additionalProperties": False}}}
    example = example_of(deployed)
    if route.path == "/predict":
        both = {"oneOf": [ref("Row"), ref("Rows")]}
        named = {"one row": {"value": example}, "many rows": {"value": {"rows": [example]}}}
        stream = {"schema": {"type": "string", "format": "binary"}}
        return {JSON_KIND: {"schema": both, "examples": named}, KIND: stream}
    if route.path == "/invocations":
        header = ",".join(example)
        text = {"type": "string", "description": f"CSV with the header {header}; nothing between commas is null"}
        return {JSON_KIND: {"schema": ref("Invocation")}, CSV_KIND: {"schema": text}}
    return {JSON_KIND: {"schema": ref("InferenceRequest")}}
