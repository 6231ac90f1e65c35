"""Splits labelled rows by time, so that no row learns from what was not known yet.

The parts end on whole days. The test is the newest `validate.test` days, the day of the newest labelled row
included; `early_stop` is the span before it, if there is one; training is everything earlier. Days are days of
`validate.zone`; where the spans are not whole days, the rule goes by whole hours, minutes or seconds. A row trains only
if its label was known before `early_stop` starts, and stops training only if it was known before the test starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from arro3.core import Table

from lichen.errors import FoundWrong, SystemFailed, Where
from lichen.ground.duration import microseconds
from lichen.ground.quoting import identifier, literal
from lichen.ports import Engine, Relation
from lichen.spec import Model, Validation

PARTS = ("train", "early_stop", "test")
_UNITS = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000)
_INTEGERS = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
)

LEFT_OUT = {
    "no_label": "rows without a label",
    "label_not_finite": "rows whose label is NaN or infinite",
    "no_time": "rows whose `at` or `known` is null",
    "train_known_late": "rows before those held out whose label was not known by the start of these",
    "early_stop_known_late": "rows of early stopping whose label was not known by the start of the test",
}
"""Why a row is in no part, in words."""

LARGEST_LABEL = 1e100
"""A label further from zero has squared errors whose sums no double holds: no metric could be told of it."""


@dataclass(frozen=True)
class Split:
    """The cuts, how many rows fell into each part, and how many were left out and why.

    Instants are microseconds since 1970 in UTC: `early_stop` and `test` are where those parts start, `end` is
    where the test ends.
    """

    early_stop: int
    test: int
    end: int
    rows: Mapping[str, int]
    left_out: Mapping[str, int]

    def as_dict(self) -> dict[str, Any]:
        """The split as a JSON object."""
        return {
            "early_stop": self.early_stop,
            "test": self.test,
            "end": self.end,
            "rows": dict(self.rows),
            "left_out": dict(self.left_out),
        }


@dataclass(frozen=True)
class Labelled:
    """SQL over the label rows: the label as DOUBLE (null: none), and its two instants in microseconds.

    `given` is the label as it stands in the table, where it may be NaN or infinite.
    """

    given: str
    label: str
    at: str
    known: str

    def part(self, early_stop: int, test: int) -> str:
        """SQL that names a row's part, or why it is left out."""
        first, second = literal(early_stop), literal(test)
        cases = (
            f"WHEN {self.given} IS NULL THEN 'no_label'",
            f"WHEN {self.label} IS NULL THEN 'label_not_finite'",
            f"WHEN {self.at} IS NULL OR {self.known} IS NULL THEN 'no_time'",
            f"WHEN {self.at} >= {second} THEN 'test'",
            f"WHEN {self.at} >= {first} AND {self.known} < {second} THEN 'early_stop'",
            f"WHEN {self.at} >= {first} THEN 'early_stop_known_late'",
            f"WHEN {self.known} < {first} THEN 'train'",
            "ELSE 'train_known_late'",
        )
        return " ".join(("CASE", *cases, "END"))


def check_label(model: Model, kind: str, where: Where | None = None) -> None:
    """Refuse a label whose type does not fit the task; whole numbers may be classes, which only the rows tell."""
    name, number = model.label.value, kind in _INTEGERS or kind in ("DOUBLE", "FLOAT") or kind.startswith("DECIMAL")
    if model.task == "regression" and not number:
        raise FoundWrong(
            "LCH-2901",
            f"the label `{name}` is {kind}, and regression learns numbers",
            where=where,
            fix=f"make `{name}` a number in the label table, or set `task: classification`",
        )
    if model.task == "classification" and kind != "BOOLEAN" and kind not in _INTEGERS:
        raise FoundWrong(
            "LCH-2902",
            f"the label `{name}` is {kind}, and classification learns true or false",
            where=where,
            fix=f"compute a boolean in the label table, as in `{name} = 'yes' AS {name}`",
        )


def labelled(model: Model, rows: Relation, engine: Engine) -> Labelled:
    """Read a model's label columns as the learners want them; a label that does not fit the task is refused."""
    types = {column.name: column.type for column in rows.columns}
    value = identifier(model.label.value)
    kind = types[model.label.value]
    check_label(model, kind)
    given = label = f"CAST({value} AS DOUBLE)"
    if model.task == "regression":
        label = " ".join((f"CASE WHEN isfinite({given})", f"THEN {given} END"))
    elif kind != "BOOLEAN":
        _expect_two_classes(model.label.value, rows, engine)
    at, known = (f"epoch_us({identifier(name)})" for name in (model.label.at, model.label.known))
    return Labelled(given, label, at, known)


def _expect_two_classes(name: str, rows: Relation, engine: Engine) -> None:
    column = identifier(name)
    parts = (f"CAST({column} AS VARCHAR) AS v", "FROM rows WHERE", f"{column} NOT IN (0, 1)", "ORDER BY v LIMIT 5")
    distinct = " ".join(("SELECT DISTINCT", *parts))
    other = Table.from_arrow(engine.query(distinct, {"rows": rows}))
    if other.num_rows:
        raise FoundWrong(
            "LCH-2903",
            f"the label `{name}` has values other than 0 and 1",
            why="classification learns two classes; there are also: " + ", ".join(other.column("v").to_pylist()),
            fix="make the label a boolean, or set `task: regression`",
        )


