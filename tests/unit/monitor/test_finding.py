from __future__ import annotations

import json
from dataclasses import replace

from lichen.monitor.finding import Finding, Unjudged


def finding(**changes) -> Finding:
    what = {"monitor": "m", "kind": "drift", "subject": "trip.hour", "cohort": (0, 7)} | changes
    return Finding.of(**what, severity=0.2, message="said", found_at=9, evidence={"effect": 0.4})


def test_the_id_says_what_where_and_when_and_nothing_else():
    one = finding()
    assert one.id == finding().id
    assert len({one.id, finding(kind="x").id, finding(subject="x").id, finding(cohort=(7, 14)).id}) == 4
    again = Finding.of("m", "drift", "trip.hour", (0, 7), severity=0.9, message="other", found_at=10, evidence={})
    assert again.id == one.id


def test_findings_and_what_was_not_judged_are_json():
    one = finding()
    assert json.loads(json.dumps(one.as_dict()))["evidence"] == {"effect": 0.4}
    assert Finding(**one.as_dict()) == replace(one)
    assert Unjudged("drift", 0, 7, "{had} rows: few", 3).as_dict() == {
        "question": "drift", "start": 0, "end": 7, "said": "{had} rows: few", "had": 3, "reason": "3 rows: few"
    }  # fmt: skip
