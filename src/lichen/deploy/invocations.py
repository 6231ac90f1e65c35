"""What SageMaker and MLflow's clients send to `/invocations`: JSON in four forms, or CSV with a header."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lichen.deploy.answer import Answer, RowPath
from lichen.deploy.body import MOST_ROWS, parse, wrong_count
from lichen.deploy.contributions import NAME, Contributions, wish
from lichen.deploy.door import CSV_KIND, JSON_KIND
from lichen.deploy.fields import PREDICTION_ID, kind_of
from lichen.deploy.question import Question
from lichen.deploy.refused import Refused, shown, unknown_field
from lichen.deploy.reply import Reply, encode
from lichen.ground.types import vector_of
from lichen.ports import Column
from lichen.train.calibrate import Probability

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


class Invocations:
    """Reads `/invocations`; its answers are the scores, `{"predictions": [...]}`, and beside them what they mean."""

    kinds = (JSON_KIND, CSV_KIND)

    def __init__(self, path: RowPath) -> None:
        self.path = path
        self._order = [column.name for column in path.deployed.request]

    def read(self, body: bytes, kind: str, accept: str, query: str = "") -> Question:  # noqa: ARG002 - JSON out
        """The rows of a body in one of the four forms, or of CSV; `params` may ask for contributions."""
        said = None if kind == CSV_KIND else parse(body)
        rows = self._csv(body) if kind == CSV_KIND else self._json(said)
        if not 0 < len(rows) <= MOST_ROWS:
            raise wrong_count(len(rows))
        params = said.get("params") if isinstance(said, dict) else None
        return Question(rows, self._tell, contributions=wish(params or {}))

    def _tell(self, answers: Sequence[Answer], contributions: Sequence[Contributions] = ()) -> Reply:
        told: dict[str, Any] = {"predictions": [answer.score for answer in answers]}
        made = self.path.deployed.calibration
        if isinstance(made, Probability):
            told["probabilities"] = [answer.probability for answer in answers]
        elif made is not None:
            told["intervals"] = [answer.interval for answer in answers]
        if contributions:
            told[NAME] = [one.shown() for one in contributions]
        return Reply(200, encode(told))

    def _json(self, said: object) -> list[dict[str, Any]]:
        if not isinstance(said, dict):
            raise _wrong("the body", said, f"a JSON object with one of {', '.join(FORMS)}")
        there = [form for form in FORMS if form in said]
        others = [key for key in said if key not in FORMS]
        strange = next((key for key in others if key != "params"), None)
        if len(there) != 1 or strange is not None or not _params(said.get("params")):
            what = f"the body has the key {shown(strange)}" if strange else f"the body has {len(there)} of the forms"
            if not _params(said.get("params")):
                what = f"the body has `params` other than `{NAME}`"
            raise Refused(422, "LCH-1875", what, fix=f"give one of {', '.join(FORMS)}, and nothing beside it")
        form = there[0]
        given = said[form]
        if form == "dataframe_split":
            return _split(given)
        if form == "dataframe_records":
            return _records(given, form)
        if isinstance(given, dict) and form == "inputs":
            return _columns(given)
        if isinstance(given, list) and given and not isinstance(given[0], dict):
            return self._positional(given, form)
        return _records(given, form)

    def _positional(self, rows: Sequence[Any], form: str) -> list[dict[str, Any]]:
        """Rows without names: their values in the order of the request's columns; of one column, the values alone."""
        made = []
        for number, row in enumerate(rows):
            values = row if isinstance(row, list) else [row]
            if len(values) != len(self._order):
                right = f"{len(self._order)} values, for {', '.join(self._order)}"
                raise _wrong(f"row {number} of `{form}`", f"{len(values)} values", right, row=number)
            made.append(dict(zip(self._order, values, strict=True)))
        return made

    def _csv(self, body: bytes) -> list[dict[str, Any]]:
        try:
            lines = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
            header = next(lines, [])
            reads = [self._reading(name) for name in header]
            if len(set(header)) != len(header):
                raise Refused(422, "LCH-1876", "the CSV's header names a column twice", fix="name each column once")
            rows: list[dict[str, Any]] = []
            for number, line in enumerate(line for line in lines if line or len(header) == 1):
                if len(rows) == MOST_ROWS:
                    raise wrong_count(MOST_ROWS, more=True)
                if len(line) != len(header):
                    raise Refused(
                        422,
                        "LCH-1876",
                        f"row {number} of the CSV has {len(line)} values, its header {len(header)}",
                        fix="give each row a value, or nothing, for each column of the header",
                        row=number,
                    )
                rows.append({name: read(text) for name, read, text in zip(header, reads, line, strict=True)})
            return rows
        except UnicodeDecodeError:
            raise Refused(400, "LCH-1876", "the CSV is not UTF-8", fix="encode it as UTF-8") from None
        except csv.Error as wrong:
            raise Refused(
                400, "LCH-1876", f"the body is no CSV: {wrong}", fix='separate values by commas, quote texts by "'
            ) from None

    def _reading(self, name: str) -> Callable[[str], Any]:
        if name == PREDICTION_ID:
            return _text
        for column in self.path.deployed.request:
            if column.name == name:
                return _from_text(column)
        if self.path.fields.ignore_unknown:
            return _text
        raise unknown_field(name, self.path.fields.names)


