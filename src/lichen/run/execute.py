"""Carries a plan out: makes a version of every asset in it, then moves the environment, once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from lichen.errors import LichenError, SystemFailed
from lichen.graph.build import Asset, Graph
from lichen.graph.fingerprint import MEANING, fingerprint, meaning
from lichen.graph.version import Version, version_name
from lichen.ground.digest import digest
from lichen.ground.failpoint import fp
from lichen.ground.interval import Spans
from lichen.ground.secret import mask
from lichen.ground.stream import carried
from lichen.plan import Plan, Step, Trunk
from lichen.plan.intervals import has_intervals
from lichen.ports import Put
from lichen.run.audit import who
from lichen.run.beside import judged
from lichen.run.carried import carry
from lichen.run.deployed import forget_features, make_service, prove_services
from lichen.run.face import show_face
from lichen.run.facts import RUNS, cut_short
from lichen.run.intervals import Before, late_rows, make_intervals
from lichen.run.keeping import COLLECTED, forget
from lichen.run.learned import make_model, make_view
from lichen.run.lost import fault, from_one_place, refuse_loss
from lichen.run.online import FILLED
from lichen.run.recorded import land_all
from lichen.run.relations import make_source, make_table, source_token
from lichen.run.release import Release, Releases
from lichen.run.trunk import BRANCHED
from lichen.run.workshop import Workshop
from lichen.spec import ProjectSpec, Source

State = Literal["built", "reused", "shared", "renamed", "carried", "same", "held", "dropped", "failed"]

MOST_REASONS = 5
"""How many of a run's reasons its release keeps."""


@dataclass(frozen=True)
class Outcome:
    """What became of one step: its version and rows, how long it took, and what there is to say about it.

    `built` anew; `reused` from an earlier run; `shared` with the environment this one branches from; `renamed`, or
    `carried` over for only a name it reads changed; `same`, so the released version stays; `held` by its gate.
    """

    asset: str
    stage: str
    state: State
    seconds: float
    version: str | None = None
    rows: int | None = None
    quarantined: int = 0
    late: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """A plan carried out: its outcomes, and the release it led to (None: nothing was to change, or a gate held).

    `landed` is how many answers of each service it brought into the lake.
    """

    id: str
    plan: Plan
    outcomes: tuple[Outcome, ...]
    release: Release | None
    seconds: float
    held: tuple[str, ...] = ()
    landed: Mapping[str, int] = field(default_factory=dict)

    @property
    def nothing(self) -> bool:
        """Whether there was nothing to do."""
        return not self.plan


@dataclass
class Watcher:
    """What is told while a run goes on; both default to silence."""

    begin: Callable[[Step], None] = field(default=lambda _: None)
    end: Callable[[Outcome], None] = field(default=lambda _: None)


