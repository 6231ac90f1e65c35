"""The verbs: each parses its words, calls one method of the project, and prints what it gave."""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import click

from lichen import __version__
from lichen.cli.command import (
    FOUND,
    SOMETHING_TO_DO,
    STOPPED,
    Verb,
    emit,
    guarded,
    leave,
    opened,
    refuse_usage,
    talk,
    tell,
)
from lichen.errors import WrongUsage, did_you_mean

NOT_YET = {
    "explain": "explains a prediction, a finding, a step or an error code",
    "test": "runs the project's given/expect rows",
    "export": "writes contracts, models, images, manifests, DAGs",
    "erase": "removes one subject everywhere, with a receipt",
    "ui": "opens the studio",
}
"""Verbs of the design that a later version brings, each with what it will do."""


class Verbs(click.Group):
    """The group of all verbs; a word that is none names those that are near."""

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Carry out the words of a command line and end the process; words that are no command are told."""
        words = sys.argv[1:] if args is None else list(args)
        try:
            code = super().main(words, **{**extra, "standalone_mode": False})
        except click.UsageError as error:
            code = refuse_usage(error, as_json="--json" in words)
        except click.Abort:
            code = STOPPED
        leave(code or 0)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """The verbs, in the order in which a project meets them."""
        return list(self.commands)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Write an example, and say which verbs are still to come."""
        with formatter.section("Example"):
            formatter.write_text("lichen init shop && cd shop && lichen check && lichen run && lichen status")
        formatter.write_paragraph()
        formatter.write_text(f"Not there yet: {', '.join(NOT_YET)}.")

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """A verb by its name, also one that is not there yet."""
        found = super().get_command(ctx, name)
        return found or (_not_yet(name) if name in NOT_YET else None)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A verb, or a usage error with the nearest ones."""
        name = args[0]
        if self.get_command(ctx, name) is None:
            raise click.UsageError(f"there is no verb `{name}`; {did_you_mean(name, [*self.commands, *NOT_YET])}", ctx)
        return super().resolve_command(ctx, args)


def _not_yet(name: str) -> click.Command:
    @guarded
    def body(rest: tuple[str, ...]) -> int:  # noqa: ARG001 - whatever is said, the answer is the same
        raise WrongUsage(
            "LCH-1019",
            f"`{name}` is not there yet",
            why=f"a later version brings it: it {NOT_YET[name]}",
            fix="lichen --help lists what works",
        )

    return click.Command(
        name,
        callback=body,
        params=[click.Argument(["rest"], nargs=-1, type=click.UNPROCESSED)],
        help=f"Not there yet: {NOT_YET[name]}.",
        context_settings={"ignore_unknown_options": True},
    )


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lichen")
def lichen() -> None:
    """Know what your models live on: one graph from source column to served prediction, and back."""


def run_command() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    lichen(prog_name="lichen")


def verb(name: str, example: str) -> Callable[[Callable[..., int]], click.Command]:
    """Make a function a verb, with the options that every verb has."""

    def make(body: Callable[..., int]) -> click.Command:
        options = click.option("--json", "as_json", is_flag=True, help="Print facts for a machine, on stdout.")
        debug = click.option("--debug", is_flag=True, help="Show Lichen's own traceback with an error.")
        command: click.Command = lichen.command(name, cls=Verb, example=example)(debug(options(guarded(body))))
        return command

    return make


environment_option = click.option("--env", "environment", default="prod", show_default=True, help="The environment.")


def instant(text: str | None, what: str) -> datetime | None:
    """An instant as a person writes it: a day, or a day and a time, in UTC unless it says otherwise."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise WrongUsage(
            "LCH-1020", f"{what}: `{text}` is no instant", fix="write a day, 2013-12-01, or 2013-12-01T06:00:00+00:00"
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@verb("init", "lichen init flights --template flights && cd flights && lichen run")
@click.argument("folder")
@click.option("--template", default="starter", show_default=True, help="What to start from: `starter` or `flights`.")
def init(folder: str, template: str, as_json: bool) -> int:
    """Make a project whose first run passes."""
    from lichen.cli.scaffold import missing_extra, scaffold

    made, extra = scaffold(Path(folder), template), missing_extra(template)
    if as_json:
        emit("init", {"folder": folder, "files": made, "missing_extra": extra})
    else:
        for name in made:
            tell(f"  {folder}/{name}")
        install = f"pip install 'lichen[{extra}]' && " if extra else ""
        talk(f"next: {install}cd {shlex.quote(folder)} && lichen run")
    return 0


