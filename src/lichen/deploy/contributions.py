"""What each feature, and each source column, contributed to a score: told with an answer where it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from lichen.deploy.refused import Refused, shown

NAME = "contributions"
TURN = 250
"""For how many rows contributions are worked out before others get a turn."""

LOG_ODDS, LABEL = "log_odds", "label"


class Contributions(NamedTuple):
    """One row's contributions to its margin, which is `base` and all of `features` added up.

    `unit` is the margin's: `log_odds`, of which the score is the probability, or the `label`'s own.
    `source_columns` shares out each feature's contribution among the source columns it is made of, alike to each; it is
    None for a release that was built before this was kept.
    """

    unit: str
    base: float
    features: Mapping[str, float]
    source_columns: Mapping[str, float] | None

    def shown(self) -> dict[str, Any]:
        """The contributions as clients get them."""
        return self._asdict()


Contribute = Callable[[Sequence[Sequence[Any]]], Sequence[Contributions]]
"""From many rows' feature values, in the order of a release's columns, to their contributions."""


def by_source(features: Mapping[str, float], columns: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Contributions of features as those of source columns: each feature's is shared out to all its columns alike.

    >>> by_source({"v.a": 3.0, "v.b": 0.5}, {"v.a": ["s.x", "s.y"], "v.b": ["s.x"]})
    {'s.x': 2.0, 's.y': 1.5}
    """
    found: dict[str, float] = {}
    for feature, contribution in features.items():
        for column in columns[feature]:
            found[column] = found.get(column, 0.0) + contribution / len(columns[feature])
    return found


def asked(query: str) -> bool:
    """Whether an address's query asks for contributions; other parameters mean nothing here.

    >>> asked(""), asked("contributions=true"), asked("contributions=false")
    (False, True, False)
    """
    wanted = False
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        if name != NAME:
            continue
        if value not in ("true", "false"):
            raise wrong_wish(value)
        wanted = value == "true"
    return wanted


def wish(parameters: Mapping[str, Any]) -> bool:
    """Whether a body's parameters ask for contributions."""
    said = parameters.get(NAME)
    if said is not None and not isinstance(said, bool):
        raise wrong_wish(said)
    return bool(said)


def wrong_wish(said: object) -> Refused:
    """The refusal of a wish that is neither true nor false."""
    return Refused(422, "LCH-1887", f"`{NAME}` is {shown(said)}", fix="it must be true or false")


def cannot_tell(why: str) -> Refused:
    """The refusal where a release's model cannot tell contributions."""
    return Refused(422, "LCH-1888", "contributions cannot be told of this model's answers", fix=why)
