"""What an aggregate means: which types it takes, which it gives, and what of a row it is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lichen.errors import FoundWrong, Where
from lichen.feature.value import is_storable, value_kind
from lichen.feature.view import COUNTED, WindowAggregate
from lichen.ground.duration import microseconds

if TYPE_CHECKING:
    from lichen.spec import Aggregate

_OF_NUMBERS = ("sum", "avg", "std", "var", "quantile", "rate")
_OF_AN_ORDER = ("min", "max")
_OF_A_ROW = ("first", "last", "mode")
_OF_ANY_ROW = ("count", "since")

_TAKES = {
    **dict.fromkeys(_OF_NUMBERS, "numbers"),
    **dict.fromkeys(_OF_AN_ORDER, "numbers and instants"),
    **dict.fromkeys(_OF_A_ROW, "what a `latest` column may be: numbers, instants, texts"),
}


@dataclass(frozen=True)
class Asked:
    """An aggregate as it is written, with how to ask for a type of its table and how to point at its keys."""

    name: str
    spec: Aggregate
    type_of: Callable[[str, Sequence[str]], str]
    """The type of an SQL expression over a row; it stands under these keys of the aggregate."""

    where: Callable[..., Where]
    """The place of one of the aggregate's keys; without one, of the aggregate."""


def understood(asked: Asked) -> WindowAggregate:
    """What is computed over each window, before any prior; `FoundWrong` where it has no meaning."""
    spec = asked.spec
    _check_settings(asked)
    if spec.where is not None:
        _check_condition(asked, spec.where, "where", "where")
    if spec.of_rows:
        value, type_ = _of_rows(asked)
    elif spec.function == "share":
        _check_condition(asked, spec.value, "share")
        value, type_ = spec.row_value, "INTEGER"
    else:
        value, type_ = spec.row_value, _of_values(asked)
    function = "avg" if spec.function == "share" else spec.function
    made = WindowAggregate(asked.name, function, value, spec.clip, type_)
    lag = 0 if spec.lag is None else microseconds(spec.lag)
    return replace(made, lag_us=lag, back=spec.back, at=made.at if spec.at is None else spec.at)


def result_type(aggregate: WindowAggregate) -> str:
    """The type of what an aggregate gives, in DuckDB's words."""
    kind = value_kind(aggregate.type) if aggregate.type else "rows"
    if aggregate.function in COUNTED:
        return "BIGINT"
    if aggregate.function in ("avg", "std", "var", "quantile", "rate", "since"):
        return "DOUBLE"
    if aggregate.function in _OF_A_ROW:
        return aggregate.type
    if aggregate.function == "sum" or aggregate.type.startswith("DECIMAL"):
        return "BIGINT" if kind == "int" else "DOUBLE"
    return aggregate.type


def _of_rows(asked: Asked) -> tuple[str, str]:
    spec = asked.spec
    if spec.function not in _OF_ANY_ROW or spec.clip:
        raise FoundWrong(
            "LCH-2626", f"`{spec.function}` of `*` has no meaning", where=asked.where(),
            why="`*` is the row itself: it is there, and has no value",
            fix="name a column or an expression; `*` is for `count` and `since` alone, without `clip`",
        )  # fmt: skip
    return spec.row_value, "" if spec.where is None else "INTEGER"


def _of_values(asked: Asked) -> str:
    """The type of the values that are summed up, as they are after clipping."""
    spec = asked.spec
    type_ = asked.type_of(spec.value, ())
    kind = value_kind(type_)
    number = kind in ("int", "double")
    if spec.clip and (not number or spec.function in _OF_ANY_ROW):
        why = "it goes by which values there are" if number else "numbers are moved to a bound, and nothing else is"
        raise FoundWrong(
            "LCH-2639", f"`clip` has no meaning for `{spec.function}` of {type_}", where=asked.where("clip"),
            why=why, fix="remove `clip`, or cast the value to a number" if not number else "remove `clip`",
        )  # fmt: skip
    fits = number or (
        spec.function not in _OF_NUMBERS
        and (kind == "instant" or spec.function not in _OF_AN_ORDER)
        and (is_storable(type_) or spec.function not in _OF_A_ROW)
    )
    if not fits:
        raise FoundWrong(
            "LCH-2627", f"`{spec.function}` of a {type_} is not a feature", where=asked.where(),
            why=f"`{spec.function}` takes {_TAKES[spec.function]}",
            fix="cast the value, or take `count`, `count_distinct` or `since` of it: they take any type",
        )  # fmt: skip
    if spec.clip and kind == "int" and not all(float(bound).is_integer() for bound in spec.clip):
        return "DOUBLE"
    if spec.clip and type_.startswith("DECIMAL") and spec.function in _OF_A_ROW:
        return "BIGINT" if kind == "int" else "DOUBLE"
    return type_


def _check_condition(asked: Asked, sql: str, what: str, *key: str) -> None:
    type_ = asked.type_of(sql, key)
    if type_ != "BOOLEAN":
        raise FoundWrong(
            "LCH-2637", f"`{what}` of `{asked.name}` is of type {type_}, not a condition", where=asked.where(*key),
            why="a condition is true, false or null for each row",
            fix=f"compare it, as in `{sql.strip()} > 0` or `{sql.strip()} IS NOT NULL`",
        )  # fmt: skip


def _check_settings(asked: Asked) -> None:
    """Refuse `at`, `back` and `clip` where they are out of range or say nothing of the function."""
    spec = asked.spec
    if spec.function == "quantile" and spec.at is None:
        raise FoundWrong(
            "LCH-2635", f"`{asked.name}` does not say which quantile it is", where=asked.where(),
            why="a quantile is the value below which a share of the values lies",
            fix="write the value, then the share as a number, as in `quantile(arr_delay, 0.9)`; 0.5 is the median"
            if "," in spec.value
            else f"name the share: `quantile({spec.value}, 0.9)`, or `at: 0.9`; 0.5 is the median",
        )  # fmt: skip
    if spec.at is not None and spec.function != "quantile":
        raise FoundWrong(
            "LCH-2635", f"`{spec.function}` takes no `at`", where=asked.where("at", key=True),
            why="`at` says which quantile is asked for", fix="remove `at`, or write `quantile`",
        )  # fmt: skip
    if spec.at is not None and not 0 < spec.at < 1:
        raise FoundWrong(
            "LCH-2635", f"there is no quantile at {spec.at:g}", where=asked.where("at"),
            why="`at` is the share of the values that lie below, between 0 and 1",
            fix="write 0.9 for the 90th percentile; the ends are `min` and `max`",
        )  # fmt: skip
    if spec.back and spec.function != "last":
        raise FoundWrong(
            "LCH-2636", f"`{spec.function}` takes no `back`", where=asked.where("back", key=True),
            why="`back` counts rows before the last one",
            fix="remove `back`, or write `last`; for a span of time: `lag`",
        )  # fmt: skip
    if spec.back < 0:
        raise FoundWrong(
            "LCH-2636", f"`back: {spec.back}` looks at rows after the last one", where=asked.where("back"),
            why="after the last row there is none that is known",
            fix=f"write `back: {-spec.back}` for the row so many before it",
        )  # fmt: skip
    if spec.function == "share" and spec.clip:
        raise FoundWrong(
            "LCH-2639", "`clip` has no meaning for `share`", where=asked.where("clip"),
            why="a condition has no value to move", fix="remove `clip`",
        )  # fmt: skip
