"""The status of a project as a short report that a person enjoys reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lichen.cli.command import talk, tell
from lichen.cli.document import Document, Grid, Mark
from lichen.cli.screen import cohort_rows, day, in_environment, late_rows, nothing_found, recomputed
from lichen.deploy.parity import told
from lichen.ground.counted import count
from lichen.ground.files import write_durably
from lichen.run.intervals import told_late

if TYPE_CHECKING:
    from lichen.project import Project

BAR = 24


def show_status(facts: dict[str, Any]) -> None:
    """Print the report: what was built, how good the model is, what was answered and found, what to type next."""
    if facts["release"] is None:
        tell(f"{facts['project']}: `{facts['environment']}` has no release yet")
        for said in _last_run(facts):
            tell(f"! {said}")
    else:
        tell(status_document(facts).as_text())
        tell()
    talk(f"next: {_next(facts)}")


def leave_pages(project: Project, run: str) -> list[str]:
    """Leave the report of a run as one page and one Markdown file; returns their paths from the project's folder."""
    facts = project.status()
    if facts["release"] is None:
        return []
    document, folder = status_document(facts), project.workshop.folder("reports")
    made = {f"run-{run}.html": document.as_html(), f"run-{run}.md": document.as_markdown()}
    for name, text in made.items():
        write_durably(folder / name, text.encode())
    return [(folder / name).relative_to(project.root).as_posix() for name in made]


def status_document(facts: dict[str, Any]) -> Document:
    """The report as a document."""
    at = facts["released_at"][:16].replace("T", " ")
    made = Document(f"{facts['project']}, `{facts['environment']}`, release {facts['release']} of {at}")
    said = _last_run(facts)
    if said:
        made.section("", *map(Mark, said))
    _add_tables(made, facts["tables"])
    for model in facts["models"].values():
        _add_model(made, model)
    for service in facts["services"].values():
        _add_service(made, service)
    for watch in facts["watches"].values():
        _add_watch(made, watch)
    _add_seconds(made, facts["seconds"])
    return made


def _last_run(facts: dict[str, Any]) -> list[str]:
    """What has to be said of the last run, where it did not end in a release."""
    run = facts["run"]
    if run is None or run["status"] == "done":
        return []
    if run["status"] == "failed":
        return [f"the last run failed: {error['code']}: {error['what']}" for error in facts["errors"]]
    if run["status"] == "held":
        return [f"the last run was held by its gate: {held['asset']}: {held['why']}" for held in run["held"]]
    began = f"the last run began at {run['started'][:16].replace('T', ' ')}"
    if run["status"] == "killed":
        return [f"{began} and ended without saying how: it was killed, or the disk was full; `lichen run` completes it"]
    return [f"{began} and has not ended"]


def _add_tables(made: Document, tables: dict[str, Any]) -> None:
    rows = []
    for name, table in tables.items():
        said = "; ".join(f"{b['column']}: {b['reason']} ({count(b['rows'], 'row')})" for b in table["breaches"])
        aside = f"{table['quarantined']:,} set aside: " if table["quarantined"] else ""
        late = [late_rows(table["late"])] if table["late"] and not table["left_out"] else []
        late += [told_late(table["left_out"])] if table["left_out"] else []
        rows.append((name, count(table["rows"], "row"), "; ".join(filter(None, [aside + said, *late]))))
    made.section("What was built", Grid(("", "", ""), rows, frozenset({1})))