class Execution:
    """One run of one plan, under a lease that the caller holds."""

    def __init__(
        self,
        plan: Plan,
        graph: Graph,
        project: ProjectSpec,
        releases: Releases,
        workshop: Workshop,
        commit: str | None,
        watcher: Watcher,
        backfill: Mapping[str, Spans] = MappingProxyType({}),
    ) -> None:
        self.backfill = backfill
        self.plan, self.graph, self.project, self.workshop = plan, graph, project, workshop
        self.commit, self.watcher = commit, watcher
        self.releases = releases
        self.before = self.releases.current(plan.environment)
        self.released = self.releases.versions(self.before)
        self.versions: dict[str, Version] = {}
        self.outcomes: list[Outcome] = []
        self.aside = False
        now = workshop.clock.now()
        self.started = now.isoformat()
        self.id = f"{now:%Y%m%dT%H%M%S}-{os.urandom(3).hex()}"

    def run(self) -> Run:
        """Carry the plan out; on any failure before its release the old one stands, and the record says why."""
        begun = self.workshop.clock.seconds()
        self._record("running")
        with self._failure_recorded():
            self._make_all()
            release = self._release()
        seconds = self.workshop.clock.seconds() - begun
        held = tuple(outcome.asset for outcome in self.outcomes if outcome.state == "held")
        self._record("held" if held else "done", seconds=seconds, release=release.number if release else None)
        return Run(self.id, self.plan, tuple(self.outcomes), release, seconds, held)

    def build(self) -> dict[str, Version]:
        """Make what the plan's steps make, and release nothing; its record keeps what was built as a run's does."""
        self.aside = True
        self._record("running")
        with self._failure_recorded():
            self._make_all()
        self._record("previewed")
        return self.versions

    @contextmanager
    def _failure_recorded(self) -> Iterator[None]:
        """Record why what is done here fails; an error that a stream carried as text is raised as what it was."""
        try:
            yield
        except BaseException as shown:
            error = carried(shown) or shown
            if self.before is not None and self.before.facts.get("run") == self.id:
                raise  # it was released: what failed is the published face, which the next run mends
            with suppress(LichenError):  # what is told is why the run failed, not that this could not be recorded
                self._record("failed", error=_told(error, self.project))
            if error is not shown:
                raise error from shown
            raise

    def _make_all(self) -> None:
        for name in self._carried_over():
            self.versions[name] = self.released[name]
        for step in self.plan.steps:
            self._carry_out(step)

    def _carried_over(self) -> list[str]:
        dropped = {name for step in self.plan.steps for name in (step.asset, step.was)}
        return [name for name in self.released if name not in dropped]

    def _carry_out(self, step: Step) -> None:
        self.watcher.begin(step)
        begun = self.workshop.clock.seconds()
        if step.action == "drop":
            outcome = Outcome(step.asset, step.stage, "dropped", 0.0)
        else:
            asset = self.graph[step.asset]
            version, state = self._taken(asset, step) or self._made(asset)
            if asset.kind == "service" and state in ("reused", "renamed", "carried"):
                prove_services([version], self.versions, self.workshop)
            self.versions[asset.id] = version
            seconds = self.workshop.clock.seconds() - begun
            outcome = _outcome(asset, version, state, seconds)
        fp("run.step_done")
        self.outcomes.append(outcome)
        self._record("running")
        self.watcher.end(outcome)

    def _taken(self, asset: Asset, step: Step) -> tuple[Version, State] | None:
        """The version that a step takes over from another environment or name; None where its files are lost."""
        former = self.releases.version(step.was or asset.id, step.version) if step.version else None
        if former is None:
            return None
        if step.action == "share":
            if (wrong := fault(former, self.workshop)) is not None:
                raise _damaged(step, wrong, self.plan.trunk)
            return former, "shared"
        if not self._is_whole(former):
            return None
        version = carry(asset, former, self.graph, self.versions, self.project, self.workshop)
        known = self.releases.version(asset.id, version.version)
        if known is not None and self._is_whole(known):
            version = known  # a name that is taken back: what was kept under it stands
        else:
            self.releases.keep(version)
        if asset.kind == "source" and version.facts["token"] != source_token(
            asset, version, self.project, self.workshop
        ):
            return self._collected(asset, version)
        return version, "renamed" if step.action == "rename" else "carried"

    def _made(self, asset: Asset) -> tuple[Version, State]:
        old = self.released.get(asset.id)
        state: State
        if asset.kind == "source":
            version, state = self._collected(asset, old)
        elif has_intervals(asset):
            version, state = self._refreshed(asset, old)
        else:
            inputs = {name: self.versions[name] for name in asset.inputs}
            name = version_name(fingerprint(asset), {key: value.version for key, value in inputs.items()})
            known = self.releases.version(asset.id, name)
            if known is not None and self._is_whole(known):
                version, state = known, "reused"
            else:
                version, state = self._make(asset, inputs), "built"
                self.releases.keep(version)
        if old is not None and version.version == old.version:
            return version, "same"
        if asset.kind == "model" and not self.aside:
            version = self._judged(asset, version, old)
        return version, "held" if version.facts.get("held") else state

    def _collected(self, asset: Asset, old: Version | None) -> tuple[Version, State]:
        """A source's version; one that a run which was cut short had collected already is taken as it is."""
        token = source_token(asset, old, self.project, self.workshop)
        key = digest([asset.id, fingerprint(asset), token, old.version if old else None])
        known = self.workshop.state.get(COLLECTED, key)
        if known is not None:
            version = self.releases.version(asset.id, known["version"])
            if version is not None and self._is_whole(version):
                return version, "reused"
        whole = old is not None and self._is_whole(old)
        version = make_source(asset, old if whole else None, self.project, self.workshop)
        anew = old is not None and (not whole or old.fingerprint != version.fingerprint)
        if old is not None and anew and from_one_place(asset, old):
            assert isinstance(asset.spec, Source)
            refuse_loss(asset.spec, old, version, self.project.where(asset.id, "cursor"), self.workshop)
        self.releases.keep(version, Put(COLLECTED, key, {"version": version.version}))
        return version, "built"

    def _refreshed(self, asset: Asset, old: Version | None) -> tuple[Version, State]:
        """A version of a table in intervals: one that these inputs made before, or the one before with changes.

        Its name is its rows'. Where no row changed the version before stands, with what it was built of then: what
        changed since is looked at again. One that leaves late rows out is not found again by its inputs.
        """
        inputs = {name: self.versions[name] for name in asset.inputs}
        named = {name: version.version for name, version in inputs.items()}
        key = digest([asset.id, fingerprint(asset), named])
        backfill = self.backfill.get(asset.id, Spans())
        found = None if backfill else self.workshop.state.get(COLLECTED, key)
        known = self.releases.version(asset.id, found["version"]) if found else None
        if known is not None and self._is_whole(known):
            return known, "reused"
        if old is None and self.plan.trunk:
            old = self.plan.trunk.versions.get(asset.id)
        before = None
        if old is not None and self._is_whole(old):
            read = {name: self.releases.version(name, version) for name, version in old.inputs.items()}
            before = Before(old, {name: one for name, one in read.items() if one and self._is_whole(one)})
        version = make_intervals(asset, inputs, before, backfill, self.project, self.workshop)
        if before is not None and version.version == before.version.version:
            return version, "same"
        also = [] if late_rows(version) else [Put(COLLECTED, key, {"version": version.version})]
        self.releases.keep(version, *also)
        return version, "built"

    def _is_whole(self, version: Version) -> bool:
        """Whether an earlier version's files are still there: those of old releases and runs are swept."""
        return fault(version, self.workshop) is None

    def _make(self, asset: Asset, inputs: Mapping[str, Version]) -> Version:
        if asset.kind == "table":
            first = asset.id not in self.released
            return make_table(asset, inputs, self.project, self.workshop, first=first, versions=self.versions)
        if asset.kind == "feature":
            return make_view(asset, inputs)
        if asset.kind == "model":
            return make_model(asset, self.graph, self.versions, self.project, self.workshop)
        if asset.kind == "service":
            return make_service(asset, self.graph, self.versions, self.project, self.workshop)
        own = fingerprint(asset)
        named = {name: version.version for name, version in inputs.items()}
        return Version(asset.id, version_name(own, named), own, named, facts={MEANING: meaning(asset)})

    def _judged(self, asset: Asset, version: Version, old: Version | None) -> Version:
        """A model's version judged beside the one it has to be no worse than: the published one, if there is any.

        Nothing of the comparison is kept where it holds the version back: beside another it may do.
        """
        trunk = self.plan.trunk
        live = (trunk.versions.get(asset.id) if trunk else None) or old
        if live is not None and live.version == version.version:
            return version
        found = judged(asset, version, live, self.graph, self.workshop)
        if not found.facts.get("held"):
            self.releases.keep(found)
        return found

    def _release(self) -> Release | None:
        if any(outcome.state == "held" for outcome in self.outcomes):
            return None
        named = {name: version.version for name, version in self.versions.items()}
        mended = frozenset(name for name in named if self._is_mended(name))
        trunk = self.plan.trunk
        left = {one.asset: late_rows(self.versions[one.asset]) for one in self.outcomes if one.state != "dropped"}
        other = self.before is None or named != dict(self.before.versions) or self._leaves_other_rows(left)
        if other or mended or (trunk and trunk.moved):
            facts = {"run": self.id, "commit": self.commit, "user": who(), **self._did()}
            if trunk:
                facts[BRANCHED] = {"environment": trunk.environment, "release": trunk.release}
            self.before = self.releases.move(
                self.plan.environment,
                self.versions.values(),
                at=self.workshop.clock.now().isoformat(),
                expected=self.before,
                facts=facts,
                mended=mended,
                left_out=left,
            )
            self._record("done", release=self.before.number)
        show_face(self.before, self.versions, self.workshop)
        forget_features(self.releases, self.workshop)
        return self.before

    def _leaves_other_rows(self, left: Mapping[str, Any]) -> bool:
        """Whether tables whose rows are the released ones are now without other late rows."""
        before = self.before.left_out if self.before else {}
        return any(rows != before.get(name, []) for name, rows in left.items())

    def _is_mended(self, name: str) -> bool:
        """Whether an asset's version is the released one, in other files: what was lost was written anew."""
        old, new = self.released.get(name), self.versions[name]
        return old is not None and old.version == new.version and old.files != new.files

    def _did(self) -> dict[str, Any]:
        """What was done, counted, and the first of the changes that were the reasons."""
        steps = {step.asset: step for step in self.plan.steps}
        words = (
            "refreshed" if (one.state, steps[one.asset].action) == ("built", "refresh") else one.state
            for one in self.outcomes
            if one.state != "same"
        )
        causes = [one for one in self.plan.steps if one.where or one.action == "drop"]
        why = [f"{one.where or one.asset}: {one.reason}" for one in causes if one.reason != "it is new"]
        return {"did": dict(Counter(words)), "why": why[:MOST_REASONS]}

    def _record(self, status: str, **facts: Any) -> None:
        self.workshop.state.write(
            Put(
                RUNS,
                self.id,
                {
                    "id": self.id,
                    "environment": self.plan.environment,
                    "status": status,
                    "preview": self.aside,
                    "started": self.started,
                    "pid": os.getpid(),
                    "commit": self.commit,
                    "plan": self.plan.recorded(),
                    "outcomes": [asdict(outcome) for outcome in self.outcomes],
                    **facts,
                },
            )
        )


