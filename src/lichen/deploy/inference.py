"""The Open Inference Protocol, version 2: rows asked about as named tensors, over REST.

Its specification: https://github.com/kserve/open-inference-protocol, `specification/protocol/inference_rest.md`.
Beyond it, `null` in a tensor's data stands for a value that is missing. Its binary extension is not spoken.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version as installed
from typing import Any

from lichen.deploy.answer import Answer, RowPath
from lichen.deploy.body import MOST_ROWS, parse, wrong_count
from lichen.deploy.contributions import Contributions, wish
from lichen.deploy.door import JSON_KIND
from lichen.deploy.fields import INTEGERS, PREDICTION_ID, kind_of
from lichen.deploy.question import Question
from lichen.deploy.refused import Refused, shown, unknown_field
from lichen.deploy.reply import Reply, encode
from lichen.errors import did_you_mean
from lichen.ground.types import vector_of
from lichen.ports import Column
from lichen.train.calibrate import Interval, Probability

Output = tuple[str, tuple[int, ...], Callable[[Mapping[str, Any]], Any]]

_DATATYPES = {
    "BOOLEAN": "BOOL", "TINYINT": "INT8", "SMALLINT": "INT16", "INTEGER": "INT32", "BIGINT": "INT64",
    "UTINYINT": "UINT8", "USMALLINT": "UINT16", "UINTEGER": "UINT32", "UBIGINT": "UINT64",
    "FLOAT": "FP32", "DOUBLE": "FP64",
}  # fmt: skip
_OUTPUTS: Mapping[str, Output] = {
    "score": ("FP64", (), lambda told: told["score"]),
    Probability.gives: ("FP64", (), lambda told: told[Probability.gives]),
    Interval.gives: ("FP64", (2,), lambda told: told[Interval.gives]),
    PREDICTION_ID: ("BYTES", (), lambda told: told[PREDICTION_ID]),
}
"""What a release may give: its datatype, the sizes of a row's tensor, and its values in an answer."""

_WHOLE = {datatype: INTEGERS[kind] for kind, datatype in _DATATYPES.items() if kind in INTEGERS}
_FLOATS = {"FP16": "e", "FP32": "f", "FP64": "d"}
_KNOWN = ("BOOL", *_WHOLE, *_FLOATS, "BYTES")


