"""Compares what the project means with what an environment's release, and the one it branches from, hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from lichen.graph.build import STAGES, Asset, Graph
from lichen.graph.fingerprint import MEANING, fingerprint, is_fingerprint_of, meaning
from lichen.graph.renaming import same_but_for_names
from lichen.graph.version import Version, version_name
from lichen.plan.effects import edits_of
from lichen.plan.explain import file_and_line, phrased
from lichen.plan.intervals import has_intervals, with_intervals
from lichen.plan.steps import Costs, Plan, Step
from lichen.plan.trunk import Trunk
from lichen.spec import Table
from lichen.spec.files import SpecFile

RENAMED = {"source", "table", "feature", "model"}
"""The kinds of asset that may have a new name; a service's name is its address, and its answers are kept by it."""

CARRIED = {"table", "feature", "model"}
"""The kinds of asset that stay as they are where only a name that they read changed."""


def plan(
    graph: Graph,
    released: Mapping[str, Version],
    tokens: Mapping[str, str],
    *,
    environment: str,
    release: int | None,
    files: Mapping[str, SpecFile],
    lost: Mapping[str, str] = MappingProxyType({}),
    trunk: Trunk | None = None,
    costs: Costs = MappingProxyType({}),
    backfill: Mapping[str, str] = MappingProxyType({}),
) -> Plan:
    """The steps that would make `environment` hold what the project means.

    `released` holds the environment's versions by asset, `tokens` each source's token as of now (that of a source which
    `trunk` brings is not looked at), `files` each asset's file, to say where a change was made, `lost` what is wrong
    with the files of versions that are not as they were written, and `costs` what each asset took when it was last
    built; `backfill` names, by table, the intervals that are to be filled whatever changed. What the steps do to
    columns, `explained` says.
    """
    compared = _Comparison(graph, released, tokens, files, lost, trunk, backfill)
    steps = {asset.id: compared.step(asset) for asset in graph}
    made = [replace(step, cost=costs.get(step.asset)) for step in steps.values() if step is not None]
    unchanged = [name for name, step in steps.items() if step is None]
    made.extend(_drops(graph, released, {step.was for step in made}))
    return Plan(environment, release, tuple(made), tuple(unchanged), trunk)


def _drops(graph: Graph, released: Mapping[str, Version], renamed: set[str | None]) -> Iterable[Step]:
    for name in sorted(set(released) - set(graph.assets) - renamed):
        kind = name.partition(".")[0]
        if kind in STAGES:
            yield Step(name, STAGES[kind], "drop", "the project no longer has it")


