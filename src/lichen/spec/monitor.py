"""A standing question with a threshold."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from lichen.errors import nearest
from lichen.spec.words import Name, Span, Spec


def _shaped(asked: object, way: str, why: str) -> object:
    """Refuse a question about a metric that says something else than how much worse it may become."""
    if not isinstance(asked, dict | Spec) or (isinstance(asked, dict) and not nearest(way, map(str, asked))):
        raise ValueError(f"{why}: write `{{{way}: 0.03}}`, how far it may {way} before that is a finding")
    return asked


class MetricQuestion(Spec):
    """Has a metric fallen, of which more is better?"""

    drop: float = Field(gt=0, description="How far below the released model's test metric is a finding.")

    @model_validator(mode="before")
    @classmethod
    def _says_how_far(cls, asked: object) -> object:
        return _shaped(asked, "drop", "of this metric more is better")

    @property
    def allowed(self) -> tuple[str, float]:
        """The way in which the metric becomes worse, and how much of it is allowed."""
        return "drop", self.drop


class ErrorQuestion(Spec):
    """Has a metric risen, of which less is better?"""

    rise: float = Field(gt=0, description="How far above the released model's test metric is a finding.")

    @model_validator(mode="before")
    @classmethod
    def _says_how_far(cls, asked: object) -> object:
        return _shaped(asked, "rise", "of this metric less is better")

    @property
    def allowed(self) -> tuple[str, float]:
        """The way in which the metric becomes worse, and how much of it is allowed."""
        return "rise", self.rise


class DriftQuestion(Spec):
    """Has a feature's distribution moved, and does the model mind?"""

    severity: float = Field(0.1, gt=0, description="Effect size times importance from which drift is a finding.")
    false_alarms: float = Field(
        0.05, gt=0, lt=1, description="The share of findings that may be false (Benjamini-Hochberg)."
    )


class MissingQuestion(Spec):
    """Are features missing that used to be there?"""

    rise: float = Field(
        0.05, gt=0, le=1, description="How far above the most that was ever missing before is a finding."
    )


class Questions(Spec):
    """What is asked."""

    roc_auc: MetricQuestion | None = Field(None, description="Classification: has the ROC AUC fallen?")
    average_precision: MetricQuestion | None = Field(
        None, description="Classification: has the average precision fallen?"
    )
    brier: ErrorQuestion | None = Field(None, description="Classification: has the Brier score risen?")
    log_loss: ErrorQuestion | None = Field(None, description="Classification: has the log loss risen?")
    calibration_error: ErrorQuestion | None = Field(
        None, description="Classification: has the expected calibration error risen?"
    )
    rmse: ErrorQuestion | None = Field(None, description="Regression: has the root mean squared error risen?")
    mae: ErrorQuestion | None = Field(None, description="Regression: has the mean absolute error risen?")
    r2: MetricQuestion | None = Field(None, description="Regression: has the explained share of variance fallen?")
    drift: DriftQuestion | None = Field(None, description="Have the features moved? Vectors are not asked about.")
    missing: MissingQuestion | None = Field(None, description="Are features missing that used to be there?")

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not self.metrics and self.drift is None and self.missing is None:
            raise ValueError("`ask` asks nothing: name a metric, as in `roc_auc: {drop: 0.03}`, `drift` or `missing`")
        return self

    @property
    def metrics(self) -> dict[str, MetricQuestion | ErrorQuestion]:
        """The questions about metrics, by the metric's name."""
        asked = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: one for name, one in asked.items() if isinstance(one, MetricQuestion | ErrorQuestion)}


class Monitor(Spec):
    """A standing question with a threshold."""

    description: str | None = Field(None, description="What it watches over, for people.")
    watch: Name = Field(description="The service whose predictions are watched.")
    every: Span = Field(description="The length of the cohorts that are judged: `7d` asks by week.")
    ask: Questions = Field(description="What is asked.")
