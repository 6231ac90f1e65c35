"""Contributions and what a score means, in each protocol, by a row path in this process."""

import json

import pytest
from arro3.core import Table

from lichen.deploy.answer import RowPath
from lichen.deploy.arrow_stream import KIND, columns_of
from lichen.deploy.batch import Batch
from lichen.deploy.contributions import Contributions, asked, by_source, wish
from lichen.deploy.door import CSV_KIND, JSON_KIND
from lichen.deploy.inference import Inference
from lichen.deploy.invocations import Invocations
from lichen.deploy.predict import Predict
from lichen.deploy.refused import Refused
from lichen.deploy.stream import answers_table
from lichen.ground.clock import FixedClock
from lichen.train.calibrate import Interval, Probability

from .test_answer import NOW, ROW

STEPS = Probability("isotonic", 500, (0.0, 1e-5, 0.5), (0.02, 0.1, 0.75))
SIGMOID = Probability("platt", 500, slope=0.5, offset=-0.25)
SPAN = Interval(0.9, 500, -1.5, 2.25)
COLUMNS = {"carrier.delay_mean_7d": ["legs.delay"], "trip.distance": ["request.distance"], "trip.hour": ["request.x"]}
NAMES = list(COLUMNS)


def contribute(rows):
    found = []
    for row in rows:
        features = dict(zip(NAMES, [float(value or 0) for value in row], strict=True))
        found.append(Contributions("log_odds", -1.5, features, by_source(features, COLUMNS)))
    return found


@pytest.fixture
def path(standing):
    def made(**changes):
        return RowPath(standing.deployed(**changes), FixedClock(NOW))

    return made


def reply(asks, body, kind=JSON_KIND, accept="", query=""):
    """What a protocol replies, its answers got as the service gets them."""
    question = asks.read(body if isinstance(body, bytes) else json.dumps(body).encode(), kind, accept, query)
    answers = [asks.path.answer(row, None, 0.0) for row in question.rows]
    said = question.tell(answers, asks.path.contributions(answers) if question.contributions else ())
    return said.body if accept else json.loads(said.body)


@pytest.mark.parametrize("made", [STEPS, SIGMOID, SPAN])
def test_one_row_and_many_say_the_same_to_the_bit(path, made):
    one = path(calibration=made)
    rows = [{**ROW, "distance": number / 7, "carrier": None} for number in range(50)]
    single = [one.answer(dict(row), None, 0.0) for row in rows]
    batch = Batch(one, [dict(row) for row in rows], None, 0.0)
    many = batch.answers([batch.score(part) for part in batch.parts()])
    told = [(answer.score, answer.probability, answer.interval) for answer in single]
    assert [(answer.score, answer.probability, answer.interval) for answer in many] == told
    assert len({answer.score for answer in many}) > 40
    for answer in single:
        meant = answer.interval if made is SPAN else answer.probability
        assert meant == made.row(answer.score)
        assert one.shown(answer)[made.gives] == meant
        assert (answer.probability is None) == (made is SPAN)


def test_a_release_that_was_not_calibrated_says_nothing_more(path):
    shown = path().shown(path().answer(dict(ROW), None, 0.0))
    assert not {"probability", "interval", "contributions"} & set(shown)
    assert [one["name"] for one in Inference(path()).model()["outputs"]] == ["score", "prediction_id"]
    assert set(reply(Invocations(path()), {"inputs": ROW})) == {"predictions"}


def test_every_protocol_tells_what_the_score_means(path):
    one, number = path(calibration=STEPS), path(calibration=SPAN)
    score = one.answer(dict(ROW), None, 0.0).score
    assert reply(Predict(one), ROW)["probability"] == STEPS.row(score)
    assert reply(Predict(number), {"rows": [ROW, ROW]})["predictions"][1]["interval"] == list(SPAN.row(score))
    columns, _ = columns_of(reply(Predict(number), {"rows": [ROW, ROW]}, accept=KIND), 10)
    assert columns["interval"] == [list(SPAN.row(score))] * 2
    assert str(answers_table([{"interval": (1.0, 2.0)}]).schema.field("interval").type).startswith(
        "arro3.core.DataType<Fixed"
    )
    assert reply(Invocations(one), {"inputs": [ROW]}) == {"predictions": [score], "probabilities": [STEPS.row(score)]}
    assert reply(Invocations(number), b"carrier,distance\nUA,1\n", CSV_KIND)["intervals"][0][0] < 0
    inputs = [{"name": "distance", "shape": [2], "datatype": "FP64", "data": [1.0, 2.0]}]
    outputs = reply(Inference(number), {"inputs": inputs})["outputs"]
    assert [(one["name"], one["shape"]) for one in outputs] == [
        ("score", [2]), ("interval", [2, 2]), ("prediction_id", [2])
    ]  # fmt: skip
    assert outputs[1]["data"] == [end for score in outputs[0]["data"] for end in SPAN.row(score)]
    assert Inference(number).model()["outputs"][1] == {"name": "interval", "datatype": "FP64", "shape": [-1, 2]}
    (only,) = reply(Inference(one), {"inputs": inputs, "outputs": [{"name": "probability"}]})["outputs"]
    assert only["shape"] == [2]
    with pytest.raises(Refused, match="one of score, probability, prediction_id"):
        reply(Inference(one), {"inputs": inputs, "outputs": [{"name": "interval"}]})


