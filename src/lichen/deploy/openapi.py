"""The service's own description, in OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lichen.deploy.answer import Deployed
from lichen.deploy.body import MOST_ROWS
from lichen.deploy.door import TIME_HEADER
from lichen.deploy.fields import PREDICTION_ID, Fields

_INSTANT = {"type": "string", "format": "date-time"}


def openapi(deployed: Deployed, fields: Fields, *, replay: bool) -> dict[str, Any]:
    """The document: every route, what a row may hold, what an answer and an error look like."""
    predict: dict[str, Any] = {
        "summary": f"Ask the model {deployed.model}",
        "requestBody": {"required": True, "content": _json({"oneOf": [_ref("Row"), _batch("rows", "Row")]})},
        "responses": {
            "200": {
                "description": "answered",
                "content": _json({"oneOf": [_ref("Answer"), _batch("predictions", "Answer")]}),
            },
            "default": {"description": "refused", "content": _json(_ref("Error"))},
        },
    }
    if replay:
        predict["parameters"] = [{"name": TIME_HEADER, "in": "header", "required": True, "schema": _INSTANT}]
    return {
        "openapi": "3.1.0",
        "info": {"title": deployed.service, "version": deployed.model_version},
        "paths": {
            "/predict": {"post": predict},
            "/health/live": {"get": _get("Whether the process answers")},
            "/health/ready": {
                "get": _get(
                    "Whether it can predict and record, is behind its environment, and how old its features are"
                )
            },
            "/metrics": {"get": _get("Counts, as Prometheus text")},
            "/openapi.json": {"get": _get("This document")},
        },
        "components": {"schemas": {"Row": _row(fields), "Answer": _ANSWER, "Error": _ERROR}},
    }


def _row(fields: Fields) -> dict[str, Any]:
    properties = {
        field.column.name: {"anyOf": [dict(field.openapi), {"type": "null"}], "description": field.right}
        for field in fields.fields
    }
    own = {
        "type": ["string", "null"],
        "pattern": "^[A-Za-z0-9._:-]{1,128}$",
        "description": "the answer's name; asked twice, recorded once",
    }
    return {"type": "object", "properties": {**properties, PREDICTION_ID: own}, "additionalProperties": False}


def _json(shape: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": shape}}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _batch(key: str, name: str) -> dict[str, Any]:
    many = {"type": "array", "items": _ref(name), "minItems": 1, "maxItems": MOST_ROWS}
    return {"type": "object", "properties": {key: many}, "required": [key], "additionalProperties": False}


def _get(summary: str) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": "yes"}, "default": {"description": "no"}}}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_ANSWER = _object(
    prediction_id={"type": "string"},
    score={"type": "number"},
    model={"type": "string"},
    model_version={"type": "string"},
    release={"type": "integer"},
    prediction_time=_INSTANT,
    out_of_time={"type": ["boolean", "null"]},
    latency_us={"type": "integer"},
)
_ERROR = _object(error=_object(code={"type": "string"}, message={"type": "string"}, id={"type": "string"}))
