"""Which features stand in for others: those of parent entities, where a window holds few rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lichen.spec import FeatureView


class Feature(NamedTuple):
    """A feature of a view."""

    view: str
    name: str

    def __str__(self) -> str:
        return f"{self.view}.{self.name}"


def aggregate_of(view: FeatureView, feature: str) -> tuple[str, str] | None:
    """The aggregate and the window that make a feature; None for one that is no aggregate."""
    named = ((name, feature[len(name) + 1 :]) for name in view.aggregates if feature.startswith(f"{name}_"))
    return next((made for made in named if made[1] in view.windows), None)


def prior_of(one: Feature, specs: Mapping[str, FeatureView]) -> Feature | None:
    """The feature that stands in for one: the named one, or that of the same window; None where there is none."""
    made = aggregate_of(specs[one.view], one.name)
    prior = specs[one.view].aggregates[made[0]].prior if made is not None else None
    if made is None or prior is None or prior.parent is None:
        return None
    view, name = prior.parent
    if view not in specs:
        return None
    return next((Feature(view, each) for each in (name, f"{name}_{made[1]}") if _has(specs[view], each)), None)


def _has(view: FeatureView, feature: str) -> bool:
    return aggregate_of(view, feature) is not None or feature in (*view.latest, *view.columns, *view.expressions)


def with_priors(name: str, view: FeatureView) -> list[Feature]:
    """The features of a view that have a prior, in its order."""
    drawn = (one for one, aggregate in view.aggregates.items() if aggregate.prior is not None)
    return [Feature(name, f"{one}_{window}") for one in drawn for window in view.windows]


def with_parents(names: Iterable[str], specs: Mapping[str, FeatureView]) -> tuple[str, ...]:
    """Some views, and after them those that are needed because features of theirs stand in, each once."""
    found = dict.fromkeys(names)
    waiting = [one for name in found if name in specs for one in with_priors(name, specs[name])]
    seen = set(waiting)
    for one in waiting:
        parent = prior_of(one, specs)
        if parent is not None and parent not in seen:
            seen.add(parent)
            waiting.append(parent)
            found.setdefault(parent.view)
    return tuple(found)
