# ruff: noqa: E501 (texts in a table are read line by line, and never broken)

"""Tables scored inside a run of the starter's project: each row by the model, as of the row's own instant."""

from __future__ import annotations

from typing import Any

import pytest

from lichen.errors import LichenError, ProjectErrors
from lichen.ground.instant import to_us
from lichen.run import scored

LATER = "TIMESTAMPTZ '2040-01-01 00:00:00+00'"
"""An instant at which all that the project holds is known, as it is to the online store."""

FRONT = """\
/* ---
grain: [invoice]
score: {model: late_payment, at: asked_at}
--- */
"""
SCORED = FRONT + "SELECT invoice, customer, amount, terms_days, issued_at AS asked_at FROM invoices\n"
REQUEST = ("customer", "amount", "terms_days")


def run(shop: Any) -> Any:
    with shop.open() as project:
        return project.run()


def steps(shop: Any) -> dict[str, tuple[str, str]]:
    with shop.open() as project:
        return {step.asset: (step.action, step.reason) for step in project.plan().steps}


def told(shop: Any) -> list[LichenError]:
    with shop.open() as project:
        try:
            return list(project.check().errors)
        except ProjectErrors as several:
            return list(several.errors)


def model_version(shop: Any) -> str:
    with shop.open() as project:
        return str(project.service("late_payment").deployed.model_version)


def test_scores_are_what_a_replay_answers_at_the_same_instants(answered: Any) -> None:
    """The recorded answers of the row path, each of the online state as it was then; not one bit differs."""
    answered.write("tables/scored.sql", SCORED)
    assert run(answered).release is not None
    both = f"""
        SELECT p.score, s.score FROM predictions_late_payment AS p
        JOIN scored AS s ON s.asked_at = p.at AND {" AND ".join(f's.{name} = p."request.{name}"' for name in REQUEST)}
    """
    rows = answered.rows(both)
    assert len(rows) > 300
    assert [row[0] for row in rows] == [row[1] for row in rows]


def test_a_score_is_what_the_service_answers_to_the_row_at_that_instant(shop: Any) -> None:
    odd = ("'no key', NULL, 100.0, 30", "'unknown key', 'nobody', 100.0, 30", "'nothing', NULL, NULL, NULL")
    more = "".join(f"UNION ALL SELECT {values}, {LATER}\n" for values in odd)
    shop.write(
        "tables/scored.sql",
        SCORED.replace("issued_at", LATER).replace("SELECT invoice,", "SELECT invoice::VARCHAR AS invoice,") + more,
    )
    assert run(shop).release is not None
    rows = shop.rows(f"SELECT invoice, score, model_version, asked_at, {', '.join(REQUEST)} FROM scored")
    with shop.open() as project:
        path = project.service("late_payment").path
        answers = [path.answer(dict(zip(REQUEST, row[4:], strict=True)), to_us(row[3]), 0.0) for row in rows]
    assert [row[1] for row in rows] == [answer.score for answer in answers]
    assert {row[2] for row in rows} == {model_version(shop)}
    assert len({row[1] for row in rows}) > 1000
    assert {"no key", "unknown key", "nothing"} <= {row[0] for row in rows}


def test_a_row_is_scored_as_of_its_own_instant_and_not_without_one(shop: Any) -> None:
    """The features are those of the training set, which was joined at the same instants; null has no score."""
    at = "CASE invoice % 100 WHEN 1 THEN NULL WHEN 2 THEN 'infinity' ELSE issued_at END AS asked_at"
    shop.write("tables/scored.sql", SCORED.replace("issued_at AS asked_at", f"{at}, issued_at"))
    run(shop)
    with shop.open() as project:
        service = project.service("late_payment").deployed
    features = ", ".join(f't."{column.name}"' for column in service.features)
    rows = shop.rows(
        f"SELECT s.score, {features} FROM training_late_payment AS t JOIN scored AS s USING (invoice)"
        " WHERE isfinite(s.asked_at)"
    )
    assert len(rows) > 1000
    assert [row[0] for row in rows] == [service.score(service.encode(row[1:])) for row in rows]
    count = "SELECT count(*), count(score), count(model_version), count(*) FILTER (isfinite(asked_at)) FROM scored"
    ((every, scored, versions, finite),) = shop.rows(count)
    assert every == versions > scored == finite > 0


