"""A service asked without HTTP and about files gives the answers that it gives over HTTP."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from arro3.core import Table
from processes import Nursery, served
from small_project import START, SmallProject

from lichen import Client, Project
from lichen.deploy.refused import Refused

ROWS = [
    {"shop": shop, "asked_at": START.isoformat(), "cents": 10 * number}
    for number, shop in enumerate(["north", "south", "gone", None] * 10)
]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SmallProject, Nursery]]:
    folder = tmp_path_factory.mktemp("asking")
    made, nursery = SmallProject(folder / "small", seed=81), Nursery(folder / "nursery")
    assert nursery.lichen(made.root, "run").code == 0
    yield made, nursery
    nursery.close()


def write_csv(path: Path, rows: list[dict[str, object]]) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as text:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_in_process_and_over_http_answers_are_equal(small: tuple[SmallProject, Nursery]) -> None:
    root = small[0].root
    with served(root) as (_, told), Client(told["address"]) as client:
        over_http = client.predict(ROWS)
        as_table = Table.from_arrow(client.predict(_arrow(ROWS)))
        told_over_http = client.predict(ROWS, contributions=True)
        parts_over_http = Table.from_arrow(client.predict(_arrow(ROWS), contributions=True))
    with Project(root) as project:
        service = project.service("buys")
        in_process = service.predict(ROWS)
        one = service.predict(ROWS[0])
        table = Table.from_arrow(service.predict(_arrow(ROWS)))
        parts = service.predict(ROWS, contributions=True)
        with pytest.raises(Refused) as refused:
            service.predict([*ROWS, {"cents": "many"}])
    scores = [answer["score"] for answer in over_http]
    assert [answer["score"] for answer in in_process] == scores
    assert (one["score"], one["model_version"]) == (scores[0], over_http[0]["model_version"])
    assert table.column("score").to_pylist() == as_table.column("score").to_pylist() == scores
    assert [answer["probability"] for answer in over_http] == table.column("probability").to_pylist()
    assert [answer["contributions"] for answer in told_over_http] == [answer["contributions"] for answer in parts]
    bases = parts_over_http.column("contributions.base").to_pylist()
    assert bases == [answer["contributions"]["base"] for answer in parts]
    assert parts_over_http.column("contributions.source_columns.shops.size").to_pylist() == [
        answer["contributions"]["source_columns"]["shops.size"] for answer in parts
    ]
    assert (refused.value.row, refused.value.field) == (len(ROWS), "cents")
    assert list((root / ".lichen/records/prod/buys").iterdir()) == [root / ".lichen/records/prod/buys/live"]


def _arrow(rows: list[dict[str, object]]) -> Table:
    import duckdb

    values = ", ".join(
        f"({'NULL' if row['shop'] is None else repr(row['shop'])}, TIMESTAMPTZ '{row['asked_at']}', {row['cents']})"
        for row in rows
    )
    return Table.from_arrow(duckdb.sql(f"SELECT * FROM (VALUES {values}) AS t(shop, asked_at, cents)"))


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_file_is_answered(small: tuple[SmallProject, Nursery], tmp_path: Path, suffix: str) -> None:
    root, nursery = small[0].root, small[1]
    given = write_csv(tmp_path / "asked.csv", [{"number": n, **row} for n, row in enumerate(ROWS)])
    out = tmp_path / f"answers.{suffix}"
    ended = nursery.lichen(root, "predict", "buys", str(given), "--out", str(out), "--json", "--contributions")
    assert (ended.code, ended.facts["answered"], ended.facts["rejected"]) == (0, len(ROWS), []), ended
    with Project(root) as project:
        wanted = [answer["score"] for answer in project.service("buys").predict(ROWS)]
    found = _read(out)
    assert [float(row["score"]) for row in found] == wanted
    parts = [name for name in found[0] if name.startswith("contributions.features.")]
    for row in found:
        margin = float(row["contributions.base"]) + sum(float(row[name]) for name in parts)
        assert abs(1 / (1 + math.exp(-margin)) - float(row["score"])) < 1e-9
    assert [int(row["number"]) for row in found] == list(range(len(ROWS)))
    assert {row["shop"] for row in found} == {"north", "south", "gone", None}
    assert not list(tmp_path.glob(".*"))


def _read(path: Path) -> list[dict[str, object]]:
    if path.suffix == ".csv":
        with open(path, newline="", encoding="utf-8") as text:
            return [{name: value or None for name, value in row.items()} for row in csv.DictReader(text)]
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    import duckdb

    table = Table.from_arrow(duckdb.sql(f"FROM read_parquet('{path}')"))
    columns = [table.column(name).to_pylist() for name in table.column_names]
    return [dict(zip(table.column_names, values, strict=True)) for values in zip(*columns, strict=True)]


def test_rows_that_are_refused_are_told(small: tuple[SmallProject, Nursery], tmp_path: Path) -> None:
    root, nursery = small[0].root, small[1]
    rows = [*ROWS, {**ROWS[0], "cents": "many"}, {**ROWS[0], "asked_at": "0001-01-01T00:00:00+14:00"}, ROWS[1]]
    given, rejects = write_csv(tmp_path / "asked.csv", rows), tmp_path / "rejects.csv"
    out = tmp_path / "answers.csv"
    ended = nursery.lichen(root, "predict", "buys", str(given), "--out", str(out), "--rejects", str(rejects))
    assert ended.code == 1, ended
    told = _read(rejects)
    assert told[0]["row"] == str(len(ROWS) + 1)
    assert told[0]["field"] == "cents"
    assert len(_read(out)) == len(rows) - len(told)
    assert f"{len(rows) - len(told)} rows answered in {out}" in ended.err
    shown = nursery.lichen(root, "predict", "buys", str(given))
    assert shown.code == 1
    assert f"row {len(ROWS) + 1}: LCH-1884" in shown.err
    assert "prediction_id" in shown.out.splitlines()[0]
    as_json = nursery.lichen(root, "predict", "buys", str(given), "--json").facts
    assert as_json["verb"] == "predict"
    assert len(as_json["rows"]) == as_json["answered"] == len(rows) - len(told)


WRONG = [
    (["buys", "none.csv"], 2, "LCH-1882", "there is no file `none.csv`"),
    (["buys", "asked.csv", "--out", "answers.xlsx"], 2, "LCH-1881", "answers cannot be written to `answers.xlsx`"),
    (["buys", "other.csv"], 1, "LCH-1883", "`other.csv` has none of the columns that the service asks for"),
    (["buys", "bad.csv", "--out", "answers.parquet"], 1, "LCH-1885", "there is no answer to write"),
    (["sells", "asked.csv"], 2, "LCH-1017", "there is no service `sells`"),
]


@pytest.mark.parametrize(("words", "code", "error", "what"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_told(
    small: tuple[SmallProject, Nursery], words: list[str], code: int, error: str, what: str
) -> None:
    root, nursery = small[0].root, small[1]
    write_csv(root / "asked.csv", ROWS)
    write_csv(root / "other.csv", [{"colour": "red"}])
    write_csv(root / "bad.csv", [{**ROWS[0], "cents": "many"}])
    ended = nursery.lichen(root, "predict", *words, "--json")
    assert (ended.code, ended.error["code"], ended.error["what"]) == (code, error, what)
