"""Answers one request with features as they are known at an instant, from the online store."""

from __future__ import annotations

from collections import OrderedDict
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

from lichen.errors import SystemFailed, WrongUsage
from lichen.feature.entity import Asking, picking
from lichen.feature.featureset import PREDICTION_TIME, FeatureSet
from lichen.feature.value import from_wire, instant, key_encoder, to_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lichen.feature.view import View
    from lichen.ports import OnlineStore

_MEMORY = 256 * 2**20
_OVERHEAD = 1_000
"""What a kept state costs beyond its bytes, about."""


class Lookup:
    """Answers requests for a feature set from the states that `materialize` wrote.

    `keys` says under which name the store keeps each view. States stay decoded in memory, the least
    recently used leaving first where they are more than `memory` bytes. The generations seen are those of the last
    `refresh`; call it when the store may have new ones. For one that is no longer kept the visible one answers. One
    thread uses a Lookup at a time.
    """

    def __init__(
        self, features: FeatureSet, store: OnlineStore, keys: Mapping[str, str], *, memory: int = _MEMORY
    ) -> None:
        states = _States(store, memory)
        self._views = [_ViewLookup(view, states, store, keys[view.name]) for view in features.views]
        self._types = {column.name: column.type for column in features.request}
        self._asked = _picking_named(list(self._types))
        converted = [(place, to_type(type_)) for place, type_ in enumerate(self._types.values(), 1)]
        self._converted = [(place, convert) for place, convert in converted if convert is not None]
        self._expressions = [(expression.name, expression.row) for expression in features.expressions]
        copies = dict(features.request_features)
        names = [
            PREDICTION_TIME, *(column.name for column in features.request),
            *(name for view in self._views for name in view.names), *(name for name, _ in self._expressions),
        ]  # fmt: skip
        places = {name: place for place, name in enumerate(names)}
        computed = {name for name, _ in self._expressions}
        self._read = sorted({name for one in features.expressions for name in one.reads} - computed)
        self._reading = picking([places[copies.get(name, name)] for name in self._read])
        self._shown = picking([places[copies.get(column.name, column.name)] for column in features.features])
        self._keys = [[places[name] for name in view.entity] for view in self._views]
        self.refresh()

    def refresh(self) -> None:
        """See the store's present generations; raises `SystemFailed` where a view was never materialised."""
        for view in self._views:
            view.refresh()

    def warm(self) -> None:
        """Make ready what the first question would wait for, a third of a second."""
        for view in self._views:
            view.warm()

    def row(self, request: Mapping[str, Any], at_us: int) -> list[Any]:
        """The features at an instant (microseconds since 1970), in the feature set's order.

        `request` holds a value, or None, for each column of the feature set's `request`, of the column's type.
        """
        values = self._taken_in(request, instant(at_us))
        for view, key in zip(self._views, self._keys, strict=True):
            values += view.answer([values[place] for place in key], at_us)
        return self._finished(values)

    def rows(self, requests: Sequence[Mapping[str, Any]], at_us: int) -> list[list[Any]]:
        """The features of many requests at one instant: what `row` gives for each; an entity is asked once."""
        now, found = instant(at_us), []
        asked: list[dict[bytes, list[Any]]] = [{} for _ in self._views]
        views = list(zip(self._views, self._keys, asked, strict=True))
        for request in requests:
            values = self._taken_in(request, now)
            for view, key, known in views:
                values += view.answer([values[place] for place in key], at_us, known)
            found.append(self._finished(values))
        return found

    def _taken_in(self, request: Mapping[str, Any], now: Any) -> list[Any]:
        """The instant and the request's values, as expressions and keys read them."""
        try:
            values: list[Any] = [now, *self._asked(request)]
        except KeyError as lacking:
            name = lacking.args[0]
            raise _absent(name, self._types[name]) from None
        for place, convert in self._converted:
            if values[place] is not None:
                values[place] = convert(values[place])
        return values

    def _finished(self, values: list[Any]) -> list[Any]:
        """The features, of what the request says and the views answered: with the expressions' values."""
        if self._expressions:
            named = dict(zip(self._read, self._reading(values), strict=True))
            for feature, row in self._expressions:
                value = named[feature] = row(named)
                values.append(value)
        return self._shown(values)


