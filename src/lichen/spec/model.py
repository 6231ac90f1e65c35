"""Learner + features + label + gate."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from lichen.spec.words import Name, Span, Spec


class Label(Spec):
    """What the model learns to tell, and when it was asked and became known."""

    from_: Name = Field(alias="from", description="The table whose rows are labelled.")
    value: Name = Field(description="The column that holds the label.")
    at: str = Field(description="When the prediction is asked for: a column of the label table.")
    known: str = Field(description="When the label became known: a column of the label table.")
    wait: Span | None = Field(None, description="After this long without a label the row is closed, not guessed.")


class PredictionTime(Spec):
    """How early a request may be asked."""

    from_: str = Field(alias="from", description="An SQL expression over the request: when it should be asked.")
    tolerance: Span = Field(description="How far from it an answer is not marked as out of time.")


class Validation(Spec):
    """How rows are split into training, early stopping and test."""

    by: Literal["time"] = Field("time", description="`time`: the newest rows are the test.")
    early_stop: Span | None = Field(
        None,
        description="The span before the test on which training is stopped, by learners that stop early, "
        "and answers are calibrated.",
    )
    test: Span = Field(description="The newest span, on which the gate judges.")
    zone: str = Field("UTC", description="The time zone whose days the spans are counted in.")

    @field_validator("zone")
    @classmethod
    def _is_a_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"`{zone}` is not a time zone; write one as in `America/New_York`") from error
        return zone


class GateRule(Spec):
    """What a metric must reach for the model to be released."""

    min: float | None = Field(None, description="The smallest value allowed.")
    max: float | None = Field(None, description="The largest value allowed.")
    no_worse_than_live: float | None = Field(
        None, ge=0, description="How much worse than the released model, on the same test rows, it may be."
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.min is None and self.max is None and self.no_worse_than_live is None:
            raise ValueError("a gate rule needs `min`, `max` or `no_worse_than_live`")
        if self.min is not None and self.max is not None and not self.min <= self.max:
            raise ValueError(f"`min` is {self.min:g}, which is above `max`, {self.max:g}: nothing can pass")
        return self


class Model(Spec):
    """Learner + features + label + gate."""

    description: str | None = Field(None, description="What the model is for; it heads the model card.")
    task: Literal["classification", "regression"] = Field(description="What is predicted: a class or a number.")
    label: Label = Field(description="What the model learns to tell.")
    prediction_time: PredictionTime | None = Field(None, description="How early a request may be asked.")
    features: tuple[Name, ...] = Field(min_length=1, description="The feature views the model reads.")
    exclude: tuple[str, ...] = Field((), description="Features, as `view.feature`, that the model does not read.")
    learner: Name = Field("lightgbm", description="What learns.")
    params: dict[str, Any] = Field(default_factory=dict, description="The learner's parameters.")
    seed: int = Field(0, description="The seed of all randomness in training.")
    validate_: Validation = Field(alias="validate", description="How rows are split.")
    budget: Span | None = Field(None, description="The longest training may take.")
    coverage: float = Field(
        0.9, gt=0, lt=1, description="The share of labels that an answer's interval is to hold; for regression."
    )
    gate: dict[Name, GateRule] = Field(default_factory=dict, description="What each metric must reach.")
    slices: tuple[str, ...] = Field((), description="Features or request columns whose values are judged apart.")

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        for name, times in Counter(self.features).items():
            if times > 1:
                raise ValueError(f"`features` names `{name}` twice: keep one of them")
        if self.task == "classification" and "coverage" in self.model_fields_set:
            raise ValueError("`coverage` is of a regression's intervals: a classification answers with a probability")
        return self