def carry_out(
    plan: Plan,
    graph: Graph,
    project: ProjectSpec,
    releases: Releases,
    workshop: Workshop,
    commit: str | None,
    watcher: Watcher | None,
    backfill: Mapping[str, Spans] = MappingProxyType({}),
) -> Run:
    """Carry a plan out under the caller's lease, then bring in what its environment's services recorded meanwhile.

    `backfill` has intervals of tables that are built whatever changed.
    With no step to take, the published face is looked after all the same.
    """
    settle(releases, workshop)
    if plan:
        forget(releases, workshop)
        run = Execution(plan, graph, project, releases, workshop, commit, watcher or Watcher(), backfill).run()
    else:
        release = releases.current(plan.environment)
        show_face(release, releases.versions(release), workshop)
        run = Run("", plan, (), release, 0.0)
    release, landed = land_all(releases, plan.environment, workshop)
    if landed and not plan:
        forget(releases, workshop)
    return replace(run, release=release or run.release, landed=landed)


def _damaged(step: Step, wrong: str, trunk: Trunk | None) -> SystemFailed:
    there = trunk.environment if trunk else ""
    return SystemFailed(
        "LCH-3922",
        f"what `{there}` holds of `{step.asset}` cannot be shared",
        why=wrong,
        fix=f"mend it where it was built: lichen run --env {there}",
    )