class Inference:
    """Reads `/v2/models/{name}/infer`, and tells what the model takes and gives."""

    kinds = (JSON_KIND,)

    def __init__(self, path: RowPath) -> None:
        self.path = path
        made = path.deployed.calibration
        lacking = {Probability.gives, Interval.gives} - ({made.gives} if made is not None else set())
        self.outputs = {name: output for name, output in _OUTPUTS.items() if name not in lacking}

    def expect(self, name: str, version: str | None = None) -> None:
        """Refuse the name of a model, or a version, that is not the one served."""
        deployed = self.path.deployed
        if name != deployed.model:
            raise Refused(
                404, "LCH-1874", f"there is no model {shown(name)} here", fix=did_you_mean(name[:200], [deployed.model])
            )
        if version is not None and version != deployed.model_version:
            raise Refused(
                404,
                "LCH-1874",
                f"the version {shown(version)} of the model {shown(name)} is not served",
                fix=f"ask for {deployed.model_version}, or leave the version out",
            )

    def server(self) -> dict[str, Any]:
        """What the protocol calls the server's metadata."""
        return {"name": "lichen", "version": installed("lichen"), "extensions": []}

    def model(self) -> dict[str, Any]:
        """What the protocol calls the model's metadata: its inputs and outputs, as tensors of any number of rows."""
        deployed = self.path.deployed
        return {
            "name": deployed.model,
            "versions": [deployed.model_version],
            "platform": "lichen",
            "inputs": [tensor(column) for column in deployed.request],
            "outputs": [
                {"name": name, "datatype": datatype, "shape": [-1, *sizes]}
                for name, (datatype, sizes, _) in self.outputs.items()
            ],
        }

    def read(self, body: bytes, kind: str, accept: str, query: str = "") -> Question:  # noqa: ARG002 - JSON in, JSON out
        """The rows that the tensors of a request hold; its `parameters` may ask for contributions."""
        said = _object(parse(body), "the body")
        _only(said, ("id", "parameters", "inputs", "outputs"), "the body")
        _parameters(said, "the body")
        number = said.get("id")
        if number is not None and not isinstance(number, str):
            raise _wrong("`id`", number, "a text")
        wanted = self._outputs(said.get("outputs"))
        columns = self._inputs(said.get("inputs"))
        names = tuple(columns)
        rows = [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]

        def tell(answers: Sequence[Answer], contributions: Sequence[Contributions] = ()) -> Reply:
            deployed = self.path.deployed
            rows = [self.path.shown(answer) for answer in answers]
            told = {
                "model_name": deployed.model,
                "model_version": deployed.model_version,
                **({} if number is None else {"id": number}),
                "outputs": [
                    *(_told(name, *self.outputs[name], rows) for name in wanted),
                    *(_contributed(contributions) if contributions else ()),
                ],
            }
            return Reply(200, encode(told))

        return Question(rows, tell, contributions=wish(said.get("parameters") or {}))

    def _outputs(self, said: object) -> list[str]:
        if said is None:
            return list(self.outputs)
        wanted: list[str] = []
        for place, given in enumerate(_array(said, "`outputs`")):
            where = f"`outputs[{place}]`"
            output = _object(given, where)
            _only(output, ("name", "parameters"), where)
            _parameters(output, where)
            name = output.get("name")
            if not isinstance(name, str) or name not in self.outputs or name in wanted:
                raise _wrong(f"`name` of {where}", name, f"one of {', '.join(self.outputs)}, each once")
            wanted.append(name)
        return wanted or list(self.outputs)

    def _inputs(self, said: object) -> dict[str, list[Any]]:
        """Each input's values, one a row."""
        columns: dict[str, list[Any]] = {}
        known = {column.name: column for column in self.path.deployed.request}
        known[PREDICTION_ID] = Column(PREDICTION_ID, "VARCHAR")
        for place, given in enumerate(_array(said, "`inputs`")):
            where = f"`inputs[{place}]`"
            one = _object(given, where)
            _only(one, ("name", "shape", "datatype", "parameters", "data"), where)
            _parameters(one, where)
            name = one.get("name")
            if not isinstance(name, str):
                raise _wrong(f"`name` of {where}", name, "the name of an input")
            if name not in known and self.path.fields.ignore_unknown:
                continue
            if name not in known:
                raise unknown_field(name, known)
            if name in columns:
                raise _wrong(f"`name` of {where}", name, "given once")
            columns[name] = _tensor(one, known[name], partial(self.path.fields.repeated, name))
        sizes = {len(values) for values in columns.values()}
        if len(sizes) != 1:
            counts = ", ".join(f"`{name}` {len(values)}" for name, values in list(columns.items())[:5])
            raise Refused(
                422,
                "LCH-1873",
                f"the inputs have different numbers of rows: {counts}" if sizes else "`inputs` is empty",
                fix="give each input one value a row" if sizes else "give at least one input",
            )
        return columns


