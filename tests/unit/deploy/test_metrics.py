from prometheus_client.parser import text_string_to_metric_families

from lichen.deploy.answer import Answer
from lichen.deploy.metrics import Metrics, State
from lichen.deploy.standing import NotTaken, Standing


def answer(latency_us, *features):
    return Answer("a", 1, 1, latency_us, None, 0.5, (), features)


def read(metrics, **state):
    """The samples a parser of the format finds, by name and labels without the service's."""
    text = metrics.text(State("s", "v", 7, **state)).decode()
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        for sample in family.samples:
            labels = {name: value for name, value in sample.labels.items() if name != "service"}
            assert sample.labels["service"] == "s"
            found[sample.name, *labels.values()] = sample.value
    return found


def test_counts_and_a_cumulative_histogram():
    views = ("carrier", "carrier", "trip")
    metrics = Metrics(views)
    metrics.requests.update([("/predict", 200), ("/predict", 200), ("/predict", 422), ("", 404)])
    metrics.refused.update(["LCH-1803", "LCH-1809"])
    metrics.answered([answer(60, None, None, 3)], views)
    metrics.answered([answer(1, 1.5, None, 3)] * 8 + [answer(3_000_000, 1.5, 2, 3)], views)
    found = read(metrics, waiting_bytes=12, waiting_answers=3, failing=True, stale=True, in_flight=2)
    assert found["lichen_requests_total", "/predict", "200"] == 2
    assert found["lichen_requests_total", "/predict", "422"] == 1
    assert found["lichen_requests_total", "", "404"] == 1
    assert found["lichen_refused_total", "LCH-1803"] == 1
    assert found["lichen_rows_total",] == 10
    assert found["lichen_features_missing_total", "carrier"] == 10
    assert found["lichen_features_missing_total", "trip"] == 0
    assert found["lichen_answer_seconds_bucket", "5e-05"] == 0
    assert found["lichen_answer_seconds_bucket", "0.0001"] == 1
    assert found["lichen_answer_seconds_bucket", "1"] == 1
    assert found["lichen_answer_seconds_bucket", "+Inf"] == 2
    assert found["lichen_answer_seconds_sum",] == 3.00006
    assert found["lichen_answer_seconds_count",] == 2
    assert found["lichen_model_info", "v", "7"] == 1
    assert found["lichen_record_waiting_bytes",] == 12
    assert found["lichen_record_waiting_answers",] == 3
    assert (found["lichen_record_failing",], found["lichen_features_stale",]) == (1, 1)
    assert found["lichen_requests_in_flight",] == 2


def test_how_far_behind_it_is():
    standing = Standing(9, behind=True, known_until={"carrier": 1_000_000})
    found = read(Metrics(), standing=standing, now_us=3_500_000)
    assert (found["lichen_newest_release",], found["lichen_behind",]) == (9, 1)
    assert found["lichen_release_not_taken",] == 0
    unloaded = Standing(9, behind=True, known_until={}, not_taken=NotTaken(9, "LCH-1850", "it is damaged"))
    assert read(Metrics(), standing=unloaded)["lichen_release_not_taken",] == 1
    assert found["lichen_features_age_seconds", "carrier"] == 2.5
    assert not any("behind" in name for name, *_ in read(Metrics()))


def test_a_label_is_escaped():
    metrics = Metrics()
    metrics.requests['/a"b\\c\n', 200] += 1
    assert read(metrics)["lichen_requests_total", '/a"b\\c\n', "200"] == 1