TYPES = {
    "whole": "1::TINYINT", "huge": "99999999999999999999999999999999999999::HUGEINT", "exact": "1.50::DECIMAL(9,2)",
    "bytes": "'\\xAA'::BLOB", "day": "DATE '2024-02-29'", "clock": "TIMESTAMP '2024-02-29 01:02:03.456789'",
    "id": "'5f3f1f5e-0a9b-4c1e-8b6f-1d2c3b4a5968'::UUID", "vector": "[1.5, NULL, 2.5]::FLOAT[3]", "list": "['a', NULL]",
    "pair": "{'a': 1, 'b': 'x'}", "kind": "'b'::ENUM ('a', 'b')", "nothing": "NULL::BOOLEAN", "text": "'é' || chr(0)",
}  # fmt: skip
"""Columns of every type that a table may have."""


def test_the_other_columns_stay_what_they_are(shop: Any) -> None:
    given = ", ".join(f"{value} AS {name}" for name, value in TYPES.items())
    plain = f"SELECT invoice, customer, amount, terms_days, issued_at AS asked_at, {given} FROM invoices\n"
    shop.write("tables/plain.sql", plain)
    shop.write("tables/scored.sql", FRONT + plain)
    shop.write(
        "tables/none.sql", FRONT + plain.replace("FROM", "FROM (FROM").replace("invoices\n", "invoices LIMIT 0)")
    )
    assert run(shop).release is not None
    with shop.open() as project:
        versions = project.releases.versions(project.releases.current("prod"))
    added = [("score", "DOUBLE"), ("model_version", "VARCHAR")]
    wanted = [(column.name, column.type) for column in versions["table.plain"].columns]
    for name in ("scored", "none"):
        assert [(column.name, column.type) for column in versions[f"table.{name}"].columns] == wanted + added
    kept = "FROM (SELECT * EXCLUDE (score, model_version) FROM scored EXCEPT ALL FROM plain)"
    assert shop.rows(f"SELECT count(*) {kept}") == shop.rows("SELECT count(*) FROM none") == [(0,)]


