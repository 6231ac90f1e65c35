"""The words every spec is made of: checked names, spans of time, and the frozen form of a file."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from lichen.ground.duration import microseconds, parse_duration
from lichen.ground.secret import Secret

NAME = re.compile(r"[a-z_][a-z0-9_]*")


def check_name(value: object) -> object:
    """Refuse a name that could not be a file, a column and an identifier alike."""
    if isinstance(value, str) and not NAME.fullmatch(value):
        raise ValueError(f"`{value}` is not a name: use small letters, digits and _, not starting with a digit")
    return value


def _to_span(value: object) -> object:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, int | float):
        raise ValueError("a duration has a unit: 90s, 5m, 3h, 28d, 2w")
    return value


def _from_span(span: timedelta) -> str:
    milliseconds = microseconds(span) // 1000
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"


Name = Annotated[str, BeforeValidator(check_name), Field(json_schema_extra={"pattern": f"^{NAME.pattern}$"})]
"""A name in small letters, digits and `_`."""

Span = Annotated[
    timedelta,
    BeforeValidator(_to_span),
    PlainSerializer(_from_span),
    WithJsonSchema({"type": "string", "pattern": r"^\s*([0-9]{1,12}\s*(ms|[smhdw])\s*)+$", "examples": ["1h", "28d"]}),
]
"""A span of time: `90s`, `5m`, `3h`, `28d`, `2w`."""


class Spec(BaseModel):
    """A part of what the user wrote: frozen, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @classmethod
    def written_keys(cls) -> list[str]:
        """The keys a file may have here, as they are written there."""
        return [info.alias or name for name, info in cls.model_fields.items()]

    def meaning(self) -> dict[str, Any]:
        """What the part means, for fingerprints: words that only people read are left out."""
        return self.model_dump(
            mode="json", by_alias=True, exclude={"description"}, exclude_defaults=True, fallback=_as_written
        )


def _as_written(value: object) -> str:
    """What a value that holds an environment variable means: what is written, wherever it leads on this machine."""
    if isinstance(value, Secret):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no meaning")
