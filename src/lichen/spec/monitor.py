"""A standing question with a threshold."""

from __future__ import annotations

from pydantic import Field

from lichen.spec.words import Name, Span, Spec


class MetricQuestion(Spec):
    """Has a metric fallen?"""

    drop: float = Field(gt=0, description="How far below the released model's test metric is a finding.")


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

    roc_auc: MetricQuestion | None = Field(None, description="Has the ROC AUC fallen?")
    drift: DriftQuestion | None = Field(None, description="Have the features moved?")
    missing: MissingQuestion | None = Field(None, description="Are features missing that used to be there?")


class Monitor(Spec):
    """A standing question with a threshold."""

    description: str | None = Field(None, description="What it watches over, for people.")
    watch: Name = Field(description="The service whose predictions are watched.")
    every: Span = Field(description="The length of the cohorts that are judged: `7d` asks by week.")
    ask: Questions = Field(description="What is asked.")
