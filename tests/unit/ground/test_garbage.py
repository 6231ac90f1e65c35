from __future__ import annotations

import gc

import pytest

from lichen.ground.garbage import all_stays


def test_the_search_goes_on_afterwards_also_after_an_error() -> None:
    with pytest.raises(ValueError, match="'False'"), all_stays():
        int(str(gc.isenabled()))
    assert gc.isenabled()


def test_one_within_another_does_not_turn_it_on() -> None:
    with all_stays():
        with all_stays():
            pass
        assert not gc.isenabled()