def test_scores_do_not_depend_on_the_parts_in_which_a_table_is_scored(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.write("tables/scored.sql", SCORED)
    shop.write("tables/parts.sql", SCORED)
    with shop.open() as project:
        features = len(project.service("late_payment").deployed.features)
        project.run()
    shop.edit("tables/parts.sql", "FROM invoices", "FROM invoices WHERE true")
    monkeypatch.setattr(scored, "VALUES", 500 * features)
    run(shop)
    with shop.open() as project:
        versions = project.releases.versions(project.releases.current("prod"))
    sizes = {name: [file.rows for file in versions[f"table.{name}"].files] for name in ("scored", "parts")}
    (rows,) = sizes["scored"]
    assert rows > 1000
    assert sum(sizes["parts"]) == rows
    assert 400 < min(sizes["parts"]) <= max(sizes["parts"]) <= 500
    assert shop.rows("FROM scored") == shop.rows("FROM parts")


def test_a_plan_says_why_a_table_is_scored_anew_and_a_run_does_it(shop: Any) -> None:
    shop.write("tables/scored.sql", SCORED)
    shop.write("tables/above.sql", "SELECT customer, avg(score) AS score FROM scored GROUP BY ALL\n")
    assert steps(shop)["table.scored"] == ("build", "it is new")
    run(shop)
    assert steps(shop) == {}
    first = shop.rows("SELECT invoice, score FROM scored ORDER BY invoice")
    # What only the model reads: the table's own statement and rows stay.
    shop.edit("models/late_payment.yaml", "{C: 0.1}", "{C: 0.2}")
    found = steps(shop)
    assert found["table.scored"] == ("refresh", "model.late_payment may change")
    assert found["table.above"] == ("refresh", "table.scored may change")
    run(shop)
    assert shop.rows("SELECT DISTINCT model_version FROM scored") == [(model_version(shop),)]
    second = shop.rows("SELECT invoice, score FROM scored ORDER BY invoice")
    assert len(first) == len(second)
    assert first != second
    # A view that only the model reads.
    shop.edit("features/customer_payments.yaml", "[60d, all]", "[90d, all]")
    assert steps(shop)["table.scored"] == ("refresh", "model.late_payment may change")
    shop.edit("features/customer_payments.yaml", "[90d, all]", "[60d, all]")
    # A release holds a model and what it said: both go back.
    with shop.open() as project:
        project.rollback()
    assert shop.rows("SELECT invoice, score FROM scored ORDER BY invoice") == first
    assert shop.rows("SELECT DISTINCT model_version FROM scored") == [(model_version(shop),)]


def test_a_model_that_its_gate_holds_scores_nothing_that_is_released(shop: Any) -> None:
    shop.write("tables/scored.sql", SCORED)
    run(shop)
    before = shop.rows("SELECT DISTINCT model_version FROM scored")
    shop.edit("models/late_payment.yaml", "{C: 0.1}", "{C: 0.2}")
    shop.edit("models/late_payment.yaml", "min: 0.7,", "min: 0.99,")
    done = run(shop)
    assert (done.held, done.release) == (("model.late_payment",), None)
    assert shop.rows("SELECT DISTINCT model_version FROM scored") == before == [(model_version(shop),)]


def test_where_a_name_changed_the_scores_name_the_model_s_version_as_it_is_now(shop: Any) -> None:
    shop.write("tables/scored.sql", SCORED)
    run(shop)
    (shop.root / "tables/payments.sql").rename(shop.root / "tables/paid.sql")
    shop.edit("features/customer_payments.yaml", "from: payments", "from: paid")
    found = steps(shop)
    assert found["model.late_payment"][0] == "carry"
    assert found["table.scored"][0] == "refresh"
    run(shop)
    assert shop.rows("SELECT DISTINCT model_version FROM scored") == [(model_version(shop),)]


WRONG = [
    ("at: asked_at", "at: asked", "LCH-2236", "`score.at: asked` is no column of instants (TIMESTAMP WITH TIME ZONE)", "asked"),
    ("issued_at AS", "issued_at::DATE AS", "LCH-2236", "`score.at: asked_at` is no column of instants (TIMESTAMP WITH TIME ZONE)", "asked_at"),
    ("model: late_payment", "model: late_payments", "LCH-2102", "there is no model `late_payments`", "late_payments"),
    ("amount, ", "", "LCH-2513", "a request to `late_payment` brings `amount`, and `scored` has no such column", "late_payment"),
    ("amount, ", "amount::VARCHAR AS amount, ", "LCH-2514",
     "a request to `late_payment` brings `amount` as DOUBLE, and `scored` has it as VARCHAR", "late_payment"),
    ("amount, ", "amount, 1 AS Score, ", "LCH-2237", "the statement gives a column `Score`, which scoring adds", "{model"),
    ("score: {", "intervals: {by: asked_at, every: 1d}\nscore: {", "LCH-2238", "a table in intervals cannot be scored", "{model"),
]  # fmt: skip
"""What is written otherwise, and the error with the word at its place."""


@pytest.mark.parametrize(("old", "new", "code", "what", "word"), WRONG, ids=[f"{one[2]}-{one[1]}" for one in WRONG])
def test_what_is_wrong_is_told_before_a_run(fresh: Any, old: str, new: str, code: str, what: str, word: str) -> None:
    text = SCORED.replace(old, new, 1)
    fresh.write("tables/scored.sql", text)
    (error,) = told(fresh)
    assert (error.code, error.what) == (code, what)
    line = next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith("score:"))
    column = text.splitlines()[line - 1].index(word, len("score:") if word.startswith("{") else 0)
    assert str(error.where) == f"tables/scored.sql:{line}:{column + 1}"
    assert error.fix


def test_what_only_the_rows_tell_is_told_with_its_place(shop: Any) -> None:
    """A value that is none of the type which a request brings."""
    shop.write("tables/scored.sql", SCORED.replace("terms_days,", "1e300 AS terms_days,"))
    with pytest.raises(LichenError) as wrong:
        run(shop)
    assert (wrong.value.exit_code, str(wrong.value.where)) == (1, "tables/scored.sql:3:8")
    assert "1e+300" in str(wrong.value.why)
