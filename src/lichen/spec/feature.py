"""Features of one entity: one class, whatever the time they are computed at."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from lichen.errors import did_you_mean
from lichen.ground.duration import parse_duration
from lichen.spec.aggregate import Aggregate
from lichen.spec.contract import PERSONAL, PersonalData
from lichen.spec.words import Name, Span, Spec

_OF_TABLES = ("entity", "aggregates", "windows", "latest", "ttl", "static", "time", "known", "grain")


def _as_written(given: object) -> object:
    """A number without a unit, as the text that it was: what it lacks is told then."""
    return str(given) if type(given) is int else given


def _a_window(text: str) -> str:
    """Refuse a window that is neither a span nor `all`."""
    if text != "all":
        parse_duration(text)
        if not text.isalnum():
            raise ValueError(f"the window `{text}` becomes part of a name: write it without spaces")
    return text


Window = Annotated[str, BeforeValidator(_as_written), AfterValidator(_a_window)]
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
    grain: tuple[str, ...] = Field(
        (),
        description="The columns that tell one event from another, in a table that holds an event's corrections too.",
    )
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
    pii: dict[Name, PersonalData] = Field(
        default_factory=dict,
        description=f"For a feature, a key or a column of the request whose class is not that of what it is made of. "
        f"{PERSONAL}",
    )

    def meaning(self) -> dict[str, Any]:
        """What the view means for its values, which classes of personal data do not change."""
        return super(FeatureView, self.model_copy(update={"pii": {}})).meaning()

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
        known = (*(self.entity or ()), *self.feature_names())
        if unknown := [name for name in self.pii if name not in known]:
            raise ValueError(
                f"`pii` names `{unknown[0]}`, which the view does not have: {did_you_mean(unknown[0], known)}"
            )
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
        if self.static and self.grain:
            raise ValueError(
                "`grain` tells an event's corrections apart by when they were known: a static view has no time"
            )
        if twice := [name for name, times in Counter(self.grain).items() if times > 1]:
            raise ValueError(f"`grain` has `{twice[0]}` twice")
        if self.static and (self.aggregates or self.ttl or self.time or self.known):
            raise ValueError("a static view has `latest` only: without a time there is no window and no age")
        if self.ttl and not self.latest:
            raise ValueError("`ttl` is the greatest age of the `latest` row: name its columns")

    def feature_names(self) -> tuple[str, ...]:
        """The features' names within the view, in order: `delay_mean_7d`, `temp`, `hour`."""
        windowed = tuple(f"{name}_{window}" for name in self.aggregates for window in self.windows)
        return (*windowed, *self.latest, *self.columns, *self.expressions)