def split(model: Model, rows: Relation, columns: Labelled, engine: Engine) -> Split:
    """Find the cuts and count the rows on each side; a part without rows is refused."""
    newest = " ".join(
        (
            f"SELECT max({columns.at}) AS newest, min({columns.at}) AS oldest,",
            f"min({columns.label}) AS least, max({columns.label}) AS most",
            f"FROM rows WHERE ({columns.label}) IS NOT NULL AND {columns.known} IS NOT NULL",
        )
    )
    found = Table.from_arrow(engine.query(newest, {"rows": rows}))
    last = found.column("newest").to_pylist()[0]
    if last is None:
        raise FoundWrong(
            "LCH-2904",
            f"no row of `{model.label.from_}` has a label and its times",
            why=f"`{model.label.value}`, `{model.label.at}` or `{model.label.known}` is null in every row"
            + (", or the label is NaN or infinite" if model.task == "regression" else ""),
            fix="look at the label table and at the sources it reads",
        )
    _refuse_beyond_metrics(model, max(map(abs, (found.column(end).to_pylist()[0] for end in ("least", "most")))))
    early_stop, test, end = cuts(last, model.validate_)
    counts = _counts(rows, columns.part(early_stop, test), engine)
    made = Split(
        early_stop,
        test,
        end,
        {part: counts.pop(part, 0) for part in PARTS},
        {reason: counts.pop(reason, 0) for reason in LEFT_OUT},
    )
    _expect_rows(model, made, found.column("oldest").to_pylist()[0])
    return made


def _refuse_beyond_metrics(model: Model, furthest: float) -> None:
    if furthest > LARGEST_LABEL:
        raise FoundWrong(
            "LCH-2907",
            f"the label `{model.label.value}` of `{model.label.from_}` goes as far from zero as {furthest:.3g}",
            why=f"beyond {LARGEST_LABEL:.0e} the squares that rmse and r2 sum up are no finite numbers",
            fix=f"give `{model.label.value}` a `range` in a contract, so that they are set aside, or let the model "
            "learn its logarithm",
        )


def cuts(last: int, spans: Validation) -> tuple[int, int, int]:
    """Where early stopping, the test and the time after it start, by the newest labelled row's `at`.

    All in microseconds. Whole days are days of the spans' zone: one with a change of clocks has 23 or 25 hours.
    """
    held_out = spans.early_stop or timedelta()
    early, test = microseconds(held_out), microseconds(spans.test)
    unit = next((unit for unit in _UNITS if not any(span % unit for span in (early, test))), 1)
    if unit != _UNITS[0]:
        end = (last // unit + 1) * unit
        return end - test - early, end - test, end
    zone = ZoneInfo(spans.zone)
    newest = datetime.fromtimestamp(last // 1_000_000, zone)
    # Arithmetic on an aware instant of one zone goes by its clock, so that days keep starting at midnight.
    midnight = datetime(newest.year, newest.month, newest.day, tzinfo=zone) + timedelta(days=1)
    starts = (midnight - spans.test - held_out, midnight - spans.test, midnight)
    early_at, test_at, end_at = (int(start.timestamp()) * 1_000_000 for start in starts)
    return early_at, test_at, end_at


def _counts(rows: Relation, part: str, engine: Engine) -> dict[str, int]:
    grouped = " ".join((f"SELECT {part} AS part, count(*) AS n", "FROM rows GROUP BY ALL"))
    table = Table.from_arrow(engine.query(grouped, {"rows": rows}))
    counts = dict(zip(table.column("part").to_pylist(), table.column("n").to_pylist(), strict=True))
    total = Table.from_arrow(engine.query("SELECT count(*) AS n FROM rows", {"rows": rows})).column("n").to_pylist()[0]
    if sum(counts.values()) != total:
        raise SystemFailed(
            "LCH-2905",
            f"{total} rows came in and {sum(counts.values())} were split",
            fix="report this: every row must be in one part or be counted as left out",
        )
    return counts


def _expect_rows(model: Model, made: Split, oldest: int) -> None:
    wanted = [part for part in PARTS if part != "early_stop" or model.validate_.early_stop is not None]
    empty = [part for part in wanted if made.rows[part] == 0]
    if not empty:
        return
    days = (made.end - oldest) / _UNITS[0]
    left = ", ".join(f"{count} {LEFT_OUT[reason]}" for reason, count in made.left_out.items() if count)
    raise FoundWrong(
        "LCH-2906",
        f"the split leaves no rows for `{empty[0]}`",
        why=f"the labelled rows of `{model.label.from_}` reach over {days:.1f} days"
        + (f"; left out: {left}" if left else ""),
        fix=f"shorten {' and '.join(f'`validate.{part}`' for part in reversed(wanted[1:]))}, or collect a longer span",
    )
