"""Tokens: who may ask a service, for what, and until when; a service keeps only what tells a right one from a wrong."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from lichen.ground.instant import from_us
from lichen.ground.secret import Secret

Scope = Literal["predict", "read", "admin"]
"""What a token may be good for: asking for predictions, reading how the service stands, changing it."""

SCOPES: tuple[Scope, ...] = get_args(Scope)

_BEARER = re.compile(rb"bearer +lichen_([0-9a-f]{12})_([A-Za-z0-9_-]{43})", re.IGNORECASE)
_NOBODYS = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Token:
    """One token, as it is kept: its secret only as a hash. Instants are microseconds since 1970 UTC."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    hashed: str
    made_us: int
    expires_us: int | None = None
    revoked_us: int | None = None

    def state(self, now_us: int) -> Literal["valid", "expired", "revoked"]:
        """Whether it is good for anything at an instant."""
        if self.revoked_us is not None:
            return "revoked"
        return "expired" if self.expires_us is not None and now_us >= self.expires_us else "valid"

    def as_dict(self) -> dict[str, Any]:
        """The token for the state store."""
        return {
            "id": self.id,
            "name": self.name,
            "scopes": list(self.scopes),
            "hashed": self.hashed,
            "made_us": self.made_us,
            "expires_us": self.expires_us,
            "revoked_us": self.revoked_us,
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Self:
        """A token as the state store keeps it."""
        return cls(**{**kept, "scopes": tuple(kept["scopes"])})

    def shown(self, now_us: int) -> dict[str, Any]:
        """The token for people and machines: all but the hash."""
        times = {"made": self.made_us, "expires": self.expires_us, "revoked": self.revoked_us}
        return {
            "id": self.id,
            "name": self.name,
            "scopes": list(self.scopes),
            "state": self.state(now_us),
            **{name: None if us is None else from_us(us).isoformat() for name, us in times.items()},
        }


def new_token(name: str, scopes: Iterable[Scope], *, made_us: int, expires_us: int | None) -> tuple[Token, Secret]:
    """A new token and the text its holder must send: an id to find it by and 256 bits of chance.

    Nobody can try out 2^256 secrets, however quick a trial is: the hash that is kept need not be a slow one, as that of
    a password which a person thought of must be.

    >>> token, secret = new_token("shop", ["predict"], made_us=0, expires_us=None)
    >>> secret
    Secret(***)
    >>> Keyring([token]).holder(f"Bearer {secret.reveal()}".encode(), 1).name
    'shop'
    """
    number, chance = secrets.token_hex(6), secrets.token_urlsafe(32)
    ordered = tuple(scope for scope in SCOPES if scope in set(scopes))
    token = Token(number, name, ordered, _hashed(chance.encode()), made_us, expires_us)
    return token, Secret(f"lichen_{number}_{chance}")


class Keyring:
    """The tokens a service knows: finds the one that a request's `authorization` proves to hold."""

    def __init__(self, tokens: Iterable[Token]) -> None:
        self._tokens = {token.id: token for token in tokens}

    def holder(self, authorization: bytes, now_us: int) -> Token | None:
        """The token of a request, or None where it is malformed, unknown, wrong, expired or revoked.

        It takes as long for an id that there is none of as for a wrong secret.
        """
        said = _BEARER.fullmatch(authorization.strip())
        if said is None:
            return None
        token = self._tokens.get(said[1].decode().lower())
        right = hmac.compare_digest(_hashed(said[2]), token.hashed if token else _NOBODYS)
        return token if token is not None and right and token.state(now_us) == "valid" else None

    def any_valid(self, scope: Scope, now_us: int) -> bool:
        """Whether there is a token that is good for this now."""
        return any(scope in token.scopes and token.state(now_us) == "valid" for token in self._tokens.values())


def _hashed(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()
