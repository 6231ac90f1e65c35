"""Computes again, of a sample of recorded answers, the features they were given with, and tells what differs.

Each answer is held against the tables of the very release that gave it: of those its online state was made. So what
landed or was corrected after the answer is no difference, however early it says it was known, and no tolerance in time
is needed. Where a table of that release is no longer kept, the answer cannot be looked at, and is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from arro3.core import Table

from lichen.deploy.parity import skews, spelled
from lichen.deploy.personal import PERSONAL, Treated
from lichen.feature.featureset import FeatureSet
from lichen.feature.join import join
from lichen.graph.version import Version
from lichen.ground.counted import count, few
from lichen.ground.quoting import identifier, literal, sql
from lichen.monitor.finding import Finding
from lichen.monitor.sample import recorded
from lichen.monitor.skew import Unlike, unlike
from lichen.ports import Column, Relation
from lichen.run.deployed import features_of
from lichen.run.lost import fault
from lichen.run.narrowed import Stretch, narrowed
from lichen.run.pseudonym import project_key
from lichen.run.release import Release, Releases
from lichen.run.restored import as_recorded, comparable, restored
from lichen.run.workshop import Workshop

SAMPLE = 1_000
"""How many answers are looked at, in equal parts of the cohorts that have any; all, where there are fewer."""

LEAST = 20
"""How many of a cohort are looked at, however many cohorts there are."""

_AT, _COHORT, _MOMENT = "_lichen_at", "_lichen_cohort", identifier("at")


@dataclass(frozen=True)
class Rechecked:
    """How many answers of how many values were computed again, how many differ in any, and how many cannot be."""

    compared: int
    values: int
    differ: int
    lost: int
    findings: tuple[Finding, ...]
    unknown: int = 0
    """How many answers were about an entity that no table of their release has: the record holds a hash of its key."""
    hidden: tuple[str, ...] = ()
    """The features that were not compared, for the record holds personal data otherwise than it was used."""

    def as_dict(self) -> dict[str, int]:
        """What was looked at as a JSON object; the findings stand among the monitor's."""
        return {name: getattr(self, name) for name in ("compared", "values", "differ", "lost")}

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know of what was not looked at."""
        notes = []
        if self.lost:
            gone = "the tables of the release that gave them are no longer kept"
            notes.append(
                f"skew was not looked at in {self.lost:,} of {count(self.lost + self.compared, 'answer')}: {gone}"
            )
        if self.unknown:
            whose = "the record holds a hash of their entity's key, and no table has that entity"
            every = count(self.unknown + self.compared, "answer")
            notes.append(f"skew was not looked at in {self.unknown:,} of {every}: {whose}")
        if self.hidden:
            why = (
                "it is personal data or made of it" if len(self.hidden) == 1 else "they are personal data or made of it"
            )
            notes.append(f"skew was not looked at in {few(self.hidden)}: {why}")
        return tuple(notes)


def recheck(
    monitor: str,
    answered: Version,
    by: Sequence[str],
    importances: Mapping[str, float],
    found: Mapping[str, Any],
    releases: Releases,
    workshop: Workshop,
) -> Rechecked:
    """Look at the answers that these model versions gave, in the cohorts of a monitor's other answers (`found`)."""
    groups = list(_groups(answered, by, found, workshop)) if found["cohorts"] else []
    bounds = [(cohort["start"], cohort["end"]) for cohort in found["cohorts"]]
    compared: Counter[tuple[int, int]] = Counter()
    different: list[Unlike] = []
    values = lost = unknown = 0
    hidden: dict[str, None] = {}
    for group in groups:
        release = releases.numbered(group.release)
        features, sources = _of_release(group, release, releases, workshop)
        treated = _treated(answered, release, releases)
        if features is None or treated is None:
            lost += group.rows.num_rows
            continue
        held = comparable(features, treated)
        hidden |= dict.fromkeys(column.name for column in features.features if column not in held)
        rows = group.rows
        if treated:
            rows = restored(rows, features, sources, treated, project_key(workshop), workshop.engine)
            unknown += group.rows.num_rows - rows.num_rows
        cohorts = [bounds[place] for place in rows.column(_COHORT).to_pylist()]
        compared.update(cohorts)
        values = max(values, len(held))
        if cohorts and held:
            known = replace(group, rows=rows)
            different += _unlike(known, features, held, treated, sources, cohorts, workshop)
    findings = tuple(unlike(monitor, different, compared, importances, found["now"]))
    differ = len({one.prediction for one in different})
    return Rechecked(sum(compared.values()), values, differ, lost, findings, unknown, tuple(hidden))


@dataclass(frozen=True)
class _Group:
    """Recorded answers that one release gave with one model version."""

    release: int
    model: str
    model_version: str
    rows: Table
    types: Mapping[str, str]


