from __future__ import annotations

import hashlib
import hmac
import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from lichen.deploy.answer import RowPath
from lichen.deploy.inference import Inference
from lichen.deploy.personal import COARSENED, HASHED, MASKED, Personal, recorded_as, treating
from lichen.deploy.predictions import batches
from lichen.deploy.record import Record
from lichen.deploy.refused import Refused
from lichen.deploy.segment import Heading
from lichen.errors import FoundWrong
from lichen.ground.clock import SystemClock
from lichen.ports import Column

KEY = b"k" * 32
BERLIN = timezone(timedelta(hours=1))


def treat(kind: str, way: str, value: Any, key: bytes = KEY) -> Any:
    return treating(Column("x", kind), way, key)(value)


def test_a_hash_is_the_keyed_hash_of_the_text() -> None:
    assert treat("VARCHAR", HASHED, "a@b.de") == hmac.new(KEY, b"a@b.de", hashlib.sha256).hexdigest()[:32]
    assert treat("VARCHAR", HASHED, "a@b.de", b"other") != treat("VARCHAR", HASHED, "a@b.de")
    assert treat("VARCHAR", HASHED, None) is None


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("BIGINT", 5, 5.0),
        ("DOUBLE", 5, 5.0),
        ("DOUBLE", 0.0, -0.0),
        ("FLOAT", 0.1, 0.10000000149011612),
        ("DECIMAL(5,2)", Decimal("1.50"), "1.50"),
        ("DATE", date(1980, 5, 3), "1980-05-03"),
        ("TIMESTAMP WITH TIME ZONE", datetime(1980, 5, 3, 12, tzinfo=UTC), datetime(1980, 5, 3, 13, tzinfo=BERLIN)),
        ("TIMESTAMP WITH TIME ZONE", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), 1_000_000),
        ("TIMESTAMP", datetime(1970, 1, 1, 0, 0, 1), "1970-01-01T00:00:01"),  # noqa: DTZ001
        ("FLOAT[2]", [0.1, None], (0.10000000149011612, None)),
    ],
)
def test_one_value_has_one_hash_in_whichever_form_it_comes(kind: str, one: Any, other: Any) -> None:
    assert treat(kind, HASHED, one) == treat(kind, HASHED, other)
    assert len(treat(kind, HASHED, one)) == 32


@pytest.mark.parametrize(
    ("kind", "value", "coarse"),
    [
        ("DATE", date(1980, 5, 3), date(1980, 1, 1)),
        ("DATE", "1980-05-03", date(1980, 1, 1)),
        ("TIMESTAMP WITH TIME ZONE", datetime(1980, 1, 1, 0, 30, tzinfo=BERLIN), datetime(1979, 1, 1, tzinfo=UTC)),
        ("TIMESTAMP WITH TIME ZONE", 326_203_200_000_000, datetime(1980, 1, 1, tzinfo=UTC)),
        ("TIMESTAMP", "1980-05-03T12:00:00", datetime(1980, 1, 1)),  # noqa: DTZ001
        ("VARCHAR", "10115", "101"),
        ("BIGINT", 37, 30),
        ("BIGINT", -1234, -1000),
        ("BIGINT", 0, 0),
        ("DOUBLE", 0.37, 0.3),
        ("DOUBLE", 52345.6, 50000.0),
        ("DECIMAL(8,2)", Decimal("1234.56"), Decimal(1000)),
        ("DECIMAL(8,2)", Decimal("-0.37"), Decimal("-0.3")),
        ("BOOLEAN", True, True),
        ("DOUBLE[2]", [1.0, 2.0], None),
    ],
)
def test_a_coarse_value_is_of_the_same_type(kind: str, value: Any, coarse: Any) -> None:
    found = treat(kind, COARSENED, value)
    assert (found, type(found)) == (pytest.approx(coarse) if isinstance(coarse, float) else coarse, type(coarse))
    assert treat(kind, COARSENED, None) is None
    assert recorded_as(Column("x", kind), COARSENED) == Column("x", kind)


def test_what_is_no_number_has_no_magnitude() -> None:
    assert math.isnan(treat("DOUBLE", COARSENED, math.nan))
    assert treat("DOUBLE", COARSENED, math.inf) == math.inf
    assert treat("BIGINT", COARSENED, 2**63 - 1) == 9 * 10**18
    assert treat("BIGINT", COARSENED, 1000) == 1000
    assert treat("UTINYINT", COARSENED, 255) == 200
    assert treat("DOUBLE", COARSENED, 5e-324) == 5e-324
    assert treat("DOUBLE", COARSENED, -0.0) == 0.0