@verb("check", "lichen check")
def check(as_json: bool) -> int:
    """Look for everything that can be wrong before a run: names, columns, types, contracts, features."""
    from lichen.cli import screen

    with opened() as project:
        found = project.check()
        if as_json:
            emit("check", screen.check_facts(project, found))
        else:
            screen.show_check(project, found)
        return FOUND if found.errors else 0


backfill_option = click.option(
    "--backfill",
    metavar="FROM..TO",
    default=None,
    help="Build these intervals of TABLE (of every table in intervals, if none is named) whatever changed.",
)


def accepting(body: Callable[..., int]) -> Callable[..., int]:
    """The options by which a person accepts what Lichen would refuse."""
    why = click.option("--why", default=None, help="Why that is accepted; it is kept with it.")
    return click.option(
        "--accept",
        multiple=True,
        metavar="NAME",
        help="Accept what is refused under this name, `contract:table.x` or `leak:model/view.feature`; it is recorded.",
    )(why(body))


wait_option = click.option(
    "--wait", default=None, help="How long to wait for another run on this project to end, such as `10m`."
)


@verb("plan", "lichen plan --preview")
@click.argument("table", required=False)
@environment_option
@backfill_option
@click.option("--preview", "previewed", is_flag=True, help="Build what changes, and compare the models' predictions.")
@wait_option
@click.option("--markdown", is_flag=True, help="Print Markdown, to put into a pull request.")
@click.option(
    "--exit-code", "telling", is_flag=True, help="End with 4 where there is something to do, with 0 where there is not."
)
@accepting
def plan(
    table: str | None,
    environment: str,
    backfill: str | None,
    previewed: bool,
    wait: str | None,
    markdown: bool,
    telling: bool,
    accept: tuple[str, ...],
    why: str | None,
    as_json: bool,
) -> int:
    """Show what a run would change, why, and what that does to columns, contracts and models."""
    from lichen.cli import planned, screen

    if previewed and (backfill or table):
        raise WrongUsage(
            "LCH-1066",
            "--preview shows what a change of the project does to its models; a table alone and a backfill are none",
            fix="say `lichen plan --preview` without them",
        )
    with opened(environment) as project:
        if previewed:
            seen = project.preview(wait=_seconds(wait), watcher=screen.quiet_watcher(), accept=accept, why=why)
            made = seen.plan
        else:
            seen, made = None, project.plan(accept=accept, why=why, backfill=backfill, table=table)
    if as_json:
        emit("plan", (seen or made).as_dict())
    elif markdown:
        tell(planned.plan_document(made, seen).as_markdown().rstrip("\n"))
    else:
        planned.show_plan(made, seen)
    if made.errors or made.refused:
        return FOUND
    return SOMETHING_TO_DO if telling and made else 0


@verb("lineage", "lichen lineage flight_legs.arr_delay --down")
@click.argument("column", required=False)
@click.option("--up", is_flag=True, help="Only what the column is made of.")
@click.option("--down", is_flag=True, help="Only what is made of the column.")
@click.option(
    "--openlineage", is_flag=True, help="Print the whole project's lineage as OpenLineage events, one a line."
)
def lineage(column: str | None, up: bool, down: bool, openlineage: bool, as_json: bool) -> int:
    """Show what a column is made of, and what is made of it, from source column to prediction."""
    from lichen.cli import lineage as shown

    if openlineage == (column is not None):
        fix = "name one, as in `lichen lineage flight_legs.arr_delay`, or say --openlineage for all of them"
        raise WrongUsage("LCH-1042", "say which column is meant", fix=fix)
    with opened() as project:
        if column is None:
            events = list(project.openlineage())
            emit("lineage", {"events": events}) if as_json else shown.print_events(events)
            return 0
        found = project.lineage()
    one = found.find(column)
    if as_json:
        emit("lineage", shown.lineage_facts(found, one, up=up or not down, down=down or not up))
    else:
        shown.show_lineage(found, one, up=up or not down, down=down or not up)
    return 0


@verb("run", "lichen run --wait 10m")
@click.argument("table", required=False)
@environment_option
@backfill_option
@wait_option
@accepting
def run(
    table: str | None,
    environment: str,
    backfill: str | None,
    wait: str | None,
    accept: tuple[str, ...],
    why: str | None,
    as_json: bool,
) -> int:
    """Make true what the plan says, and move the release."""
    from lichen.cli import report, screen

    with opened(environment) as project:
        watched = None if as_json else screen.watcher()
        done = project.run(wait=_seconds(wait), watcher=watched, accept=accept, why=why, backfill=backfill, table=table)
        pages = [] if done.nothing else report.leave_pages(project, done.id)
        if as_json:
            emit("run", {**screen.run_facts(done), "pages": pages})
        else:
            screen.show_run(done, pages)
        return FOUND if done.held else 0


