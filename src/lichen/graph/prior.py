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
    windowed = ((name, window) for name in view.aggregates for window in view.windows)
    return next(((name, window) for name, window in windowed if f"{name}_{window}" == feature), None)


def prior_of(one: Feature, specs: Mapping[str, FeatureView]) -> Feature | None:
    """The feature that stands in for one: the named one, or that of the same window; None where there is none."""
    made = aggregate_of(specs[one.view], one.name)
    prior = specs[one.view].aggregates[made[0]].prior if made is not None else None
    if made is None or prior is None or prior.parent is None:
        return None
    view, name = prior.parent
    known = specs[view].feature_names() if view in specs else ()
    return next((Feature(view, each) for each in (name, f"{name}_{made[1]}") if each in known), None)


def parents(view: FeatureView) -> tuple[str, ...]:
    """The views whose features stand in for a view's."""
    priors = (aggregate.prior for aggregate in view.aggregates.values())
    return tuple(dict.fromkeys(prior.parent[0] for prior in priors if prior is not None and prior.parent is not None))


def with_parents(names: Iterable[str], specs: Mapping[str, FeatureView]) -> tuple[str, ...]:
    """Some views, and after them those that are needed because features of theirs stand in, each once."""
    found = dict.fromkeys(names)
    waiting = [Feature(name, feature) for name in found if name in specs for feature in specs[name].feature_names()]
    seen = set(waiting)
    for one in waiting:
        parent = prior_of(one, specs)
        if parent is not None and parent not in seen:
            seen.add(parent)
            waiting.append(parent)
            found.setdefault(parent.view)
    return tuple(found)
