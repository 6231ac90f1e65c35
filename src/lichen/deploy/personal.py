"""What the record keeps of personal data: values hashed, coarsened or left out before anything of them is written."""

from __future__ import annotations

import hmac
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Self

from lichen.deploy.fields import INTEGERS, kind_of
from lichen.ground.instant import from_us, told_us
from lichen.ground.types import vector_of
from lichen.ports import Column

HASHED, COARSENED, MASKED = "hashed", "coarsened", "masked"

TREATMENTS: Mapping[str, str] = {"direct": HASHED, "quasi": COARSENED, "sensitive": MASKED}
"""What is done with each class of personal data."""

PERSONAL = "personal"
"""The fact under which a service's version keeps how its columns are treated, where any is: `request`, `features`."""

_HEX = 32
"""How many hexadecimal digits of a hash are kept: 128 bits."""

_FIRST = 3
"""How many characters of a text are kept where it is coarsened, as HIPAA's safe harbor keeps of a postcode."""

_FLOATS = frozenset({"DOUBLE", "FLOAT"})
_INSTANTS = frozenset({"TIMESTAMP", "TIMESTAMP WITH TIME ZONE"})

Treat = Callable[[Any], Any]

Treated = Mapping[str, Mapping[str, str]]
"""How the columns of a service's `request`, and its `features`, are treated in the record; empty where none is."""


def treatments(request: Mapping[str, str], features: Mapping[str, str], keys: set[str]) -> dict[str, dict[str, str]]:
    """What is done with each classed column; an entity's key is hashed whatever its class, so that labels find it.

    >>> treatments({"email": "direct", "birth": "quasi", "ward": "sensitive"}, {"visit.birth": "quasi"}, {"ward"})
    {'request': {'email': 'hashed', 'birth': 'coarsened', 'ward': 'hashed'}, 'features': {'visit.birth': 'coarsened'}}
    """
    of_request = {name: HASHED if name in keys else TREATMENTS[said] for name, said in request.items()}
    return {"request": of_request, "features": {name: TREATMENTS[said] for name, said in features.items()}}


def recorded_as(column: Column, treatment: str | None) -> Column:
    """A column as the record has it: a hash is a text, whatever it is of."""
    return Column(column.name, "VARCHAR") if treatment == HASHED else column


def treating(column: Column, treatment: str, key: bytes) -> Treat:
    """What makes a column's value that which is recorded; null stays null.

    Equal values have equal hashes, whichever column they are in: HMAC-SHA-256 with the project's key, of which 128 bits
    are kept. Coarsened, a date or an instant is the first of its year, a text its first three characters, a number its
    first digit and its magnitude; a vector is left out.

    >>> birth = treating(Column("birth", "DATE"), "coarsened", b"")
    >>> birth(date(1980, 5, 3)), treating(Column("plz", "VARCHAR"), "coarsened", b"")("10115")
    (datetime.date(1980, 1, 1), '101')
    """
    kind = kind_of(column)
    if treatment == HASHED:
        spell = _speller(kind)
        return lambda value: (
            None
            if value is None
            else hmac.digest(key, spell(value).encode("utf-8", "surrogatepass"), "sha256").hex()[:_HEX]
        )
    if treatment == COARSENED and vector_of(kind) is None:
        return _coarse(kind)
    return lambda _: None


def _speller(kind: str) -> Callable[[Any], str]:
    """What spells a value of a type in one way, in whichever form it comes: of a request, a look-up or a table."""
    if kind in _FLOATS:
        return lambda value: _float(value, kind)
    if kind in INTEGERS:
        return lambda value: str(int(value))
    if kind in _INSTANTS:
        return lambda value: str(told_us(value))
    vector = vector_of(kind)
    if vector is not None:
        return lambda value: ",".join("" if one is None else _float(one, vector[0]) for one in value)
    if kind.startswith("DECIMAL"):
        return lambda value: f"{Decimal(str(value)):f}"
    return str


def _float(value: Any, kind: str) -> str:
    number = float(value) + 0.0  # minus zero is zero
    return repr(struct.unpack("f", struct.pack("f", number))[0] if kind == "FLOAT" else number)


def _coarse(kind: str) -> Treat:
    if kind in _INSTANTS:
        return _year_of_instant
    if kind == "DATE":
        return lambda value: None if value is None else _as_date(value).replace(month=1, day=1)
    if kind in _FLOATS or kind in INTEGERS:
        return _magnitude
    if kind.startswith("DECIMAL"):
        return _decimal_magnitude
    if kind == "BOOLEAN":
        return lambda value: value
    return lambda value: None if value is None else str(value)[:_FIRST]


def _as_date(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)


def _year_of_instant(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, int):
        value = from_us(value)
    instant = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    if instant.tzinfo is not None:
        instant = instant.astimezone(UTC)
    return instant.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)


def _magnitude(value: Any) -> Any:
    """A number's first digit and its magnitude, cut towards zero: 37 is 30, 1,234.5 is 1,000."""
    if not value or not math.isfinite(value):
        return value
    if isinstance(value, int):
        digits = str(abs(value))
        return (1 if value > 0 else -1) * int(digits[0]) * 10 ** (len(digits) - 1)
    spelled = f"{abs(value):.17e}"
    return math.copysign(float(f"{spelled[0]}{spelled[spelled.index('e') :]}"), value)


def _decimal_magnitude(value: Any) -> Any:
    number = None if value is None else Decimal(str(value))
    if not number or not number.is_finite():
        return number
    sign, digits, _ = number.as_tuple()
    return Decimal(f"{Decimal((sign, digits[:1], number.adjusted())):f}")


@dataclass(frozen=True)
class Personal:
    """How answers that hold personal data are recorded: the columns as the record has them, and how they are treated.

    Values of `hidden` fields of a request are not repeated to anybody.
    """

    request: tuple[Column, ...]
    features: tuple[Column, ...]
    hidden: frozenset[str]
    _request: Sequence[tuple[int, Treat]] = field(compare=False, repr=False)
    _features: Sequence[tuple[int, Treat]] = field(compare=False, repr=False)

    @classmethod
    def of(
        cls,
        request: Sequence[Column],
        features: Sequence[Column],
        treated: Treated,
        key: bytes,
    ) -> Self:
        """The treatment that a service's version says, made ready with the project's key."""
        said, used = treated["request"], treated["features"]
        return cls(
            tuple(recorded_as(column, said.get(column.name)) for column in request),
            tuple(recorded_as(column, used.get(column.name)) for column in features),
            frozenset(said),
            [(place, treating(c, said[c.name], key)) for place, c in enumerate(request) if c.name in said],
            [(place, treating(c, used[c.name], key)) for place, c in enumerate(features) if c.name in used],
        )

    def kept(self, request: Sequence[Any], features: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """What is recorded of a request's values and of those of its features."""
        return _with(request, self._request), _with(features, self._features)


def _with(values: Sequence[Any], treated: Sequence[tuple[int, Treat]]) -> tuple[Any, ...]:
    made = list(values)
    for place, treat in treated:
        made[place] = treat(made[place])
    return tuple(made)
