from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lichen.errors import LichenError, WrongUsage
from lichen.ground.clock import FixedClock
from lichen.ports import Conflict
from lichen.run.audit import AUDIT, broken_at, who
from lichen.run.tokens import TOKENS, Tokens

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture
def tokens(world: Any, clock: FixedClock) -> Tokens:
    return Tokens(world.workshop.state, clock)


def _holder(tokens: Tokens, made: Any) -> str | None:
    found = tokens.keyring().holder(f"Bearer {made.secret.reveal()}".encode(), tokens.now_us())
    return found.name if found else None


def test_one_is_made_used_and_revoked(tokens: Tokens, clock: FixedClock, world: Any) -> None:
    made = tokens.new("shop", ["read", "predict"], timedelta(days=30))
    assert made.token.scopes == ("predict", "read")
    assert (_holder(tokens, made), tokens.any_valid("predict"), tokens.any_valid("admin")) == ("shop", True, False)
    clock.instant += timedelta(days=30)
    assert (_holder(tokens, made), tokens.any_valid("predict")) == (None, False)
    again = tokens.new("shop")
    assert _holder(tokens, again) == "shop"
    assert tokens.revoke("shop").id in (made.token.id, again.token.id)
    assert _holder(tokens, again) is None
    assert tokens.revoke(again.token.id).revoked_us == tokens.now_us()
    assert [one.state(tokens.now_us()) for one in tokens.all()] == ["revoked", "revoked"]
    entries = [entry for _, entry in world.workshop.state.entries(AUDIT)]
    assert [entry["act"] for entry in entries] == ["token_made", "token_made", "token_revoked", "token_revoked"]
    assert {entry["who"] for entry in entries} == {who()}
    assert made.secret.reveal().split("_", 2)[2] not in str(entries) + str(list(world.workshop.state.scan(TOKENS)))


def test_names_and_scopes_that_are_none(tokens: Tokens) -> None:
    with pytest.raises(WrongUsage) as refused:
        tokens.new("no name")
    assert str(refused.value) == (
        "LCH-1911: `no name` cannot be a token's name\n"
        "  fix: use up to 64 letters, digits and the signs . _ -, beginning with a letter or digit"
    )
    with pytest.raises(WrongUsage) as refused:
        tokens.new("shop", ["predcit"])
    assert str(refused.value) == "LCH-1914: there is no scope `predcit`\n  fix: did you mean `predict`?"
    tokens.new("shop")
    with pytest.raises(WrongUsage) as refused:
        tokens.new("shop")
    assert str(refused.value) == (
        "LCH-1912: there is a valid token `shop` already\n"
        "  fix: give another name; or revoke that one: lichen token revoke shop"
    )
    with pytest.raises(WrongUsage) as refused:
        tokens.revoke("shpo")
    assert str(refused.value) == "LCH-1913: there is no token `shpo` to revoke\n  fix: did you mean `shop`?"


def test_many_at_once_leave_one_whole_chain(world: Any, clock: FixedClock) -> None:
    failed: list[Exception] = []

    def several(worker: int) -> None:
        try:
            for number in range(10):
                Tokens(world.workshop.state, clock).new(f"t{worker}-{number}")
        except (LichenError, Conflict) as error:
            failed.append(error)

    threads = [threading.Thread(target=several, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(world.workshop.state.entries(AUDIT)) == 40
    assert broken_at(world.workshop.state, AUDIT) is None
