from __future__ import annotations

import pytest
from pydantic import ValidationError

from lichen.spec import Service


def test_a_service_comes_back_from_its_meaning() -> None:
    service = Service.model_validate({"description": "x", "model": "m", "record": {"durable_ms": 50}})
    assert service.meaning() == {"model": "m", "record": {"durable_ms": 50}}
    assert Service.model_validate({"model": "m"}).record.durable_ms == 20


@pytest.mark.parametrize("durable", [0, 10_001])
def test_an_answer_is_durable_soon(durable: int) -> None:
    with pytest.raises(ValidationError, match="durable_ms"):
        Service.model_validate({"model": "m", "record": {"durable_ms": durable}})