class _Comparison:
    """One pass over the graph, in its order: what each asset would be, and what is there already."""

    def __init__(
        self,
        graph: Graph,
        released: Mapping[str, Version],
        tokens: Mapping[str, str],
        files: Mapping[str, SpecFile],
        lost: Mapping[str, str],
        trunk: Trunk | None,
        backfill: Mapping[str, str],
    ) -> None:
        self.backfill = backfill
        self.released, self.tokens, self.files, self.lost, self.trunk = released, tokens, files, lost, trunk
        self.shared: Mapping[str, Version] = trunk.versions if trunk else {}
        gone = [v for there in (released, self.shared) for name, v in sorted(there.items()) if name not in graph.assets]
        self.gone = {(version.asset, version.version): version for version in gone}
        self.named: dict[str, str] = {}  # the version that each asset will be, where that is known before a run
        self.rows_of: dict[str, tuple[str, str]] = {}  # the asset and version whose rows it will have, where they exist
        self.stepped: set[str] = set()

    def step(self, asset: Asset) -> Step | None:
        """What has to be done about an asset; None where it stays as it is."""
        own = fingerprint(asset)
        step = self._of_source(asset, own) if asset.kind == "source" else self._of_derived(asset, own)
        if asset.id in self.backfill:
            self.named.pop(asset.id, None)
            self.rows_of.pop(asset.id, None)
        step = with_intervals(step, asset, self.backfill)
        if step is not None:
            self.stepped.add(asset.id)
        return step

    def _of_source(self, asset: Asset, own: str) -> Step | None:
        old, theirs = self.released.get(asset.id), self.shared.get(asset.id)
        if theirs is not None and self.trunk is not None and self.trunk.brings(asset):
            return self._share(asset, old, theirs)
        if old is None and theirs is None and (former := self._former(asset)) is not None:
            changed = former.facts.get("token") != self.tokens.get(asset.id)
            if not changed:
                self.rows_of[asset.id] = (former.asset, former.version)
            return self._renamed(asset, former, "; what it reads changed" if changed else "")
        if old is None or old.fingerprint != own:
            return self._changed(asset, old or theirs)
        if asset.id in self.lost:
            return Step(asset.id, asset.stage, "build", self.lost[asset.id])
        if old.facts.get("token") != self.tokens.get(asset.id):
            return Step(asset.id, asset.stage, "refresh", "what it reads changed")
        self._stays(asset, old)
        return None

    def _of_derived(self, asset: Asset, own: str) -> Step | None:
        old, theirs = self.released.get(asset.id), self.shared.get(asset.id)
        if all(name in self.named for name in asset.inputs):
            name = self._name(asset, own)
            if name is not None:
                self.named[asset.id] = name
            if old is not None and (old.fingerprint, old.version) == (own, name) and asset.id not in self.lost:
                self._stays(asset, old)
                return None
            if theirs is not None and (theirs.fingerprint, theirs.version) == (own, name):
                return self._share(asset, old, theirs)
        if (former := self._former(asset)) is not None:
            self.rows_of[asset.id] = (former.asset, former.version)
            return self._renamed(asset, former)
        if old is None and theirs is not None and theirs.fingerprint == own:
            return self._differs(asset, theirs)
        if old is None or old.fingerprint != own:
            return self._changed(asset, old or theirs)
        if asset.id in self.lost:
            return Step(asset.id, asset.stage, "build", self.lost[asset.id])
        if set(old.inputs) != set(asset.inputs):
            return Step(asset.id, asset.stage, "build", "what it reads by that name is another asset")
        moved = [name for name in asset.inputs if name in self.stepped]
        if moved:
            return Step(asset.id, asset.stage, "refresh", f"{', '.join(moved)} may change")
        self._stays(asset, old)
        return None

    def _name(self, asset: Asset, own: str) -> str | None:
        """The name of the version that an asset will be; None where it is named by rows that are yet to be built.

        A table in intervals stands where a release holds it beside all that it reads.
        """
        if not has_intervals(asset):
            return version_name(own, {name: self.named[name] for name in asset.inputs})
        for there in (self.released, self.shared):
            version = there.get(asset.id)
            beside = all(name in there and there[name].version == self.named[name] for name in asset.inputs)
            if version is not None and version.fingerprint == own and beside:
                return version.version
        return None

    def _stays(self, asset: Asset, version: Version) -> None:
        self.named[asset.id] = version.version
        self.rows_of[asset.id] = (asset.id, version.version)

    def _share(self, asset: Asset, old: Version | None, theirs: Version) -> Step | None:
        self._stays(asset, theirs)
        assert self.trunk is not None
        if old is not None and old.version == theirs.version:
            return None
        reason = f"release {self.trunk.release} of `{self.trunk.environment}` holds it"
        return Step(asset.id, asset.stage, "share", reason, version=theirs.version, was=asset.id)

    def _changed(self, asset: Asset, old: Version | None) -> Step:
        if old is None:
            return Step(asset.id, asset.stage, "build", "it is new", self._file(asset))
        edits = tuple(edits_of(asset, old, {**self.shared, **self.released}, self.files.get(asset.id)))
        reason = phrased([edit.what for edit in edits])
        return Step(
            asset.id, asset.stage, "build", reason, file_and_line(edits[0].where) if edits else None, edits=edits
        )

    def _file(self, asset: Asset) -> str | None:
        file = self.files.get(asset.id)
        return file.shown if file is not None else None

    def _differs(self, asset: Asset, theirs: Version) -> Step:
        """The step of an asset that means what the trunk's does, and reads something else."""
        other = [name for name in asset.inputs if self.named.get(name) != theirs.inputs.get(name)]
        assert self.trunk is not None
        return Step(asset.id, asset.stage, "build", f"{', '.join(other)} may differ from `{self.trunk.environment}`'s")

    def _renamed(self, asset: Asset, former: Version, more: str = "") -> Step:
        name = former.asset.partition(".")[2]
        file = self._file(asset)
        if former.asset == asset.id:
            reason = f"what it reads is the same under another name, so its {_what_stays(asset)}"
            file = file if former.fingerprint != fingerprint(asset) else None
            return Step(asset.id, asset.stage, "carry", reason, file, former.version, former.asset)
        self.gone = {key: version for key, version in self.gone.items() if version.asset != former.asset}
        return Step(asset.id, asset.stage, "rename", f"it was called {name}{more}", file, former.version, former.asset)

    def _former(self, asset: Asset) -> Version | None:
        """A version that is this asset's but for names: its rows, or its model, would come out the same."""
        if asset.kind not in RENAMED:
            return None
        now = meaning(asset)
        for version in self._candidates(asset):
            names = {
                was.partition(".")[2]: name.partition(".")[2]
                for name in asset.inputs
                if name in self.rows_of and (was := self.rows_of[name][0]) != name
            }
            reads = dict(self.rows_of[name] for name in asset.inputs if name in self.rows_of)
            if dict(version.inputs) == reads and len(reads) == len(asset.inputs) and self._scores_stand(asset, version):
                old = version.facts.get(MEANING, {})
                if is_fingerprint_of(version, old) and same_but_for_names(old, now, names):
                    return version
        return None

    def _scores_stand(self, asset: Asset, version: Version) -> bool:
        """Whether a version's rows name the version of the model that would score them now, where one does."""
        if not isinstance(asset.spec, Table) or asset.spec.score is None:
            return True
        model = f"model.{asset.spec.score.model}"
        return version.inputs.get(model) == self.named.get(model)

    def _candidates(self, asset: Asset) -> Iterator[Version]:
        if asset.kind in CARRIED:
            there = (self.released if asset.id not in self.lost else {}, self.shared)
            yield from (versions[asset.id] for versions in there if asset.id in versions)
        if asset.id not in self.released and asset.id not in self.shared:
            gone = ((name, version) for (name, _), version in self.gone.items() if name not in self.lost)
            yield from (version for name, version in gone if name.partition(".")[0] == asset.kind)


def _what_stays(asset: Asset) -> str:
    return {"table": "rows stay", "model": "training stands"}.get(asset.kind, "values stay")
