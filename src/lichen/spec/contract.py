"""The promises on a table's columns, and what happens when one is broken."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from lichen.spec.words import Spec

PersonalData = Literal["direct", "quasi", "sensitive", "none"]
"""A class of personal data, by what a value alone or with others tells of whom."""

PERSONAL = (
    "The class of personal data, and so what the record of answers keeps: `direct` identifies a person (name, email), "
    "and is hashed with the project's key; `quasi` does so beside others (birth date, postcode), and is coarsened; "
    "`sensitive` (health, religion) is left out; `none` is kept as it is."
)
"""What each class is, and what the record of answers makes of it."""


class ColumnPromise(Spec):
    """What one column promises."""

    type: str | None = Field(
        None,
        description="The column's type, in SQL: bigint, double, timestamptz; a vector's in quotes, `'float[384]'`.",
    )
    null_share: float | None = Field(None, ge=0, le=1, description="The largest share of rows that may be null.")
    range: tuple[float | str, float | str] | None = Field(
        None, description="The smallest and the largest value allowed, both included."
    )
    accepted: tuple[str | int | float | bool, ...] | None = Field(
        None, description="The only values allowed.", json_schema_extra={"minItems": 1}
    )
    unique: bool = Field(False, description="Whether no value may occur twice.")
    pii: PersonalData | None = Field(None, description=f"{PERSONAL} It follows the values, until a column says `none`.")

    @field_validator("accepted")
    @classmethod
    def _accepts_something(cls, accepted: tuple[object, ...] | None) -> tuple[object, ...] | None:
        if accepted == ():
            raise ValueError("the list is empty, so no row could keep this promise: name the values, or remove the key")
        return accepted

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.range is not None:
            low, high = self.range
            if isinstance(low, str) != isinstance(high, str):
                raise ValueError("both ends of a range are numbers, or both are texts")
            if not ((str(low) <= str(high)) if isinstance(low, str) else (float(low) <= float(high))):
                raise ValueError(f"the range starts at {low}, which is not below its end {high}")
        return self


class Contract(Spec):
    """The promises on a table's columns, and what happens when one is broken."""

    key: tuple[str, ...] = Field((), description="The columns that together name a row: never null, never twice.")
    columns: dict[str, ColumnPromise] = Field(default_factory=dict, description="What each column promises.")
    on_breach: Literal["warn", "quarantine", "stop"] = Field(
        "quarantine",
        description="What happens to rows that break a promise: `warn` keeps them and counts them, `quarantine` sets "
        "them aside with the reason and the row as JSON, `stop` fails the run.",
    )

    def without_classes(self) -> Contract:
        """The contract as it is to rows: a class of personal data changes none, and a column may promise no more."""
        kept = {name: promise.model_copy(update={"pii": None}) for name, promise in self.columns.items()}
        only = [name for name, promise in kept.items() if self.columns[name].pii and promise == ColumnPromise()]
        return self.model_copy(update={"columns": {name: kept[name] for name in kept if name not in only}})
