"""Features of one entity: one class, whatever the time they are computed at."""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, model_validator

from lichen.ground.duration import parse_duration
from lichen.spec.words import Name, Span, Spec

_OF_TABLES = ("entity", "aggregates", "windows", "latest", "ttl", "static", "time", "known")

FUNCTIONS = ("count", "sum", "avg", "min", "max")


class Aggregate(Spec):
    """One value over the rows of a window: `avg: arr_delay`, with what is done to each row's value first."""

    function: Literal["count", "sum", "avg", "min", "max"] = Field(description="What is computed over the window.")
    value: str = Field(description="The column or SQL row expression it is computed of; `*` counts rows.")
    clip: tuple[float, float] | None = Field(None, description="Values beyond these two are moved to them.")

    @classmethod
    def written_keys(cls) -> list[str]:
        """The keys of the long form: the function's name holds the value."""
        return [*FUNCTIONS, "clip"]

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Say how an aggregate is written: `avg(arr_delay)`, or `{avg: arr_delay, clip: [-40, 180]}`."""
        made = handler.resolve_ref_schema(handler(core))
        names = "|".join([*FUNCTIONS, *map(str.upper, FUNCTIONS)])
        short = {"type": "string", "pattern": rf"^\s*({names})\s*\([\s\S]+\)\s*$"}
        value = {"type": ["string", "number"], "description": made["properties"]["value"]["description"]}
        long = {
            "type": "object",
            "properties": {**dict.fromkeys(FUNCTIONS, value), "clip": made["properties"]["clip"]},
            "additionalProperties": False,
            "oneOf": [{"required": [name]} for name in FUNCTIONS],
        }
        return {"title": made["title"], "description": made["description"], "anyOf": [short, long]}

    @model_validator(mode="before")
    @classmethod
    def _from_short_forms(cls, data: Any) -> Any:
        if isinstance(data, str):
            return _from_text(data)
        if isinstance(data, dict) and "function" not in data:
            named = [key for key in data if key in FUNCTIONS]
            if len(named) != 1:
                raise ValueError(f"an aggregate names one of {', '.join(FUNCTIONS)}, as in `avg: arr_delay`")
            value = data[named[0]]
            rest = {key: given for key, given in data.items() if key != named[0]}
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return {"function": named[0], "value": str(value) if number else value, **rest}
        return data

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not self.value.strip():
            raise ValueError(f"`{self.function}` needs the column or expression it is computed of")
        if self.clip is not None and not self.clip[0] <= self.clip[1]:
            raise ValueError(f"`clip` starts at {self.clip[0]:g}, which is not below its end {self.clip[1]:g}")
        return self


def _from_text(text: str) -> dict[str, str]:
    name, _, rest = text.strip().partition("(")
    function = name.strip().lower()
    if function not in FUNCTIONS or not _closes_at_the_end(rest):
        raise ValueError(f"`{text}` is not an aggregate: write one of {', '.join(FUNCTIONS)}, as in `avg(arr_delay)`")
    return {"function": function, "value": rest[:-1].strip()}


def _closes_at_the_end(rest: str) -> bool:
    """Whether the parenthesis opened before `rest` closes at its very end: it does not in `a) + sum(b)`."""
    depth = 1
    for mark in re.finditer(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[()]", rest):
        depth += {"(": 1, ")": -1}.get(mark[0], 0)
        if depth == 0:
            return mark.end() == len(rest)
    return False


def _a_window(text: str) -> str:
    """Refuse a window that is neither a span nor `all`."""
    if text != "all":
        parse_duration(text)
        if not text.isalnum():
            raise ValueError(f"the window `{text}` becomes part of a name: write it without spaces")
    return text


Window = Annotated[str, AfterValidator(_a_window)]
"""How far back a window reaches: `1h`, `7d`, or `all`."""


class FeatureView(Spec):
    """Features of one entity.

    With `from`, they are computed of a table's rows: `aggregates` over `windows`, or the `latest` known row.
    With `on: request`, they arrive with the request or are computed of what does.
    """

    description: str | None = Field(None, description="What the features tell, for people.")
    entity: dict[Name, str] | None = Field(
        None, description="The key columns and their types; `{}` is one row for everybody."
    )
    from_: Name | None = Field(None, alias="from", description="The table or source whose rows are summed up.")
    on: Literal["request"] | None = Field(None, description="`request`: the features come with the request.")
    time: str | None = Field(None, description="When a row's event happened; the table's own if absent.")
    known: str | None = Field(None, description="When a row became known; the table's own if absent.")
    aggregates: dict[Name, Aggregate] = Field(default_factory=dict, description="Values over windows of rows.")
    windows: tuple[Window, ...] = Field((), description="How far back each window reaches: `1h`, `7d`, or `all`.")
    latest: tuple[Name, ...] = Field(
        (),
        description="Columns of the last known row. One of type `FLOAT[n]` or `DOUBLE[n]` is a vector, as an embedding "
        "is: a model reads its elements as `n` numbers, and one that is null as a missing number.",
    )
    ttl: Span | None = Field(None, description="How old, by event time, the last known row may be.")
    static: bool = Field(False, description="The table has no time: its rows are taken as known always.")
    columns: dict[Name, str] = Field(
        default_factory=dict,
        description="What the request brings, with types. `FLOAT[n]` or `DOUBLE[n]` is a vector, which comes as an "
        "array of exactly `n` numbers.",
    )
    expressions: dict[Name, str] = Field(
        default_factory=dict, description="Row expressions over the request and other views' features."
    )

    @model_validator(mode="after")
    def _one_way_of_being(self) -> Self:
        if (self.from_ is None) == (self.on is None):
            raise ValueError("a feature view has either `from: <table>` or `on: request`")
        if self.on:
            self._check_request()
        else:
            self._check_table()
        for name, times in Counter(self.feature_names()).items():
            if times > 1:
                raise ValueError(f"two features would be called `{name}`: rename one of them")
        return self

    def _check_request(self) -> None:
        given = [key for key in _OF_TABLES if key in self.model_fields_set]
        if given:
            raise ValueError(f"`on: request` has columns and expressions, not `{given[0]}`")
        if not self.columns and not self.expressions:
            raise ValueError("`on: request` needs `columns`, `expressions` or both")

    def _check_table(self) -> None:
        if self.entity is None:
            raise ValueError("a feature view needs `entity: {column: type}`, or `entity: {}` for everybody")
        if self.columns or self.expressions:
            raise ValueError("`columns` and `expressions` belong to a view with `on: request`")
        if not self.aggregates and not self.latest:
            raise ValueError("a feature view needs `aggregates`, `latest` or both")
        if bool(self.aggregates) != bool(self.windows):
            raise ValueError("`aggregates` and `windows` go together")
        if twice := [window for window, times in Counter(self.windows).items() if times > 1]:
            raise ValueError(f"`windows` has `{twice[0]}` twice")
        if self.static and (self.aggregates or self.ttl or self.time or self.known):
            raise ValueError("a static view has `latest` only: without a time there is no window and no age")
        if self.ttl and not self.latest:
            raise ValueError("`ttl` is the greatest age of the `latest` row: name its columns")

    def feature_names(self) -> tuple[str, ...]:
        """The features' names within the view, in order: `delay_mean_7d`, `temp`, `hour`."""
        windowed = tuple(f"{name}_{window}" for name in self.aggregates for window in self.windows)
        return (*windowed, *self.latest, *self.columns, *self.expressions)
