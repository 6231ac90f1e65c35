"""Proves, before a release moves, that a service's online path gives the features that its model learned from.

Two things are proven. **The path:** training rows are asked of scratch stores, and what they answer is compared with
the training set. At a few cuts in time a store is materialised by the production code with `since` at the cut, and
asked about the questions that come next. It holds all that the tables hold, later rows too: a live store is made that
way, answers any instant from its `since` on by what was known then, and so must leave unseen what comes later; a store
that was never given those rows would prove less. **The state:** the very store that the service will answer from is
asked about the same entities as of now, and compared with a join as of now. That finds a state that was edited or
damaged where nobody looked.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from arro3.core import Table

from lichen.deploy.parity import Skew, skews, spelled
from lichen.errors import FoundWrong
from lichen.feature.featureset import FeatureSet
from lichen.feature.join import join
from lichen.feature.lookup import Lookup
from lichen.feature.materialize import Cut, materialize_cuts
from lichen.feature.value import key_encoder
from lichen.feature.view import View
from lichen.graph.version import Version
from lichen.ground.counted import count, few
from lichen.ground.instant import from_us, to_us
from lichen.ground.quoting import identifier, sql
from lichen.ports import Column, Engine, Relation
from lichen.run.narrowed import Stretch, narrowed
from lichen.run.workshop import Workshop

SAMPLE = 1_000
"""The training rows that are asked; all, where there are fewer."""

CUTS = 4
"""The scratch stores: each is cut where a quarter of the rows begins."""

AFTER = 4_000
"""How many rows after each cut the sample is of: a stretch that is short needs few rows of the views' tables."""

_CUT, _AT, _HASH, _PLACE = "_lichen_cut", "_lichen_at", "_lichen_hash", "_lichen_place"


def prove(
    service: str,
    features: FeatureSet,
    trained: Version,
    sources: Mapping[str, Relation],
    keys: Mapping[str, str],
    workshop: Workshop,
) -> dict[str, int]:
    """Prove the online path and the online state of a service; returns how much was compared.

    `sources` has each view's table by the view's name, `keys` the name under which the online store keeps the view.
    Raises `FoundWrong` with the first of what differs.
    """
    workshop.prepare_kernels()
    label, engine = trained.facts["label"]["at"], workshop.engine
    sample = _sampled(features, label, workshop.relation(trained), engine)
    now = to_us(workshop.clock.now())
    instants: dict[int, list[int]] = {}
    for cut, at in zip(_values(sample, _CUT), _values(sample, _AT), strict=True):
        instants.setdefault(cut, []).append(at)
    stretches = [*(Stretch(min(ats), max(ats)) for ats in instants.values()), Stretch(now, now)]
    own, inputs = narrowed(features, sources, sample, stretches, engine)
    _prove_path(service, own, sample, inputs, workshop)
    _prove_state(service, own, sample, inputs, keys, now, workshop)
    return {"rows": sample.num_rows, "values": len(features.features), "cuts": len(instants)}


def prove_state(
    service: str,
    features: FeatureSet,
    trained: Version,
    sources: Mapping[str, Relation],
    keys: Mapping[str, str],
    workshop: Workshop,
) -> None:
    """Prove the online state alone, of a service whose path was proven when it was made."""
    workshop.prepare_kernels()
    sample = _sampled(features, trained.facts["label"]["at"], workshop.relation(trained), workshop.engine)
    now = to_us(workshop.clock.now())
    own, inputs = narrowed(features, sources, sample, [Stretch(now, now)], workshop.engine)
    _prove_state(service, own, sample, inputs, keys, now, workshop)


