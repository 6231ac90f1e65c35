import pytest
from pydantic import ValidationError

from lichen.spec import Table
from lichen.spec.score import Score


def test_a_table_without_scores_means_what_it_meant():
    assert "score" not in Table(sql="SELECT 1").meaning()


def test_both_keys_are_needed():
    score = Score(model="buys", at="asked_at")
    assert Table(sql="SELECT 1", score=score).meaning()["score"] == {"model": "buys", "at": "asked_at"}
    with pytest.raises(ValidationError):
        Score(model="buys")
    with pytest.raises(ValidationError):
        Score(model="Buys!", at="asked_at")
