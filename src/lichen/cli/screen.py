"""What a person sees: one line an asset, totals, and last the next command."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from lichen.cli.command import emit, say, talk, tell
from lichen.cli.document import WIDTH, aligned
from lichen.ground.counted import count, few

if TYPE_CHECKING:
    from lichen.plan import Step
    from lichen.ports import Arrow
    from lichen.project import Project
    from lichen.run.execute import Outcome, Run, Watcher
    from lichen.run.history import Entry
    from lichen.run.inspect import Inspection
    from lichen.run.moved import Moved
    from lichen.run.watching import Asked

WORDS = {
    "built": "built",
    "reused": "reused",
    "shared": "shared",
    "renamed": "renamed",
    "carried": "carried over",
    "same": "came out the same",
    "held": "HELD by its gate",
    "dropped": "dropped",
    "failed": "failed",
}


MOST_ROWS = 50
"""How many rows of a query people are shown, if they do not say."""


def late_rows(number: int) -> str:
    """What is said of rows that came below the cursor, and are in no table."""
    return f"{count(number, 'late row')} left out: below the cursor less `lateness`, which may be longer"


def is_terminal() -> bool:
    """Whether a person is looking at stderr, where progress is shown."""
    return sys.stderr.isatty()


# ------------------------------------------------------------------------------------------------- check


def check_facts(project: Project, found: Inspection) -> dict[str, Any]:
    """What `check` found, for a machine."""
    return {
        "assets": [asset.id for asset in project.graph],
        "columns": {name: {c.name: c.type for c in given} for name, given in found.columns.items()},
        "features": {name: {c.name: c.type for c in made.features} for name, made in found.features.items()},
        "notes": [*found.notes, *found.arriving],
        "errors": [error.as_dict() for error in found.errors],
    }


def show_check(project: Project, found: Inspection) -> None:
    """Print what `check` found."""
    for error in found.errors:
        talk(str(error))
        talk()
    kinds = Counter(asset.kind for asset in project.graph)
    tell("  ".join(count(number, kind) for kind, number in kinds.items()))
    if found.errors:
        talk(f"{count(len(found.errors), 'error')}: mend what is said above and check again")
        return
    tell(
        f"{count(sum(map(len, found.columns.values())), 'column')} and "
        f"{count(sum(len(made.features) for made in found.features.values()), 'feature')} resolved; nothing is wrong"
    )
    _facts_without_time(project)
    for note in (*found.notes, *found.arriving):
        tell(f"note: {note}")
    talk("next: lichen plan")


def _facts_without_time(project: Project) -> None:
    static = [name for name, view in project.spec.features.items() if view.static]
    if static:
        tell(f"taken as known always, for they say `static: true`: {', '.join(static)}")


def in_environment(command: str, environment: str) -> str:
    """A command as it is typed for an environment; the one that is meant unsaid is not named."""
    return command if environment == "prod" else f"{command} --env {environment}"


# --------------------------------------------------------------------------------------------------- run


def watcher() -> Watcher:
    """Prints a line for each asset as it is done, and on a terminal what is being worked on."""
    from lichen.run.execute import Watcher

    def end(outcome: Outcome) -> None:
        _wipe()
        if outcome.state != "shared":
            tell(outcome_line(outcome))
            sys.stdout.flush()

    return Watcher(_working, end)


def quiet_watcher() -> Watcher:
    """Shows on a terminal what is being worked on, and leaves nothing behind."""
    from lichen.run.execute import Watcher

    return Watcher(_working, lambda _: _wipe())


def _working(step: Step) -> None:
    if is_terminal():
        say(f"  {step.stage:<10} {step.asset} ...\r", err=True, nl=False)


def _wipe() -> None:
    if is_terminal():
        say("\x1b[2K\r", err=True, nl=False)


def outcome_line(outcome: Outcome) -> str:
    """One asset's line: stage, name, state, rows, seconds, and what there is to say."""
    rows = "" if outcome.rows is None else count(outcome.rows, "row")
    said = [WORDS[outcome.state]] if outcome.state != "built" else []
    if outcome.quarantined:
        said.append(f"{outcome.quarantined:,} set aside")
    if outcome.late:
        said.append(late_rows(outcome.late))
    said += outcome.notes
    name = outcome.asset.partition(".")[2]
    return f"  {outcome.stage:<10} {name:<26} {rows:>14} {outcome.seconds:7.2f} s  {'; '.join(said)}".rstrip()