def test_what_is_masked_is_null() -> None:
    assert treat("VARCHAR", MASKED, "diabetes") is None
    assert recorded_as(Column("x", "BIGINT"), HASHED) == Column("x", "VARCHAR")
    assert recorded_as(Column("x", "BIGINT"), None) == Column("x", "BIGINT")


WAYS = {
    "request": {"carrier": HASHED, "distance": COARSENED},
    "features": {"carrier.delay_mean_7d": MASKED, "trip.distance": HASHED},
}
ROW = {"carrier": "UA", "distance": 719.0, "scheduled_departure": "2013-12-01T04:00:00-05:00", "stops": None}


@pytest.fixture
def path(standing: Any) -> RowPath:
    plain = standing.deployed()
    personal = Personal.of(plain.request, plain.features, WAYS, KEY)
    return RowPath(standing.deployed(personal=personal), SystemClock())


def test_the_record_holds_no_value_that_the_model_and_the_client_see(path: RowPath, tmp_path: Any) -> None:
    answer = path.answer(dict(ROW), None, 0.0)
    assert (answer.request[:2], answer.features) == (("UA", 719.0), (3.5, 719.0, 9))
    (kept,) = path.recorded([answer])
    assert kept.request[:2] == (treat("VARCHAR", HASHED, "UA"), 700.0)
    assert kept.features == (None, treat("DOUBLE", HASHED, 719.0), 9)
    assert msgspec.structs.replace(kept, request=answer.request, features=answer.features) == answer
    assert path.shown(kept) == path.shown(answer)

    heading = Heading.of(path.deployed)
    assert [column.type for column in heading.request[:2]] == ["VARCHAR", "DOUBLE"]
    assert [column.type for column in heading.features] == ["DOUBLE", "VARCHAR", "BIGINT"]
    record = Record(tmp_path, heading, 1)
    record.append(path.recorded([answer]), heading)
    record.close()
    assert not [log for log in tmp_path.glob("*.log") if b"UA" in log.read_bytes()]
    ((_, _, rows),) = batches(tmp_path)
    assert rows.column("feature.trip.distance").to_pylist() == [treat("DOUBLE", HASHED, 719.0)]
    assert rows.column("request.distance").to_pylist() == [700.0]


def test_without_personal_data_the_answers_are_recorded_as_they_are(standing: Any) -> None:
    path = RowPath(standing.deployed(), SystemClock())
    answers = [path.answer(dict(ROW), None, 0.0)]
    assert path.recorded(answers) is answers


def test_a_refusal_does_not_repeat_personal_data(path: RowPath) -> None:
    with pytest.raises(Refused) as refused:
        path.answer({**ROW, "carrier": ["ann@example.org"]}, None, 0.0)
    assert str(refused.value) == (
        "LCH-1803: `carrier` is not right; it is personal data, and is not repeated\n"
        "  fix: it must be a text in quotes, without NUL characters"
    )
    with pytest.raises(Refused, match="`stops` is 'many'"):
        path.answer({**ROW, "stops": "many"}, None, 0.0)


@pytest.mark.parametrize("data", ['["ann@example.org"]', '"ann@example.org"'])
def test_a_refused_tensor_does_not_repeat_personal_data(path: RowPath, data: str) -> None:
    body = f'{{"inputs": [{{"name": "distance", "shape": [1], "datatype": "FP64", "data": {data}}}]}}'
    with pytest.raises(Refused) as refused:
        Inference(path).read(body.encode(), "application/json", "")
    assert refused.value.code == "LCH-1873"
    assert "of the input `distance` is not right; it is personal data, and is not repeated" in str(refused.value)


def test_why_an_expression_has_no_value_is_not_said_of_personal_data(path: RowPath, standing: Any) -> None:
    def look_up(request: Any, at_us: int) -> Any:
        raise FoundWrong("LCH-2410", "`trip.number` has no value for this row", why=f"no number: {request['carrier']}")

    hidden = RowPath(standing.deployed(personal=path.deployed.personal, look_up=look_up), SystemClock())
    plain = RowPath(standing.deployed(look_up=look_up), SystemClock())
    for asked, told in ((hidden, ""), (plain, ": no number: UA")):
        with pytest.raises(Refused) as refused:
            asked.answer(dict(ROW), None, 0.0)
        assert refused.value.what == f"`trip.number` has no value for this row{told}"
