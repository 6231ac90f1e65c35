"""One value over the rows of a window: how it is written, and what each row gives it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, WithJsonSchema, model_validator

from lichen.errors import did_you_mean, nearest
from lichen.spec.words import NAME, Span, Spec

FUNCTIONS = (
    *("count", "sum", "avg", "min", "max", "std", "var", "first", "last"),
    *("count_distinct", "quantile", "mode", "share", "rate", "since"),
)
"""What can be computed over the rows of a window."""

SPELLINGS = {"mean": "avg"}
"""Other names that are taken as well."""

_ELSEWHERE = {
    **dict.fromkeys(("average",), "avg"),
    **dict.fromkeys(("stddev", "stddev_samp", "stdev", "sd"), "std"),
    **dict.fromkeys(("variance", "var_samp"), "var"),
    **dict.fromkeys(("median", "percentile", "quantile_cont", "percentile_cont"), "quantile"),
    **dict.fromkeys(("nunique", "approx_count_distinct", "n_unique", "unique"), "count_distinct"),
    **dict.fromkeys(("top", "most_common"), "mode"),
    **dict.fromkeys(("ratio", "fraction"), "share"),
    **dict.fromkeys(("slope", "trend"), "rate"),
    **dict.fromkeys(("recency", "time_since", "age"), "since"),
}
"""What others call these functions: told, and not taken, for not all of them mean quite the same."""

_FEATURE = re.compile(rf"({NAME.pattern})\.({NAME.pattern})")
_MARKS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[()\[\]{},]")
_DISTINCT = re.compile(r"(?is)distinct\b\s*(.*)")


def _a_number_or_a_feature(value: object) -> object:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number and not isinstance(value, str):
        raise ValueError("a prior is a number, or a feature as `view.feature`")
    if isinstance(value, str) and not _FEATURE.fullmatch(value):
        raise ValueError(f"`{value}` is not a feature: write it as `view.feature`")
    return value


Other = Annotated[
    float | str,
    BeforeValidator(_a_number_or_a_feature),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"^{_FEATURE.pattern}$"}]}),
]
"""A number, or a feature of another view: `airspace.delay_mean_28d`, or `airspace.delay_mean` for the same window's."""


class Prior(Spec):
    """What stands in where a window holds few rows: a number, or a feature of a parent entity.

    With `mean` and `weight`, an average is drawn to it: (sum + weight * prior) / (rows + weight). With `use` and
    `below`, it takes the place of what fewer rows than that would give.
    """

    mean: Other | None = Field(
        None, description="What an average is drawn to: a number, or a feature as `view.feature`."
    )
    weight: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="As how many rows `mean` counts beside the window's own."
    )
    use: Other | None = Field(None, description="What is taken in its place: a number, or a feature as `view.feature`.")
    below: int | None = Field(None, ge=1, description="With fewer rows than this that are not null, `use` is taken.")

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        for one, with_ in (("mean", "weight"), ("use", "below")):
            if (getattr(self, one) is None) != (getattr(self, with_) is None):
                raise ValueError(f"`{one}` and `{with_}` go together, as in {_PRIORS}")
        if (self.mean is None) == (self.use is None):
            raise ValueError(f"a prior is written in one of two ways: {_PRIORS}")
        return self

    @property
    def key(self) -> str:
        """The key under which the number or the feature stands."""
        return "use" if self.mean is None else "mean"

    @property
    def other(self) -> float | str:
        """The number or the feature, whichever form it is written in."""
        found = self.use if self.mean is None else self.mean
        assert found is not None
        return found

    @property
    def parent(self) -> tuple[str, str] | None:
        """The view and the feature that are named; None for a number."""
        found = _FEATURE.fullmatch(self.other) if isinstance(self.other, str) else None
        return (found[1], found[2]) if found else None


_PRIORS = "`{mean: view.feature, weight: 10}` or `{use: view.feature, below: 5}`"