def test_every_protocol_tells_contributions_where_they_are_asked_for(path):
    one = path(contribute=contribute)
    wanted = contribute([(3.5, 719.0, 9)])[0].shown()
    assert reply(Predict(one), ROW, query="contributions=true")["contributions"] == wanted
    assert wanted["source_columns"] == {"legs.delay": 3.5, "request.distance": 719.0, "request.x": 9.0}
    assert "contributions" not in reply(Predict(one), ROW, query="contributions=false")
    many = reply(Predict(one), {"rows": [ROW, ROW]}, query="contributions=true")
    assert [row["contributions"] for row in many["predictions"]] == [wanted, wanted]
    columns, _ = columns_of(reply(Predict(one), ROW, accept=KIND, query="contributions=true"), 10)
    assert columns["contributions.base"] == [-1.5]
    assert columns["contributions.features.trip.hour"] == columns["contributions.source_columns.request.x"] == [9.0]
    said = reply(Invocations(one), {"dataframe_records": [ROW], "params": {"contributions": True}})
    assert said["contributions"] == [wanted]
    inputs = [{"name": "distance", "shape": [2], "datatype": "FP64", "data": [1.0, 2.0]}]
    outputs = reply(Inference(one), {"inputs": inputs, "parameters": {"contributions": True}})["outputs"]
    assert [one["name"] for one in outputs[2:]] == [
        "contributions.base", "contributions.features", "contributions.source_columns"
    ]  # fmt: skip
    assert (outputs[3]["shape"], outputs[3]["parameters"]) == ([2, 3], {"names": NAMES})
    assert outputs[3]["data"] == [0.0, 1.0, 0.0, 0.0, 2.0, 0.0]
    assert outputs[2]["parameters"] == {"unit": "log_odds"}


def test_contributions_that_cannot_be_told_are_refused_with_what_can(path):
    one = path(no_contributions="they are told of models by lightgbm, logistic; this one is by forest")
    with pytest.raises(Refused) as refused:
        reply(Predict(one), ROW, query="contributions=true")
    assert refused.value.status == 422
    assert str(refused.value) == (
        "LCH-1888: contributions cannot be told of this model's answers\n"
        "  fix: they are told of models by lightgbm, logistic; this one is by forest"
    )


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("contributions=yes", "`contributions` is 'yes'\n  fix: it must be true or false"),
        ("contributions", "`contributions` is ''\n  fix: it must be true or false"),
    ],
)
def test_a_query_that_asks_for_something_else_is_refused(query, told):
    with pytest.raises(Refused) as refused:
        asked(query)
    assert str(refused.value) == f"LCH-1887: {told}"


def test_other_parameters_of_an_address_mean_nothing():
    assert (asked("a=1&b"), asked("a=1&contributions=true")) == (False, True)


def test_a_wish_is_true_or_false():
    assert (wish({}), wish({"contributions": True}), wish({"contributions": None})) == (False, True, False)
    with pytest.raises(Refused, match="LCH-1887: `contributions` is 1"):
        wish({"contributions": 1})


def test_a_feature_is_shared_out_alike_and_nothing_is_lost():
    features = {"a": 0.3, "b": -1.7, "c": 2.0}
    shares = by_source(features, {"a": ["s.x", "s.y", "s.z"], "b": ["s.x"], "c": ["s.y", "t.x"]})
    assert shares == pytest.approx({"s.x": 0.1 - 1.7, "s.y": 0.1 + 1.0, "s.z": 0.1, "t.x": 1.0})
    assert sum(shares.values()) == pytest.approx(sum(features.values()), abs=1e-12)
    assert Table.from_arrow(answers_table([])).num_rows == 0