def settle(releases: Releases, workshop: Workshop) -> None:
    """Record the end of runs that were cut short: done, where their release came, and `killed` where it did not.

    The caller holds the lease, so a run that is recorded as running is not.
    """
    for name, run in list(workshop.state.scan(RUNS)):
        if run["status"] == "running":
            workshop.state.write(Put(RUNS, name, cut_short(run, releases)))


def _told(error: BaseException, project: ProjectSpec) -> dict[str, object]:
    """What the record of a run says of why it failed: nothing of this machine, and no secret."""
    if not isinstance(error, LichenError):
        stopped = isinstance(error, KeyboardInterrupt)
        what = "the run was stopped" if stopped else f"the run broke off: {type(error).__name__}: {error}"
        error = SystemFailed("LCH-3996", what)
    home = f"{project.root}{os.sep}"
    return error.retold(lambda text: mask(text, project.secrets).replace(home, "")).as_dict()


def _outcome(asset: Asset, version: Version, state: State, seconds: float) -> Outcome:
    notes = [
        f"{breach['column']}: {breach['reason']}, {breach['rows']:,}" for breach in version.facts.get("breaches", ())
    ]
    notes += version.facts.get("notes", ())
    if state == "built":
        notes += version.facts.get(FILLED, ())
    balance = version.facts.get("balance", {})
    rows = version.rows if version.columns else None
    aside, late = balance.get("quarantined", 0), balance.get("late", 0)
    return Outcome(asset.id, asset.stage, state, seconds, version.version, rows, aside, late, tuple(notes))
