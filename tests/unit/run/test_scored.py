import pytest

from lichen.errors import FoundWrong
from lichen.feature.featureset import FeatureSet
from lichen.graph.build import Asset
from lichen.ports import Column
from lichen.run.scored import refuse_unasked
from lichen.spec import Table
from lichen.spec.score import Score

ASKED = FeatureSet((), (), (Column("shop", "VARCHAR"), Column("cents", "BIGINT")), ())


class Written:
    """A project of which the places alone are asked."""

    @staticmethod
    def where(asset, *at):
        return None


def test_a_column_by_which_the_model_is_asked_must_be_there():
    table = Asset("table", "scored", Table(sql="SELECT 1", score=Score(model="buys", at="at")))
    refuse_unasked(table, (Column("shop", "VARCHAR"), Column("cents", "BIGINT")), {"buys": ASKED}, Written)
    with pytest.raises(FoundWrong) as wrong:
        refuse_unasked(table, (Column("shop", "VARCHAR"), Column("cent", "BIGINT")), {"buys": ASKED}, Written)
    assert wrong.value.what == "`scored` has no column `cents`, by which the model `buys` is asked"
    assert wrong.value.fix == "did you mean `cent`?"


def test_what_scores_nothing_lacks_nothing():
    refuse_unasked(Asset("table", "plain", Table(sql="SELECT 1")), (), {"buys": ASKED}, Written)
    other = Asset("table", "scored", Table(sql="SELECT 1", score=Score(model="faulty", at="at")))
    refuse_unasked(other, (), {"buys": ASKED}, Written)
