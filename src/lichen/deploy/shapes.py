"""The shapes of what a service takes and gives, as JSON Schema, with examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lichen.deploy.answer import Deployed
from lichen.deploy.body import MOST_ROWS
from lichen.deploy.contributions import LABEL, LOG_ODDS, NAME
from lichen.deploy.examples import example_of
from lichen.deploy.fields import PREDICTION_ID, Fields
from lichen.deploy.inference import tensor
from lichen.train.calibrate import Calibration, Interval, Probability

INSTANT = {"type": "string", "format": "date-time"}
Shape = dict[str, Any]


def ref(name: str) -> Shape:
    """A shape by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def shapes(deployed: Deployed, fields: Fields) -> dict[str, Shape]:
    """Every shape by its name."""
    row = _row(fields, example_of(deployed))
    return {
        "Row": row,
        "Rows": _closed({"rows": _many(ref("Row"))}),
        "Answer": _answer(deployed.calibration),
        "Answers": _open(predictions=_many(ref("Answer"))),
        "Error": _ERROR,
        "Invocation": _invocation(row, [column.name for column in deployed.request]),
        "Scores": _scores(deployed.calibration),
        "Health": {"type": "object"},
        "RolledBack": {"type": "object"},
        **_tensors(deployed),
    }


def _row(fields: Fields, example: Mapping[str, Any]) -> Shape:
    properties = {
        field.column.name: {
            "anyOf": [dict(field.openapi), {"type": "null"}],
            "description": field.right,
            "examples": [example[field.column.name]],
        }
        for field in fields.fields
    }
    own = {
        "type": ["string", "null"],
        "pattern": "^[A-Za-z0-9._:-]{1,128}$",
        "description": "the answer's name; asked twice, recorded once",
    }
    return {
        "type": "object",
        "properties": {**properties, PREDICTION_ID: own},
        "additionalProperties": fields.ignore_unknown,
        "examples": [dict(example)],
    }


def _invocation(row: Mapping[str, Any], names: list[str]) -> Shape:
    """What `/invocations` takes: one of four forms."""
    split = _closed(
        {
            "columns": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            "data": {"type": "array", "items": {"type": "array"}, "minItems": 1, "maxItems": MOST_ROWS},
        },
        index={"type": "array"},
    )
    positional = {"type": "array", "minItems": len(names), "maxItems": len(names)}
    columns = {"type": "object", "properties": {name: {} for name in names}}
    params = {"type": ["object", "null"], "properties": {NAME: {"type": "boolean"}}, "additionalProperties": False}
    example = dict(row["examples"][0])
    return {
        "oneOf": [
            _closed({"dataframe_split": split}, params=params),
            _closed({"dataframe_records": _many(ref("Row"))}, params=params),
            _closed({"instances": {"anyOf": [_many(ref("Row")), _many(positional)]}}, params=params),
            _closed({"inputs": {"anyOf": [columns, _many(ref("Row")), _many(positional)]}}, params=params),
        ],
        "examples": [
            {"dataframe_split": {"columns": list(example), "data": [list(example.values())]}},
            {"dataframe_records": [example]},
        ],
    }