def run_facts(run: Run) -> dict[str, Any]:
    """What a run did, for a machine."""
    from dataclasses import asdict

    return {
        "run": run.id,
        "nothing": run.nothing,
        "held": list(run.held),
        "landed": dict(run.landed),
        "release": run.release.number if run.release else None,
        "seconds": run.seconds,
        "plan": run.plan.as_dict(),
        "outcomes": [asdict(outcome) for outcome in run.outcomes],
    }


def show_run(run: Run, pages: Sequence[str] = ()) -> None:
    """Print the totals of a run and what to type next."""
    for service, rows in run.landed.items():
        tell(f"{count(rows, 'answer')} of `{service}` came into the lake")
    if run.release is not None and "records_gone" in run.release.facts and run.landed:
        gone = ", ".join(run.release.facts["records_gone"])
        tell(f"a record of answers is gone ({gone}): what had not come into the lake of it is lost")
    if run.nothing and run.landed:
        tell(f"nothing else to do: `{run.plan.environment}` is now at release {run.release and run.release.number}")
        return
    if run.nothing:
        tell(f"nothing to do: `{run.plan.environment}` is at release {run.plan.release}, and nothing changed since")
        return
    states = Counter(outcome.state for outcome in run.outcomes)
    done = ", ".join(f"{n} {WORDS[s]}" for s, n in states.items()) or "nothing was to be built"
    tell(f"{count(len(run.outcomes), 'step')} in {run.seconds:.1f} s: {done}")
    if run.held:
        stays = f"stays at release {run.plan.release}" if run.plan.release else "has no release yet"
        tell(f"held by its gate: {', '.join(run.held)}; `{run.plan.environment}` {stays}")
        if pages:
            tell(f"to hand round: {' and '.join(pages)}")
        talk("next: loosen the gate in models/, or mend what it judges, and run again")
    elif run.release is not None:
        tell(f"`{run.plan.environment}` is now at release {run.release.number}")
        if pages:
            tell(f"to hand round: {' and '.join(pages)}")
        talk(f"next: {in_environment('lichen status', run.plan.environment)}")


# --------------------------------------------------------------------------------------- replay, monitor


def progress(what: str, unit: str) -> Callable[[int, int], None] | None:
    """A line that counts on a terminal; nothing elsewhere."""
    if not is_terminal():
        return None

    def show(done: int, of: int) -> None:
        say(f"\x1b[2K  {what} {done:,} of {of:,} {unit}\r", err=True, nl=False)
        if done >= of:
            say("\x1b[2K\r", err=True, nl=False)

    return show


def show_replay(facts: dict[str, Any]) -> None:
    """Print what a replay did."""
    tell(
        f"  {'replay':<10} {facts['service']:<26} {count(facts['requests'], 'request'):>16} {facts['seconds']:5.2f} s  "
        f"{facts['from'][:10]} to {facts['to'][:10]}; p50 {facts['p50_ms']:.2f} ms, p99 {facts['p99_ms']:.2f} ms"
    )
    tell(
        f"  {'record':<10} {'predictions_' + facts['service']:<26} {count(facts['recorded'], 'row'):>16}"
        f" {facts['recorded_seconds']:5.2f} s  each answer with the features it used; release {facts['release']}"
    )
    talk("next: lichen monitor")