def _add_model(made: Document, model: dict[str, Any]) -> None:
    from lichen.evaluate.metrics import METRICS

    spans, base = model["spans"], model["baseline"]
    section = made.section(f"How good the model is: {model['name']} ({model['version'][:8]})")
    parts = (
        ("trained on", model["rows_train"], spans["early_stop"][0]),
        ("stopped early on", model["rows_early_stop"], spans["test"][0]),
        ("judged on", model["rows_test"], spans["test"][1]),
    )
    section.parts += [f"{what} {count(rows, 'row')} from before {day(end)}" for what, rows, end in parts if rows]
    left = ", ".join(f"{rows:,} {why.replace('_', ' ')}" for why, rows in model["rows_left_out"].items() if rows)
    if left:
        section.parts.append(f"left out: {left}")
    rows = []
    for name in (name for names in METRICS.values() for name in names):
        if name in model and model[name] is None:
            rows.append((name.replace("_", " "), "not measured", "the test's labels are all alike", "", ""))
        elif name in model:
            interval = model["intervals"].get(name)
            said = f"{interval[0]:.4f} to {interval[1]:.4f}" if interval else ""
            feature, constant = (_number(base[key].get(name)) for key in ("feature_metrics", "constant_metrics"))
            rows.append((name.replace("_", " "), f"{model[name]:.4f}", said, feature, constant))
    head = ("", "model", "95 % interval", "best feature alone", "base rate")
    section.parts.append(Grid(head, rows, frozenset({1, 3, 4})))
    section.parts.append(f"base rate: {base['constant']:.4f} for every row; best feature alone: {base['feature']}")
    for verdict in model["gate"]:
        said = f"gate {'passed' if verdict['passed'] else 'FAILED'}: {verdict['why']}"
        section.parts.append(said if verdict["passed"] else Mark(said))
    _add_importances(section.parts, model)
    section.parts.append(f"model card: {model['card']}")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _add_importances(parts: list[str | Mark | Grid], model: dict[str, Any]) -> None:
    heaviest = sorted(model["importances"].items(), key=lambda item: -item[1])[:8]
    if heaviest:
        top = heaviest[0][1] or 1.0
        bars = [(name, f"{share:.1%}", "█" * max(1, round(BAR * share / top))) for name, share in heaviest]
        parts += ["what weighs most in it:", Grid(("", "", ""), bars, frozenset({1}))]
    lacking = sorted(((share, name) for name, share in model["missing"].items() if share >= 0.05), reverse=True)[:4]
    if lacking:
        parts.append("often missing: " + ", ".join(f"{name} {share:.1%}" for share, name in lacking))


def _add_service(made: Document, service: dict[str, Any]) -> None:
    proof = [f"before it was released: {told(service['parity'])}"] if service["parity"] else []
    proof += _rollout(service["rollout"])
    if not service["requests"] and not service["predictions"]:
        if proof:
            made.section(f"What answers: {service['name']}", *proof)
        return
    section = made.section(f"What was asked: {service['name']}", *proof)
    if service["requests"]:
        span, rate = service["replayed"], f"{service['requests_per_second']:,.0f} a second"
        asked = count(service["requests"], "request")
        section.parts += [
            f"{asked} over HTTP, as if it were {span['from'][:10]} to {span['to'][:10]}",
            f"answered in {service['p50_ms']:.2f} ms (p50) and {service['p99_ms']:.2f} ms (p99), {rate}",
        ]
    section.parts += [
        f"{count(service['predictions'], 'prediction')} recorded, each with the features it used",
        f"{service['labelled']:,} have their label, which came when it came then",
    ]


def _rollout(trial: dict[str, Any] | None) -> list[str]:
    """How the newest release was, or is, tried beside the one before."""
    if trial is None:
        return []
    began, which = trial["began"][:16].replace("T", " "), f"release {trial['candidate']}"
    if trial["state"] == "running":
        return [f"{which} is tried beside release {trial['stable']} since {began}"]
    if trial["state"] == "completed":
        return [f"{which} was tried from {began} on, and took the place of release {trial['stable']}"]
    return [f"{which} was tried from {began} on, and rolled back to release {trial['stable']}: {trial['why']}"]


def _add_watch(made: Document, watch: dict[str, Any]) -> None:
    section = made.section(f"What the monitor found: {watch['monitor']}, as of {watch['at'][:10]}")
    head, *rows = cohort_rows(watch["watch"])
    section.parts.append(Grid(head, rows, frozenset({2, 3, 4, 5, 7})))
    section.parts += [Mark(finding["message"]) for finding in watch["watch"]["findings"]]
    if (said := nothing_found(watch["watch"])) is not None:
        section.parts.append(Mark(said.removeprefix("! ")) if said.startswith("!") else said)
    if (said := recomputed(watch["watch"])) is not None:
        section.parts.append(said)
    section.parts += [f"note: {note}" for note in watch["notes"]]


def _add_seconds(made: Document, seconds: dict[str, float]) -> None:
    spent = ", ".join(f"{stage} {taken:.1f}" for stage, taken in seconds.items())
    made.section("", f"seconds: {spent}; together {sum(seconds.values()):.1f}")


def _next(facts: dict[str, Any]) -> str:
    environment = facts["environment"]
    if facts["release"] is None:
        return in_environment("lichen run", environment)
    aside = in_environment('lichen query "FROM quarantine"', environment)
    service = next(iter(facts["services"]), None)
    if service is None:
        return aside
    serve = in_environment(f"lichen serve {service}", environment)
    if not facts["predictions"]:
        return (
            f"{serve}, or ask past rows again: {in_environment(f'lichen replay {service} --from <day>', environment)}"
        )
    return f"{serve}    {aside}    {in_environment('lichen history', environment)}"
