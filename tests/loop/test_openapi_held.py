"""The OpenAPI document and the server hold against each other: schemathesis asks every route on loopback."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from openapi_spec_validator import OpenAPIV31SpecValidator
from processes import Nursery, served
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks
from small_project import SmallProject

load_all_checks()
HELD = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("held")
    small, nursery = SmallProject(folder / "small", seed=61), Nursery(folder / "nursery")
    try:
        assert nursery.lichen(small.root, "run").code == 0
    finally:
        nursery.close()
    with served(small.root) as (_, told):
        yield told["address"]


def _document(address: str) -> dict[str, Any]:
    line = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    line.request("GET", "/openapi.json")
    document: dict[str, Any] = json.loads(line.getresponse().read())
    line.close()
    return document


def _post(address: str, path: str, body: Any) -> tuple[int, Any]:
    line = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    line.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    reply = line.getresponse()
    try:
        return reply.status, json.loads(reply.read())
    finally:
        line.close()


def test_the_document_is_valid_and_its_examples_are_answered(address: str) -> None:
    document = _document(address)
    OpenAPIV31SpecValidator(document).validate()
    shapes = document["components"]["schemas"]
    example = shapes["Row"]["examples"][0]
    assert example["shop"] in ("north", "south", "east", "west", "gone")
    assert example["asked_at"] != "2013-12-01T08:30:00-05:00"
    assert _post(address, "/predict", example)[0] == 200
    for invocation in shapes["Invocation"]["examples"]:
        assert _post(address, "/invocations", invocation)[0] == 200
    for request in shapes["InferenceRequest"]["examples"]:
        status, said = _post(address, "/v2/models/buys/infer", request)
        assert (status, len(said["outputs"])) == (200, 1), said


def _ask_all(address: str, each: int) -> int:
    """Ask every operation of the document about so many cases of each kind; returns how many were asked."""
    schema = schemathesis.openapi.from_dict(_document(address))
    schema.config.update(base_url=address)
    asked = 0
    for found in schema.get_all_operations():
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            asked += _ask(found.ok(), mode, each)
    return asked


def _ask(operation: Any, mode: GenerationMode, each: int) -> int:
    asked = 0
    held = [*HELD, checks.negative_data_rejection] if mode is GenerationMode.NEGATIVE else HELD

    @seed(7)
    @settings(
        max_examples=each,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        nonlocal asked
        asked += 1
        case.call_and_validate(checks=held, timeout=10)

    with suppress(Unsatisfiable):  # nothing can be wrong with a request that has no part
        ask()
    return asked


def test_schemathesis_finds_nothing(address: str) -> None:
    print(f"\n{_ask_all(address, 12)} cases")


@pytest.mark.soak
def test_schemathesis_finds_nothing_in_many(address: str) -> None:
    each = int(os.environ.get("LICHEN_CASES", "1000"))
    print(f"\n{_ask_all(address, each)} cases")