def _picking_named(names: list[str]) -> Callable[[Mapping[str, Any]], Sequence[Any]]:
    """A function that gives what stands under these names."""
    if len(names) < 2:
        return lambda request: [request[name] for name in names]
    return itemgetter(*names)


def _absent(name: str, type_: str) -> WrongUsage:
    return WrongUsage(
        "LCH-2643",
        f"the request has no `{name}`",
        why="the model's features are found by it or computed of it",
        fix=f"send `{name}` as {type_}, or null where it is not known",
    )


class _States:
    """Decoded states by view, generation and key: as many as fit."""

    def __init__(self, store: OnlineStore, memory: int) -> None:
        self._store, self._memory, self._used = store, memory, 0
        self._kept: OrderedDict[tuple[str, int, bytes], tuple[Any, int]] = OrderedDict()

    def get(self, view: str, generation: int, key: bytes, decode: Callable[[bytes], Any]) -> Any:
        """The decoded state of a key, None where the store has none."""
        place = (view, generation, key)
        found = self._kept.get(place)
        if found is not None:
            self._kept.move_to_end(place)
            return found[0]
        blob = self._store.get(view, generation, [key])[0]
        state = None if blob is None else decode(blob)
        cost = _OVERHEAD + len(key) + getattr(state, "size", 0 if blob is None else len(blob))
        self._kept[place] = (state, cost)
        self._used += cost
        while self._used > self._memory and len(self._kept) > 1:
            _, (_, freed) = self._kept.popitem(last=False)
            self._used -= freed
        return state


class _ViewLookup:
    """One view's part of a look-up."""

    def __init__(self, view: View, states: _States, store: OnlineStore, key: str) -> None:
        self._view, self._states, self._store, self._key = view, states, store, key
        self.entity = [column.name for column in view.entity]
        self._encode = key_encoder(view.entity)
        self._answers = Asking(view)
        self._generation = 0
        self.names = [f"{view.name}.{column.name}" for column in view.features]
        self._decode: Callable[[bytes], Any] = self._static_row if view.static else self._answers.past
        self._touches = [from_wire(column.type) for column in view.latest]

    def refresh(self) -> None:
        found = self._store.generation(self._key)
        if found is None:
            raise SystemFailed(
                "LCH-2642",
                f"the online store holds nothing for the feature view `{self._view.name}`",
                why=f"`{self._key}` was never materialised there, or was dropped",
                fix="materialise it: lichen run",
            )
        self._generation = found[0]

    def warm(self) -> None:
        if not self._view.static:
            self._answers.warm()

    def answer(self, entity: list[Any], t: int, known: dict[bytes, list[Any]] | None = None) -> list[Any]:
        """The view's features at t, for the entity of this key; `known` has those that were asked for t before."""
        key = self._encode(entity)
        if key is None:
            return self._answers.missing
        if known is None:
            return self._answer(key, t)
        found = known.get(key)
        if found is None:
            found = known[key] = self._answer(key, t)
        return found

    def _answer(self, key: bytes, t: int) -> list[Any]:
        state = self._state(key)
        if state is None:
            return self._answers.unseen
        if self._view.static:
            row: list[Any] = state
            return row
        return self._answers.at(state, t)

    def _state(self, key: bytes) -> Any:
        """The state of a key; where the generation went meanwhile, that of the one which is visible now."""
        try:
            return self._states.get(self._key, self._generation, key, self._decode)
        except SystemFailed as gone:
            if gone.code != "LCH-3021":
                raise
            self.refresh()
            return self._states.get(self._key, self._generation, key, self._decode)

    def _static_row(self, blob: bytes) -> list[Any]:
        return [
            value if touch is None or value is None else touch(value)
            for value, touch in zip(msgspec.msgpack.decode(blob), self._touches, strict=True)
        ]
