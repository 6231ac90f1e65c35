from lichen.deploy.answer import Answer
from lichen.deploy.counts import Counts, Shared
from lichen.deploy.metrics import Metrics, State


def workers(tmp_path, number=3):
    paths = [tmp_path / f"{n}" / "counts" for n in range(number)]
    for path in paths:
        path.parent.mkdir()
    return [Shared(path, paths) for path in paths]


def counted(rows, status=200, microseconds=70):
    metrics = Metrics(["carrier", "trip"])
    metrics.requests["/predict", status] += 1
    metrics.answered([Answer("a", 1, 1, microseconds, None, 0.5, (), (None, 2))] * rows, ("carrier", "trip"))
    return metrics


def left(metrics, waiting=0, failing=False):
    return Counts(vars(metrics), waiting, waiting // 5, 1, failing)


def test_every_worker_tells_of_all(tmp_path):
    first, second, silent = workers(tmp_path)
    first.leave(left(counted(3), 10))
    second.leave(left(counted(4, status=422), 5, failing=True))
    for each in (first, second, silent):
        found = each.all()
        total = Metrics.of(found.metrics)
        assert (total.requests, total.rows) == ({("/predict", 200): 1, ("/predict", 422): 1}, 7)
        assert total.missing == {"carrier": 7, "trip": 0}
        assert "trip" in total.missing
        assert (found.waiting_bytes, found.waiting_answers, found.in_flight, found.failing) == (15, 3, 2, True)
        assert 'lichen_answer_seconds_count{service="s"} 2' in total.text(State("s", "v", 1)).decode()


def test_one_that_is_started_again_goes_on(tmp_path):
    first, *_ = workers(tmp_path)
    assert (first.before(["carrier"]).rows, first.before(["carrier"]).missing) == (0, {"carrier": 0})
    first.leave(left(counted(3)))
    again = first.before(["carrier", "plane"])
    assert again.missing == {"carrier": 3, "trip": 0, "plane": 0}
    again.add(counted(2))
    first.leave(left(again))
    total = Metrics.of(first.all().metrics)
    assert (total.rows, total.requests) == (5, {("/predict", 200): 2})
