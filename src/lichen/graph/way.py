"""One way by which a value of a source reaches another column: how much later, and through which rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from lichen.graph.lineage import AssetColumn
from lichen.graph.shift import NO_EARLIER, STAYS, Span

Role = Literal["key", "last", "value", "window", "relation", "filter"]


class Site(NamedTuple):
    """A place of a statement where a value meets rows other than its own, or passes by them.

    `key`, `last` and `value` stand for a SELECT that groups: the value is its key, the greatest of the group's, or
    another aggregate. `window` is a window, `filter` the condition of one aggregate, `relation` a relation of a FROM.
    `node` finds it in its `Arrivals`.
    """

    asset: str
    node: int
    role: Role


class Choice(NamedTuple):
    """A place where a value is one of several: a branch of CASE or `least`, or, with `rows`, a side of a union.

    `branch` is counted from 0 to `of`; a branch through which nothing comes, a constant or a null, counts as well.
    """

    node: int
    branch: int
    of: int
    rows: bool = False


class Instant(NamedTuple):
    """So many microseconds after what is made at a place, whatever that is: the source column itself, or an expression.

    Two that are made alike of the same row are the same.
    """

    made: str
    after: int = 0

    def moved(self, by: int) -> Instant:
        """The instant so much later."""
        return Instant(self.made, self.after + by)


ITSELF = Instant("")
"""The source's column as it is."""


@dataclass(frozen=True)
class Arrival:
    """One way from a source's column into another.

    `least` and `most` say by how many microseconds an instant is later than the column; None where that is not known.
    `same` is the instant itself, `floors` are those that it is no earlier than. `sites` are the places it came through,
    the source's first, `choices` the branches.
    """

    column: AssetColumn
    least: int | None = 0
    most: int | None = 0
    sites: tuple[Site, ...] = ()
    choices: frozenset[Choice] = frozenset()
    same: Instant = ITSELF
    floors: frozenset[Instant] = frozenset()
    bucket: tuple[int, int] | None = None
    """Where it is the first instant of so many months: their number, and the `least` of what lies in them."""

    filled: bool = False
    """Whether another value stands in its place where it is null."""

    @classmethod
    def unread(cls, column: AssetColumn) -> Arrival:
        """A way of which nothing else is known."""
        return cls(column, None, None, same=Instant("?"))

    @property
    def mixed(self) -> bool:
        """Whether it came through a sum over a group or a window, where values of several rows meet."""
        return any(site.role in ("value", "last", "window") for site in self.sites)

    @property
    def of_own_rows(self) -> bool:
        """Whether it is of the row itself, or the greatest of a whole group: no other aggregate, and of no window."""
        return not any(site.role in ("value", "window", "filter") for site in self.sites)

    @property
    def rows(self) -> tuple[int, ...]:
        """The relations through which it came: two ways that came through the same are of the same row."""
        return tuple(site.node for site in self.sites if site.role == "relation")

    @property
    def is_bare(self) -> bool:
        """Whether it is the source's column as it is."""
        return self.same == ITSELF

    def before(self, place: int) -> Arrival:
        """The same up to one of its places."""
        return replace(self, sites=self.sites[:place])

    def moved(self, by: Span | None, made: str = "?") -> Arrival:
        """The same, so many microseconds later; `made` is the place, where it is not the same for all rows."""
        new = Instant(made)
        if by is None:
            kept = frozenset(one for one in self.choices if one.rows)
            return replace(self, least=None, most=None, bucket=None, choices=kept, same=new, floors=frozenset())
        least, most = by.least, by.most
        later = None if self.least is None or least is None else self.least + least
        if later is not None and self.bucket is not None and by.months >= self.bucket[0]:
            later = max(later, self.bucket[1])  # the end of a month is no earlier than what lies in it
        bucket = (by.bucket, self.least) if by.bucket and self.least is not None else None
        return replace(
            self,
            least=later,
            bucket=self.bucket if by == STAYS else bucket,
            most=None if None in (self.most, most) else self.most + most,  # type: ignore[operator]
            same=self.same.moved(least) if least is not None and least == most else new,
            floors=frozenset(one.moved(least) for one in (self.same, *self.floors))
            if least is not None
            else frozenset(),
            filled=self.filled or by == NO_EARLIER,
        )

    def through(self, *sites: Site) -> Arrival:
        """The same, through more places."""
        return replace(self, sites=tuple(dict.fromkeys((*self.sites, *sites))))

    def choosing(self, node: int, branch: int, of: int, made: str, *, rows: bool = False) -> Arrival:
        """The same as one branch of several."""
        own = frozenset([Choice(node, branch, of, rows)])
        return replace(self, choices=self.choices | own, same=Instant(made))

    def no_later(self, other: Arrival) -> bool:
        """Whether it is no later than another of the same row, as far as both are understood."""
        after = other.after(self.same)
        if after is not None and after >= 0:
            return True
        if self.column != other.column or self.most is None or other.least is None:
            return False
        return self.most <= other.least

    def after(self, instant: Instant) -> int | None:
        """By how much it is later than an instant at least; None where it is not made of that one."""
        if instant.made in ("", "?"):
            return None
        found = [one.after - instant.after for one in (self.same, *self.floors) if one.made == instant.made]
        return max(found, default=None)


def covered(ways: Iterable[Arrival]) -> bool:
    """Whether there is a way whichever branches are taken."""
    left = list(ways)
    if not left or any(not one.choices for one in left):
        return bool(left)
    place = min(min(one.choices) for one in left)
    return all(covered(_taken(left, place._replace(branch=branch))) for branch in range(place.of))


def together(ways: Iterable[Arrival], other: Arrival) -> list[Arrival]:
    """The ways that there are where another is: what its row is on one side of a union, they are on the same."""
    left = list(ways)
    for choice in other.choices:
        left = _taken(left, choice)
    return left


def _taken(ways: Iterable[Arrival], choice: Choice) -> list[Arrival]:
    """The ways that are left when one branch is taken."""
    kept = []
    for one in ways:
        own = {each for each in one.choices if each.node == choice.node}
        if all(each.branch == choice.branch for each in own):
            kept.append(replace(one, choices=one.choices - own))
    return kept
