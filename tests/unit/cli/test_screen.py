from __future__ import annotations

import json
from typing import Any

import pytest

from lichen.cli import screen
from lichen.ground.duration import parse_duration
from lichen.run.execute import Outcome
from lichen.run.history import Entry
from lichen.run.release import Release


def shown(
    shop: Any, sql: str, capsys: pytest.CaptureFixture[str], limit: int | None = None, as_json: bool = False
) -> Any:
    screen.show_rows(shop.open().query(sql), limit=limit, as_json=as_json)
    return capsys.readouterr()


def test_a_querys_rows_are_aligned_and_harmless(shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(
        shop,
        "SELECT 1 AS \"a\nb\", NULL AS n, true AS t, [1, NULL] AS l, {'k': 'v'} AS s, '北京' AS w, "
        "chr(27) || '[31m' AS x, TIMESTAMPTZ '2026-01-01 00:00:00Z' AS at, INTERVAL 3 DAY AS i",
        capsys,
    )
    assert said.out.splitlines() == [
        "a\\nb  n     t     l          s           w     x         at                         i",
        '1     null  true  [1, null]  {"k": "v"}  北京  \\x1b[31m  2026-01-01 00:00:00+00:00  3 days',
    ]


def test_people_see_the_first_rows_and_machines_all(shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(shop, "FROM range(51)", capsys)
    assert (len(said.out.splitlines()), said.err) == (51, "... the first 50 rows; --limit 0 shows all\n")
    assert shown(shop, "FROM range(50)", capsys).err == ""
    assert len(shown(shop, "FROM range(51)", capsys, limit=0).out.splitlines()) == 52
    assert shown(shop, "FROM range(3)", capsys, limit=1).err == "... the first 1 row; --limit 0 shows all\n"
    facts = json.loads(shown(shop, "FROM range(5000)", capsys, as_json=True).out)
    assert (len(facts["rows"]), facts["more"]) == (5000, False)
    facts = json.loads(shown(shop, "FROM range(5000)", capsys, as_json=True, limit=2).out)
    assert (facts["rows"], facts["more"]) == ([[0], [1]], True)


def test_no_rows(shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(shop, "SELECT 1 AS one, 2 AS two WHERE false", capsys)
    assert (said.out, said.err) == ("one  two\n", "no rows\n")
    assert json.loads(shown(shop, "SELECT 1 AS one WHERE false", capsys, as_json=True).out)["rows"] == []


def test_what_json_has_no_number_for_is_a_text(shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    sql = "SELECT 'nan'::DOUBLE AS a, ['inf'::DOUBLE] AS b, sum(1) AS c, 1.50::DECIMAL(9, 2) AS d, '\\xFF'::BLOB AS e"
    facts = json.loads(shown(shop, sql, capsys, as_json=True).out)
    assert facts["rows"] == [["NaN", ["Infinity"], 1, "1.50", "ff"]]


def test_counts_have_their_nouns() -> None:
    assert [screen.count(n, "row") for n in (0, 1, 2000)] == ["0 rows", "1 row", "2,000 rows"]
    assert screen.count(2, "entity", "entities") == "2 entities"
    assert screen.day(int(parse_duration("31d").total_seconds() * 1e6)) == "1970-02-01"


def test_what_a_check_finds(shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    project = shop.open()
    screen.show_check(project, project.check())
    said = capsys.readouterr()
    assert said.out.splitlines()[1:] == [
        "22 columns and 10 features resolved; nothing is wrong",
        "taken as known always, for they say `static: true`: customer",
    ]


def test_the_history(answered: Any, capsys: pytest.CaptureFixture[str]) -> None:
    screen.show_history(answered.open().history())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["release", "at", "by", "commit", "what", "changed"]
    assert lines[1].endswith("record  predictions.late_payment")
    assert lines[2].endswith("run     10 built")


def entry(number: int, what: str, **facts: Any) -> Entry:
    release = Release(number, "prod", {}, {}, "2026-01-01T00:00:00+00:00", None, {"commit": "a" * 40, **facts})
    return Entry(release, what, ("table.a", "table.b"), ("table.c",), kept=number > 1)


def test_the_history_of_moves(capsys: pytest.CaptureFixture[str]) -> None:
    why = ["tables/a.sql: sql changed", "tables/b.sql: time changed", "table.c: the project no longer has it"]
    screen.show_history(
        [
            entry(3, "rollback", rolled_back_to=1),
            entry(2, "promote", promoted_from={"environment": "dev", "release": 9}),
            entry(1, "run", did={"built": 1, "refreshed": 2, "dropped": 1}, why=why),
        ]
    )
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()[1:]]
    assert [[cell.strip() for cell in line if cell.strip()][-2:] for line in lines] == [
        ["rollback to 1", "table.a, table.b; gone: table.c"],
        ["promote of dev 9", "table.a, table.b; gone: table.c"],
        [
            "run, swept",
            "1 built, 2 refreshed, 1 dropped: tables/a.sql: sql changed; tables/b.sql: time changed and 1 more",
        ],
    ]


def test_no_progress_where_nobody_looks() -> None:
    assert screen.progress("replay", "requests") is None


def test_cohorts_in_which_nobody_asked_are_one_row() -> None:
    day = 86_400_000_000

    def cohort(number: int, predictions: int, *, metric: str = "rmse") -> dict[str, Any]:
        scores = {
            "positives": None, "days": 7, "mean_label": 31.25, "mean_score": 30.0,
            "metrics": {metric: 5.4321}, "intervals": {metric: [5.0, 6.0]},
        }  # fmt: skip
        counts = {"predictions": predictions, "labelled": predictions, "scores": scores if predictions else None}
        return {"start": number * day, "end": (number + 1) * day, "state": "mature", **counts}

    watch = {
        "metrics": ["rmse"],
        "cohorts": [cohort(0, 1000), cohort(1, 0), cohort(2, 5), *(cohort(number, 0) for number in range(3, 400))],
        "drifts": [{"start": 0, "drifted": True}, {"start": 0, "drifted": False}],
    }
    assert screen.cohort_rows(watch) == [
        ("from", "to", "answers", "labels", "mean label", "RMSE", "95 % interval", "moved", ""),
        ("1970-01-01", "1970-01-02", "1,000", "1,000", "31.25", "5.432", "5 to 6", "1 of 2", ""),
        ("1970-01-02", "1970-01-03", "0", "0", "", "", "", "", ""),
        ("1970-01-03", "1970-01-04", "5", "5", "31.25", "5.432", "5 to 6", "", ""),
        ("1970-01-04", "1971-02-05", "0", "0", "", "", "", "", "397 empty cohorts"),
    ]


SHOUT = "MORE THAN HALF SET ASIDE: 4 of the 6 rows read"


@pytest.mark.parametrize(
    ("judged", "said"),
    [
        ({"roc_auc": 3, "drift": 1}, "nothing found"),
        ({"roc_auc": 0, "drift": 1, "missing": 0}, "nothing found, but roc_auc and missing could not be judged"),
        ({"roc_auc": 0, "drift": 0}, "! nothing could be judged, so this is no good news: the notes say why"),
    ],
)
def test_what_was_not_judged_is_no_good_news(judged: dict[str, int], said: str) -> None:
    assert screen.nothing_found({"findings": [], "judged": judged}) == said
    assert screen.nothing_found({"findings": [{}], "judged": judged}) is None


def test_a_line_tells_of_rows_set_aside_and_of_rows_that_came_too_late() -> None:
    outcome = Outcome("source.s", "collect", "built", 1.0, "v", 5, 2, 1, (SHOUT,))
    late = "1 late row left out: below the cursor less `lateness`, which may be longer"
    assert screen.outcome_line(outcome).endswith(f" 5 rows    1.00 s  2 set aside; {late}; {SHOUT}")