def _told(
    name: str,
    datatype: str,
    sizes: Sequence[int],
    value: Callable[[Mapping[str, Any]], Any],
    rows: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """An output's tensor, its elements in row-major order."""
    values = [value(row) for row in rows]
    data = [one for row in values for one in row] if sizes else values
    return {"name": name, "datatype": datatype, "shape": [len(rows), *sizes], "data": data}


def _contributed(contributions: Sequence[Contributions]) -> Iterator[dict[str, Any]]:
    """Contributions as tensors; their `parameters` name the features and the source columns in their order."""
    first, rows = contributions[0], [one.shown() for one in contributions]
    yield _told("contributions.base", "FP64", (), lambda row: row["base"], rows) | {"parameters": {"unit": first.unit}}
    for part in ("features", "source_columns"):
        if rows[0][part] is not None:
            names = list(rows[0][part])
            made = _told(f"contributions.{part}", "FP64", (len(names),), lambda row: row[part].values(), rows)  # noqa: B023
            yield made | {"parameters": {"names": names}}


def tensor(column: Column) -> dict[str, Any]:
    """A request column as the protocol describes a tensor; what has no datatype of its own is text.

    >>> tensor(Column("distance", "DOUBLE"))
    {'name': 'distance', 'datatype': 'FP64', 'shape': [-1]}
    """
    kind = kind_of(column)
    vector = vector_of(kind)
    if vector is not None:
        return {"name": column.name, "datatype": _DATATYPES[vector[0]], "shape": [-1, vector[1]]}
    return {"name": column.name, "datatype": _DATATYPES.get(kind, "BYTES"), "shape": [-1]}


def _tensor(one: Mapping[str, Any], column: Column, repeated: Callable[[object], object]) -> list[Any]:
    """The values of a tensor, one a row, for a vector's column a list each; `repeated` is one as refusals tell it."""
    name, vector = column.name, vector_of(kind_of(column))
    datatype, shape = one.get("datatype"), one.get("shape")
    if datatype not in _KNOWN:
        raise _wrong("`datatype`", datatype, f"one of {', '.join(_KNOWN)}", name)
    width = vector[1] if vector else 1
    right = f"[rows, {width}]" if vector else "[rows], or [rows, 1]"
    if not isinstance(shape, list) or not all(type(size) is int for size in shape) or "data" not in one:
        raise _wrong("`shape`" if "data" in one else "`data`", shape, f"{right}, beside `data` of that shape", name)
    if shape[1:] not in (([width],) if vector else ([], [1])) or not shape:
        raise _wrong("`shape`", str(shape), right, name)
    if not 0 < shape[0] <= MOST_ROWS:
        raise wrong_count(shape[0], name)
    flat: list[Any] = []
    if not isinstance(one["data"], list):
        raise _wrong("`data`", repeated(one["data"]), "an array of the tensor's elements", name)
    _flatten(one["data"], len(shape), flat)
    if len(flat) != shape[0] * width:
        raise _wrong("`data`", f"{len(flat)} values", f"as many as `shape` says: {shape[0] * width}", name)
    fit = _fit(datatype)
    values = []
    for place, value in enumerate(flat):
        try:
            values.append(None if value is None else fit(value))
        except (ValueError, OverflowError, struct.error):
            what = f"`data[{place}]`"
            raise _wrong(what, repeated(value), f"a value of {datatype}", name, place // width) from None
    return [values[at : at + width] for at in range(0, len(values), width)] if vector else values


def _flatten(data: list[Any], deep: int, into: list[Any]) -> None:
    """The elements of nested or flat data, in row-major order."""
    for one in data:
        if isinstance(one, list) and deep > 1:
            _flatten(one, deep - 1, into)
        else:
            into.append(one)


def _fit(datatype: str) -> Callable[[Any], Any]:
    """What makes an element one of a datatype, or raises ValueError."""
    if datatype == "BOOL":
        return _boolean
    if datatype == "BYTES":
        return _text
    if datatype in _FLOATS:
        return _float(_FLOATS[datatype])
    low, high = _WHOLE[datatype]

    def whole(value: Any) -> int:
        if type(value) is int and low <= value <= high:
            return value
        raise ValueError

    return whole


def _boolean(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise ValueError


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    raise ValueError


def _float(kind: str) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        if type(value) not in (int, float):
            raise ValueError
        rounded: float = struct.unpack(kind, struct.pack(kind, value))[0]
        if math.isfinite(rounded):
            return rounded
        raise ValueError

    return read


def _object(said: object, where: str) -> Mapping[str, Any]:
    if isinstance(said, dict):
        return said
    raise _wrong(where, said, "a JSON object")


def _array(said: object, where: str) -> list[Any]:
    if isinstance(said, list):
        return said
    raise _wrong(where, said, "a JSON array")


def _only(said: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in said:
        if key not in known:
            raise Refused(
                422,
                "LCH-1873",
                f"{where} has the key {shown(key)}",
                fix=did_you_mean(key[:200], known),
                field=key[:200],
            )


def _parameters(said: Mapping[str, Any], where: str) -> None:
    """Refuse parameters that are no object, and those that ask for the binary extension; others mean nothing here."""
    parameters = said.get("parameters")
    if parameters is None:
        return
    for key in _object(parameters, f"`parameters` of {where}"):
        if key in ("binary_data", "binary_data_size", "binary_data_output") and parameters[key]:
            raise Refused(
                422,
                "LCH-1873",
                f"`parameters` of {where} asks for `{key}`",
                fix="send and take tensors as JSON: the binary extension is not spoken here",
            )


def _wrong(what: str, value: object, right: str, field: str | None = None, row: int | None = None) -> Refused:
    where = f" of the input `{field}`" if field is not None else ""
    return Refused(422, "LCH-1873", f"{what}{where} is {shown(value)}", fix=f"it must be {right}", field=field, row=row)
