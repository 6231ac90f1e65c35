"""A project: a git directory at one commit, and everything that can be done with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from lichen.errors import FoundWrong, WrongUsage, did_you_mean
from lichen.graph.build import Graph, build_graph
from lichen.graph.lineage import Lineage
from lichen.ground.garbage import all_stays
from lichen.plan import Known, Plan
from lichen.run.audit import AUDIT, broken_at
from lichen.run.commit import head_commit
from lichen.run.lease import RUN, fence, held
from lichen.run.release import Releases
from lichen.run.remembered import Remembered
from lichen.run.workshop import Workshop, check_learner, connector_options, online_schemes, option_types
from lichen.spec import ProjectFile, ProjectSpec, read_project
from lichen.spec.reader import find_root, read_settings
from lichen.spec.words import NAME

if TYPE_CHECKING:
    from lichen.ground.clock import Clock
    from lichen.ground.interval import Spans
    from lichen.ground.secret import Secret
    from lichen.ports import Arrow
    from lichen.run.asking import Asking
    from lichen.run.execute import Run, Watcher
    from lichen.run.filed import Filed
    from lichen.run.history import Entry
    from lichen.run.inspect import Inspection
    from lichen.run.moved import Moved
    from lichen.run.preview import Preview
    from lichen.run.tokens import Tokens
    from lichen.run.watching import Asked

WAIT = 60.0
"""How many seconds a replay or a monitor waits for a run to end."""


def check_name(environment: str) -> None:
    """Refuse what cannot be an environment's name."""
    if not NAME.fullmatch(environment):
        raise WrongUsage(
            "LCH-1028",
            f"`{environment}` cannot be an environment's name",
            fix="use small letters, digits and _, not starting with a digit",
        )


