"""What a model says about each row of a table, as of the row's own time."""

from __future__ import annotations

from pydantic import Field

from lichen.spec.words import Name, Spec

SCORE = "score"
"""What a model's answer is called: in the model, in the predictions of a service, and in a scored table."""

MODEL_VERSION = "model_version"
ADDED = (SCORE, MODEL_VERSION)
"""The columns that scoring adds to a table's own."""


class Score(Spec):
    """Which model scores a table's rows, and as of when."""

    model: Name = Field(description="The model that scores each row; its request's columns are taken by name.")
    at: str = Field(description="The column with the instant as of which a row is scored; null scores nothing.")