def _tensors(deployed: Deployed) -> dict[str, Shape]:
    """The shapes of the Open Inference Protocol, with the service's own inputs as the example."""
    example = example_of(deployed)
    inputs = [_given(tensor(column), example[column.name]) for column in deployed.request]
    parameters, wish = {"type": "object"}, {"type": "object", "properties": {NAME: {"type": "boolean"}}}
    given = _open(
        name={"enum": [one["name"] for one in inputs] + [PREDICTION_ID]},
        shape={"type": "array", "items": {"type": "integer"}},
        datatype={"type": "string"},
        data={"type": "array"},
    )
    given["properties"]["parameters"] = parameters
    given["additionalProperties"] = False
    made = deployed.calibration
    outputs = ["score", *([made.gives] if made is not None else []), PREDICTION_ID]
    output = _closed({"name": {"enum": outputs}}, parameters=parameters)
    request = _closed(
        {"inputs": {"type": "array", "items": given, "minItems": 1}},
        id={"type": "string"},
        parameters=wish,
        outputs={"type": "array", "items": output},
    )
    request["examples"] = [{"inputs": inputs, "outputs": [{"name": "score"}]}]
    told = _open(
        name={"type": "string"}, shape={"type": "array", "items": {"type": "integer"}}, datatype={"type": "string"}
    )
    answered = {
        **told,
        "properties": {**told["properties"], "data": {"type": "array"}},
        "required": [*told["required"], "data"],
    }
    response = _open(model_name={"type": "string"}, outputs={"type": "array", "items": answered})
    response["properties"] |= {"model_version": {"type": "string"}, "id": {"type": "string"}}
    return {
        "InferenceRequest": request,
        "InferenceResponse": response,
        "ModelMetadata": _open(
            name={"type": "string"},
            versions={"type": "array", "items": {"type": "string"}},
            platform={"type": "string"},
            inputs={"type": "array", "items": told},
            outputs={"type": "array", "items": told},
        ),
        "ServerMetadata": _open(
            name={"type": "string"},
            version={"type": "string"},
            extensions={"type": "array", "items": {"type": "string"}},
        ),
        "PlainError": _open(error={"type": "string"}),
    }


def _given(about: Mapping[str, Any], value: Any) -> Shape:
    """A tensor of one row with this value."""
    data = value if isinstance(value, list) else [str(value) if about["datatype"] == "BYTES" else value]
    return {**about, "shape": [1, *about["shape"][1:]], "data": data}


def _many(item: Shape) -> Shape:
    return {"type": "array", "items": item, "minItems": 1, "maxItems": MOST_ROWS}


def _open(**properties: Any) -> Shape:
    """An object with these properties, and perhaps others."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def _closed(required: Mapping[str, Any], **more: Any) -> Shape:
    """An object with these properties, perhaps those, and no others."""
    properties = {**required, **more}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


_ANSWER = _open(
    prediction_id={"type": "string"},
    score={"type": ["number", "null"]},
    model={"type": "string"},
    model_version={"type": "string"},
    release={"type": "integer"},
    prediction_time=INSTANT,
    out_of_time={"type": ["boolean", "null"]},
    latency_us={"type": "integer"},
)
_NUMBER = {"type": ["number", "null"]}
_PAIR = {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}
_CONTRIBUTIONS = _open(
    unit={"enum": [LOG_ODDS, LABEL], "description": "of base and contributions, whose sum is the raw margin"},
    base={"type": "number"},
    features={"type": "object", "additionalProperties": {"type": "number"}},
    source_columns={"type": ["object", "null"], "additionalProperties": {"type": "number"}},
)
_GIVES: Mapping[str, tuple[Shape, str]] = {
    Probability.gives: (_NUMBER, "probabilities"),
    Interval.gives: (_PAIR, "intervals"),
}


def _answer(made: Calibration | None) -> Shape:
    """What a row is answered: where a release is calibrated, also with what the score means."""
    more = {} if made is None else {made.gives: _GIVES[made.gives][0]}
    properties = {**_ANSWER["properties"], **more}
    return {**_open(**properties), "properties": {**properties, NAME: _CONTRIBUTIONS}}


def _scores(made: Calibration | None) -> Shape:
    """What `/invocations` answers."""
    of_each = {} if made is None else {_GIVES[made.gives][1]: _many(_GIVES[made.gives][0])}
    shape = _open(predictions=_many(_NUMBER), **of_each)
    shape["properties"][NAME] = _many(_CONTRIBUTIONS)
    return shape


_ERROR = _open(error=_open(code={"type": "string"}, message={"type": "string"}, id={"type": "string"}))
_ERROR["properties"]["error"]["properties"] |= {"field": {"type": "string"}, "row": {"type": "integer"}}
