from __future__ import annotations

import copy
import json
import pickle  # noqa: TID251  (to see that it refuses)
import traceback

import pytest

from lichen.ground.secret import Secret

VALUE = "hunter2-canary"


@pytest.mark.parametrize(
    "show", [str, repr, "{}".format, "{:>40}".format, "{!r}".format, "%s".__mod__, lambda s: f"{[s]} { ({'k': s}) }"]
)
def test_no_way_of_showing_shows_it(show) -> None:
    shown = show(Secret(VALUE))
    assert VALUE not in shown
    assert "***" in shown


def test_it_is_revealed_by_name_alone() -> None:
    assert Secret(VALUE).reveal() == VALUE
    assert not hasattr(Secret(VALUE), "__dict__")


def test_equal_secrets_are_equal() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


@pytest.mark.parametrize("serialise", [pickle.dumps, copy.deepcopy])
def test_it_is_never_serialised(serialise) -> None:
    with pytest.raises(TypeError, match="a Secret is never serialised; pass its reference instead"):
        serialise(Secret(VALUE))
    with pytest.raises(TypeError):
        json.dumps(Secret(VALUE))


def test_a_traceback_with_locals_does_not_show_it() -> None:
    secret = Secret(VALUE)
    try:
        raise ValueError(secret)
    except ValueError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "Secret(***)" in shown
    assert VALUE + "'" not in shown.replace(f'VALUE = "{VALUE}"', "")
