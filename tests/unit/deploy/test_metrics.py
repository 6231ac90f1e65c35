from lichen.deploy.metrics import Metrics
from lichen.deploy.standing import Standing


def test_counts_and_a_cumulative_histogram():
    metrics = Metrics()
    metrics.requests.update([200, 200, 422])
    metrics.answered(1, 60)
    metrics.answered(9, 3_000_000)
    text = metrics.text(service="s", model_version="v", release=7, waiting=12, failing=True).decode()
    for line in (
        'lichen_requests_total{service="s",status="200"} 2',
        'lichen_requests_total{service="s",status="422"} 1',
        'lichen_rows_total{service="s"} 10',
        'lichen_answer_seconds_bucket{service="s",le="5e-05"} 0',
        'lichen_answer_seconds_bucket{service="s",le="0.0001"} 1',
        'lichen_answer_seconds_bucket{service="s",le="1"} 1',
        'lichen_answer_seconds_bucket{service="s",le="+Inf"} 2',
        'lichen_answer_seconds_sum{service="s"} 3.000060',
        'lichen_answer_seconds_count{service="s"} 2',
        'lichen_model_info{service="s",model_version="v",release="7"} 1',
        'lichen_record_waiting_bytes{service="s"} 12',
        'lichen_record_failing{service="s"} 1',
    ):
        assert line in text.splitlines()


def test_how_far_behind_it_is():
    standing = Standing(9, behind=True, known_until={"carrier": 1_000_000})
    given = {"service": "s", "model_version": "v", "release": 7, "waiting": 0, "failing": False}
    lines = Metrics().text(**given, standing=standing, now_us=3_500_000).decode().splitlines()
    assert lines[-8:] == [
        "# TYPE lichen_newest_release gauge",
        'lichen_newest_release{service="s"} 9',
        "# TYPE lichen_behind gauge",
        'lichen_behind{service="s"} 1',
        "# TYPE lichen_release_not_taken gauge",
        'lichen_release_not_taken{service="s"} 0',
        "# TYPE lichen_features_age_seconds gauge",
        'lichen_features_age_seconds{service="s",view="carrier"} 2.500',
    ]
    assert "behind" not in Metrics().text(**given).decode()
