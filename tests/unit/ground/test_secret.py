from __future__ import annotations

import copy
import json
import os
import pickle  # noqa: TID251  (to see that it refuses)
import traceback

import pytest

from lichen.ground.secret import Secret, mask, reveal

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


def test_what_is_shown_stands_for_the_value() -> None:
    secret = Secret("/mnt/x/a.csv", "${DATA}/a.csv", {"${DATA}": "/mnt/x"})
    assert f"{secret} {secret!r}" == "${DATA}/a.csv Secret(${DATA}/a.csv)"
    assert os.fspath(secret) == "/mnt/x/a.csv"
    assert secret != Secret("/mnt/x/a.csv")


def test_a_text_is_masked_by_value_longest_first() -> None:
    inner, outer = Secret("hunter2", "${IN}"), Secret("x-hunter2-y", "${OUT}")
    assert mask("x-hunter2-y or hunter2", [inner, outer]) == "${OUT} or ${IN}"
    assert mask("a short word stays", [Secret("a", "${A}")]) == "a short word stays"


def test_what_is_shown_is_not_masked_again() -> None:
    path, located = Secret("data/x.csv", "${IN}data/x.csv"), Secret("/p/data/x.csv", "${IN}data/x.csv")
    once = mask("/p/data/x.csv and data/x.csv", [path, located])
    assert once == "${IN}data/x.csv and ${IN}data/x.csv"
    assert mask(once, [located, path]) == once
    assert mask("${DATA} and DATA", [Secret("DATA", "${DATA}")]) == "${DATA} and ${DATA}"
    assert mask("nothing", [Secret("", "${IN}")]) == "nothing"


def test_what_is_in_a_list_is_revealed_too() -> None:
    assert reveal({"a": [Secret("b"), 1], "c": Secret("d")}) == {"a": ["b", 1], "c": "d"}
