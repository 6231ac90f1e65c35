from lichen.deploy.answer import RowPath
from lichen.deploy.inference import Inference
from lichen.deploy.invocations import Invocations
from lichen.deploy.predict import Predict
from lichen.deploy.question import Asks, Question
from lichen.ground.clock import SystemClock


def test_each_protocol_reads_one_row_alike(standing):
    path = RowPath(standing.deployed(), SystemClock())
    bodies: list[tuple[Asks, bytes]] = [
        (Predict(path), b'{"rows": [{"distance": 719.0}]}'),
        (Invocations(path), b'{"dataframe_records": [{"distance": 719.0}]}'),
        (
            Inference(path),
            b'{"inputs": [{"name": "distance", "shape": [1], "datatype": "FP64", "data": [719.0]}]}',
        ),
    ]
    for asks, body in bodies:
        question = asks.read(body, asks.kinds[0], "")
        assert isinstance(question, Question)
        assert (list(question.rows), question.many) == ([{"distance": 719.0}], True)
