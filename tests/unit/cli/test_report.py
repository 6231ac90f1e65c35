from __future__ import annotations

from typing import Any

import pytest

from lichen.cli.report import leave_pages, show_status, status_document


def test_a_report_tells_the_whole_loop(answered: Any, capsys: pytest.CaptureFixture[str]) -> None:
    show_status(answered.open().status())
    said = capsys.readouterr()
    for heading in (
        "What was built",
        "How good the model is: late_payment",
        "What was asked",
        "What the monitor found",
    ):
        assert f"\n{heading}" in said.out
    assert said.err.startswith("next: lichen serve late_payment")


def test_what_is_next_is_said_for_its_environment(answered: Any, capsys: pytest.CaptureFixture[str]) -> None:
    show_status({**answered.open().status(), "environment": "trial"})
    assert capsys.readouterr().err == (
        "next: lichen serve late_payment --env trial    "
        'lichen query "FROM quarantine" --env trial    lichen history --env trial\n'
    )


def test_before_the_first_release(fresh: Any, capsys: pytest.CaptureFixture[str]) -> None:
    facts = fresh.open().status()
    show_status(facts)
    assert capsys.readouterr().out == "shop: `prod` has no release yet\n"
    failed = {"run": {"status": "failed"}, "errors": [{"code": "LCH-1", "what": "x\x1b[2J"}]}
    show_status({**facts, **failed})
    assert capsys.readouterr().out.splitlines()[1] == "! the last run failed: LCH-1: x\\x1b[2J"
    assert leave_pages(fresh.open(), "r") == []


def test_what_could_not_be_measured_is_said(answered: Any) -> None:
    facts = answered.open().status()
    (model,) = facts["models"].values()
    model["roc_auc"] = None
    text = status_document(facts).as_text()
    (line,) = [line for line in text.splitlines() if line.strip().startswith("roc auc")]
    assert line.rstrip().endswith("not measured  the test's labels are all alike")
    assert "nan" not in text.split()


def test_a_release_without_a_model(answered: Any, capsys: pytest.CaptureFixture[str]) -> None:
    facts = {**answered.open().status(), "models": {}, "services": {}, "watches": {}}
    show_status(facts)
    said = capsys.readouterr()
    assert "How good" not in said.out
    assert said.err == 'next: lichen query "FROM quarantine"\n'


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ({"status": "done"}, None),
        (
            {"status": "held", "held": [{"asset": "model.m", "why": "too low"}]},
            "was held by its gate: model.m: too low",
        ),
        (
            {"status": "killed", "started": "2026-01-02T03:04:05"},
            "began at 2026-01-02 03:04 and ended without saying how: it was killed, or the disk was full",
        ),
        ({"status": "running", "started": "2026-01-02T03:04:05"}, "began at 2026-01-02 03:04 and has not ended"),
    ],
)
def test_a_last_run_that_led_to_no_release_is_said(answered: Any, run: dict[str, Any], said: str | None) -> None:
    text = status_document({**answered.open().status(), "run": run}).as_text()
    assert ("! the last run" in text) is (said is not None)
    assert said is None or said in text


def test_pages_are_left_beside_each_other(answered: Any) -> None:
    project = answered.open()
    pages = leave_pages(project, "x")
    assert pages == [".lichen/reports/run-x.html", ".lichen/reports/run-x.md"]
    page, markdown = ((answered.root / name).read_text() for name in pages)
    assert page.startswith("<!doctype html>")
    assert markdown.startswith("# shop, `prod`, release 2")


def test_names_from_data_are_escaped(answered: Any) -> None:
    facts = answered.open().status()
    facts["tables"]["<script>"] = {
        "rows": 1,
        "quarantined": 1,
        "late": 1,
        "left_out": [],
        "breaches": [{"column": "<b>", "reason": "|", "rows": 1}],
    }
    made = status_document(facts)
    assert "<script>" not in made.as_html()
    assert "<script>" not in made.as_markdown().replace("\\<script>", "")