def _sampled(features: FeatureSet, at: str, rows: Relation, engine: Engine) -> Table:
    """Questions of the training set with the request's columns, the features, the cut each follows, and its instant.

    Rows that ask the same at one instant have one answer, and are one question. The same rows give the same sample.
    """
    moment = f"CAST({identifier(at)} AS TIMESTAMP WITH TIME ZONE)"
    hashed = f"hash({', '.join(identifier(name) for name in dict.fromkeys([at, *_request(features)]))})"
    seen = f"CASE WHEN isfinite({moment}) THEN epoch_us({moment}) END AS {_AT}, {hashed} AS {_HASH}"
    asked = sql("SELECT DISTINCT * FROM (SELECT", seen, f"FROM rows) WHERE {_AT} IS NOT NULL")
    cut = sql("SELECT *,", f"ntile({CUTS}) OVER (ORDER BY {_AT}, {_HASH}) AS {_CUT} FROM (", asked, ")")
    after = _first(cut, f"{_AT}, {_HASH}", AFTER)
    picked = Table.from_arrow(engine.query(_first(after, f"{_HASH}, {_AT}", SAMPLE // CUTS), {"rows": rows}))
    request = [f"CAST({identifier(c.name)} AS {c.type}) AS {identifier(c.name)}" for c in features.request]
    values = [identifier(c.name) for c in features.features]
    named = sql("SELECT", ", ".join([*request, *values, seen]), "FROM rows WHERE", _during(moment, picked))
    statement = sql(
        "SELECT r.*,", f"p.{_CUT}", "FROM (", named, f") AS r JOIN picked AS p USING ({_AT}, {_HASH})",
        f"QUALIFY row_number() OVER (PARTITION BY r.{_AT}, r.{_HASH}) = 1 ORDER BY p.{_CUT}, r.{_AT}, r.{_HASH}",
    )  # fmt: skip
    return Table.from_arrow(engine.query(statement, {"rows": rows, "picked": Relation(arrow=picked)})).combine_chunks()


def _during(moment: str, picked: Table) -> str:
    """SQL that is true of the rows of the stretches that were picked from: of the others the values stay unread."""
    instants: dict[int, list[int]] = {}
    for cut, at in zip(_values(picked, _CUT), _values(picked, _AT), strict=True):
        instants.setdefault(cut, []).append(at)
    ends = ((f"make_timestamptz({end}::BIGINT)" for end in (min(ats), max(ats))) for ats in instants.values())
    return " OR ".join(f"{moment} BETWEEN {first} AND {last}" for first, last in ends) or "false"


def _first(source: str, order: str, most: int) -> str:
    """SQL for the first rows of each cut."""
    placed = f"row_number() OVER (PARTITION BY {_CUT} ORDER BY {order}) AS {_PLACE}"
    rows = sql("SELECT *,", placed, "FROM (", source, ")")
    return sql("SELECT *", f"EXCLUDE ({_PLACE})", "FROM (", rows, f") WHERE {_PLACE} <= {most}")


def _prove_path(
    service: str, features: FeatureSet, sample: Table, inputs: Mapping[str, Relation], workshop: Workshop
) -> None:
    """Ask the sample of scratch stores that the production code makes, and compare with the training set."""
    folder = workshop.folder("scratch") / f"parity-{service}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    cuts, instants = _values(sample, _CUT), _values(sample, _AT)
    requests = _requests(features, sample)
    try:
        with closing(workshop.open_online(folder / "scratch.db")) as store:
            for view in features.views:
                asked = _cuts(view, cuts, requests, instants)
                materialize_cuts(view, inputs[view.name], workshop.engine, store, asked)
            lookups = {
                cut: Lookup(features, store, {view.name: _scratch(view, cut) for view in features.views})
                for cut in dict.fromkeys(cuts)
            }
            every = zip(cuts, requests, instants, strict=True)
            answers = [lookups[cut].row(request, at) for cut, request, at in every]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    offline = [_values(sample, column.name) for column in features.features]
    found = skews(features.features, offline, _turned(features.features, answers))
    if found:
        first, more = found[0], found[1:]
        place = first.rows[0]
        raise FoundWrong(
            "LCH-2970",
            f"`{service}` would answer with another `{first.feature}` than its model learned from",
            why=f"{_asked(features, first, requests[place])} at {_instant(instants[place])} training joined "
            f"{spelled(first.offline, first.online)}, and the online path gives "
            f"{spelled(first.online, first.offline)}; so it is in "
            f"{len(first.rows):,} of {count(len(requests), 'row')}{_others(more)}",
            fix="nothing was released; train again with this version of Lichen (another `seed` does that), and where "
            "they still differ, one of the two paths is wrong: tell it to the makers, with these values",
        )


def _prove_state(
    service: str,
    features: FeatureSet,
    sample: Table,
    inputs: Mapping[str, Relation],
    keys: Mapping[str, str],
    now: int,
    workshop: Workshop,
) -> None:
    """Ask the live store about the sample's entities as of now, and compare with a join as of now.

    Of the features those of views alone: expressions are the path's, and a past request is none that comes now.
    """
    shown = tuple(Column(f"{view.name}.{c.name}", c.type) for view in features.views for c in view.features)
    features = replace(features, expressions=(), features=shown)
    if not shown:
        return
    moment = f"make_timestamptz({now}::BIGINT) AS {_AT}"
    columns = ", ".join([*map(identifier, _request(features)), moment])
    asked = workshop.engine.query(sql("SELECT", columns, "FROM sample"), {"sample": Relation(arrow=sample)})
    joined = Table.from_arrow(join(features, Relation(arrow=asked), _AT, inputs, workshop.engine))
    requests = _requests(features, sample)
    lookup = Lookup(features, workshop.online, keys)
    answers = [lookup.row(request, now) for request in requests]
    found = skews(shown, [_values(joined, column.name) for column in shown], _turned(shown, answers))
    if found:
        first, more = found[0], found[1:]
        place, key = first.rows[0], keys[first.view]
        raise FoundWrong(
            "LCH-2971",
            f"the online store gives `{service}` another `{first.feature}` than the tables say",
            why=f"{_asked(features, first, requests[place])} at {_instant(now)} the tables say "
            f"{spelled(first.offline, first.online)}, and `{key}` in the store gives "
            f"{spelled(first.online, first.offline)}; so it is for "
            f"{len(first.rows):,} of {count(len(requests), 'request')}{_others(more)}",
            fix=f"nothing was released; something else than Lichen wrote to {workshop.settings.online}, or it is "
            "damaged: remove it, for it is made anew of the tables, and do this again",
        )


def _cuts(
    view: View, cuts: Sequence[int], requests: Sequence[Mapping[str, Any]], instants: Sequence[int]
) -> dict[str, Cut]:
    """What is asked of a view's scratch states, by their names; the questions are sorted by cut and instant."""
    encode, names = key_encoder(view.entity), [column.name for column in view.entity]
    found: dict[str, Cut] = {}
    for cut, request, at in zip(cuts, requests, instants, strict=True):
        known = found.setdefault(_scratch(view, cut), Cut(at, set()))
        key = encode([request[name] for name in names])
        if key is not None:
            known.among.add(key)
    return found


def _scratch(view: View, cut: int) -> str:
    """The name under which the scratch store keeps a view as of a cut."""
    return f"{view.name}@{cut}"


def _request(features: FeatureSet) -> list[str]:
    return [column.name for column in features.request]


def _values(table: Table, name: str) -> list[Any]:
    values: list[Any] = table.column(name).to_pylist()
    return values


def _requests(features: FeatureSet, sample: Table) -> list[dict[str, Any]]:
    names = _request(features)
    if not names:
        return [{} for _ in range(sample.num_rows)]
    return [dict(zip(names, row, strict=True)) for row in zip(*(_values(sample, n) for n in names), strict=True)]


def _turned(features: Sequence[Column], answers: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    """Answers by row as values by feature."""
    return [[answer[place] for answer in answers] for place in range(len(features))]


def _asked(features: FeatureSet, skew: Skew, request: Mapping[str, Any]) -> str:
    """For whom it was asked: the key of the view's entity, or the whole request where it is of no table."""
    entities = {view.name: [column.name for column in view.entity] for view in features.views}
    named = ", ".join(f"{name} = {request[name]}" for name in entities.get(skew.view, request))
    return f"for {named or 'everybody'}"


def _instant(at: int) -> str:
    return from_us(at).isoformat(sep=" ")


def _others(more: Sequence[Skew]) -> str:
    """The other features that differ."""
    if not more:
        return ""
    return f", and {count(len(more), 'feature')} more differ{'s' if len(more) == 1 else ''}: " + few(
        [skew.feature for skew in more]
    )
