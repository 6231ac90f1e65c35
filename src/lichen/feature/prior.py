"""Features of thin windows: drawn to a prior, or replaced by it, as an expression over parts of the view.

The parts are features of the view that only the expression reads: the window's own sum or value, and how many of its
rows are not null. So that no feature of the user's is called so, their names end in a mark that no name may hold. A
prior that is null changes nothing, and an entity that is missing has no rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lichen.errors import FoundWrong, Where, did_you_mean
from lichen.graph.prior import Feature, aggregate_of, prior_of, with_priors
from lichen.ground.quoting import identifier

if TYPE_CHECKING:
    from lichen.feature.view import WindowAggregate
    from lichen.spec import Aggregate, FeatureView, Prior

SUM, OWN, ROWS = "#sum", "#own", "#rows"
"""The ends of the parts' names."""

_DRAWN = ("avg", "share")
"""The functions of which a weighted mean with a prior is one of the same kind."""


@dataclass(frozen=True)
class PriorFeature:
    """A feature that has a prior: its qualified name, its place, and the text of the expression that makes it."""

    name: str
    at: tuple[str, ...]
    """The asset, and the way to the prior in its file."""

    own: str
    """The qualified name of the part that it is without a prior."""

    other: str
    """The qualified name of the feature that stands in, or a number."""

    text: str


def is_part(name: str) -> bool:
    """Whether a feature is a part of one that has a prior: no name of the user's has its mark."""
    return "#" in name


def split(aggregate: WindowAggregate, written: Aggregate) -> list[tuple[str, WindowAggregate]]:
    """The parts in which an aggregate is computed, each with the end of its features' names: itself without a prior."""
    if written.prior is None:
        return [("", aggregate)]
    own, function = (SUM, "sum") if written.prior.mean is not None else (OWN, aggregate.function)
    rows = replace(aggregate, name=aggregate.name + ROWS, function="count", at=0.5, back=0)
    return [(own, replace(aggregate, name=aggregate.name + own, function=function)), (ROWS, rows)]


def priors(names: Sequence[str], specs: Mapping[str, FeatureView], where: Callable[..., Where]) -> list[PriorFeature]:
    """The features with a prior of some views and, of the views that stand in, those that are needed."""
    waiting = [one for name in names for one in with_priors(name, specs[name])]
    seen, found = set(waiting), list[PriorFeature]()
    for one in waiting:
        made = aggregate_of(specs[one.view], one.name)
        written = specs[one.view].aggregates[made[0]] if made is not None else None
        if made is None or written is None or written.prior is None:
            continue
        at = (f"feature.{one.view}", "aggregates", made[0], "prior")
        parent = _checked(one, made[0], written, specs, lambda *key, at=at: where(*at, *key))
        found.append(_expressed(one, written.prior, parent, at))
        if parent is not None and parent not in seen:
            seen.add(parent)
            waiting.append(parent)
    return found


def _checked(
    one: Feature, name: str, written: Aggregate, specs: Mapping[str, FeatureView], where: Callable[..., Where]
) -> Feature | None:
    """The feature that stands in; None where a number does."""
    prior = written.prior
    assert prior is not None
    key = prior.key
    if prior.mean is not None and written.function not in _DRAWN:
        raise FoundWrong(
            "LCH-2652", f"`{written.function}` cannot be drawn to a mean", where=where(key),
            why="(sum + weight * prior) / (rows + weight) is a mean: `avg` and `share` are",
            fix="write `prior: {use: ..., below: 5}`: with fewer rows, the other is taken",
        )  # fmt: skip
    if prior.parent is None:
        return None
    view, feature = prior.parent
    if view not in specs:
        raise FoundWrong(
            "LCH-2620", f"there is no feature view `{view}`", where=where(key), fix=did_you_mean(view, specs)
        )
    if view == one.view or specs[view].on is not None:
        own = "what stands in for a thin window is of another entity, with more rows"
        why = own if view == one.view else "what a request brings is of no entity that has rows"
        raise FoundWrong(
            "LCH-2651", f"`{view}.{feature}` cannot stand in for `{one}`", where=where(key), why=why,
            fix="name a feature of another view over a table; to put features together, write an expression in a view "
            "with `on: request`",
        )  # fmt: skip
    parent = prior_of(one, specs)
    if parent is None:
        window = one.name.removeprefix(f"{name}_")
        short = feature in specs[view].aggregates
        windows = ", ".join(specs[view].windows)
        near = did_you_mean(feature, specs[view].feature_names())
        raise FoundWrong(
            "LCH-2650", f"`{view}` has no feature `{feature}`", where=where(key),
            why=f"its windows are {windows}, and `{one}` asks for {window}" if short else None,
            fix=f"name one of its windows: `{view}.{feature}_{specs[view].windows[-1]}`" if short else near,
        )  # fmt: skip
    return parent


def _expressed(one: Feature, prior: Prior, parent: Feature | None, at: tuple[str, ...]) -> PriorFeature:
    other = _number(prior.other) if parent is None else _quoted(parent)
    drawn = prior.mean is not None
    own, rows = (_quoted(one, part) for part in (SUM if drawn else OWN, ROWS))
    if drawn:
        weight = repr(prior.weight)
        text = f"(coalesce({own}, 0.0) + {weight} * {other}) / (coalesce({rows}, 0) + {weight})"
        if parent is not None:
            text = f"CASE WHEN {other} IS NOT NULL THEN {text} WHEN {rows} > 0 THEN {own} / {rows} END"
    else:
        thin = f"{own} IS NULL OR coalesce({rows}, 0) < {prior.below}"
        taken = other if parent is None else f"coalesce({other}, {own})"
        text = f"CASE WHEN {thin} THEN {taken} ELSE {own} END"
    part = SUM if drawn else OWN
    return PriorFeature(str(one), at, f"{one}{part}", str(parent or prior.other), text)


def _quoted(feature: Feature, part: str = "") -> str:
    return f"{identifier(feature.view)}.{identifier(feature.name + part)}"


def _number(value: float | str) -> str:
    """A number as a literal of an expression; a whole one stays whole."""
    assert isinstance(value, float)
    written = repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return f"({written})" if value < 0 else written
