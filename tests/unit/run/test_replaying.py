from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

COUNT = "SELECT count(*), count(DISTINCT prediction_id) FROM predictions_late_payment"


def test_asking_again_records_nothing_again(answered: Any) -> None:
    before = answered.rows(COUNT)
    heard: list[tuple[int, int]] = []
    start = datetime(2026, 6, 1, tzinfo=UTC)
    facts = answered.open().replay(start=start, progress=lambda done, of: heard.append((done, of)))
    assert (facts["recorded"], facts["requests"]) == (0, 58)
    assert heard[-1] == (58, 58)
    assert answered.rows(COUNT) == before
    assert before[0][0] == before[0][1] > 300
    status = answered.open().status()
    assert status["service"]["requests"] == 58
    assert status["service"]["predictions"] == before[0][0]
    assert not list((answered.root / ".lichen/scratch").glob("replay-*"))


def test_what_a_replay_saw_is_what_training_saw(answered: Any) -> None:
    asked = answered.rows("""
        SELECT count(*), count(*) FILTER (WHERE p."feature.customer_payments.days_late_all"
          IS NOT DISTINCT FROM t."customer_payments.days_late_all")
        FROM predictions_late_payment AS p JOIN training_late_payment AS t
        ON t.customer = p."request.customer" AND t.issued_at = p."at" AND t.amount = p."request.amount"
    """)
    assert asked[0][0] == asked[0][1] > 300
