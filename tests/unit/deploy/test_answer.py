from datetime import UTC, datetime, timedelta

import pytest

from lichen.deploy.answer import Names, RowPath
from lichen.deploy.refused import Refused
from lichen.errors import FoundWrong
from lichen.ground.clock import FixedClock
from lichen.ground.instant import from_us, to_us

NOW = datetime(2013, 12, 1, 8, 0, tzinfo=UTC)
ROW = {"carrier": "UA", "distance": 719, "scheduled_departure": "2013-12-01T04:00:00-05:00"}


@pytest.fixture
def path(standing):
    return RowPath(standing.deployed(), FixedClock(NOW))


def test_an_answer_holds_the_request_and_the_features_it_came_from(path):
    answer = path.answer(dict(ROW), None, path.clock.seconds())
    assert answer.request == ("UA", 719.0, datetime(2013, 12, 1, 9, 0, tzinfo=UTC), None)
    assert answer.features == (3.5, 719.0, 9)
    assert answer.score == 1 / (1 + (3.5 + 719.0 + 9) ** 2)
    assert answer.at_us == answer.answered_us == to_us(NOW)
    assert answer.out_of_time is False
    assert path.shown(answer) == {
        "prediction_id": answer.prediction_id,
        "score": answer.score,
        "model": "late_arrival",
        "model_version": "a1b2c3",
        "release": 7,
        "prediction_time": NOW,
        "out_of_time": False,
        "latency_us": 0,
    }


def test_outside_the_tolerance_it_is_marked(path):
    for minutes, marked in ((5, False), (-5, False), (6, True), (-6, True)):
        assert path.answer(dict(ROW), to_us(NOW + timedelta(minutes=minutes)), 0).out_of_time is marked
    assert path.answer({}, None, 0).out_of_time is None


def test_a_row_for_which_an_expression_has_no_value_is_the_requests_fault(standing):
    def fail(request, at_us):
        raise FoundWrong(
            "LCH-2410", "`trip.rate` has no value for this row", why="division by zero: 3 // 0", fix="guard it"
        )

    with pytest.raises(Refused) as refused:
        RowPath(standing.deployed(look_up=fail), FixedClock(NOW)).answer({}, 0, 0)
    assert refused.value.status == 422
    assert str(refused.value) == (
        "LCH-1822: `trip.rate` has no value for this row: division by zero: 3 // 0\n"
        "  fix: send values it can be computed from, or null"
    )


def test_without_a_declared_time_nothing_is_out_of_it(standing):
    path = RowPath(standing.deployed(due=None), FixedClock(NOW))
    assert path.answer({}, 0, 0).out_of_time is False


def test_the_client_may_name_the_answer(path):
    assert path.answer({"prediction_id": "trip:42.a_b-c"}, None, 0).prediction_id == "trip:42.a_b-c"
    for wrong in ("", "a b", "x" * 129, 7, ["a"], "../../etc", "a\n"):
        with pytest.raises(Refused) as refused:
            path.answer({"prediction_id": wrong}, None, 0)
        assert refused.value.fix == "it must be 1 to 128 letters, digits, and the signs . _ : -"


def test_names_are_unique_and_in_order_even_where_the_clock_goes_back():
    names = Names()
    given = [names.next(now) for now in (5, 5, 4, 10, 9)]
    assert given == sorted(set(given))


def test_instants_go_there_and_back():
    assert from_us(to_us(NOW)) == NOW