def show_monitor(asked: list[Asked]) -> None:
    """Print what the monitors found."""
    for one in asked:
        watch = one.watch
        answered = f"{count(one.labelled, 'label')} of {count(one.predictions, 'prediction')}"
        tell(f"  {one.monitor}: asked as of {one.at[:16]}, {answered}")
        for line in aligned(cohort_rows(watch), numbers=(2, 3, 4, 5, 7)):
            tell("    " + line)
        for finding in one.findings:
            tell(textwrap.fill(finding["message"], WIDTH, initial_indent="  ! ", subsequent_indent="    "))
        if (said := nothing_found(watch)) is not None:
            tell(f"  {said}")
        if (said := recomputed(watch)) is not None:
            tell(f"  {said}")
        for note in one.notes:
            tell(textwrap.fill(note, WIDTH, initial_indent="  note: ", subsequent_indent="    "))
    talk("next: lichen status")


def nothing_found(watch: dict[str, Any]) -> str | None:
    """What is said of a monitor that found nothing: that this means nothing where nothing could be judged."""
    if watch["findings"]:
        return None
    judged = watch.get("judged", {})
    unjudged = [question for question, cohorts in judged.items() if not cohorts]
    if unjudged and len(unjudged) == len(judged):
        return "! nothing could be judged, so this is no good news: the notes say why"
    return f"nothing found, but {' and '.join(unjudged)} could not be judged" if unjudged else "nothing found"


def recomputed(watch: dict[str, Any]) -> str | None:
    """What is said of the answers whose values were computed again."""
    skew = watch.get("skew")
    if not skew or not skew["compared"]:
        return None
    looked = f"skew: {count(skew['compared'], 'answer')} x {count(skew['values'], 'value')} computed again"
    if not skew["differ"]:
        return f"{looked}: the service used what the tables say"
    return f"{looked}: {count(skew['differ'], 'answer')} used what the tables do not say"


def cohort_rows(watch: dict[str, Any]) -> list[tuple[str, ...]]:
    """A head, and a row a cohort: how many answers and labels, how good, how many features moved.

    Cohorts in which nobody asked are one row together.
    """
    from lichen.evaluate.metrics import METRICS
    from lichen.monitor.judge import metric_name

    metric, cohorts = watch["metrics"][0], watch["cohorts"]
    drifts: dict[int, list[dict[str, Any]]] = {}
    for one in watch["drifts"]:
        drifts.setdefault(one["start"], []).append(one)
    classes = metric in METRICS["classification"]
    head = ("from", "to", "answers", "labels", "base rate" if classes else "mean label", metric_name(metric))
    rows: list[tuple[str, ...]] = [(*head, "95 % interval", "moved", "")]
    for empty, together in groupby(cohorts, lambda cohort: not cohort["predictions"]):
        several = list(together)
        if empty and len(several) > 1:
            span = (day(several[0]["start"]), day(several[-1]["end"]))
            rows.append((*span, "0", "0", "", "", "", "", count(len(several), "empty cohort")))
        else:
            rows += [
                _cohort_row(cohort, metric, drifts.get(cohort["start"], []), classes=classes) for cohort in several
            ]
    return rows


def _cohort_row(cohort: dict[str, Any], metric: str, judged: list[dict[str, Any]], *, classes: bool) -> tuple[str, ...]:
    from lichen.monitor.judge import metric_value

    scores = cohort["scores"]
    value = scores["metrics"][metric] if scores else None
    interval = scores["intervals"].get(metric) if scores else None
    return (
        day(cohort["start"]),
        day(cohort["end"]),
        f"{cohort['predictions']:,}",
        f"{cohort['labelled']:,}",
        f"{scores['mean_label']:{'.1%' if classes else '.4g'}}" if scores else "",
        "" if value is None else metric_value(metric, value),
        " to ".join(metric_value(metric, end) for end in interval) if interval else "",
        f"{sum(one['drifted'] for one in judged)} of {len(judged)}" if judged else "",
        "" if cohort["state"] == "mature" else cohort["state"],
    )