def _groups(answered: Version, by: Sequence[str], found: Mapping[str, Any], workshop: Workshop) -> Iterator[_Group]:
    """The sampled answers, by what gave them; the same answers give the same sample."""
    first = found["cohorts"][0]
    asked_in = sum(1 for cohort in found["cohorts"] if cohort["predictions"])
    each = max(LEAST, -(-SAMPLE // max(asked_in, 1)))
    place = f"(epoch_us({_MOMENT}) - {first['start']}) // {first['end'] - first['start']} AS {_COHORT}"
    within = sql(
        "SELECT *,", f"epoch_us({_MOMENT}) AS {_AT},", place, "FROM rows",
        f"WHERE model_version IN ({', '.join(map(literal, by))})",
        f"AND epoch_us({_MOMENT}) >= {first['start']} AND epoch_us({_MOMENT}) < {found['now']}",
    )  # fmt: skip
    chosen = f"row_number() OVER (PARTITION BY {_COHORT} ORDER BY hash(prediction_id), prediction_id) <= {each}"
    ordered = f"ORDER BY release, model, model_version, {_AT}, prediction_id"
    select = sql("FROM (", within, ") QUALIFY", chosen, ordered)
    rows = Table.from_arrow(workshop.engine.query(select, {"rows": workshop.relation(answered)})).combine_chunks()
    types = {column.name: column.type for column in answered.columns}
    names = ("release", "model", "model_version")
    keys = list(zip(*(rows.column(name).to_pylist() for name in names), strict=True))
    for key, number in Counter(keys).items():
        release, model, model_version = key
        yield _Group(release, model, model_version, rows.slice(keys.index(key), number), types)


def _of_release(
    group: _Group, release: Release, releases: Releases, workshop: Workshop
) -> tuple[FeatureSet | None, dict[str, Relation]]:
    """The features that gave the answers, and their views' tables in that release; None where one is not kept."""
    model = releases.version(f"model.{group.model}", group.model_version)
    if model is None:
        return None, {}
    features = features_of(model.facts["recipe"], workshop)
    sources = {}
    for view in features.views:
        asset = next(name for name in (f"table.{view.table}", f"source.{view.table}") if name in release.versions)
        table = releases.version(asset, release.versions[asset])
        if table is None or fault(table, workshop) is not None:
            return None, {}
        sources[view.name] = workshop.relation(table)
    return features, sources


def _treated(answered: Version, release: Release, releases: Releases) -> Treated | None:
    """How the record of a release's answers treats personal data; None where that is no longer kept."""
    service = f"service.{answered.asset.partition('.')[2]}"
    version = releases.version(service, release.versions[service]) if service in release.versions else None
    return None if version is None else version.facts.get(PERSONAL, {})


def _unlike(
    group: _Group,
    features: FeatureSet,
    held: Sequence[Column],
    treated: Treated,
    sources: Mapping[str, Relation],
    cohorts: Sequence[tuple[int, int]],
    workshop: Workshop,
) -> list[Unlike]:
    """The values of a group's answers that the tables do not give."""
    engine, answers = workshop.engine, Relation(arrow=group.rows)
    request = [f"CAST({identifier(f'request.{c.name}')} AS {c.type}) AS {identifier(c.name)}" for c in features.request]
    moment = f"make_timestamptz({_AT}) AS {_AT}"
    asked = Table.from_arrow(
        engine.query(sql("SELECT", ", ".join([*request, moment]), "FROM answers"), {"answers": answers})
    )
    instants = group.rows.column(_AT).to_pylist()
    own, inputs = narrowed(features, sources, asked, [Stretch(min(instants), max(instants))], engine)
    joined = Table.from_arrow(join(own, Relation(arrow=asked), _AT, inputs, engine))
    # A record keeps some types in another form, as which they are compared; what it treats, in the feature's own.
    own_types = treated.get("features", {})
    shown = ", ".join(
        f"CAST({identifier(c.name)} AS {c.type if c.name in own_types else group.types[recorded(c.name)]}) "
        f"AS {identifier(c.name)}"
        for c in held
    )
    offline = Table.from_arrow(engine.query(sql("SELECT", shown, "FROM joined"), {"joined": Relation(arrow=joined)}))
    made = {c.name: as_recorded(c, treated, project_key(workshop)) for c in held if c.name in own_types}
    said = [_each(made.get(c.name), offline.column(c.name).to_pylist()) for c in held]
    used = [group.rows.column(recorded(c.name)).to_pylist() for c in held]
    names = group.rows.column("prediction_id").to_pylist()
    places = {c.name: place for place, c in enumerate(held)}
    return [
        Unlike(
            skew.feature, names[row], group.release, cohorts[row],
            *_spelled(used[places[skew.feature]][row], said[places[skew.feature]][row]),
        )
        for skew in skews(held, said, used) for row in skew.rows
    ]  # fmt: skip


def _each(made: Callable[[Any], Any] | None, values: list[Any]) -> list[Any]:
    return values if made is None else list(map(made, values))


def _spelled(used: Any, said: Any) -> tuple[str, str]:
    return spelled(used, said), spelled(said, used)
