from lichen.deploy.counts import Shared
from lichen.deploy.metrics import Metrics


def workers(tmp_path, number=3):
    paths = [tmp_path / f"{n}" / "counts" for n in range(number)]
    for path in paths:
        path.parent.mkdir()
    return [Shared(path, paths) for path in paths]


def counted(rows, status=200, microseconds=70):
    metrics = Metrics()
    metrics.requests[status] += 1
    metrics.answered(rows, microseconds)
    return metrics


def test_every_worker_tells_of_all(tmp_path):
    first, second, silent = workers(tmp_path)
    first.leave(counted(3), 10, False)
    second.leave(counted(4, status=422), 5, True)
    for each in (first, second, silent):
        total, waiting, failing = each.all()
        assert (total.requests, total.rows, waiting, failing) == ({200: 1, 422: 1}, 7, 15, True)
        text = total.text(service="s", model_version="v", release=1, waiting=waiting, failing=failing).decode()
        assert 'lichen_answer_seconds_count{service="s"} 2' in text


def test_one_that_is_started_again_goes_on(tmp_path):
    first, *_ = workers(tmp_path)
    assert first.before().rows == 0
    first.leave(counted(3), 0, False)
    again = first.before()
    again.add(counted(2))
    first.leave(again, 0, False)
    assert (first.all()[0].rows, first.all()[0].requests) == (5, {200: 2})