def day(microseconds: int) -> str:
    """An instant in microseconds since 1970 as a day."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC).strftime("%Y-%m-%d")


# --------------------------------------------------------------------------------------- query, history


def show_rows(rows: Arrow, *, limit: int | None, as_json: bool) -> None:
    """Print a query's rows: a table for people, one JSON document for machines.

    No more than `limit` are shown; 0 shows all. Where it is None, people see the first rows and machines all.
    """
    from arro3.core import RecordBatchReader

    from lichen.cli.values import shown as as_shown
    from lichen.cli.values import spelled, values

    reader = RecordBatchReader.from_arrow(rows)
    names = reader.schema.names
    most = (0 if as_json else MOST_ROWS) if limit is None else limit
    shown: list[list[Any]] = []
    for batch in reader:
        shown.extend(map(list, zip(*map(values, batch.columns), strict=True)))
        if most and len(shown) > most:
            break
    more = bool(most) and len(shown) > most
    if more:
        del shown[most:]
    if as_json:
        emit("query", {"columns": names, "rows": spelled(shown), "more": more})
        return
    cells = [[as_shown(value) for value in row] for row in shown]
    for line in aligned([names, *cells]):
        tell(line)
    if more:
        talk(f"... the first {count(most, 'row')}; --limit 0 shows all")
    elif not shown:
        talk("no rows")


def show_moved(moved: Moved) -> None:
    """Print what a `promote` or `rollback` did."""
    environment, number = moved.release.environment, moved.release.number
    holds = f"release {moved.of.number}" + (f" of `{moved.of.environment}`" if moved.what == "promote" else "")
    if moved.nothing:
        tell(f"nothing to do: `{environment}` is at release {number}, which holds what {holds} holds")
        return
    for names, said in ((moved.entered, "changed"), (moved.left, "gone")):
        if names:
            tell(f"  {count(len(names), 'asset')} {said}: {few(names, 4)}")
    tell(f"`{environment}` is now at release {number}, which holds what {holds} holds; nothing was built")
    talk(f"next: {in_environment('lichen status', environment)}")


def show_history(entries: list[Entry], accepted: Sequence[dict[str, Any]] = ()) -> None:
    """Print what was accepted, and the releases, newest first."""
    for one in accepted:
        who = f" by {one['who']}" if one["who"] else ""
        tell(f"accepted `{one['name']}`{who} at {one['at'][:19]}: {one['why']}")
    if not entries:
        tell("no release yet")
        talk("next: lichen run")
        return
    rows: list[Sequence[str]] = [("release", "at", "by", "commit", "what", "changed")]
    for entry in entries:
        release = entry.release
        rows.append(
            (
                str(release.number),
                release.at[:19],
                release.facts.get("user") or "",
                (release.facts.get("commit") or "")[:8],
                _what(entry) + ("" if entry.kept else ", swept"),
                _changed(entry),
            )
        )
    for line in aligned(rows, numbers=(0,)):
        tell(line)


def _what(entry: Entry) -> str:
    facts = entry.release.facts
    if entry.what == "promote":
        return f"promote of {facts['promoted_from']['environment']} {facts['promoted_from']['release']}"
    return f"rollback to {facts['rolled_back_to']}" if entry.what == "rollback" else entry.what


def _changed(entry: Entry) -> str:
    """What was done and why, as the run told it; else which assets changed."""
    did, why = entry.release.facts.get("did"), entry.release.facts.get("why")
    gone = f"; gone: {few(entry.left, 4)}" if entry.left and not did else ""
    if not did:
        return few(entry.entered, 4) + gone
    said = ", ".join(f"{number} {WORDS.get(state, state)}" for state, number in did.items())
    return f"{said}: {'; '.join(why[:2])}" + (f" and {len(why) - 2} more" if len(why) > 2 else "") if why else said
