from __future__ import annotations

from lichen.deploy.standing import Standing


def test_it_tells_how_old_each_views_newest_row_is() -> None:
    standing = Standing(9, behind=True, known_until={"carrier": 1_000_000, "ahead": 99_000_000})
    assert standing.ages(3_500_000) == {"carrier": 2.5, "ahead": 0.0}
    assert standing.as_dict(3_500_000) == {
        "newest_release": 9,
        "behind": True,
        "features": {
            "carrier": {"known_until": "1970-01-01T00:00:01+00:00", "age_seconds": 2.5},
            "ahead": {"known_until": "1970-01-01T00:01:39+00:00", "age_seconds": 0.0},
        },
    }
