from lichen.deploy.metrics import Metrics


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
