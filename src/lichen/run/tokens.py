"""The tokens of a project's services: made, listed and revoked in the state store, each act with its audit entry."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lichen.deploy.token import SCOPES, Keyring, Scope, Token, new_token
from lichen.errors import WrongUsage, did_you_mean
from lichen.ground.clock import Clock
from lichen.ground.duration import microseconds
from lichen.ground.instant import to_us
from lichen.ground.secret import Secret
from lichen.ports import Put, StateStore
from lichen.run.audit import record, who

TOKENS = "tokens"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Made:
    """A new token with its secret, which is told this once and kept nowhere."""

    token: Token
    secret: Secret


class Tokens:
    """The tokens that a project's services know. Running services see a change within their refresh second.

    >>> project.tokens.new("shop", ["predict"]).secret.reveal()  # doctest: +SKIP
    'lichen_0c5f...'
    """

    def __init__(self, state: StateStore, clock: Clock) -> None:
        self._state, self._clock = state, clock

    def new(self, name: str, scopes: Sequence[str] = ("predict",), expires: timedelta | None = None) -> Made:
        """Make a token; `expires` is after how long it ends, never if not said."""
        if not _NAME.fullmatch(name):
            raise WrongUsage(
                "LCH-1911",
                f"`{name}` cannot be a token's name",
                fix="use up to 64 letters, digits and the signs . _ -, beginning with a letter or digit",
            )
        now = self.now_us()
        if any(token.name == name and token.state(now) == "valid" for token in self.all()):
            raise WrongUsage(
                "LCH-1912",
                f"there is a valid token `{name}` already",
                fix=f"give another name; or revoke that one: lichen token revoke {name}",
            )
        good = [_scope(scope) for scope in scopes]
        ends = None if expires is None else now + microseconds(expires)
        token, secret = new_token(name, good, made_us=now, expires_us=ends)
        self._keep("token_made", token, None)
        return Made(token, secret)

    def all(self) -> list[Token]:
        """Every token that was made, the oldest first; revoked ones too."""
        found = [Token.from_dict(kept) for _, kept in self._state.scan(TOKENS)]
        return sorted(found, key=lambda token: (token.made_us, token.id))

    def revoke(self, which: str) -> Token:
        """End a token, named by its id or, where it is valid, by its name; one that is revoked stays so."""
        now = self.now_us()
        tokens = self.all()
        known = [token for token in tokens if which == token.id] or [
            token for token in tokens if which == token.name and token.revoked_us is None
        ]
        if not known:
            names = [token.name for token in tokens if token.revoked_us is None]
            raise WrongUsage("LCH-1913", f"there is no token `{which}` to revoke", fix=did_you_mean(which, names))
        for token in known:
            if token.revoked_us is None:
                self._keep("token_revoked", Token.from_dict({**token.as_dict(), "revoked_us": now}), token)
        return next(token for token in self.all() if token.id == known[-1].id)

    def keyring(self) -> Keyring:
        """What a service knows of them now."""
        return Keyring(self.all())

    def now_us(self) -> int:
        """The present instant, in microseconds since 1970 UTC."""
        return to_us(self._clock.now())

    def any_valid(self, scope: Scope) -> bool:
        """Whether there is a token that is good for this now."""
        return self.keyring().any_valid(scope, self.now_us())

    def _keep(self, act: str, token: Token, before: Token | None) -> None:
        facts: dict[str, Any] = {"token": token.id, "name": token.name, "scopes": list(token.scopes)}
        put = Put(TOKENS, token.id, token.as_dict(), expect=before.as_dict() if before else None)
        record(self._state, {"act": act, "at": self._clock.now().isoformat(), "who": who(), **facts}, put)


def _scope(word: str) -> Scope:
    for scope in SCOPES:
        if scope == word:
            return scope
    raise WrongUsage("LCH-1914", f"there is no scope `{word}`", fix=did_you_mean(word, SCOPES))