class Project:
    """A project, opened at a folder in it; every verb of the command line is a method here.

    >>> from lichen import Project
    >>> project = Project("examples/flights")  # doctest: +SKIP
    >>> project.run()  # doctest: +SKIP
    """

    def __init__(
        self,
        folder: str | Path = ".",
        *,
        environment: str = "prod",
        variables: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        check_name(environment)
        self.root = find_root(Path(folder).resolve())
        self.environment = environment
        self._variables = os.environ if variables is None else variables
        self._clock = clock

    def __repr__(self) -> str:
        return f"Project({str(self.root)!r}, environment={self.environment!r})"

    @cached_property
    def spec(self) -> ProjectSpec:
        """The project as written."""
        with all_stays():
            return read_project(self.root, self._variables, connector_options(), option_types(), online_schemes())

    @property
    def secrets(self) -> list[Secret]:
        """What environment variables hold in the project's files; none before they were read."""
        places = self._settings[1] if "_settings" in self.__dict__ else []
        return [*(self.spec.secrets if "spec" in self.__dict__ else []), *places]

    @cached_property
    def _settings(self) -> tuple[ProjectFile, list[Secret]]:
        return read_settings(self.root, self._variables)

    @cached_property
    def _kept(self) -> Workshop:
        """The backends for verbs that read what was made, whatever is wrong with the project's files by now."""
        return self.workshop if "workshop" in self.__dict__ else Workshop(self.root, self._settings[0], self._clock)

    @cached_property
    def graph(self) -> Graph:
        """The project's assets, each after everything it reads."""
        spec = self.spec
        with all_stays():
            made = build_graph(spec, self._remembered.statement)
            self._remembered.keep()
        return made

    @cached_property
    def _remembered(self) -> Remembered:
        return Remembered(self.root / ".lichen" / "cache" / "statements.json")

    @cached_property
    def workshop(self) -> Workshop:
        """The project's backends, opened when they are first needed."""
        return Workshop(self.root, self.spec.project, self._clock)

    def close(self) -> None:
        """Close what the project holds open."""
        for name in ("workshop", "_kept"):
            if name in self.__dict__:
                self.__dict__[name].__exit__()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    @property
    def releases(self) -> Releases:
        """The releases of the project's environments."""
        return Releases(self.workshop.state)

    def check(self) -> Inspection:
        """Look at everything that can be known before a run; nothing runs."""
        from lichen.run.inspect import inspect
        from lichen.run.sources import sources_of

        graph = self.graph
        with all_stays():
            before = sources_of(self.environment, graph, self.spec, self.workshop)
            found = inspect(graph, self.spec, self.workshop, self._remembered, before)
            self._remembered.keep()
        return found

    def lineage(self) -> Lineage:
        """What every column is made of and influenced by, from source column to prediction."""
        return self.check().lineage

    def openlineage(self) -> Iterator[dict[str, Any]]:
        """The lineage as OpenLineage events, one for each asset."""
        from lichen import __version__
        from lichen.graph.openlineage import job_events

        at, name = self.workshop.clock.now(), self.spec.project.name
        return job_events(self.graph, self.lineage(), project=name, version=__version__, at=at)

    def plan(
        self,
        *,
        accept: Sequence[str] = (),
        why: str | None = None,
        backfill: str | None = None,
        table: str | None = None,
    ) -> Plan:
        """What a run would change, why, and what that does to columns, models and contracts.

        `accept` names contracts (`contract:table.x`) whose broken promises, and leaks (`leak:model/view.feature`) that
        are accepted, because of `why`. `backfill` is as for `run`.
        """
        for name, model in self.spec.models.items():
            check_learner(model.learner, self.spec.where(f"model.{name}", "learner"))
        return self._planned(accept, why, self._backfill(backfill, table))

    def _backfill(self, text: str | None, table: str | None) -> dict[str, Spans]:
        """The intervals to build whatever changed, by table."""
        from lichen.run.backfill import backfill

        if table is not None:
            self._one("table", table)
        if text is None and table is not None:
            raise WrongUsage(
                "LCH-1065",
                f"which intervals of `{table}` is not said",
                fix=f"--backfill FROM..TO {table}; without a table's name everything that changed is built",
            )
        return {} if text is None else backfill(text, table, self.graph)

    def _planned(self, names: Sequence[str], why: str | None, backfill: Mapping[str, Spans]) -> Plan:
        from lichen.run.inspect import accept_leaks
        from lichen.run.planning import accept, make_plan

        leaks = [name for name in names if name.startswith("leak:")]
        others = [name for name in names if name not in leaks]
        look = cache(self.check)  # a plan in which there is nothing to do looks at nothing
        if leaks:
            accept_leaks(leaks, why, look(), self.graph, self.spec, self.workshop)

        def known() -> Known:
            return Known(look().lineage, look().columns, look().errors, look().arriving)

        made = make_plan(self.graph, self.spec, self.releases, self.environment, self.workshop, known, backfill)
        return accept(made, others, why, self.workshop) if others else made

    def preview(
        self,
        *,
        wait: float = 0.0,
        watcher: Watcher | None = None,
        accept: Sequence[str] = (),
        why: str | None = None,
    ) -> Preview:
        """The plan, with how far each model's predictions and metrics would move; no environment does.

        What is built for it is kept: the run that follows takes it as it is.
        """
        from lichen.run.preview import preview

        graph = self.graph
        with self._held(wait) as releases:
            planned, commit = self._planned(accept, why, {}), head_commit(self.root)
            return preview(planned, graph, self.spec, releases, self.workshop, commit, watcher)

    def run(
        self,
        *,
        wait: float = 0.0,
        watcher: Watcher | None = None,
        accept: Sequence[str] = (),
        why: str | None = None,
        backfill: str | None = None,
        table: str | None = None,
    ) -> Run:
        """Make true what the plan says; on any failure the release before it stands.

        What can be known to be wrong before anything runs is refused before anything runs, and so is a broken promise
        that nobody accepted. `backfill` is a range, `2013-01-01..2013-01-05`, whose intervals are built whatever
        changed: of `table`, or of all that have intervals.
        """
        from lichen.run.execute import carry_out
        from lichen.run.planning import refuse

        graph, wanted = self.graph, self._backfill(backfill, table)
        with self._held(wait) as releases:
            planned, commit = self._planned(accept, why, wanted), head_commit(self.root)
            refuse(planned)
            return carry_out(planned, graph, self.spec, releases, self.workshop, commit, watcher, wanted)

    def query(self, sql: str | None = None) -> Arrow:
        """The rows of a SELECT over the release's sources, tables, predictions, training sets; without one, a list."""
        from lichen.run.reading import query

        return query(sql, self._known_environment(), self.environment, self._kept)

    def promote(self, into: str, *, wait: float = 0.0) -> Moved:
        """Point another environment at what this one holds: nothing is built, and what it answered stays its own."""
        from lichen.run.promotion import promote

        check_name(into)
        if into == self.environment:
            raise WrongUsage(
                "LCH-1049", f"`{into}` is promoted to itself", fix="say which two: lichen promote dev prod"
            )
        with self._held(wait) as releases:
            return promote(self.environment, into, releases, self.workshop)

    def rollback(self, to: int | None = None, *, wait: float = 0.0) -> Moved:
        """Point the environment at the versions of its release `to`, or of the one before."""
        from lichen.run.rollback import roll_back

        self._known_environment()
        with self._held(wait) as releases:
            return roll_back(self.environment, to, releases, self.workshop)

    def history(self) -> list[Entry]:
        """The environment's releases, newest first; refused where the audit was changed after it was written."""
        from lichen.run.history import entries

        releases = self._known_environment()
        number = broken_at(self._kept.state, AUDIT)
        if number is not None:
            raise FoundWrong(
                "LCH-3906",
                f"the audit does not hold: entry {number} was changed after it was written",
                why="each entry holds the hash of the one before it",
                fix="find out who wrote to the state store, and restore it from a copy",
            )
        return entries(releases, self.environment, self._kept)

    def accepted(self) -> list[dict[str, Any]]:
        """What people accepted although it would be refused, the oldest first: name, reason, who, when."""
        from lichen.run.acceptance import Acceptances

        return Acceptances(self._kept.state).all()

    def status(self) -> dict[str, Any]:
        """The facts of the release in force: tables, models, services, predictions, findings, seconds by stage."""
        from lichen.run.facts import status

        return status(self._known_environment(), self.environment, self._kept.settings.name, self._kept)

    def monitor(self, name: str | None = None, *, at: datetime | None = None) -> list[Asked]:
        """Ask the monitors' questions as of an instant (now, if not said); what they find is kept."""
        from lichen.run.watching import ask

        names = [self._one("monitor", name)] if name else [a.name for a in self.graph if a.kind == "monitor"]
        if not names:
            raise WrongUsage("LCH-1026", "the project has no monitor to ask", fix="write one in monitors/")
        with self._held(WAIT) as releases:
            return [ask(one, self.graph, self.spec, releases, self.environment, self.workshop, at=at) for one in names]

    def serve(
        self,
        name: str | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        workers: int = 1,
        tls_cert: str | Path | None = None,
        tls_key: str | Path | None = None,
        behind_proxy: bool = False,
        allow_hosts: Sequence[str] = (),
        require_token: bool = False,
        told: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        """Answer requests until stopped, in so many processes; `told` hears the address once requests can come.

        Where other machines can ask it (a `host` beyond loopback, `behind_proxy`, `allow_hosts`), every request must
        bring a token (`tokens`), over TLS or a proxy that speaks it; `require_token` asks for one on loopback too.
        """
        from lichen.deploy.reach import Reach, certificate_and_key
        from lichen.run.serving import serve

        self.workshop.prepare_kernels()
        service = self._one("service", name)
        tls = certificate_and_key(tls_cert, tls_key)
        reach = Reach(host, port, tls, behind_proxy, tuple(allow_hosts), require_token)
        serve(service, self.releases, self.environment, self.workshop, reach=reach, told=told, workers=workers)

    @property
    def tokens(self) -> Tokens:
        """The tokens with which a service may be asked: `new`, `all`, `revoke`."""
        from lichen.run.tokens import Tokens

        return Tokens(self._kept.state, self._kept.clock)

    def service(self, name: str | None = None) -> Asking:
        """A service asked in this process, without HTTP; what it answers here is not recorded."""
        from lichen.run.asking import Asking

        self.workshop.prepare_kernels()
        return Asking(self._one("service", name), self.releases, self.environment, self.workshop)

    def predict(
        self,
        name: str | None,
        file: str | Path,
        out: str | Path | None = None,
        *,
        contributions: bool = False,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Filed:
        """Ask a service about the rows of a file; the answers go to `out`, by its suffix, or are returned."""
        from lichen.run.filed import ask_file

        target = None if out is None else Path(out)
        asking = self.service(name)
        return ask_file(asking, Path(file), target, self.workshop, progress, contributions=contributions)

    def replay(
        self,
        name: str | None = None,
        *,
        start: datetime,
        end: datetime | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> dict[str, Any]:
        """Send past label rows to a service as live requests, let their labels come, and ask its monitors."""
        from lichen.run.replaying import replay

        with self._held(WAIT) as releases:
            return replay(
                self._one("service", name),
                releases,
                self.environment,
                self.workshop,
                start=start,
                end=end,
                progress=progress,
            )

    @contextmanager
    def _held(self, wait: float) -> Iterator[Releases]:
        """Hold the project's lease; gives releases that only its holder can move."""
        with held(self.workshop.state, RUN, wait=wait) as owner:
            yield Releases(self.workshop.state, fence(RUN, owner))

    def _known_environment(self) -> Releases:
        """The releases to read; an environment that is none, where there are others, is refused: it was mistyped."""
        releases = Releases(self._kept.state)
        known = releases.environments()
        if known and self.environment not in known:
            fix = did_you_mean(self.environment, known)
            raise WrongUsage("LCH-1027", f"there is no environment `{self.environment}`", fix=fix)
        return releases

    def _one(self, kind: str, name: str | None) -> str:
        """The name of an asset of a kind; the only one there is, where none is named."""
        known = [asset.name for asset in self.graph if asset.kind == kind]
        if name is None and len(known) == 1:
            return known[0]
        if name is None:
            raise WrongUsage("LCH-1016", f"say which {kind} is meant", fix=did_you_mean("", known))
        if name not in known:
            raise WrongUsage("LCH-1017", f"there is no {kind} `{name}`", fix=did_you_mean(name, known))
        return name
