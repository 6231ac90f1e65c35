"""A service asked about the rows of a file: each row comes back with its answer, or stands among the rejected."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from arro3.core import Array, Table

from lichen.deploy.answer import Answer
from lichen.deploy.fields import PREDICTION_ID
from lichen.deploy.refused import Refused
from lichen.deploy.stream import answers_table
from lichen.errors import FoundWrong, SystemFailed, WrongUsage, did_you_mean
from lichen.ground.secret import Secret
from lichen.ground.stream import Stream, each_batch
from lichen.ports import Arrow, Relation
from lichen.run.asking import MANY, Asking, rows_of
from lichen.run.workshop import Workshop

SUFFIXES = (".parquet", ".csv", ".json", ".jsonl", ".ndjson")
"""What a file of answers may be called."""


@dataclass(frozen=True)
class Rejected:
    """A row of a file that has no answer: its number in the file (from 1), the field that is wrong, and why."""

    row: int
    field: str | None
    code: str
    reason: str


@dataclass
class Filed:
    """What came of asking about a file: how many rows were answered, and those that were not."""

    answered: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    tables: list[Any] = field(default_factory=list)
    """The answers, where they go to no file."""


def ask_file(
    asking: Asking,
    file: Path,
    out: Path | None,
    workshop: Workshop,
    progress: Callable[[int], None] = lambda _: None,
    *,
    contributions: bool = False,
) -> Filed:
    """Answer a file's rows: beside each of its columns stand the answer's, in `out` or in memory.

    The file is CSV, TSV, JSON lines or Parquet, read as a source's files are. Columns that the service does not ask
    for go along as they are. A row that is refused has no answer, and stands among the rejected. With
    `contributions` there is a column for what each feature and each source column contributed.
    """
    if out is not None and out.suffix.lower() not in SUFFIXES:
        raise WrongUsage(
            "LCH-1881",
            f"answers cannot be written to `{out.name}`",
            fix=f"call it {', '.join('*' + suffix for suffix in SUFFIXES)}",
        )
    if not file.is_file():
        raise WrongUsage("LCH-1882", f"there is no file `{file}`", fix="name a file of CSV, JSON lines or Parquet")
    connector, options = workshop.connector("files"), {"path": Secret(str(file), str(file))}
    there = [column.name for column in connector.columns(options, {})]
    known = {column.name: column.type for column in asking.deployed.request}
    types = {name: known[name] for name in there if name in known}
    if known and not types:
        raise FoundWrong(
            "LCH-1883",
            f"`{file.name}` has none of the columns that the service asks for",
            why=f"it asks for {', '.join(known)}; there are {', '.join(there)}",
            fix=did_you_mean(there[0] if there else "", known),
        )
    done, extract = Filed(), connector.read(options, types)
    answered = _answered(asking, extract.rows, done, progress, contributions=contributions)
    if out is None:
        done.tables = list(answered)
    else:
        write(out, answered, workshop)
    for batch in each_batch(extract.rejects()):
        for row in rows_of(Table.from_batches([batch])):
            done.rejected.append(Rejected(row["_row"], row["column"], "LCH-1884", row["reason"]))
    done.rejected.sort(key=lambda one: one.row)
    return done


def _answered(
    asking: Asking, rows: Arrow, done: Filed, progress: Callable[[int], None], *, contributions: bool
) -> Iterator[Any]:
    """Tables of answers beside the rows they answer, as they come."""
    names = {column.name for column in asking.deployed.request} | {PREDICTION_ID}
    for batch in each_batch(rows):
        for first in range(0, batch.num_rows, MANY):
            table = Table.from_batches([batch.slice(first, min(MANY, batch.num_rows - first))])
            numbers = table.column("_row").to_pylist()
            table = table.drop_columns(["_row", "_file"])
            given = table.select([name for name in table.column_names if name in names])
            kept, answers = _each(asking, rows_of(given), numbers, done)
            done.answered += len(answers)
            progress(done.answered + len(done.rejected))
            if answers:
                yield _beside(table, kept, asking.shown(answers, contributions=contributions))


def _each(
    asking: Asking, rows: list[dict[str, Any]], numbers: Sequence[int], done: Filed
) -> tuple[list[int], list[Answer]]:
    """The answers to these rows and their places; where one is refused, each is asked alone."""
    try:
        return list(range(len(rows))), asking.answers([dict(row) for row in rows])
    except Refused:
        kept, answers = [], []
        for place, row in enumerate(rows):
            try:
                answers += asking.answers([dict(row)])
                kept.append(place)
            except Refused as refused:
                reason = f"{refused.what}; {refused.fix}"
                done.rejected.append(Rejected(numbers[place], refused.field, refused.code, reason))
        return kept, answers


def _beside(table: Any, kept: Sequence[int], answers: Sequence[Mapping[str, Any]]) -> Any:
    """The kept rows of a table with their answers' columns; where both have a name, the answer's counts."""
    told = answers_table(answers)
    arrays, names = [], []
    for name in table.column_names:
        if name not in told.column_names:
            arrays.append(table.column(name).combine_chunks().take(_places(kept)))
            names.append(name)
    arrays += [told.column(name) for name in told.column_names]
    return Table.from_arrays([_one(array) for array in arrays], names=[*names, *told.column_names])


def _places(kept: Sequence[int]) -> Any:
    return Array.from_numpy(np.array(kept, np.uint32))


def _one(column: Any) -> Any:
    return column.combine_chunks() if hasattr(column, "combine_chunks") else column


def write(out: Path, tables: Iterator[Any], workshop: Workshop) -> None:
    """Write tables of the same columns to a file, in the form its suffix says; it appears once it is whole."""
    part = out.with_name(f".{out.name}.part")
    try:
        if out.suffix.lower() == ".parquet":
            _write_parquet(part, tables, workshop)
        else:
            _write_text(part, tables, as_csv=out.suffix.lower() == ".csv")
        part.replace(out)
    except OSError as failure:
        raise SystemFailed(
            "LCH-3002",
            f"the answers cannot be written to {out}",
            why=failure.strerror,
            fix="check that you may write there and that the disk has room",
        ) from failure
    finally:
        part.unlink(missing_ok=True)


def _write_parquet(part: Path, tables: Iterator[Any], workshop: Workshop) -> None:
    first = next(tables, None)
    if first is None:
        raise FoundWrong(
            "LCH-1885",
            "there is no answer to write",
            why="no row was answered",
            fix="see which were refused",
        )

    def batches() -> Iterator[Any]:
        yield from first.to_batches()
        for table in tables:
            yield from table.to_batches()

    with TemporaryDirectory(prefix="predict-", dir=workshop.folder("scratch")) as staging:
        rows = Relation(arrow=Stream(first.schema, batches))
        (file,) = workshop.engine.sql("FROM answers", {"answers": rows}, Path(staging))
        shutil.move(Path(staging) / file.path, part)


def _write_text(part: Path, tables: Iterator[Any], *, as_csv: bool) -> None:
    with open(part, "w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text)
        for number, table in enumerate(tables):
            if as_csv and number == 0:
                writer.writerow(table.column_names)
            for row in rows_of(table):
                values = {name: _plain(value) for name, value in row.items()}
                if as_csv:
                    writer.writerow(["" if value is None else _cell(value) for value in values.values()])
                else:
                    text.write(json.dumps(values, ensure_ascii=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal | bytes) else value


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, list | dict) else value


def write_rejected(path: Path, rejected: Sequence[Rejected]) -> None:
    """Write the rows that have no answer as CSV: their number, the field, the code, the reason."""
    with open(path, "w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(["row", "field", "code", "reason"])
        writer.writerows([one.row, one.field or "", one.code, one.reason] for one in rejected)
