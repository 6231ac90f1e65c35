"""Numbers with their nouns, as people say them."""

from __future__ import annotations


def count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun.

    >>> count(1, "row"), count(2000, "row"), count(2, "entity", "entities")
    ('1 row', '2,000 rows', '2 entities')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
