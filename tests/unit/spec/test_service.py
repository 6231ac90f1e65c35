from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from lichen.spec import Service


def test_a_service_comes_back_from_its_meaning() -> None:
    service = Service.model_validate({"description": "x", "model": "m", "record": {"durable": "50ms"}})
    assert service.meaning() == {"model": "m", "record": {"durable": "50ms"}}
    assert Service.model_validate({"model": "m"}).record.durable == timedelta(milliseconds=20)


@pytest.mark.parametrize("durable", ["0ms", "10001ms", 20])
def test_an_answer_is_durable_soon(durable: object) -> None:
    with pytest.raises(ValidationError, match=r"record\.durable"):
        Service.model_validate({"model": "m", "record": {"durable": durable}})


def test_an_answer_that_waits_for_the_disk_has_no_span() -> None:
    assert Service.model_validate({"model": "m", "record": {"ack": True}}).meaning()["record"] == {"ack": True}
    with pytest.raises(ValidationError, match="leave `durable` out"):
        Service.model_validate({"model": "m", "record": {"ack": True, "durable": "5ms"}})