def _seconds(text: str | None) -> float:
    from lichen.ground.duration import parse_duration

    if text is None:
        return 0.0
    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise WrongUsage("LCH-1021", f"--wait: {error}") from error


@verb("serve", "lichen serve late_arrival --port 8000")
@click.argument("service", required=False)
@environment_option
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on; beyond loopback a token and TLS are needed.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="The port; 0 takes a free one.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="How many processes answer, on one port; one that dies is started again.",
)
@click.option("--tls-cert", default=None, help="The PEM file with the certificate, and those that lead up to it.")
@click.option("--tls-key", default=None, help="The PEM file with the certificate's private key.")
@click.option("--behind-proxy", is_flag=True, help="A proxy in front of the service speaks TLS.")
@click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="NAME",
    help="A name by which clients ask the service, besides this machine's and --host.",
)
@click.option("--require-token", is_flag=True, help="Every request must bring a token, on loopback too.")
def serve(service: str | None, environment: str, as_json: bool, **reach: Any) -> int:
    """Answer requests over HTTP until stopped."""

    def tell(facts: dict[str, Any]) -> None:
        _told(facts, as_json=as_json)

    with opened(environment) as project:
        project.serve(service, **reach, told=tell)
    return 0


def _told(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        emit("serve", facts)
    else:
        talk(f"{facts['service']}: release {facts['release']}, model {facts['model_version']}, at {facts['address']}")
        body = shlex.quote(facts["example"])
        token = ' -H "authorization: Bearer $TOKEN"' if facts["token"] else ""
        talk(f"try: curl -s {facts['address']}/predict -H 'content-type: application/json'{token} -d {body}")
    sys.stdout.flush()


@verb("token", "lichen token new shop --scope predict --expires 30d")
@click.argument("act", type=click.Choice(["new", "list", "revoke"]))
@click.argument("name", required=False)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="SCOPE",
    help="What a new token is good for: `predict` (if not said), `read` or `admin`; may be said again.",
)
@click.option("--expires", metavar="SPAN", default=None, help="After how long a new token ends, such as `30d`.")
def token(act: str, name: str | None, scopes: tuple[str, ...], expires: str | None, as_json: bool) -> int:
    """Make, list or revoke the tokens with which services may be asked; a secret is shown once, when it is made."""
    from lichen.cli.tokens import token as carry_out

    with opened() as project:
        carry_out(project, act, name, scopes, expires, as_json=as_json)
    return 0


@verb("predict", "lichen predict late_arrival flights.csv --out answers.parquet")
@click.argument("service")
@click.argument("file", type=click.Path(path_type=Path))
@environment_option
@click.option(
    "--out", type=click.Path(path_type=Path), default=None, help="Write the answers to this .parquet, .csv or .jsonl."
)
@click.option(
    "--rejects",
    type=click.Path(path_type=Path),
    default=None,
    help="Write the rows that were refused, and why, to this CSV; if not said, the first are told.",
)
@click.option("--contributions", is_flag=True, help="Tell what each feature and source column contributed to a score.")
@click.option("--limit", type=click.IntRange(min=0), default=None, help="The most rows shown; 0 shows all.")
def predict(
    service: str,
    file: Path,
    environment: str,
    out: Path | None,
    rejects: Path | None,
    contributions: bool,
    limit: int | None,
    as_json: bool,
) -> int:
    """Ask a service about the rows of a file, as of now; exit with 1 if a row was refused.

    Nothing is recorded: what a service answered over HTTP is what its monitors judge.
    """
    from lichen.cli import predicted

    with opened(environment) as project:
        counting = predicted.counting() if not as_json else None
        given = {"progress": counting} if counting else {}
        done = project.predict(service, file, out, contributions=contributions, **given)
    predicted.show(done, out, rejects, limit=limit, as_json=as_json)
    return FOUND if done.rejected else 0


@verb("replay", "lichen replay late_arrival --from 2013-12-01")
@click.argument("service", required=False)
@environment_option
@click.option(
    "--from", "start", required=True, help="The instant from which past rows are asked again, such as 2013-12-01."
)
@click.option("--to", "end", default=None, help="The instant before which it ends; all there is, if not said.")
def replay(service: str | None, environment: str, start: str, end: str | None, as_json: bool) -> int:
    """Send past rows to a service as live requests; their labels come when they came then."""
    from lichen.cli import screen

    begin = instant(start, "--from")
    assert begin is not None
    with opened(environment) as project:
        progress = None if as_json else screen.progress("replay", "requests")
        facts = project.replay(service, start=begin, end=instant(end, "--to"), progress=progress)
    if as_json:
        emit("replay", facts)
    else:
        screen.show_replay(facts)
    return 0


