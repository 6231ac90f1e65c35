"""The status of a project as a short report that a person enjoys reading."""

from __future__ import annotations

from typing import Any

import click

from lichen.cli.command import talk
from lichen.cli.screen import cohort_lines, columns, count, day

BAR = 24
METRICS = ("roc_auc", "average_precision", "brier", "log_loss", "calibration_error", "rmse", "mae", "r2")


def show_status(facts: dict[str, Any]) -> None:
    """Print the report: what was built, how good the model is, what was answered and found, what to type next."""
    if facts["release"] is None:
        click.echo(f"{facts['project']}: `{facts['environment']}` has no release yet")
        _show_errors(facts)
        talk("next: lichen run")
        return
    at = facts["released_at"][:16].replace("T", " ")
    title = f"{facts['project']}, `{facts['environment']}`, release {facts['release']} of {at}"
    click.echo(title)
    click.echo("=" * len(title))
    _show_errors(facts)
    _show_tables(facts)
    for model in facts["models"].values():
        _show_model(model)
    for service in facts["services"].values():
        _show_service(service, facts)
    for watch in facts["watches"].values():
        _show_watch(watch)
    _show_seconds(facts["seconds"])
    _show_next(facts)


def _heading(text: str) -> None:
    click.echo()
    click.echo(text)
    click.echo("-" * len(text))


def _show_errors(facts: dict[str, Any]) -> None:
    for error in facts["errors"]:
        click.echo(f"! the last run failed: {error['code']}: {error['what']}")


def _show_tables(facts: dict[str, Any]) -> None:
    _heading("What was built")
    rows = []
    for name, table in facts["tables"].items():
        said = [
            f"{breach['column']}: {breach['reason']} ({count(breach['rows'], 'row')})" for breach in table["breaches"]
        ]
        aside = f"{table['quarantined']:,} set aside: " if table["quarantined"] else ""
        rows.append((name, f"{table['rows']:,} rows", aside + "; ".join(said)))
    for line in columns(rows, right=(1,)):
        click.echo("  " + line)


def _show_model(model: dict[str, Any]) -> None:
    _heading(f"How good the model is: {model['name']} ({model['version'][:8]})")
    spans, base = model["spans"], model["baseline"]
    click.echo(f"  trained on {count(model['rows_train'], 'row')} from before {day(spans['early_stop'][0])}")
    click.echo(f"  stopped early on {model['rows_early_stop']:,} from before {day(spans['test'][0])}")
    click.echo(f"  judged on {model['rows_test']:,} from before {day(spans['test'][1])}")
    left = ", ".join(f"{rows:,} {why.replace('_', ' ')}" for why, rows in model["rows_left_out"].items() if rows)
    if left:
        click.echo(f"  left out: {left}")
    rows = [("", "model", "95 % interval", "best feature alone", "base rate")]
    for name in METRICS:
        if name in model:
            interval = model["intervals"].get(name)
            rows.append(
                (
                    name.replace("_", " "),
                    f"{model[name]:.4f}",
                    f"{interval[0]:.4f} to {interval[1]:.4f}" if interval else "",
                    f"{base['feature_metrics'][name]:.4f}",
                    f"{base['constant_metrics'][name]:.4f}",
                )
            )
    for line in columns(rows, right=(1, 3, 4)):
        click.echo("  " + line)
    click.echo(f"  base rate: {base['constant']:.4f} for every row; best feature alone: {base['feature']}")
    for verdict in model["gate"]:
        click.echo(f"  gate {'passed' if verdict['passed'] else 'FAILED'}: {verdict['why']}")
    _show_importances(model)


def _show_importances(model: dict[str, Any]) -> None:
    heaviest = sorted(model["importances"].items(), key=lambda item: -item[1])[:8]
    if not heaviest:
        return
    top = heaviest[0][1] or 1.0
    click.echo("  what weighs most in it:")
    for line in columns(
        [(f"  {name}", f"{share:6.1%}", "█" * max(1, round(BAR * share / top))) for name, share in heaviest]
    ):
        click.echo("  " + line)
    lacking = sorted(((share, name) for name, share in model["missing"].items() if share >= 0.05), reverse=True)[:4]
    if lacking:
        click.echo("  often missing: " + ", ".join(f"{name} {share:.1%}" for share, name in lacking))


def _show_service(service: dict[str, Any], facts: dict[str, Any]) -> None:
    if not service["requests"]:
        return
    _heading(f"What was asked: {service['name']}")
    span = service["replayed"]
    click.echo(
        f"  {count(service['requests'], 'request')} over HTTP, as if it were {span['from'][:10]} to {span['to'][:10]}"
    )
    rate = f"{service['requests_per_second']:,.0f} a second"
    click.echo(f"  answered in {service['p50_ms']:.2f} ms (p50) and {service['p99_ms']:.2f} ms (p99), {rate}")
    click.echo(f"  {count(facts['predictions'], 'prediction')} recorded, each with the features it used")
    click.echo(f"  {facts['labelled']:,} have their label")


def _show_watch(watch: dict[str, Any]) -> None:
    _heading(f"What the monitor found: {watch['monitor']}, as of {watch['at'][:10]}")
    for line in cohort_lines(watch["watch"]):
        click.echo("  " + line)
    for finding in watch["watch"]["findings"]:
        click.echo(f"  ! {finding['message']}")
    for note in watch["notes"]:
        click.echo(f"  note: {note}")
    if not watch["watch"]["findings"]:
        click.echo("  nothing found")


def _show_seconds(seconds: dict[str, float]) -> None:
    click.echo()
    click.echo("seconds: " + ", ".join(f"{stage} {spent:.1f}" for stage, spent in seconds.items()))


def _show_next(facts: dict[str, Any]) -> None:
    if not facts["services"]:
        talk('next: lichen query "SELECT ..."')
    elif not facts["predictions"]:
        service = next(iter(facts["services"]))
        talk(f"next: lichen serve {service}    or ask past rows again: lichen replay {service} --from <day>")
    else:
        service = next(iter(facts["services"]))
        talk(f'next: lichen serve {service}    lichen query "FROM quarantine"    lichen history')