def _params(said: object) -> bool:
    """Whether parameters are none, or the one that there is."""
    return not said or (isinstance(said, dict) and set(said) <= {NAME})


def _from_text(column: Column) -> Callable[[str], Any]:
    """How a cell of CSV is read: nothing is null; what is no number stays a text, for the field to refuse."""
    kind = kind_of(column)
    if kind == "BOOLEAN":
        return lambda text: {"true": True, "false": False, "": None}.get(text.lower(), text)
    if kind in ("DOUBLE", "FLOAT"):
        return _number
    if kind.endswith(("INT", "INTEGER")):
        return _whole
    return _list if vector_of(kind) else _text


def _text(text: str) -> str | None:
    return text or None


def _number(text: str) -> Any:
    if not text or text.lower() == "nan":
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return number if abs(number) < float("inf") and "_" not in text else text


def _whole(text: str) -> Any:
    stripped = text.strip()
    if stripped.lstrip("+-").isascii() and stripped.lstrip("+-").isdigit() and len(stripped) < 40:
        return int(stripped)
    return _number(text)


def _list(text: str) -> Any:
    if not text:
        return None
    try:
        return parse(text.encode())
    except Refused:
        return text


def _split(given: object) -> list[dict[str, Any]]:
    right = 'an object of `columns` and `data`: {"columns": [...], "data": [[...]]}'
    if not isinstance(given, dict) or set(given) - {"columns", "index", "data"}:
        raise _wrong("`dataframe_split`", given, right)
    columns, data = given.get("columns"), given.get("data")
    if not isinstance(columns, list) or not isinstance(data, list):
        raise _wrong("`dataframe_split`", given, right)
    if not all(isinstance(name, str) for name in columns) or len(set(columns)) != len(columns):
        raise _wrong("`columns`", columns, "an array of names, each once")
    for number, row in enumerate(data):
        if not isinstance(row, list) or len(row) != len(columns):
            raise _wrong(f"row {number} of `data`", row, f"an array of {len(columns)} values", row=number)
    return [dict(zip(columns, row, strict=True)) for row in data]


def _records(given: object, form: str) -> list[dict[str, Any]]:
    if not isinstance(given, list):
        raise _wrong(f"`{form}`", given, "an array of rows")
    for number, row in enumerate(given):
        if not isinstance(row, dict):
            raise _wrong(f"row {number} of `{form}`", row, "an object of fields by name", row=number)
    return given


def _columns(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of an object of columns; a value alone is a column of one row."""
    columns = {name: value if isinstance(value, list) else [value] for name, value in given.items()}
    sizes = {len(values) for values in columns.values()}
    if len(sizes) > 1:
        raise _wrong("`inputs`", f"columns of {min(sizes)} to {max(sizes)} values", "columns of one length")
    names = tuple(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _wrong(what: str, value: object, right: str, row: int | None = None) -> Refused:
    return Refused(422, "LCH-1875", f"{what} is {shown(value)}", fix=f"it must be {right}", row=row)
