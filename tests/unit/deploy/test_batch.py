import pytest

from lichen.deploy.answer import RowPath
from lichen.deploy.batch import Batch
from lichen.deploy.refused import Refused
from lichen.errors import FoundWrong
from lichen.ground.clock import SystemClock

ROWS = [
    {"carrier": "UA", "distance": number, "scheduled_departure": "2013-12-01T04:00:00-05:00", "stops": 1}
    for number in range(600)
]


def answered(path, rows, at_us=None):
    batch = Batch(path, [dict(row) for row in rows], at_us, path.clock.seconds())
    scores = [batch.score(part) for part in batch.parts()]
    return batch.answers(scores), len(scores)


def test_many_rows_are_answered_as_each_alone(standing):
    path = RowPath(standing.deployed(), SystemClock())
    answers, turns = answered(path, ROWS, 1_000)
    assert turns == 3
    alone = [path.answer(dict(row), 1_000, path.clock.seconds()) for row in ROWS]
    for many, one in zip(answers, alone, strict=True):
        assert (many.score, many.features, many.request) == (one.score, one.features, one.request)
        assert (many.at_us, many.out_of_time) == (one.at_us, one.out_of_time)
    assert len({answer.prediction_id for answer in answers}) == len(answers)


def test_an_answer_has_the_name_its_row_gives(standing):
    answers, _ = answered(RowPath(standing.deployed(), SystemClock()), [{**ROWS[0], "prediction_id": "mine"}, ROWS[1]])
    assert answers[0].prediction_id == "mine" != answers[1].prediction_id


@pytest.mark.parametrize("place", [0, 249, 250, 599])
def test_the_row_that_is_wrong_is_named(standing, place):
    rows = [*ROWS[:place], {**ROWS[place], "distance": "far"}, *ROWS[place + 1 :]]
    with pytest.raises(Refused) as refused:
        answered(RowPath(standing.deployed(), SystemClock()), rows)
    assert (refused.value.row, refused.value.field) == (place, "distance")


def test_the_row_that_cannot_be_looked_up_is_named(standing):
    def look_up(request, at_us):
        if request["distance"] == 130:
            raise FoundWrong("LCH-2500", "no value")
        return standing.look_up(request, at_us)

    release = standing.deployed(look_up=look_up, look_up_many=lambda rows, at_us: [look_up(row, at_us) for row in rows])
    with pytest.raises(Refused) as refused:
        answered(RowPath(release, SystemClock()), ROWS)
    assert (refused.value.row, refused.value.code) == (130, "LCH-1822")