class Aggregate(Spec):
    """One value over the rows of a window: `avg: arr_delay`, with which rows count and what each one's value is."""

    function: Literal[
        "count", "sum", "avg", "min", "max", "std", "var", "first", "last",
        "count_distinct", "quantile", "mode", "share", "rate", "since",
    ] = Field(description="What is computed over the window.")  # fmt: skip
    value: str = Field(description="The column or SQL row expression it is computed of; `*` stands for the row itself.")
    at: float | None = Field(
        None,
        description="Which quantile: 0.5 is the median.",
        json_schema_extra={"exclusiveMinimum": 0, "exclusiveMaximum": 1},
    )
    clip: tuple[float, float] | None = Field(None, description="Values beyond these two are moved to them.")
    where: str | None = Field(None, description="An SQL condition over the row: rows that do not meet it do not count.")
    lag: Span | None = Field(None, description="How long before the prediction time the windows end.")
    back: int = Field(
        0,
        description="For `last`: how many rows before the last one that is not null.",
        json_schema_extra={"minimum": 0},
    )
    prior: Prior | None = Field(None, description="What stands in where a window holds few rows.")

    @classmethod
    def written_keys(cls) -> list[str]:
        """The keys of the long form: the function's name holds the value."""
        return [*FUNCTIONS, *_SETTINGS]

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Say how an aggregate is written: `avg(arr_delay)`, or `{avg: arr_delay, clip: [-40, 180]}`."""
        made = handler.resolve_ref_schema(handler(core))
        known = [*FUNCTIONS, *SPELLINGS]
        names = "|".join([*known, *map(str.upper, known)])
        short = {"type": "string", "pattern": rf"^\s*({names})\s*\([\s\S]+\)\s*$"}
        value = {"type": ["string", "number"], "description": made["properties"]["value"]["description"]}
        described = {name: {**value, "description": MEANINGS[SPELLINGS.get(name, name)]} for name in known}
        long = {
            "type": "object",
            "properties": {**described, **{key: made["properties"][key] for key in _SETTINGS}},
            "additionalProperties": False,
            "oneOf": [{"required": [name]} for name in known],
        }
        return {"title": made["title"], "description": made["description"], "anyOf": [short, long]}

    @model_validator(mode="before")
    @classmethod
    def _from_short_forms(cls, data: Any) -> Any:
        if isinstance(data, str):
            return _from_text(data)
        if isinstance(data, dict) and "function" not in data:
            named = [key for key in data if key in FUNCTIONS or key in SPELLINGS]
            if len(named) != 1:
                strange = next((key for key in data if key not in _SETTINGS), None) if not named else None
                meant = _meant(strange) if isinstance(strange, str) else ""
                raise ValueError(f"an aggregate names one of {', '.join(FUNCTIONS)}, as in `avg: arr_delay`{meant}")
            value = data[named[0]]
            rest = {key: given for key, given in data.items() if key != named[0]}
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return {**_counted(SPELLINGS.get(named[0], named[0]), str(value) if number else value), **rest}
        return data

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not self.value.strip():
            raise ValueError(f"`{self.function}` needs the column or expression it is computed of")
        if self.clip is not None and not self.clip[0] <= self.clip[1]:
            raise ValueError(f"`clip` starts at {self.clip[0]:g}, which is not below its end {self.clip[1]:g}")
        if self.where is not None and not self.where.strip():
            raise ValueError("`where` needs a condition, as in `where: cancelled IS NULL`")
        return self

    @property
    def of_rows(self) -> bool:
        """Whether it is of the row itself: `*`."""
        return self.value.strip() == "*"

    @property
    def row_value(self) -> str:
        """What a row gives, in SQL: null where it does not count; `*` where every row does."""
        value = f"CAST(({self.value}) AS INTEGER)" if self.function == "share" else self.value
        if self.where is None:
            return "*" if self.of_rows else value
        return f"CASE WHEN ({self.where}) THEN {'1' if self.of_rows else f'({value})'} END"


_SETTINGS = ("at", "clip", "where", "lag", "back", "prior")

MEANINGS = {
    "count": "How many rows have a value; `*` counts all, `distinct x` is `count_distinct` of x.",
    "sum": "The sum.",
    "avg": "The mean; also written `mean`.",
    "min": "The least.",
    "max": "The greatest.",
    "std": "The standard deviation of a sample.",
    "var": "The variance of a sample.",
    "first": "The value of the first row that has one.",
    "last": "The value of the last row that has one.",
    "count_distinct": "How many different values there are.",
    "quantile": "The value below which the share `at` of the values lies.",
    "mode": "The most frequent value.",
    "share": "The share of rows for which a condition holds.",
    "rate": "The change a second: the last value less the first, by the seconds between them.",
    "since": "The seconds from the last row that has a value, `*` from any, to the prediction time.",
}
"""What each function gives, in a line."""


def _from_text(text: str) -> dict[str, Any]:
    name, _, rest = text.strip().partition("(")
    function = SPELLINGS.get(name.strip().lower(), name.strip().lower())
    inside = _inside(rest)
    if function not in FUNCTIONS or inside is None:
        meant = _meant(name.strip().lower()) if function not in FUNCTIONS and inside is not None else ""
        raise ValueError(
            f"`{text}` is not an aggregate: write one of {', '.join(FUNCTIONS)}, as in `avg(arr_delay)`{meant}"
        )
    if function == "quantile" and len(inside) > 1 and (at := _number(inside[-1])) is not None:
        return {"function": function, "value": ", ".join(inside[:-1]), "at": at}
    return _counted(function, rest.rpartition(")")[0].strip())


def _counted(function: str, value: Any) -> dict[str, Any]:
    """A function and its value, where `count(distinct x)` is a function of its own."""
    distinct = _DISTINCT.fullmatch(value.strip()) if function == "count" and isinstance(value, str) else None
    return {"function": "count_distinct", "value": distinct[1]} if distinct else {"function": function, "value": value}


def _meant(name: str) -> str:
    """What to say of a name that others give one of the functions, or that is near one."""
    if name in _ELSEWHERE:
        return f"; did you mean `{_ELSEWHERE[name]}`?"
    return f"; {did_you_mean(name, FUNCTIONS)}" if nearest(name, FUNCTIONS) else ""


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _inside(rest: str) -> list[str] | None:
    """What stands between the parenthesis opened before `rest` and its end, at commas; None where it closes earlier.

    It does in `a) + sum(b)`.
    """
    depth, commas = 1, list[int]()
    for mark in _MARKS.finditer(rest):
        if mark[0] == "," and depth == 1:
            commas.append(mark.start())
        depth += 1 if mark[0] in "([{" else -1 if mark[0] in ")]}" else 0
        if depth == 0:
            whole = mark[0] == ")" and not rest[mark.end() :].strip()
            return list(_pieces(rest[: mark.start()], commas)) if whole else None
    return None


def _pieces(text: str, commas: Iterable[int]) -> Iterable[str]:
    start = 0
    for comma in commas:
        yield text[start:comma].strip()
        start = comma + 1
    yield text[start:].strip()