@verb("monitor", "lichen monitor --at 2014-01-05")
@click.argument("monitor", required=False)
@environment_option
@click.option("--at", default=None, help="Ask as of this instant, with the labels known by then; now, if not said.")
def monitor(monitor: str | None, environment: str, at: str | None, as_json: bool) -> int:
    """Ask the standing questions once; exit with 1 if something was found."""
    from lichen.cli import screen

    with opened(environment) as project:
        asked = project.monitor(monitor, at=instant(at, "--at"))
    if as_json:
        emit("monitor", {"asked": [one.as_dict() for one in asked]})
    else:
        screen.show_monitor(asked)
    return FOUND if any(one.findings for one in asked) else 0


@verb("query", 'lichen query "SELECT carrier, count(*) AS flights FROM flight_legs GROUP BY 1 ORDER BY 2 DESC"')
@click.argument("sql", required=False)
@environment_option
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=None,
    help="The most rows shown; 0 shows all. If not said: 50 for people, all with --json.",
)
def query(sql: str | None, environment: str, limit: int | None, as_json: bool) -> int:
    """Run a SELECT over a release's sources, tables, `predictions_<service>` and `quarantine`; without one, list them.

    `DESCRIBE x` shows the columns of one of them, `SUMMARIZE x` what is in them. An instant without an end is
    `infinity`; with --json a number without one is the text "Infinity", and what is no number "NaN".
    """
    from lichen.cli import screen

    with opened(environment) as project:
        screen.show_rows(project.query(sql), limit=limit, as_json=as_json)
    return 0


@verb("status", "lichen status --json")
@environment_option
def status(environment: str, as_json: bool) -> int:
    """Show what is released, how good it is, what was answered and what was found."""
    from lichen.cli import report

    with opened(environment) as project:
        facts = project.status()
    if as_json:
        emit("status", facts)
    else:
        report.show_status(facts)
    return 0


@verb("history", "lichen history")
@environment_option
def history(environment: str, as_json: bool) -> int:
    """List the releases, newest first: when, by whom, at which commit, by what, what changed, what is swept."""
    from lichen.cli import screen

    with opened(environment) as project:
        releases, accepted = project.history(), project.accepted()
    if as_json:
        emit("history", {"releases": [release.as_dict() for release in releases], "accepted": accepted})
    else:
        screen.show_history(releases, accepted)
    return 0


@verb("promote", "lichen run --env dev && lichen promote dev prod")
@click.argument("environment")
@click.argument("into")
@wait_option
def promote(environment: str, into: str, wait: str | None, as_json: bool) -> int:
    """Point INTO at what ENVIRONMENT holds; nothing is built, and nothing is copied."""
    from lichen.cli import screen

    with opened(environment) as project:
        moved = project.promote(into, wait=_seconds(wait))
    emit("promote", moved.as_dict()) if as_json else screen.show_moved(moved)
    return 0


@verb("rollback", "lichen rollback --to 12")
@environment_option
@click.option(
    "--to", type=click.IntRange(min=1), default=None, help="The release to take up again; if not said, the one before."
)
@wait_option
def rollback(environment: str, to: int | None, wait: str | None, as_json: bool) -> int:
    """Point an environment at the versions of an earlier release."""
    from lichen.cli import screen

    with opened(environment) as project:
        moved = project.rollback(to, wait=_seconds(wait))
    emit("rollback", moved.as_dict()) if as_json else screen.show_moved(moved)
    return 0


@verb("schema", "lichen schema feature > feature.schema.json")
@click.argument("kind", required=False)
@click.option("--write", "folder", default=None, help="Write one file a kind into this folder.")
def schema(kind: str | None, folder: str | None, as_json: bool) -> int:
    """Print the JSON Schema of a kind of file, for editors to complete and check by."""
    from lichen.cli.schemas import schemas, write_schemas

    made = schemas()
    if kind is not None and kind not in made:
        raise WrongUsage("LCH-1022", f"there is no kind of file `{kind}`", fix=did_you_mean(kind, made))
    if folder is not None:
        for path in write_schemas(Path(folder), {kind: made[kind]} if kind else made):
            talk(f"wrote {path}")
    else:
        emit("schema", {"schemas": {kind: made[kind]} if kind else made}) if as_json else _print_schema(made, kind)
    return 0


def _print_schema(made: dict[str, Any], kind: str | None) -> None:
    import json

    tell(json.dumps(made[kind] if kind else made, indent=2, ensure_ascii=False))
